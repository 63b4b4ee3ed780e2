"""How latencies spread: counts between bounds that are the same for every run, so that two runs compare."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

DECADES = range(-5, 4)
"""From ten microseconds up to ten thousand seconds: powers of ten of a second."""
IN_A_DECADE = ("1", "1.5", "2", "3", "5", "7")
"""Round numbers about a factor of √2 apart."""
BOUNDS = tuple(float(f"{number}e{decade}") for decade in DECADES for number in IN_A_DECADE)
"""Upper bounds in seconds, ascending. What lies outside counts in the first or the last bin."""

Bins = tuple[tuple[float, int], ...]
"""(upper bound in seconds, turns above the bound before and up to this one), ascending."""


def histogram(seconds: Iterable[float]) -> Bins:
    """Turns by latency, from the first bin that holds one to the last, empty bins between them too; () for none."""
    counts = Counter(min(bisect_left(BOUNDS, taken), len(BOUNDS) - 1) for taken in seconds)
    if not counts:
        return ()
    return tuple((BOUNDS[at], counts[at]) for at in range(min(counts), max(counts) + 1))


def lower_bound(upper: float) -> float:
    """The bound before one of BOUNDS: its bin holds what took longer than this; 0 below the first."""
    at = bisect_left(BOUNDS, upper)
    return BOUNDS[at - 1] if at else 0.0
