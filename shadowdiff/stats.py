"""Intervals for means over sessions. Turns of one session are not independent, so whole sessions are resampled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

CELLS_AT_ONCE = 1 << 20
"""Resampled clusters held in memory together: a few arrays of 8 MiB, however many clusters and resamples."""


class Interval(NamedTuple):
    """A ratio with its interval. `value` is None without clusters; `low` and `high` with fewer than two."""

    value: float | None
    low: float | None = None
    high: float | None = None


def bootstrap_ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Ratio of sums over clusters, with its percentile bootstrap interval.

    One number per cluster: a session's sum over its turns and its number of
    turns give the mean per turn; its count and 1 give the mean per session.
    See `bootstrap_ratios`.
    """
    rows = np.atleast_2d(np.asarray(numerators, float)), np.atleast_2d(np.asarray(denominators, float))
    return bootstrap_ratios(*rows, confidence=confidence, resamples=resamples, seed=seed)[0]


def bootstrap_ratios(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[Interval]:
    """One `bootstrap_ratio` per row of two (ratios, clusters) arrays, from one set of resamples.

    Clusters are drawn with replacement (Efron and Tibshirani 1993, ch. 13). An
    interval depends on its own row only as a set: neither the order of the
    clusters nor the other rows change it.

    Raises ValueError on unequal shapes, a numerator that is not finite, a
    denominator that is not positive, a confidence outside (0, 1), or no resamples.
    """
    tops, bottoms = _checked(numerators, denominators)
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(f"confidence {confidence} must lie between 0 and 1, and resamples {resamples} be 1 or more")
    clusters = tops.shape[1]
    if clusters == 0:
        return [Interval(None)] * len(tops)
    values = (tops.sum(axis=1) / bottoms.sum(axis=1)).tolist()
    if clusters == 1:
        return [Interval(value) for value in values]
    ratios = np.concatenate(
        [(counts @ tops.T) / (counts @ bottoms.T) for counts in _draws(clusters, resamples, seed)],
    )
    tail = (1 - confidence) / 2
    lows, highs = np.quantile(ratios, [tail, 1 - tail], axis=0).tolist()
    return [Interval(*ends) for ends in zip(values, lows, highs, strict=True)]


def _checked(numerators: ArrayLike, denominators: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both arrays with each row's clusters in one canonical order."""
    tops, bottoms = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if tops.shape != bottoms.shape or tops.ndim != 2:
        raise ValueError(f"numerators {tops.shape} and denominators {bottoms.shape} must be (ratios, clusters) alike")
    if not np.isfinite(tops).all() or not (np.isfinite(bottoms) & (bottoms > 0)).all():
        raise ValueError("every numerator must be finite and every denominator positive; leave empty clusters out")
    order = np.lexsort((tops, bottoms), axis=-1)
    return np.take_along_axis(tops, order, axis=-1), np.take_along_axis(bottoms, order, axis=-1)


def _draws(clusters: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each cluster is drawn, as (some resamples, clusters) arrays that add up to all resamples."""
    random = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // clusters)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = random.integers(clusters, size=(rows, clusters))
        drawn += np.arange(rows)[:, np.newaxis] * clusters
        yield np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters).astype(np.float64)
