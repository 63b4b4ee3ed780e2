"""How far two judges of the same things agree beyond chance."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shadowdiff.stats import Interval, draws

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 2_000


class Agreement(NamedTuple):
    """Of two judges."""

    items: int
    """Judged by both."""
    agreed: int
    kappa: Interval
    """Cohen's kappa with its interval over clusters; None where one value is all that both ever say, or nothing is."""


def agreement(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    clusters: Sequence[Hashable],
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Agreement:
    """Cohen's kappa (Cohen 1960, eq. 1) of two judges over the same items, in the same order.

    Values have no order: a grade of 3 against 2 is as much of a disagreement as 3
    against 0. `clusters` says which items belong together (the session, or the turn,
    that they are of); whole clusters are resampled for the interval. Raises
    ValueError on unequal lengths.
    """
    values = sorted(dict.fromkeys([*first, *second]), key=str)
    names = list(dict.fromkeys(clusters))
    places, rows = {value: at for at, value in enumerate(values)}, {name: at for at, name in enumerate(names)}
    tables = np.zeros((len(names), len(values), len(values)))
    for one, other, cluster in zip(first, second, clusters, strict=True):
        tables[rows[cluster], places[one], places[other]] += 1
    whole = tables.sum(axis=0)
    kappa = _kappas(whole[np.newaxis])[0] if first else np.nan
    ends = _interval(tables, confidence, seed) if len(names) > 1 else (None, None)
    value = None if np.isnan(kappa) else float(kappa)
    return Agreement(len(first), int(np.trace(whole)), Interval(value, *(ends if value is not None else (None, None))))


def _interval(tables: NDArray[np.float64], confidence: float, seed: int) -> tuple[float | None, float | None]:
    clusters, values, _ = tables.shape
    flat = tables.reshape(clusters, values * values)
    found = [_kappas((counts @ flat).reshape(-1, values, values)) for counts in draws(clusters, RESAMPLES, seed)]
    kappas = np.concatenate(found)
    if np.isnan(kappas).all():
        return None, None
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(kappas, [tail, 1 - tail]).tolist()
    return low, high


def _kappas(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kappa of each (n, n) table of counts; NaN where chance alone would agree on everything."""
    totals = tables.sum(axis=(1, 2))
    observed = np.trace(tables, axis1=1, axis2=2) / totals
    expected = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / totals**2
    rest = 1 - expected
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(rest > 1e-12, (observed - expected) / rest, np.nan)
