"""Cohen's kappa: worked by hand, at its limits, and with whole clusters resampled."""

from __future__ import annotations

import pytest

from shadowdiff.agreement import agreement
from shadowdiff.stats import Interval


def test_worked_by_hand() -> None:
    """20 both yes, 15 both no, 5 and 10 apart: observed 0.7, by chance 0.5, so kappa is 0.4."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = agreement(first, second, range(50))
    assert (found.items, found.agreed) == (50, 35)
    assert found.kappa.value == pytest.approx(0.4)
    assert found.kappa.low is not None
    assert found.kappa.low < 0.4 < found.kappa.low + width(found.kappa)


@pytest.mark.parametrize(("second", "kappa"), [([1, 0, 2], 1.0), ([0, 1, 1], -0.5)])
def test_ends(second: list[int], kappa: float) -> None:
    """All alike is 1, and below 0 is less than chance."""
    found = agreement([1, 0, 2], second, "aaa").kappa
    assert found.value == pytest.approx(kappa)
    assert found[1:] == (None, None)


def test_nothing_to_say() -> None:
    """One value that both always say, and no item at all, have no kappa."""
    assert agreement([1, 1], [1, 1], "ab") == (2, 2, (None, None, None))
    assert agreement([], [], []) == (0, 0, (None, None, None))


def test_clusters_widen_the_interval() -> None:
    """The same items in a tenth of the clusters say less."""
    first = [index // 10 % 2 for index in range(400)]
    second = [value if index // 10 % 4 else 1 - value for index, value in enumerate(first)]
    alone = agreement(first, second, range(400)).kappa
    together = agreement(first, second, [index // 10 for index in range(400)]).kappa
    assert alone.value == together.value
    assert width(together) > 2 * width(alone)


def width(interval: Interval) -> float:
    """Of an interval that has ends."""
    assert interval.low is not None
    assert interval.high is not None
    return interval.high - interval.low
