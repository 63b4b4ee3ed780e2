"""Two ways of scoring the same texts, timed in turn: what else the machine does meanwhile falls on both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from shadowdiff.optimize.report import Speed

ROUNDS = 3
PASS_SECONDS = 3.0
"""What one pass of the reference should take, about."""


def first_within(seconds: Sequence[float], budget: float = PASS_SECONDS) -> int:
    """How many from the start, at least one, of things that take that long each, fit the budget."""
    total, count = 0.0, 0
    for taken in seconds:
        total += taken
        if count and total > budget:
            break
        count += 1
    return count


def paired(reference: Callable[[], None], other: Callable[[], None], pairs: int) -> tuple[float, Speed]:
    """The reference's pairs per second, and the other's speed: medians of ROUNDS passes each, A B A B.

    Both have run once before, so that nothing is loaded while it is timed.
    """
    times = [(_seconds(reference), _seconds(other)) for _ in range(ROUNDS)]
    first, second = (statistics.median(column) for column in zip(*times, strict=True))
    return pairs / first, Speed(pairs / second, first / second, min(one / other for one, other in times))


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return max(time.perf_counter() - started, 1e-9)
