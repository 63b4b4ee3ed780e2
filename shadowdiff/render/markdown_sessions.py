"""Sessions of a run as folded blocks of Markdown: each turn as a table, with the signs of the terminal."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence

from shadowdiff.diff import contrast
from shadowdiff.records import Outcome, SessionDiff, SessionOutcome, TurnOutcome
from shadowdiff.render.columns import NEAR_TIE, Column, Lists, Row, columns_of, heading_of, lists_of
from shadowdiff.render.github import html_code, length, markdown, table
from shadowdiff.render.lines import Line, plain
from shadowdiff.render.sessions import (
    asked_text,
    counted,
    moment,
    session_counts,
    turn_counts,
    turn_notes,
    turn_outcomes,
)
from shadowdiff.render.text import clip, one_line
from shadowdiff.runs import Run, Side

MOST_SIDE_BY_SIDE = 3
"""Sides in one table; more are compared in pairs, one table below the other."""
MOST_OF_A_SESSION = 12_000
"""Characters that one session may take of a comment, so that a long one does not displace all others."""
TITLE_CELLS = 80
ID_CELLS = 80
QUERY_CELLS = 300
SPACED_OUT = re.compile("\n{3,}")
UNBROKEN = 100_000
"""Cells of a line that is broken nowhere: a browser does that."""

_Key = tuple[tuple[float, ...], int]
"""Contrast, less for less of it; and of sessions alike, less for the later one."""


class MostContrasting:
    """The blocks that fit: where they do not all, those of the sessions in which the sides differ most.

    Holds what fits and no more, however many sessions come; none is left out that
    differs more than one that is kept.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._held: list[tuple[_Key, int, str]] = []
        """A heap with the size of each block: the least contrasting session first."""
        self._taken = 0
        self._bar: _Key | None = None
        """Of the most contrasting session that was left out."""
        self.sessions = 0
        """That came."""
        self.turns = 0

    def add(self, run: Run, outcome: SessionOutcome) -> None:
        """Take a session's block, and give up others for it where there is no room."""
        key = tuple(-part for part in contrast(outcome)), -self.sessions
        self.sessions += 1
        self.turns += len(outcome.turns)
        if self._bar is not None and key < self._bar:
            return
        block = session_block(run, outcome)
        size = length(block) + 1
        heapq.heappush(self._held, (key, size, block))
        self._taken += size
        while self._taken > self._room:
            self._bar, size, _ = heapq.heappop(self._held)
            self._taken -= size

    @property
    def left_out(self) -> int:
        """Sessions for which there was no room."""
        return self.sessions - len(self._held)

    def blocks(self) -> list[str]:
        """In the order in which they came."""
        return [block for _, _, block in sorted(self._held, key=lambda held: -held[0][1])]


def session_block(run: Run, outcome: SessionOutcome) -> str:
    """One session, folded, of at most MOST_OF_A_SESSION characters; the turns that do not fit are counted."""
    turns = max(len(outcome.session.turns), len(outcome.turns))
    head, tail = _summary(run, outcome, turns), "\n".join(["", *_counts(run, outcome), "", "</details>", ""])
    room = MOST_OF_A_SESSION - length(head) - length(tail)
    parts = [head]
    for place, turn in enumerate(outcome.turns):
        block = _fitting(run, turn, turns, room)
        if not block:
            parts.append(f"\n{counted(len(outcome.turns) - place, 'more turn')}, too long for here.")
            break
        parts.append(block)
        room -= length(block) + 1
    return SPACED_OUT.sub("\n\n", "\n".join([*parts, tail]))


def _fitting(run: Run, turn: TurnOutcome, turns: int, room: int) -> str:
    """The turn with its lists, without them where they are too long, or nothing where that is too long as well."""
    lists = lists_of(run, turn)
    counts = _turn_counts(run, turn, lists)
    head = _turn_head(run, turn, turns)
    blocks = ("\n".join([*head, *middle, *counts]) for middle in (_turn_lists(run, turn, lists), ()))
    return next((block for block in blocks if length(block) <= room), "")


def _summary(run: Run, outcome: SessionOutcome, turns: int) -> str:
    """What is seen of a folded session. Markdown is not read here, so that this is HTML."""
    session = outcome.session
    pairs = [(side, outcome.diffs[side.label]) for side in run.others]
    facts = [
        f"session {html_code(session.session_id, ID_CELLS)}",
        html_code(session.org_id, ID_CELLS),
        f"{moment(session.started_at)} UTC",
        counted(turns, "turn"),
        *(_contrast_of(run, side, diff) for side, diff in pairs),
    ]
    return f"<details>\n<summary>{' · '.join(facts)}</summary>\n"


def _contrast_of(run: Run, side: Side, diff: SessionDiff) -> str:
    failed = f", {counted(diff.failed_turns, 'turn')} failed" if diff.failed_turns else ""
    label = f"{side.label}: " if len(run.others) > 1 else ""
    return (
        f"{label}{len(diff.only_in_a)} only in {run.baseline.label}, {len(diff.only_in_b)} only in {side.label}{failed}"
    )


def _turn_lists(run: Run, turn: TurnOutcome, lists: Lists) -> list[str]:
    lines = [*_searched(turn), *_text(turn_notes(run, turn, UNBROKEN))]
    for others in _tables(run):
        if any(turn.outcome(side.label) is not Outcome.SAME for side in others):
            lines += ["", *_table(columns_of(lists, turn, run, others)), ""]
    return lines


def _turn_head(run: Run, turn: TurnOutcome, turns: int) -> list[str]:
    asked = turn.replayed.turn
    ended = markdown(plain(turn_outcomes(run, turn)))
    return ["", f"**turn {asked.position}/{turns}** · {ended} · {markdown(asked_text(asked), QUERY_CELLS)}", ""]


def _searched(turn: TurnOutcome) -> list[str]:
    asked = turn.replayed.turn
    if not asked.search_query or asked.search_query == asked.query:
        return []
    return [f"searched: “{markdown(asked.search_query, QUERY_CELLS)}”", ""]


def _tables(run: Run) -> list[Sequence[Side]]:
    """Which sides stand beside the baseline at once."""
    return [run.others] if len(run.sides) <= MOST_SIDE_BY_SIDE else [(side,) for side in run.others]


def _table(columns: Sequence[Column]) -> Iterator[str]:
    """Two columns per side: sign and rank, then title and place."""
    headings = [cell for column in columns for cell in ("", markdown(heading_of(column.side), TITLE_CELLS))]
    height = max(max(len(column.rows), 1) for column in columns)
    rows = [[cell for column in columns for cell in _cells(column, at)] for at in range(height)]
    yield from table(headings, rows, left=range(1, len(headings), 2))


def _cells(column: Column, at: int) -> tuple[str, str]:
    if at < len(column.rows):
        return _row(column.rows[at])
    return "", markdown(column.message) if at == 0 and not column.rows else ""


def _row(row: Row) -> tuple[str, str]:
    near = NEAR_TIE if row.is_near_tie else ""
    title = markdown(f"{clip(row.title, TITLE_CELLS)}{clip(row.suffix, TITLE_CELLS)}")
    shown = f"**{title}**" if row.sign else title
    lead = f"{row.sign}{near}&nbsp;" if row.sign or near else ""
    return f"{lead}{row.rank}", f"{shown} {markdown(row.place)}".strip()


def _turn_counts(run: Run, turn: TurnOutcome, lists: Lists) -> list[str]:
    return [text for side in run.others for text in _text(turn_counts(run, turn, lists, side, UNBROKEN))]


def _counts(run: Run, outcome: SessionOutcome) -> list[str]:
    return [text for side in run.others for text in _text(session_counts(run, outcome, side, UNBROKEN))]


def _text(lines: Sequence[Line]) -> list[str]:
    """Paragraphs of what the terminal has as lines."""
    return [text for line in lines for text in (markdown(one_line(plain(line))), "")]
