"""What retrieval leaves to rerankers: no order of a pool finds what is not in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shadowdiff.evaluation.results import Ceiling, Loss
from shadowdiff.evaluation.turns import LabelledTurn


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A turn with the entries that are relevant to it, of which there is at least one."""

    turn: LabelledTurn
    relevant: frozenset[str]

    @property
    def pooled(self) -> int:
        return len(self.relevant.intersection(self.turn.pool))

    def held(self, entries: int, depth: int) -> float:
        """Recall of the best list of `depth` entries that has `entries` relevant ones to choose from."""
        return min(entries, depth) / len(self.relevant)


def ceiling(turns: Sequence[LabelledTurn], sides: Sequence[str], depth: int, min_grade: int) -> Ceiling | None:
    """Over the turns with a relevant entry, each of which weighs alike; None where there is none."""
    wanted = [_Wanted(turn, relevant_entries(turn, min_grade)) for turn in turns]
    wanted = [item for item in wanted if item.relevant]
    if not wanted:
        return None
    recall = _curve(wanted)
    losses = {side: _loss(wanted, side, depth) for side in sides}
    return Ceiling(len(wanted), recall, knee(recall), depth, losses)


def relevant_entries(turn: LabelledTurn, min_grade: int) -> frozenset[str]:
    """Those with at least this grade."""
    return frozenset(entry_id for entry_id, grade in turn.grades.items() if grade >= min_grade)


def knee(curve: Sequence[float]) -> int | None:
    """The 1-based place at which a rising curve stands highest above the line from its first to its last point.

    Kneedle without its smoothing (Satopää, Albrecht, Irwin and Raghavan 2011,
    section II), as a mean over turns is smooth. None where it stands nowhere above.
    """
    heights = np.asarray(curve, np.float64)
    rise = heights[-1] - heights[0] if len(heights) > 2 else 0.0
    if rise <= 0:
        return None
    above = (heights - heights[0]) / rise - np.linspace(0.0, 1.0, len(heights))
    best = int(np.argmax(above))
    return best + 1 if above[best] > 1e-9 else None


def _curve(wanted: Sequence[_Wanted]) -> tuple[float, ...]:
    """Mean recall of the first 1, 2, 3, … entries of the pools; a shorter pool stays at what it reached."""
    found = np.zeros(max((len(item.turn.pool) for item in wanted), default=0))
    for item in wanted:
        for at, entry_id in enumerate(item.turn.pool):
            found[at] += (entry_id in item.relevant) / len(item.relevant)
    return tuple((np.cumsum(found) / len(wanted)).tolist())


def _loss(wanted: Sequence[_Wanted], side: str, depth: int) -> Loss:
    parts = np.mean([_parts(item, side, depth) for item in wanted], axis=0).tolist()
    return Loss(*parts)


def _parts(item: _Wanted, side: str, depth: int) -> tuple[float, float, float, float]:
    """Of one turn, as in Loss."""
    possible = item.held(len(item.relevant), depth)
    pooled = item.held(item.pooled, depth)
    recall = len(item.relevant.intersection(item.turn.listed[side][:depth])) / len(item.relevant)
    return recall, 1 - possible, possible - pooled, pooled - recall


def shares_of_loss(losses: Mapping[str, Loss]) -> dict[str, tuple[float, float] | None]:
    """By side, the shares of what k allows that retrieval and the side lose; None where nothing is lost."""
    sums = {side: loss.to_retrieval + loss.to_reranker for side, loss in losses.items()}
    return {
        side: (loss.to_retrieval / sums[side], loss.to_reranker / sums[side]) if sums[side] > 1e-9 else None
        for side, loss in losses.items()
    }
