"""How one way of scoring ranks pools, held against another. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from shadowdiff.diff import diff_turn
from shadowdiff.optimize.report import Likeness
from shadowdiff.ranking import rank_pool
from shadowdiff.records import Outcome, Pool
from shadowdiff.runs import RunConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scores = Sequence[float]


def likeness(
    pools: Sequence[Pool], reference: Sequence[Scores], other: Sequence[Scores], config: RunConfig
) -> Likeness:
    """Scores stand in pool order, one row per pool; there is at least one. Raises RerankerError on NaN or infinity."""
    diffs = [
        diff_turn(rank_pool(pool, a), rank_pool(pool, b), config)
        for pool, a, b in zip(pools, reference, other, strict=True)
    ]
    rows = list(zip(reference, other, strict=True))
    return Likeness(
        turns=len(diffs),
        overlap=statistics.fmean(diff.overlap for diff in diffs),
        rbo=statistics.fmean(diff.rbo for diff in diffs),
        turns_changed=sum(diff.outcome is Outcome.DIFFERENT for diff in diffs),
        top1_changed=sum(not diff.same_top1 for diff in diffs),
        spearman=statistics.fmean(spearman(a, b) for a, b in rows),
        max_difference=max(abs(x - y) for a, b in rows for x, y in zip(a, b, strict=True)),
    )


def spearman(a: Scores, b: Scores) -> float:
    """Rank correlation; equal scores share their mean rank. Where one scores all alike: 1.0 if both do, else 0.0."""
    first, second = (_centred_ranks(scores) for scores in (a, b))
    lengths = math.sqrt(float(first @ first) * float(second @ second))
    if not lengths:
        return float(not first.any() and not second.any())
    return float(first @ second) / lengths


def spread(rows: Sequence[Scores]) -> float:
    """Mean over turns of the best score less the worst."""
    return statistics.fmean(max(row) - min(row) for row in rows)


def _centred_ranks(scores: Scores) -> NDArray[np.float64]:
    _, place, counts = np.unique(np.asarray(scores, np.float64), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.float64] = ((ends - counts + ends - 1) / 2)[place]
    ranks -= ranks.mean()
    return ranks
