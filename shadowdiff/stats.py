"""Intervals for means over sessions. Turns of one session are not independent, so whole sessions are resampled."""

from __future__ import annotations

import math
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

CELLS_AT_ONCE = 1 << 20
"""Resampled clusters held in memory together: a few arrays of 8 MiB, however many clusters and resamples."""
DRAWN_ONE_BY_ONE = 2_048
"""Clusters up to this many are drawn each by itself; of more, those that are as good as equal are drawn together."""
BINS = 256
VARIANCE_LOST_AT_MOST = 1e-4
"""Share of the variance that drawing clusters together may lose: a 20,000th of the interval's width."""


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
    clusters nor the other rows change it. Of more than DRAWN_ONE_BY_ONE
    clusters, see `_grouped`, so that time hardly grows with their number.

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
    tail = (1 - confidence) / 2
    ratios = _resampled(tops, bottoms, resamples, seed)
    lows, highs = np.quantile(ratios, [tail, 1 - tail], axis=0).tolist()
    return [Interval(*ends) for ends in zip(values, lows, highs, strict=True)]


def bootstrap_share(
    parts: ArrayLike, wholes: ArrayLike, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Share that one sum over clusters is of another, with its percentile bootstrap interval; parts may be negative.

    As `bootstrap_ratio`, but a cluster's whole may have either sign: a session's
    change to one side beside its change to another. A resample whose whole is not
    above 0 says nothing of a share, and counts beyond both ends. Where those are more
    than a tail of the interval holds, the whole is not shown to be above 0, and the
    share means nothing: its interval would be without end (Fieller 1954; for the bootstrap
    Hwang 1995). Then, and with fewer than two clusters, all three are None.

    Raises ValueError on unequal lengths, a number that is not finite, a confidence outside (0, 1), or no resamples.
    """
    pairs = np.stack([np.ravel(np.asarray(row, np.float64)) for row in (parts, wholes)])
    if not np.isfinite(pairs).all() or not 0 < confidence < 1 or resamples < 1:
        raise ValueError(f"every number must be finite, {confidence} between 0 and 1, and {resamples} be 1 or more")
    pairs = pairs[:, np.lexsort(pairs)]
    top, bottom = pairs.sum(axis=1)
    if pairs.shape[1] < 2 or bottom <= 0:
        return Interval(None)
    drawn = np.concatenate([counts @ pairs.T for counts in draws(pairs.shape[1], resamples, seed)])
    is_share = drawn[:, 1] > 0
    shares = drawn[is_share, 0] / drawn[is_share, 1]
    unknown = np.full(int(np.count_nonzero(~is_share)), np.inf)
    tail = (1 - confidence) / 2
    low = float(np.quantile(np.concatenate([shares, -unknown]), tail, method="lower"))
    high = float(np.quantile(np.concatenate([shares, unknown]), 1 - tail, method="higher"))
    return Interval(float(top / bottom), low, high) if math.isfinite(low) and math.isfinite(high) else Interval(None)


def wilson_interval(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """A share of independent trials with its score interval (Wilson 1927; Brown, Cai and DasGupta 2001, eq. 4).

    For shares of sessions: turns of one session are not independent. Raises
    ValueError unless 0 <= successes <= trials and 0 < confidence < 1.
    """
    if not 0 <= successes <= trials or not 0 < confidence < 1:
        raise ValueError(f"no interval of {successes} in {trials} with confidence {confidence}")
    if not trials:
        return Interval(None)
    share, z = successes / trials, NormalDist().inv_cdf((1 + confidence) / 2)
    center = (successes + z * z / 2) / (trials + z * z)
    reach = z * sqrt(trials) / (trials + z * z) * sqrt(share * (1 - share) + z * z / (4 * trials))
    return Interval(share, max(0.0, min(center - reach, share)), min(1.0, max(center + reach, share)))


def difference_interval(one: tuple[int, int], other: tuple[int, int], *, confidence: float = 0.95) -> Interval:
    """One share less another of other trials, each as (successes, trials), with its hybrid score interval.

    Newcombe 1998, method 10: from the Wilson intervals of both. Raises ValueError where `wilson_interval` does, or
    where a share is of no trials.
    """
    if not one[1] or not other[1]:
        raise ValueError("no difference of a share of no trials")
    (p, p_low, p_high), (q, q_low, q_high) = (
        tuple(end or 0.0 for end in wilson_interval(*share, confidence=confidence)) for share in (one, other)
    )
    below = sqrt((p - p_low) ** 2 + (q_high - q) ** 2)
    above = sqrt((p_high - p) ** 2 + (q - q_low) ** 2)
    return Interval(p - q, p - q - below, p - q + above)


def _resampled(
    tops: NDArray[np.float64], bottoms: NDArray[np.float64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """The ratio of every row in every resample, as a (resamples, ratios) array."""
    if tops.shape[1] <= DRAWN_ONE_BY_ONE:
        return _one_by_one(tops, bottoms, resamples, seed)
    columns = [_together(*row, resamples, seed) for row in zip(tops, bottoms, strict=True)]
    return np.stack(columns, axis=1)


def _one_by_one(
    tops: NDArray[np.float64], bottoms: NDArray[np.float64], resamples: int, seed: int
) -> NDArray[np.float64]:
    drawn = draws(tops.shape[1], resamples, seed)
    return np.concatenate([(counts @ tops.T) / (counts @ bottoms.T) for counts in drawn])


def _together(top: NDArray[np.float64], bottom: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """One row's ratios, with equal clusters drawn together: how many of a group are drawn is multinomial."""
    groups = _grouped(top, bottom)
    if groups is None:
        return _one_by_one(top[np.newaxis], bottom[np.newaxis], resamples, seed)[:, 0]
    sizes, group_tops, group_bottoms = groups
    counts = np.random.default_rng(seed).multinomial(len(top), sizes / len(top), size=resamples).astype(np.float64)
    ratios: NDArray[np.float64] = (counts @ group_tops) / (counts @ group_bottoms)
    return ratios


def _grouped(
    top: NDArray[np.float64], bottom: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]] | None:
    """Size, mean numerator and mean denominator of groups of clusters that are (as good as) equal.

    A cluster moves the ratio by its residual, numerator less ratio times
    denominator. Where there are more than BINS different clusters, those with
    neighbouring residuals form a group, narrow where there are many and wide where
    there are few, as a quantiser that loses the least variance has them (Panter and
    Dite 1951). None where that loses more than VARIANCE_LOST_AT_MOST nevertheless.
    """
    residuals = top - top.sum() / bottom.sum() * bottom
    changes = (np.diff(top) != 0) | (np.diff(bottom) != 0)
    group = np.concatenate([[0], np.cumsum(changes)])
    if group[-1] >= BINS:
        group = _binned(residuals)
    sizes = np.bincount(group)
    held = sizes > 0
    sums = [np.bincount(group, weights)[held] for weights in (top, bottom, residuals)]
    sizes = sizes[held]
    variance, kept = residuals @ residuals, (sums[2] / sizes) @ sums[2]
    lost = 1 - kept / variance if variance else 0.0
    return (sizes, sums[0] / sizes, sums[1] / sizes) if lost <= VARIANCE_LOST_AT_MOST else None


def _binned(residuals: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of every cluster."""
    ordered = np.sort(residuals)
    steps = np.concatenate([[0.0], np.cumsum(np.diff(ordered) ** (2 / 3))])
    reached = np.searchsorted(steps, np.linspace(0, steps[-1], BINS + 1)[1:-1])
    return np.searchsorted(ordered[reached], residuals, side="right")


def _checked(numerators: ArrayLike, denominators: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both arrays with each row's clusters in one canonical order."""
    tops, bottoms = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if tops.shape != bottoms.shape or tops.ndim != 2:
        raise ValueError(f"numerators {tops.shape} and denominators {bottoms.shape} must be (ratios, clusters) alike")
    if not np.isfinite(tops).all() or not (np.isfinite(bottoms) & (bottoms > 0)).all():
        raise ValueError("every numerator must be finite and every denominator positive; leave empty clusters out")
    order = np.lexsort((tops, bottoms), axis=-1)
    return np.take_along_axis(tops, order, axis=-1), np.take_along_axis(bottoms, order, axis=-1)


def draws(clusters: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each cluster is drawn, as (some resamples, clusters) arrays that add up to all resamples."""
    random = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // clusters)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = random.integers(clusters, size=(rows, clusters))
        drawn += np.arange(rows)[:, np.newaxis] * clusters
        yield np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters).astype(np.float64)
