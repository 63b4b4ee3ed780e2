"""A run as CSV: one row per turn, side and ranked entry, for spreadsheets and data frames. Columns are API.

| column | what it holds |
| --- | --- |
| session_id, org_id, turn_id, position, query | the turn; `position` counts from 1 |
| side, spec | the side's label (A is the baseline) and its reranker |
| outcome | how the turn ended for the pair (A, side); empty for A |
| rank, entry_id, title, score | the ranked entry; `score` and `rank` are empty where the side does not rank it |
| surfaced | true where a user would have been shown it |
| rank_in_a | where A ranks the entry; empty where it does not |
| not_surfaced_by | of a surfaced entry: the sides compared with this one that do not surface it |
| | (an entry that is only in B has A here; one that is only in A, the sides that lack it) |
| failure | why the side gave no ranking: such a turn is one row without entry |

No text acts on a terminal or on a spreadsheet: control characters are made
visible, and a cell that begins like a formula gets an apostrophe before it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TextIO

from shadowdiff.ranking import surfaced
from shadowdiff.records import SessionOutcome, TurnOutcome
from shadowdiff.render.text import one_line
from shadowdiff.runs import Run, Side

COLUMNS = (
    "session_id",
    "org_id",
    "turn_id",
    "position",
    "query",
    "side",
    "spec",
    "outcome",
    "rank",
    "entry_id",
    "title",
    "score",
    "surfaced",
    "rank_in_a",
    "not_surfaced_by",
    "failure",
)
FORMULA_STARTS = frozenset("=+-@＝＋－＠")
"""What makes a spreadsheet compute a cell; the wide forms do in some locales."""

Cells = dict[str, str | int | float]


class CsvRenderer:
    """Rows of what each side surfaced, with `full_rankings` of whole pools. `redact` sees every text but ids."""

    def __init__(self, full_rankings: bool = False, redact: Callable[[str], str] = str) -> None:
        self._full_rankings = full_rankings
        self._redact = redact

    def render(self, run: Run, outcomes: Iterable[SessionOutcome], out: TextIO) -> None:
        """Write a header and the rows, sessions in the order given."""
        writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for outcome in outcomes:
            for turn in outcome.turns:
                writer.writerows(self._rows(run, outcome, turn))

    def _rows(self, run: Run, outcome: SessionOutcome, turn: TurnOutcome) -> Iterator[Cells]:
        shown = {side.label: _surfaced(run, turn, side) for side in run.sides}
        for side in run.sides:
            head = self._head(run, outcome, turn, side)
            if side.label in turn.replayed.rankings:
                yield from (head | cells for cells in self._ranked(run, turn, side, shown))
            else:
                reasons = {failure.side: failure.reason for failure in turn.replayed.failures}
                yield head | {"failure": cell(self._redact(reasons.get(side.label, "")))}

    def _head(self, run: Run, outcome: SessionOutcome, turn: TurnOutcome, side: Side) -> Cells:
        asked = turn.replayed.turn
        return {
            "session_id": cell(outcome.session.session_id),
            "org_id": cell(outcome.session.org_id),
            "turn_id": cell(asked.turn_id),
            "position": asked.position,
            "query": cell(self._redact(asked.query)),
            "side": side.label,
            "spec": cell(side.spec),
            "outcome": "" if side == run.baseline else turn.outcome(side.label).value,
        }

    def _ranked(self, run: Run, turn: TurnOutcome, side: Side, shown: Mapping[str, tuple[str, ...]]) -> Iterator[Cells]:
        rankings = turn.replayed.rankings
        ranking = rankings[side.label]
        in_a = rankings[run.baseline.label].ranks() if run.baseline.label in rankings else {}
        ranks = ranking.ranks()
        titles = {item.entry.entry_id: item.entry.title for item in turn.replayed.pool.entries}
        compared = run.others if side == run.baseline else (run.baseline,)
        kept = len(ranking.entry_ids) if self._full_rankings else len(shown[side.label])
        for entry_id, score in zip(ranking.entry_ids[:kept], ranking.scores[:kept], strict=True):
            is_shown = entry_id in shown[side.label]
            lacking = [other.label for other in compared if other.label in rankings]
            yield {
                "rank": ranks.get(entry_id, ""),
                "entry_id": cell(entry_id),
                "title": cell(self._redact(titles.get(entry_id, ""))),
                "score": "" if score is None else score,
                "surfaced": "true" if is_shown else "false",
                "rank_in_a": in_a.get(entry_id, ""),
                "not_surfaced_by": " ".join(label for label in lacking if is_shown and entry_id not in shown[label]),
            }


def cell(text: str) -> str:
    """A text as a cell: one line, nothing that acts on a terminal, and no formula."""
    line = one_line(text)
    return f"'{line}" if line[:1] in FORMULA_STARTS else line


def _surfaced(run: Run, turn: TurnOutcome, side: Side) -> tuple[str, ...]:
    ranking = turn.replayed.rankings.get(side.label)
    return () if ranking is None else surfaced(ranking, run.config.top_k, side.min_score)
