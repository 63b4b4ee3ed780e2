"""Properties of the histogram: every turn once, between the same bounds whatever else was measured."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.latencies import BOUNDS, histogram, lower_bound

SECONDS = st.floats(0, 5_000, allow_nan=False)


@given(st.lists(SECONDS))
def test_every_turn_counts_once_in_the_bin_that_holds_it(seconds: list[float]) -> None:
    """Above the bound before and up to the bin's own; a latency on a bound is still in its bin."""
    for upper, turns in histogram(seconds):
        lower = lower_bound(upper)
        assert turns == sum(lower < taken <= upper or (not lower and taken <= upper) for taken in seconds)
    assert sum(turns for _, turns in histogram(seconds)) == len(seconds)


@given(st.lists(SECONDS, min_size=1))
def test_bins_follow_one_another_and_begin_and_end_with_turns(seconds: list[float]) -> None:
    """No bin is left out between two others, so that bars can be drawn side by side."""
    bins = histogram(seconds)
    bounds = [upper for upper, _ in bins]
    first = BOUNDS.index(bounds[0])
    assert bounds == list(BOUNDS[first : first + len(bounds)])
    assert bins[0][1]
    assert bins[-1][1]


@given(st.lists(SECONDS), st.lists(SECONDS))
def test_two_runs_add_up(one: list[float], other: list[float]) -> None:
    """The bounds do not depend on what was measured: bins of two runs are bins of both together."""
    both = dict(histogram(one + other))
    assert {upper: turns for upper, turns in both.items() if turns} == {
        upper: total
        for upper in BOUNDS
        if (total := dict(histogram(one)).get(upper, 0) + dict(histogram(other)).get(upper, 0))
    }


def test_bounds_are_round_numbers_about_a_factor_of_root_two_apart() -> None:
    """From ten microseconds to hours, ascending."""
    assert BOUNDS[:7] == (1e-05, 1.5e-05, 2e-05, 3e-05, 5e-05, 7e-05, 0.0001)
    assert all(1.3 < after / before < 1.7 for before, after in pairwise(BOUNDS))


def test_nothing_measured_and_out_of_bounds() -> None:
    """No turns, no bins; what is quicker or slower than any bound counts in the outermost bin."""
    assert histogram([]) == ()
    assert histogram([0.0, 1e-9]) == ((BOUNDS[0], 2),)
    assert histogram([1e9]) == ((BOUNDS[-1], 1),)
    assert histogram([0.187, 0.2, 0.4]) == ((0.2, 2), (0.3, 0), (0.5, 1))
    assert lower_bound(0.2) == 0.15
    assert lower_bound(BOUNDS[0]) == 0.0
