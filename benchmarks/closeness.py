"""How near a variant's rankings are to those of float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP = 10


@dataclass(frozen=True, slots=True)
class Closeness:
    """Means over turns."""

    overlap: float
    """Share of the top 10 that is the same."""
    spearman: float
    changed: float
    """Share of turns whose top 10 holds other entries."""


def closeness(reference: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> Closeness:
    """Of scores by turn, in pool order. Ties go to the earlier place in the pool, as in shadowdiff's rankings."""
    overlaps = [_overlap(np.asarray(a), np.asarray(b)) for a, b in zip(reference, other, strict=True)]
    ranks = [_spearman(np.asarray(a), np.asarray(b)) for a, b in zip(reference, other, strict=True)]
    return Closeness(float(np.mean(overlaps)), float(np.mean(ranks)), float(np.mean(np.asarray(overlaps) < 1)))


def _overlap(reference: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    kept = min(TOP, len(reference))
    first, second = (set(np.argsort(-scores, kind="stable")[:kept].tolist()) for scores in (reference, other))
    return len(first & second) / kept


def _spearman(reference: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.corrcoef(_ranks(reference), _ranks(other))[0, 1])


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean ranks: equal scores share theirs."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: NDArray[np.float64] = (last - (count - 1) / 2)[place]
    return ranks
