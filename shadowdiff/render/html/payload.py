"""Sessions as the page's script reads them: every word and sign of a turn is made here, by the terminal's own code.

One JSON object per session, short names for what stands in it thousands of
times; `payload.js` says what each is. Texts are `visible` already, ids are raw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shadowdiff.diff import contrast
from shadowdiff.records import ReplayedTurn, SessionOutcome, TurnOutcome
from shadowdiff.render.columns import Column, Lists, columns_of, lists_of
from shadowdiff.render.html.entries import Entries
from shadowdiff.render.lines import DIM, FAILED, ONLY_A, ONLY_B, SEPARATOR, Line
from shadowdiff.render.sessions import asked_text, moment, session_counts, turn_counts, turn_notes
from shadowdiff.render.text import clip, one_line
from shadowdiff.runs import Run, Side

ALL = "*"
"""Name of the view in which all sides stand beside each other."""
WIDE = 1_000_000
"""Cells of a line that need not end: the page breaks lines by itself."""
QUERY_CELLS = 1_200
TAGS = 12
TAG_CELLS = 80
STYLES = {DIM: "dim", ONLY_A: "a", ONLY_B: "b", FAILED: "failed"}

Json = dict[str, Any]


def views(run: Run) -> dict[str, tuple[Side, ...]]:
    """Which sides stand beside the baseline, by name: each alone, and all where there are several."""
    alone: dict[str, tuple[Side, ...]] = {side.label: (side,) for side in run.others}
    return {ALL: run.others, **alone} if len(run.others) > 1 else alone


def session_json(run: Run, outcome: SessionOutcome, entries: Entries) -> Json:
    """One session with its turns; entries are given by their places."""
    session = outcome.session
    found: Json = {
        "i": session.session_id,
        "o": one_line(session.org_id),
        "at": moment(session.started_at),
        "time": session.started_at.timestamp(),
        "n": max(len(session.turns), len(outcome.turns)),
        "tags": [clip(f"{one_line(name)}: {one_line(str(value))}", TAG_CELLS) for name, value in session.tags.items()][
            :TAGS
        ],
        "x": {name: contrast(only(outcome, sides)) for name, sides in views(run).items()},
        "c": [[side.label, _parts(session_counts(run, outcome, side, WIDE)[0][1:])] for side in run.others],
        "t": [_turn(run, turn, entries) for turn in outcome.turns],
    }
    shown = one_line(session.session_id)
    return found if shown == session.session_id else found | {"s": shown}


def only(outcome: SessionOutcome, sides: Sequence[Side]) -> SessionOutcome:
    """The outcome as if these were the only sides beside the baseline."""
    labels = [side.label for side in sides]
    turns = tuple(replace(turn, diffs={label: turn.diffs[label] for label in labels}) for turn in outcome.turns)
    return replace(outcome, turns=turns, diffs={label: outcome.diffs[label] for label in labels})


def _turn(run: Run, turn: TurnOutcome, entries: Entries) -> Json:
    asked, lists = turn.replayed.turn, lists_of(run, turn)
    found: Json = {
        "i": asked.turn_id,
        "p": asked.position,
        "q": clip(asked_text(asked), QUERY_CELLS),
        "o": "".join(turn.outcome(side.label).value[0] for side in run.others),
        "n": [part for line in turn_notes(run, turn, WIDE) for part, _ in _parts(line)],
        "c": [_parts(line) for side in run.others for line in turn_counts(run, turn, lists, side, WIDE)],
    }
    if asked.search_query and asked.search_query != asked.query:
        found["s"] = clip(one_line(asked.search_query), QUERY_CELLS)
    places = _Places(turn.replayed, entries)
    found["v"] = {name: _columns(run, turn, lists, sides, places) for name, sides in views(run).items()}
    if asked.served is not None:
        found["w"] = [places.of(entry_id) for entry_id in asked.served]
        if asked.served_by:
            found["by"] = one_line(asked.served_by)
    found["e"] = _standings(run, turn.replayed, lists, places)
    return found


class _Places:
    """Places of one turn's entries in the page."""

    def __init__(self, turn: ReplayedTurn, entries: Entries) -> None:
        self._by_id = {item.entry.entry_id: item.entry for item in turn.pool.entries}
        self._entries = entries

    def of(self, entry_id: str) -> int:
        return self._entries.place(entry_id, self._by_id.get(entry_id))


def _columns(run: Run, turn: TurnOutcome, lists: Lists, others: Sequence[Side], places: _Places) -> list[list[Any]]:
    """Per side: its rows, and where there is none why, and whether that is a failure."""
    found: list[list[Any]] = []
    for column in columns_of(lists, turn, run, others):
        rows = _rows(column, lists.surfaced.get(column.side.label, ()), places)
        found.append([rows, column.message, 1] if column.failed else [rows, column.message] if not rows else [rows])
    return found


def _rows(column: Column, entry_ids: Sequence[str], places: _Places) -> list[list[Any]]:
    """Per row: sign, entry, the other side's place; near-tie and suffix where there is one."""
    rows = []
    for row, entry_id in zip(column.rows, entry_ids, strict=True):
        found: list[Any] = [row.sign, places.of(entry_id), row.place]
        if row.is_near_tie or row.suffix:
            found += [int(row.is_near_tie), row.suffix]
        rows.append(found)
    return rows


def _standings(run: Run, turn: ReplayedTurn, lists: Lists, places: _Places) -> list[list[Any]]:
    """Per surfaced entry: its place, its retrieval rank, and per side rank and score, null where it has none."""
    retrieved = {item.entry.entry_id: item.rank for item in turn.pool.entries}
    scores = {label: dict(zip(each.entry_ids, each.scores, strict=True)) for label, each in turn.rankings.items()}
    surfaced = dict.fromkeys(entry_id for entry_ids in lists.surfaced.values() for entry_id in entry_ids)
    found = []
    for entry_id in surfaced:
        line: list[Any] = [places.of(entry_id), retrieved.get(entry_id)]
        for side in run.sides:
            line += [
                lists.ranks.get(side.label, {}).get(entry_id),
                _rounded(scores.get(side.label, {}).get(entry_id)),
            ]
        found.append(line)
    return found


def _rounded(score: float | None) -> float | None:
    """As many digits as anybody reads; what is infinite is no score."""
    return None if score is None or score in (float("inf"), float("-inf")) else float(f"{score:.6g}")


def _parts(line: Line) -> list[list[str]]:
    """Texts with the names of their styles; separators and spaces are the page's own."""
    return [[text.strip(), STYLES.get(style, "")] for text, style in line if text.strip(" ·") and text != SEPARATOR]
