"""What holds for every set of clusters."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowdiff import stats
from shadowdiff.stats import bootstrap_ratio, bootstrap_ratios

UNHURRIED = settings(deadline=None)
CLUSTERS = st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(1, 9)), min_size=2, max_size=12)
"""(sum over a session's turns, number of turns)."""


def columns(clusters: list[tuple[float, int]]) -> tuple[list[float], list[float]]:
    """Numerators and denominators apart."""
    return [top for top, _ in clusters], [float(bottom) for _, bottom in clusters]


@UNHURRIED
@given(CLUSTERS)
def test_an_interval_lies_among_its_clusters(clusters: list[tuple[float, int]]) -> None:
    """No resample can leave the range of the clusters' own ratios, nor low exceed high."""
    interval = bootstrap_ratio(*columns(clusters), resamples=200)
    ratios = [top / bottom for top, bottom in clusters]
    slack = 1e-9 * max(abs(ratio) for ratio in ratios)
    assert interval.low is not None
    assert interval.high is not None
    assert min(ratios) - slack <= interval.low <= interval.high <= max(ratios) + slack


@UNHURRIED
@given(CLUSTERS, st.data())
def test_the_order_of_clusters_is_no_part_of_the_interval(
    clusters: list[tuple[float, int]], drawn: st.DataObject
) -> None:
    """The same sessions in another order give the same numbers, to the last bit."""
    shuffled = drawn.draw(st.permutations(clusters))
    assert bootstrap_ratio(*columns(shuffled), resamples=50) == bootstrap_ratio(*columns(clusters), resamples=50)


@UNHURRIED
@given(CLUSTERS)
def test_rows_do_not_disturb_each_other(clusters: list[tuple[float, int]]) -> None:
    """A ratio among others has the interval that it has alone."""
    tops, bottoms = columns(clusters)
    ones = [1.0] * len(tops)
    together = bootstrap_ratios([tops, bottoms], [bottoms, ones], resamples=50)
    apart = [bootstrap_ratio(tops, bottoms, resamples=50), bootstrap_ratio(bottoms, ones, resamples=50)]
    for one, other in zip(together, apart, strict=True):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-6)


@UNHURRIED
@given(CLUSTERS, st.integers(-5, 5))
def test_intervals_scale_with_what_is_averaged(clusters: list[tuple[float, int]], power: int) -> None:
    """Multiplying every numerator multiplies value, low and high alike."""
    tops, bottoms = columns(clusters)
    plain = bootstrap_ratio(tops, bottoms, resamples=50)
    scaled = bootstrap_ratio([top * 2.0**power for top in tops], bottoms, resamples=50)
    assert scaled == pytest.approx(tuple(end * 2.0**power for end in plain if end is not None), abs=1e-9)


@UNHURRIED
@given(CLUSTERS)
def test_more_confidence_is_a_wider_interval(clusters: list[tuple[float, int]]) -> None:
    """The interval of a higher confidence holds that of a lower one."""
    rising = [bootstrap_ratio(*columns(clusters), confidence=share, resamples=200) for share in (0.5, 0.8, 0.95)]
    for narrow, wide in pairwise(rising):
        assert wide.low is not None
        assert wide.high is not None
        assert narrow.low is not None
        assert narrow.high is not None
        assert wide.low <= narrow.low <= narrow.high <= wide.high


@UNHURRIED
@given(CLUSTERS, st.data(), st.sampled_from([2, 4, 256]))
def test_clusters_drawn_together_stay_a_set(clusters: list[tuple[float, int]], drawn: st.DataObject, bins: int) -> None:
    """Where there are many clusters: the interval still lies among them, in whatever order they come."""
    shuffled = drawn.draw(st.permutations(clusters))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stats, "DRAWN_ONE_BY_ONE", 1)
        patch.setattr(stats, "BINS", bins)
        interval = bootstrap_ratio(*columns(clusters), resamples=50)
        assert bootstrap_ratio(*columns(shuffled), resamples=50) == interval
    ratios = [top / bottom for top, bottom in clusters]
    slack = 1e-9 * max(abs(ratio) for ratio in ratios)
    assert interval.low is not None
    assert interval.high is not None
    assert min(ratios) - slack <= interval.low <= interval.high <= max(ratios) + slack


@UNHURRIED
@given(CLUSTERS, st.sampled_from([2, 4, 256]))
def test_groups_hold_every_cluster_and_nearly_all_of_the_variance(clusters: list[tuple[float, int]], bins: int) -> None:
    """Sizes and sums add up to those of the clusters, and what the groups leave out of the variance is as promised."""
    top, bottom = (np.sort(row) for row in map(np.array, columns(clusters)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stats, "BINS", bins)
        groups = stats._grouped(top, bottom)
    if groups is None:
        assert bins < len(clusters)
        return
    sizes, tops, bottoms = groups
    ratio = top.sum() / bottom.sum()
    assert sizes.sum() == len(clusters)
    assert sizes @ tops == pytest.approx(top.sum(), rel=1e-9, abs=1e-3)
    assert sizes @ bottoms == pytest.approx(bottom.sum())
    kept, whole = sizes @ (tops - ratio * bottoms) ** 2, ((top - ratio * bottom) ** 2).sum()
    assert kept >= (1 - stats.VARIANCE_LOST_AT_MOST) * whole - 1e-3
