"""What stands on the review screen, as lines. Pure: widgets show it, and decide nothing of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shadowdiff.records import Comment, Entry, Label, Outcome, SessionOutcome, TurnOutcome
from shadowdiff.render.columns import DIVIDER, Column, Row, column_cells, columns_of, drawn, heading_of, lists_of
from shadowdiff.render.entry_text import body_lines, highlighted
from shadowdiff.render.lines import BOLD, DIM, FAILED, ONLY_A, ONLY_B, PLAIN, Line, Span, flowed, ruled, width_of
from shadowdiff.render.matches import Words
from shadowdiff.render.sessions import OUTCOME_STYLES, moment, turn_counts, turn_header, turn_notes
from shadowdiff.render.text import cells, clip, fit, one_line, wrap
from shadowdiff.review.model import IndexedSession, View
from shadowdiff.runs import Run

REVERSE = "reverse"
UNDERLINE = "underline"
MARKS = {Outcome.SAME: "=", Outcome.REORDERED: "~", Outcome.DIFFERENT: "≠", Outcome.FAILED: "!"}
MARKS_SHOWN = 6
"""Turns of a session that its row has a mark for."""
WIDE_LIST = 32
"""Cells from which on a session's row names its org."""
COUNT_CELLS = 3
"""Of a count with its sign, in a list that is wide enough to have them below each other."""
GRADE = "●"
COMMENTED = "¶"
UNSAVED = "?"


def pair_run(run: Run, side: str) -> Run:
    """The run as if nobody but A and this side had taken part."""
    return replace(run, sides=(run.baseline, next(other for other in run.others if other.label == side)))


@dataclass(frozen=True, slots=True)
class Marks:
    """What stands beside an entry's title."""

    grade: int | None = None
    """Of its newest label."""
    is_unsaved: bool = False
    has_comment: bool = False

    @property
    def text(self) -> str:
        """`●2`, `●2?` while it is not stored, `¶` where somebody wrote something."""
        label = "" if self.grade is None else f" {GRADE}{self.grade}{UNSAVED if self.is_unsaved else ''}"
        return label + (f" {COMMENTED}" if self.has_comment else "")


@dataclass(frozen=True, slots=True)
class Spot:
    """A row of one side's list."""

    column: int
    """0: A, 1: the other side."""
    row: int


@dataclass(frozen=True, slots=True)
class TurnPage:
    """A turn as it is drawn, and where its entries stand."""

    lines: Sequence[Line]
    first_row: int
    """The line of both lists' first rows."""
    entry_ids: tuple[tuple[str, ...], tuple[str, ...]]
    """Surfaced by A and by the other side."""
    signs: tuple[tuple[str, ...], tuple[str, ...]]
    """Beside each of these: empty where both sides surfaced the entry."""

    def entry_id(self, spot: Spot) -> str | None:
        """The entry that stands there."""
        column = self.entry_ids[spot.column]
        return column[spot.row] if 0 <= spot.row < len(column) else None

    def first_difference(self) -> Spot:
        """The first entry that only one side surfaced, B's before A's; else the first of all."""
        for column in (1, 0):
            for row, sign in enumerate(self.signs[column]):
                if sign:
                    return Spot(column, row)
        return Spot(0, 0) if self.entry_ids[0] else Spot(1, 0)

    def spot_of(self, entry_id: str) -> Spot | None:
        """Where the entry stands; in A's list where it stands in both."""
        for column, entry_ids in enumerate(self.entry_ids):
            if entry_id in entry_ids:
                return Spot(column, entry_ids.index(entry_id))
        return None

    def moved(self, spot: Spot, down: int) -> Spot:
        """As many rows on as there are."""
        last = len(self.entry_ids[spot.column]) - 1
        return Spot(spot.column, max(0, min(spot.row + down, last)))

    def across(self, spot: Spot, column: int) -> Spot | None:
        """The row in the other column, or its last; None where there is nothing."""
        if column not in (0, 1) or not self.entry_ids[column]:
            return None
        return Spot(column, min(spot.row, len(self.entry_ids[column]) - 1))


def turn_page(run: Run, outcome: SessionOutcome, place: int, marks: Mapping[str, Marks], width: int) -> TurnPage:
    """Draw one turn of a run of two sides (`pair_run`) within `width` cells."""
    turn, turns = outcome.turns[place], max(len(outcome.session.turns), len(outcome.turns))
    lists = lists_of(run, turn)
    columns = columns_of(lists, turn, run, run.others)
    head = [
        *_session_line(outcome, width),
        *turn_header(run, turn, turns, width),
        *turn_notes(run, turn, width),
    ]
    surfaced = [lists.surfaced.get(side.label, ()) for side in run.sides]
    marked = [_marked(column, found, marks) for column, found in zip(columns, surfaced, strict=True)]
    counts = turn_counts(run, turn, lists, run.others[0], width)
    return TurnPage(
        [*head, *drawn(marked, width, run.config.top_k), *counts],
        len(head) + 1,
        (surfaced[0], surfaced[1]),
        (_signs(columns[0]), _signs(columns[1])),
    )


def with_cursor(page: TurnPage, spot: Spot, width: int, style: str) -> list[Line]:
    """The page's lines, with the row at `spot` in `style`: reverse or underlined, which shows without colours too."""
    lines = list(page.lines)
    at = page.first_row + spot.row
    if page.entry_id(spot) is None or not 0 <= at < len(lines):
        return lines
    column = column_cells(width, 2)
    start = spot.column * (column + cells(DIVIDER))
    lines[at] = _styled(lines[at], start, start + column, style)
    return lines


def _styled(line: Line, start: int, end: int, style: str) -> Line:
    """Spans that begin within these cells in `style` too, up to the last cell: columns end where spans do."""
    styled: Line = []
    at = 0
    for span in line:
        is_inside = start <= at < end
        styled.append(Span(span.text, f"{span.style} {style}".replace(DIM, "").strip() if is_inside else span.style))
        at += cells(span.text)
    return [*styled, Span(" " * (end - at), style)] if at < end else styled


def _session_line(outcome: SessionOutcome, width: int) -> list[Line]:
    session = outcome.session
    facts = [Span(one_line(session.org_id), DIM), Span(moment(session.started_at), DIM)]
    return flowed([Span(f"session {one_line(session.session_id)}", BOLD), *facts], width, "")


def _signs(column: Column) -> tuple[str, ...]:
    return tuple(row.sign for row in column.rows)


def _marked(column: Column, entry_ids: Sequence[str], marks: Mapping[str, Marks]) -> Column:
    rows = [_marked_row(row, marks.get(name, Marks())) for row, name in zip(column.rows, entry_ids, strict=False)]
    return replace(column, rows=tuple(rows))


def _marked_row(row: Row, marks: Marks) -> Row:
    return replace(row, suffix=row.suffix + marks.text)


def session_row(session: IndexedSession, view: View, width: int, *, is_chosen: bool, has_focus: bool) -> Line:
    """One session in the list: outcomes of its turns, its id, its org where there is room, what only one side found."""
    outcomes = [turn.outcomes[view.side] for turn in session.turns]
    counts = _counts(session.only[view.side], aligned=width >= WIDE_LIST)
    weight = BOLD if is_chosen else PLAIN
    room = width - 2 - MARKS_SHOWN - 1 - width_of(counts) - 1
    line: Line = [Span("▸ " if is_chosen else "  ", BOLD), *_outcome_marks(outcomes), Span(" ")]
    line += [*_named(session, room, weight, with_org=width >= WIDE_LIST), Span(" "), *counts]
    return _styled(line, 0, width, REVERSE) if is_chosen and has_focus else line


def _counts(only: tuple[int, int], *, aligned: bool) -> Line:
    """Distinct entries only in A and only in the other side; below each other in a list that is wide enough."""
    parts = [f"-{only[0]}", f"+{only[1]}"]
    shown = [part.rjust(COUNT_CELLS) if aligned else part for part in parts]
    styles = [style if number else DIM for number, style in zip(only, (ONLY_A, ONLY_B), strict=True)]
    return [Span(shown[0], styles[0]), Span(" "), Span(shown[1], styles[1])]


def _named(session: IndexedSession, room: int, weight: str, *, with_org: bool) -> list[Span]:
    name = one_line(session.session_id)
    if not with_org:
        return [Span(fit(name, room), weight)]
    org = room // 2
    return [Span(fit(name, room - org), weight), Span(fit(f" {one_line(session.org_id)}", org), DIM)]


def _outcome_marks(outcomes: Sequence[Outcome]) -> list[Span]:
    shown = outcomes if len(outcomes) <= MARKS_SHOWN else outcomes[: MARKS_SHOWN - 1]
    spans = [Span(MARKS[outcome], OUTCOME_STYLES[outcome]) for outcome in shown]
    if len(shown) < len(outcomes):
        spans.append(Span("…", DIM))
    return [*spans, Span(" " * (MARKS_SHOWN - len(spans)))]


@dataclass(frozen=True, slots=True)
class Said:
    """What people and files said of an entry, or of its turn."""

    labels: Sequence[Label] = ()
    comments: Sequence[Comment] = ()


def entry_lines(run: Run, turn: TurnOutcome, entry_id: str, said: Said, words: Words, width: int) -> Iterator[Line]:
    """An entry: what it is, where each side put it, what was said of it, and its text; the query's words stand out."""
    entry = _entry(turn, entry_id)
    if entry is None:
        return
    title = one_line(entry.title) or one_line(entry_id)
    yield ruled([Span("─ ", DIM), *highlighted(clip(title, width - 3), words, BOLD)], [], width, "─")
    yield from flowed([Span(one_line(entry_id), DIM), *_places(run, turn, entry_id)], width, "")
    yield from said_lines(said, width)
    yield from body_lines(entry, width, words)


def said_lines(said: Said, width: int) -> Iterator[Line]:
    """Labels in one paragraph, then a paragraph per comment."""
    labels = [Span(f"{GRADE}{label.grade} {_by(label)}", BOLD) for label in said.labels]
    yield from flowed(labels, width, "")
    for comment in said.comments:
        of_turn = "" if comment.entry_id is not None else " on the turn"
        text = f"{COMMENTED} {one_line(comment.author)}{of_turn}: {one_line(comment.body)}"
        yield from ([Span(line)] for line in wrap(text, width, 4))


def _entry(turn: TurnOutcome, entry_id: str) -> Entry | None:
    return next((item.entry for item in turn.replayed.pool.entries if item.entry.entry_id == entry_id), None)


def _places(run: Run, turn: TurnOutcome, entry_id: str) -> Iterator[Span]:
    """Where each side put the entry in its whole ranking, and with which score."""
    for side in run.sides:
        ranking = turn.replayed.rankings.get(side.label)
        if ranking is None:
            yield Span(f"{side.label} failed", FAILED)
        elif (rank := ranking.ranks().get(entry_id)) is None:
            yield Span(f"{side.label} unranked", DIM)
        else:
            yield Span(f"{side.label} {rank} ({ranking.scores[rank - 1]:.4g})", DIM)


def _by(label: Label) -> str:
    """Who labelled, or which file, and when that is known."""
    author = f"{one_line(label.author)} ({one_line(label.source)})" if label.author else one_line(label.source)
    return author if label.labelled_at is None else f"{author} {moment(label.labelled_at)}"


def head_line(run: Run, sessions: str, width: int) -> Line:
    """Which run is looked at, and how much of it."""
    names = "  against  ".join(heading_of(side) for side in run.sides)
    right = [Span(sessions, DIM)]
    room = width - width_of(right) - 4
    left = [Span(clip(f"{one_line(run.run_id)}  ", room), BOLD)]
    left.append(Span(clip(names, room - width_of(left))))
    return ruled(left, right, width, " ")


def marks_of(labels: Sequence[Label], comments: Sequence[Comment], unsaved: frozenset[Label]) -> dict[str, Marks]:
    """By entry id, of one turn's labels, newest first, and comments."""
    grades: dict[str, Label] = {}
    for label in labels:
        grades.setdefault(label.entry_id, label)
    commented = Counter(comment.entry_id for comment in comments if comment.entry_id is not None)
    return {
        name: Marks(
            grades[name].grade if name in grades else None,
            grades.get(name) in unsaved,
            name in commented,
        )
        for name in grades.keys() | commented.keys()
    }
