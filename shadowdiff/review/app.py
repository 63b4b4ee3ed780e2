"""The review as it is used: keys, what threads tell, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from shadowdiff.errors import ShadowdiffError
from shadowdiff.render.lines import BOLD, FAILED, Line, Span
from shadowdiff.render.text import one_line, visible, wrap
from shadowdiff.review.keys import KEYS
from shadowdiff.review.links import turn_link
from shadowdiff.review.model import EntryKey, IndexedSession, Walk
from shadowdiff.review.moving import MovingView
from shadowdiff.review.said import Saying
from shadowdiff.review.screens import GRADES, Ask, Press, Reading
from shadowdiff.review.stored import StoredRun
from shadowdiff.review.threads import AGAIN_SECONDS, Reader, Writer, Writing, in_background

SETTLE_SECONDS = 3.0
"""How long quitting waits for what is being stored."""
HANGUP_SECONDS = 6.0
"""After which a process whose terminal is gone ends, whatever it waits for."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Given:
    """What a review works with."""

    stored: StoredRun
    author: str
    """Who labels and comments."""
    report: Callable[[], Path]
    """The run's HTML report, made when it is first asked for."""
    open_link: Callable[[str], None] | None
    """None where no browser would open before the reader's eyes."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Happened(Message):
    """Something that a thread has to tell the screen."""

    def __init__(self, tell: Callable[[], None]) -> None:
        super().__init__()
        self.tell = tell


class ReviewApp(MovingView):
    """One run under review. When it has ended, `lost` names what is not stored, and `signal` what ended it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key.keys, key.action, key.what) for key in KEYS),
        Binding("ctrl+q", "leave", "quit", priority=True),
        Binding("ctrl+c", "interrupt", "quit", priority=True),
    ]

    def __init__(self, given: Given) -> None:
        super().__init__(given.stored.run)
        self.lost: list[str] = []
        self.reason: ShadowdiffError | None = None
        """Why it is lost."""
        self.signal: signal.Signals | None = None
        self.failure: Exception | None = None
        """What should never have happened, and ended the review."""
        self._given = given
        self._report: Path | None = None
        self._is_waiting = False
        self._reader = Reader(
            given.stored.read,
            lambda session_id: self._tell(partial(self._was_read, session_id)),
            lambda _, error: self._tell(partial(self._not_read, error)),
        )
        self._writer = Writer(
            lambda writing: self._tell(partial(self._was_stored, writing)),
            lambda error: self._tell(partial(self._not_stored, error)),
        )
        self._saying = Saying(given.stored.labels, given.author, given.now, self._writer)

    def on_mount(self) -> None:
        """Begin to read."""
        if not self.is_headless:
            loop = asyncio.get_running_loop()
            for number in SIGNALS:
                loop.add_signal_handler(number, self._signalled, number)
        self._sessions.focus()
        self._read_index()

    def on_unmount(self) -> None:
        """Leave no thread behind."""
        self._reader.stop()
        self._writer.stop()

    def on_happened(self, event: Happened) -> None:
        """On the screen's own thread."""
        event.tell()

    def action_again(self) -> None:
        """Read and store anew."""
        self._writer.again()
        self._reader.forget()
        if self._walk is None:
            self._read_index()
        self._moved()

    def note(self, text: str) -> None:
        """Say something at the foot; from any thread."""
        self._tell(partial(self._say, one_line(text)))

    # What threads tell

    def _tell(self, what: Callable[[], None]) -> None:
        self.post_message(Happened(what))

    def _read_index(self) -> None:
        def progress(done: int, total: int) -> None:
            self._tell(partial(self._has_progress, f"reading the run: {done:,} of {total:,} sessions …"))

        in_background(
            partial(self._given.stored.index, progress),
            lambda found: self._tell(partial(self._has_index, found)),
            lambda error: self._tell(partial(self._not_read, error)),
        )

    def _has_progress(self, progress: str) -> None:
        self._progress = progress
        self._draw()

    def _has_index(self, found: Sequence[IndexedSession]) -> None:
        self._trouble = ""
        self._walk = Walk(found, self._shown_run.others[0].label)
        self._moved()
        in_background(
            self._given.stored.titles,
            lambda titles: self._tell(partial(self._has_titles, titles)),
            lambda error: self._tell(partial(self._without_titles, error)),
        )

    def _has_titles(self, titles: Mapping[EntryKey, str]) -> None:
        walk = self._walk
        if walk is not None:
            walk.learn_titles(titles)
            if walk.view.sought:
                self._look(walk.view)

    def _without_titles(self, error: Exception) -> None:
        self._known(error)
        self._say("titles were not read, so a search finds none", FAILED)

    def _was_read(self, session_id: str) -> None:
        session = self._walk.session if self._walk else None
        if session is not None and session.session_id == session_id:
            self._trouble = "" if not self._writer.error else self._trouble
            self._draw()

    def _not_read(self, error: Exception) -> None:
        self._trouble = f"not read (r: again): {self._known(error)}"
        self._draw_foot()
        if not self._is_waiting:
            self._is_waiting = True
            self.set_timer(AGAIN_SECONDS, self._read_again)

    def _read_again(self) -> None:
        self._is_waiting = False
        if self._walk is None:
            self._read_index()
        else:
            self._want()

    def _was_stored(self, writing: Writing) -> None:
        self._saying.stored(writing)
        if not self._writer.unsaved():
            self._trouble = ""
        self._draw()

    def _not_stored(self, error: Exception) -> None:
        number = len(self._writer.unsaved())
        what = "1 label or comment is" if number == 1 else f"{number} labels and comments are"
        self._trouble = f"{what} not stored yet (r: again): {self._known(error)}"
        self._draw_foot()

    def _known(self, error: Exception) -> ShadowdiffError:
        """Raises what is no trouble of the database's but a mistake of ours: that ends the review."""
        if not isinstance(error, ShadowdiffError):
            raise error
        return error

    # What is said

    def _entry_at_hand(self) -> str | None:
        return self._page.entry_id(self._spot) if self._page and self._opened else None

    def action_label(self) -> None:
        """Ask for the grade."""
        entry_id = self._entry_at_hand()
        if entry_id is None:
            self._say("no entry stands here to label")
            return
        self.push_screen(Press(f"label {one_line(entry_id)} · {' · '.join(GRADES)}", "0123"), self._label)

    def _label(self, grade: str | None) -> None:
        entry_id, opened = self._entry_at_hand(), self._opened
        if grade is None or entry_id is None or opened is None:
            return
        self._saying.label(opened, self._turn.replayed.turn.turn_id, entry_id, int(grade))
        self._say(f"labelled {one_line(entry_id)}: {GRADES[int(grade)]} (u: undo)")
        self._draw()

    def action_undo(self) -> None:
        """Take the last label back."""
        undone = self._saying.undo()
        if undone is None:
            self._say("nothing to undo")
            return
        label, before = undone
        now = "no label of yours" if before is None else f"{before.grade} again"
        self._say(f"undone: {one_line(label.entry_id)} on turn {one_line(label.turn_id)} has {now}")
        self._draw()

    def action_comment(self) -> None:
        """On the entry; on the turn, where the sessions have the focus."""
        if self._opened is None:
            return
        entry_id = None if self._sessions.has_focus else self._entry_at_hand()
        on = "this turn" if entry_id is None else one_line(entry_id)
        self.push_screen(Ask(f"comment on {on} · enter: store · esc: leave"), partial(self._comment, entry_id))

    def _comment(self, entry_id: str | None, body: str | None) -> None:
        opened = self._opened
        if body and opened is not None:
            self._saying.comment(opened, self._turn.replayed.turn.turn_id, entry_id, visible(body))
            self._draw()

    # The report

    def action_report(self) -> None:
        """Make it, where that has not been done, and open it at this turn."""
        if self._opened is None:
            return
        turn_id = self._turn.replayed.turn.turn_id
        self._say("making the report …")
        in_background(
            lambda: self._report or self._given.report(),
            lambda path: self._tell(partial(self._has_report, path, turn_id)),
            lambda error: self._tell(partial(self._has_no_report, error)),
        )

    def _has_report(self, path: Path, turn_id: str) -> None:
        self._report = path
        link, browse = turn_link(path, turn_id), self._given.open_link
        if browse is None:
            self._say("")
            self._notice = []
            self.push_screen(Reading(partial(_where, path, link)))
            return
        self._say(f"opened in your browser: {link}")
        in_background(
            partial(browse, link), lambda _: None, lambda error: self._tell(partial(self._has_no_report, error))
        )

    def _has_no_report(self, error: Exception) -> None:
        self._say(f"no report: {self._known(error)}", FAILED)

    # The end

    async def action_leave(self) -> None:
        """Quit, once all is stored; ask, where it cannot be."""
        if not self._writer.unsaved():
            self.exit()
            return
        self._say("storing …")
        self._settled(self._ask_to_leave)

    def action_interrupt(self) -> None:
        """Quit without asking."""
        self._signalled(signal.SIGINT)

    def _ask_to_leave(self, unsaved: list[Writing]) -> None:
        if not unsaved:
            self.exit()
            return
        question = f"{len(unsaved)} not stored: {one_line(str(self._writer.error or 'the database is slow'))}"
        self.push_screen(Press(f"{question} · q: quit and lose them · any other key: stay", "q"), self._leave_anyway)

    def _leave_anyway(self, key: str | None) -> None:
        if key is None:
            self._notice = []
            self._writer.again()
            self._draw_foot()
            return
        self._lose(self._writer.unsaved())

    def _lose(self, unsaved: list[Writing]) -> None:
        self.lost = [writing.what for writing in unsaved]
        self.reason = self._writer.error
        self.exit()

    def _settled(self, then: Callable[[list[Writing]], None]) -> None:
        def told(unsaved: list[Writing]) -> None:
            self._tell(partial(then, unsaved))

        def wrong(error: Exception) -> None:
            self._tell(partial(self._say, str(error), FAILED))

        in_background(partial(self._writer.settle, SETTLE_SECONDS), told, wrong)

    def _signalled(self, number: signal.Signals) -> None:
        """End as asked to, the terminal as it was; a second time, at once."""
        if self.signal is not None:
            self._lose(self._writer.unsaved())
            return
        self.signal = number
        if number is signal.SIGHUP:
            timer = threading.Timer(HANGUP_SECONDS, os.kill, (os.getpid(), signal.SIGKILL))
            timer.daemon = True
            timer.start()
        self._settled(self._lose)

    def _fatal_error(self) -> None:
        """Keep what should never have happened, for the command line to raise once the terminal is as it was."""
        self.failure = self._exception
        self._close_messages_no_wait()


def _where(path: Path, link: str, width: int) -> list[Line]:
    """Where the report is, for a reader whose browser is elsewhere; the link whole, however long."""
    parts = (
        ("No browser can be opened from here. The report:", str(path)),
        ("At this turn:", link),
    )
    lines: list[Line] = []
    for title, text in parts:
        lines += [[Span(title, BOLD)], *([Span(line)] for line in wrap(visible(text), width, 50)), []]
    return lines
