"""The review screen: a run's sessions on the left, the turn at hand on the right, and its entry's text below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical

from shadowdiff.records import TurnOutcome
from shadowdiff.render.lines import DIM, FAILED, Line, Span, flowed
from shadowdiff.render.matches import words_of
from shadowdiff.render.sessions import counted
from shadowdiff.render.text import one_line, wrap
from shadowdiff.review import drawing
from shadowdiff.review.drawing import Spot, TurnPage
from shadowdiff.review.keys import hints
from shadowdiff.review.model import Walk
from shadowdiff.review.said import Saying, of_entry, of_turn_itself
from shadowdiff.review.stored import Opened
from shadowdiff.review.threads import Reader
from shadowdiff.review.widgets import Lines, Places, Turn
from shadowdiff.runs import Run

NARROW = 72
"""Below this width sessions and turn have the screen in turns."""
NARROWEST_LIST, WIDEST_LIST = 25, 46
FOOT_LINES = 3


class ReviewView(App[None]):
    """Draws what is known; what is done with it is the app's."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head, #foot { height: 1; padding: 0 1; }
    #body { height: 1fr; }
    #sessions { padding: 0 0 0 1; border-right: solid ansi_bright_black; }
    #right { padding: 0 0 0 1; }
    #turn { height: 1; }
    #entry { height: 1fr; }
    """
    _reader: Reader[Opened]
    _saying: Saying

    def __init__(self, run: Run) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self._shown_run = run
        self._walk: Walk | None = None
        self._spot = Spot(0, 0)
        self._page: TurnPage | None = None
        self._drawn: tuple[str, int, str] | None = None
        """Session, turn and side that the spot belongs to."""
        self._is_zoomed = False
        self._trouble = ""
        """Why something is not read or not stored."""
        self._notice: Line = []
        """What was done last."""
        self._progress = "reading the run …"

    def compose(self) -> ComposeResult:
        """Head, sessions, turn, entry, foot."""
        yield Lines(id="head", classes="fixed")
        with Horizontal(id="body"):
            yield Places(self._session_line, id="sessions")
            with Vertical(id="right"):
                yield Turn(id="turn")
                yield Lines(id="entry")
        yield Lines(id="foot", classes="fixed")

    def on_resize(self) -> None:
        """Share the width out anew."""
        self._share()

    def on_lines_widened(self) -> None:
        """Draw for the new width."""
        self._draw()

    def _share(self) -> None:
        """Give the width to both halves, or to the one that has the focus where there is little of it."""
        sessions, right = self._sessions, self.query_one("#right")
        is_narrow = self.size.width < NARROW
        sessions.display = not self._is_zoomed and (not is_narrow or sessions.has_focus)
        right.display = not is_narrow or not sessions.display
        share = max(min(self.size.width * 3 // 10, WIDEST_LIST), NARROWEST_LIST)
        sessions.styles.width = share if right.display else "1fr"
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        """Everything, from what is known now."""
        if not self.is_running or not self.screen_stack:
            return
        head = self._at("head")
        head.show([drawing.head_line(self._pair, self._counted(), head.room)])
        walk = self._walk
        if walk is not None:
            self._sessions.stand(walk.at, len(walk.shown))
        self._draw_turn()
        self._draw_foot()

    def _draw_turn(self) -> None:
        walk, turn = self._walk, self._at("turn")
        opened = self._opened
        if walk is None or walk.session is None or opened is None:
            self._page = None
            waiting = self._progress if walk is None else self._why_nothing(walk)
            self._fit(turn, [[], *flowed([Span(waiting, DIM)], turn.room, "")])
            self._at("entry").show([])
            return
        said = self._saying.of_turn(opened, self._turn.replayed.turn.turn_id)
        marks = drawing.marks_of(said.labels, said.comments, self._saying.unsaved)
        page = drawing.turn_page(self._pair, opened.outcome, walk.turn, marks, turn.room)
        of_turn = list(drawing.said_lines(of_turn_itself(said), turn.room))
        self._page = replace(page, lines=[*page.lines, *of_turn])
        self._settle_spot(page)
        self._show_cursor()

    def _settle_spot(self, page: TurnPage) -> None:
        """Stay where the reader is; on another turn, at its first difference."""
        walk = self._walk
        drawn = (walk.session.session_id, walk.turn, walk.view.side) if walk and walk.session else None
        if drawn != self._drawn:
            self._drawn = drawn
            self._spot = self._found_spot(page) or page.first_difference()

    def _found_spot(self, page: TurnPage) -> Spot | None:
        """Of the entry that the search found, where it found one."""
        walk = self._walk
        found = walk.found_entries() if walk else ()
        return next((spot for entry_id in found if (spot := page.spot_of(entry_id)) is not None), None)

    def _show_cursor(self) -> None:
        page, turn = self._page, self._at("turn")
        if page is None:
            return
        style = drawing.REVERSE if turn.has_focus else drawing.UNDERLINE
        self._fit(turn, drawing.with_cursor(page, self._spot, turn.room, style))
        if self._spot.row == 0:
            turn.bring(0)
        turn.bring(page.first_row + self._spot.row)
        self._draw_entry()

    def _draw_entry(self) -> None:
        entry = self._at("entry")
        entry.show(self._entry_lines(entry.room))
        entry.scroll_to(y=0, animate=False)

    def _entry_lines(self, width: int) -> Sequence[Line]:
        page, opened = self._page, self._opened
        entry_id = page.entry_id(self._spot) if page else None
        if opened is None or entry_id is None:
            return []
        turn = self._turn
        said = of_entry(self._saying.of_turn(opened, turn.replayed.turn.turn_id), entry_id)
        asked = turn.replayed.turn
        sought = self._walk.view.sought if self._walk else ""
        words = words_of(f"{asked.query}\n{asked.search_query or ''}\n{sought}")
        return list(drawing.entry_lines(self._pair, turn, entry_id, said, words, width))

    def _fit(self, turn: Lines, lines: Sequence[Line]) -> None:
        """Give the turn what it needs, and the entry at least a quarter of the height."""
        height = self.query_one("#body").size.height
        turn.styles.height = max(min(len(lines), height - max(height // 4, 3)), 1)
        turn.show(lines)

    def _draw_foot(self) -> None:
        foot = self._at("foot")
        lines: list[Line] = flowed(hints(), foot.room, "", "  ")[:1]
        if self._notice:
            lines = flowed(self._notice, foot.room, "")[:FOOT_LINES]
        if self._trouble:
            lines = [[Span(text, FAILED)] for text in wrap(one_line(self._trouble), foot.room, FOOT_LINES)]
        foot.styles.height = len(lines)
        foot.show(lines)

    def _session_line(self, place: int, width: int, has_focus: bool) -> Line:
        walk = self._walk
        if walk is None:
            return []
        chosen = place == walk.at
        return drawing.session_row(walk.shown[place], walk.view, width, is_chosen=chosen, has_focus=has_focus)

    def _counted(self) -> str:
        walk = self._walk
        if walk is None:
            return ""
        view = walk.view
        filters = [view.outcome.value if view.outcome else "", one_line(view.org or ""), one_line(view.sought)]
        shown = counted(walk.total, "session") if len(walk.shown) == walk.total else f"{len(walk.shown):,} of "
        if len(walk.shown) != walk.total:
            shown += counted(walk.total, "session")
        return " · ".join([*(name for name in filters if name), shown])

    def _why_nothing(self, walk: Walk) -> str:
        if walk.session is not None and not walk.session.turns:
            return f"session {one_line(walk.session.session_id)} has no turns"
        if walk.session is not None:
            return f"reading session {one_line(walk.session.session_id)} …"
        return "no session fits the search and filters; esc leaves them" if walk.total else "this run has no session"

    @property
    def _pair(self) -> Run:
        side = self._walk.view.side if self._walk else self._shown_run.others[0].label
        return drawing.pair_run(self._shown_run, side)

    @property
    def _opened(self) -> Opened | None:
        """The session at hand; None while it is not read, and where it has no turn to look at."""
        session = self._walk.session if self._walk else None
        return self._reader.held(session.session_id) if session and session.turns else None

    @property
    def _turn(self) -> TurnOutcome:
        """The turn at hand, of a session that is opened."""
        opened, walk = self._opened, self._walk
        assert opened is not None  # noqa: S101 callers have looked
        assert walk is not None  # noqa: S101 callers have looked
        return opened.outcome.turns[walk.turn]

    @property
    def _sessions(self) -> Places:
        return self.query_one("#sessions", Places)

    def _at(self, name: str) -> Lines:
        return self.screen_stack[0].query_one(f"#{name}", Lines)
