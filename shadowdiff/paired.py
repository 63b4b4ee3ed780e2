"""Tests of a paired difference over sessions. Turns of one session are not independent, so whole sessions are flipped.

As in `stats`, a session gives two numbers: the sum of its turns' differences, and its turns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shadowdiff.stats import CELLS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

EXACT_UP_TO = 14
"""Sessions that differ, of which every assignment of signs is looked at: 16,384."""
FLIPS = 10_000
"""Assignments drawn where there are more sessions."""
ROUNDING = 1e-9
"""Share of the largest possible sum by which two sums may differ and be the same."""
ALPHA = 0.05
POWER = 0.8


class Flipped(NamedTuple):
    """What a sign-flip test says."""

    p: float
    """Two-sided."""
    is_exact: bool
    """Whether every assignment of signs was looked at; else they were drawn, and p is at least 1 / (FLIPS + 1)."""


class Balance(NamedTuple):
    """How many differ in which direction."""

    wins: int
    """The other side is better than the baseline."""
    ties: int
    losses: int


def sign_flip_test(totals: ArrayLike, *, flips: int = FLIPS, seed: int = 0) -> Flipped:
    """Whether paired differences are of one sign by more than chance, from one total per session.

    Were the two sides alike, each session's total would be as likely with the
    other sign (Fisher 1935, section 21; for retrieval measures Smucker, Allan and
    Carterette 2007). The statistic is the absolute sum over sessions, so that it tests
    the mean over turns. Neither the order of sessions nor swapping the sides
    changes p. Monte Carlo: p = (b + 1) / (n + 1) (Phipson and Smyth 2010, eq. 2).

    Raises ValueError on a total that is not finite, or fewer than one flip.
    """
    sizes = np.sort(np.abs(np.asarray(totals, np.float64).ravel()))
    if not np.isfinite(sizes).all() or flips < 1:
        raise ValueError("every total must be finite, and flips be 1 or more")
    sizes = sizes[sizes > 0]
    least = abs(math.fsum(np.asarray(totals, np.float64).ravel().tolist())) - ROUNDING * float(sizes.sum())
    if len(sizes) <= EXACT_UP_TO:
        sums = _every_sum(sizes)
        return Flipped(float(np.mean(np.abs(sums) >= least)), is_exact=True)
    reached = sum(int(np.count_nonzero(np.abs(sums) >= least)) for sums in _drawn_sums(sizes, flips, seed))
    return Flipped((reached + 1) / (flips + 1), is_exact=False)


def holm(ps: Sequence[float]) -> list[float]:
    """The ps corrected for their number, in their own order (Holm 1979): all rejected at 0.05 have it at most 0.05."""
    corrected = [0.0] * len(ps)
    highest = 0.0
    for place, at in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - place) * ps[at]))
        corrected[at] = highest
    return corrected


def standard_error(totals: ArrayLike, turns: ArrayLike) -> float | None:
    """Of a mean over turns, from sums per session and turns per session; None with fewer than two sessions.

    Linearised ratio of two means over sampled clusters (Cochran 1977, eq. 6.13
    without the finite population's correction).
    """
    tops, bottoms = np.asarray(totals, np.float64), np.asarray(turns, np.float64)
    sessions = len(tops)
    if sessions < 2:
        return None
    residuals = tops - tops.sum() / bottoms.sum() * bottoms
    return float(math.sqrt(sessions / (sessions - 1) * (residuals @ residuals)) / bottoms.sum())


def detectable(totals: ArrayLike, turns: ArrayLike, *, alpha: float = ALPHA, power: float = POWER) -> float | None:
    """The smallest true difference that so many such sessions show with this power in a two-sided test.

    (z of 1 - alpha/2 + z of power) standard errors (Bloom 1995, p. 548). None
    where sessions say nothing of how they vary: fewer than two, or all alike.
    """
    error = standard_error(totals, turns)
    if error is None or error <= ROUNDING:
        return None
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)) * error


def sessions_needed(sessions: int, smallest: float, difference: float) -> int:
    """How many such sessions would show a `difference` where `sessions` show no less than `smallest`.

    A standard error falls with the square root of the number of sessions.
    """
    return max(2, math.ceil(sessions * (smallest / difference) ** 2))


def balance(differences: ArrayLike) -> Balance:
    """Differences above, at and below 0; what is as small as a rounding error is 0."""
    values = np.asarray(differences, np.float64)
    wins, losses = int(np.count_nonzero(values > ROUNDING)), int(np.count_nonzero(values < -ROUNDING))
    return Balance(wins, values.size - wins - losses, losses)


def _every_sum(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum under every assignment of signs."""
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums + size, sums - size])
    return sums


def _drawn_sums(sizes: NDArray[np.float64], flips: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Sums under drawn assignments, some at a time."""
    random = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // len(sizes))
    for start in range(0, flips, at_once):
        signs = random.integers(2, size=(min(at_once, flips - start), len(sizes)), dtype=np.int8)
        yield (2.0 * signs - 1.0) @ sizes
