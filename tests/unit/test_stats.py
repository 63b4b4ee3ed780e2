"""Bootstrap intervals over sessions."""

from __future__ import annotations

import random
import statistics

import numpy as np
import pytest

from shadowdiff import stats
from shadowdiff.stats import (
    Interval,
    bootstrap_ratio,
    bootstrap_ratios,
    bootstrap_share,
    difference_interval,
    wilson_interval,
)


def test_the_value_is_a_ratio_of_sums() -> None:
    """A session of nine turns weighs nine times one of a single turn."""
    assert bootstrap_ratio([9.0, 0.0], [9.0, 1.0]).value == pytest.approx(0.9)


def test_no_cluster_has_no_value() -> None:
    """Nothing to average gives no number at all, not a zero."""
    assert bootstrap_ratio([], []) == Interval(None, None, None)
    assert bootstrap_ratios(np.zeros((2, 0)), np.zeros((2, 0))) == [Interval(None), Interval(None)]


def test_one_cluster_has_no_interval() -> None:
    """One session says nothing of how sessions vary."""
    assert bootstrap_ratio([3.0], [2.0]) == Interval(1.5, None, None)


def test_equal_clusters_have_an_interval_of_no_width() -> None:
    """Where every session says the same, resampling changes nothing."""
    assert bootstrap_ratio([2.0] * 7, [4.0] * 7) == Interval(0.5, 0.5, 0.5)


@pytest.mark.parametrize(("confidence", "expected"), [(0.95, (0.0, 1.0)), (0.4, (0.5, 0.5))])
def test_interval_holds_the_middle_of_the_resampled_ratios(confidence: float, expected: tuple[float, float]) -> None:
    """Two sessions at 0 and 1 resample to 0, 1/2, 1 with chances 1/4, 1/2, 1/4, so the middle 40% are all 1/2."""
    assert bootstrap_ratio([0.0, 1.0], [1.0, 1.0], confidence=confidence)[1:] == expected


def test_interval_agrees_with_a_bootstrap_in_plain_python() -> None:
    """Drawing sessions one by one and sorting the ratios gives the same ends, up to chance."""
    tops, bottoms = [0, 3, 1, 0, 5, 2, 2, 1, 0, 4], [1, 4, 2, 1, 6, 2, 3, 4, 1, 5]
    dice = random.Random(7)  # noqa: S311
    draws = [dice.choices(range(10), k=10) for _ in range(20_000)]
    ratios = sorted(sum(tops[i] for i in draw) / sum(bottoms[i] for i in draw) for draw in draws)
    interval = bootstrap_ratio(tops, bottoms)
    assert interval.value == pytest.approx(18 / 29)
    assert interval[1:] == pytest.approx((ratios[500], ratios[19_500]), abs=0.015)


def test_interval_approaches_the_normal_one_for_many_sessions() -> None:
    """By the central limit theorem the ends stand 1.96 standard errors from the mean."""
    values = np.random.default_rng(3).exponential(size=2_000).tolist()
    error = 1.96 * statistics.stdev(values) / 2_000**0.5
    interval = bootstrap_ratio(values, [1.0] * 2_000)
    mean = statistics.fmean(values)
    assert interval == pytest.approx((mean, mean - error, mean + error), abs=0.1 * error)


def test_turns_of_one_session_are_not_independent() -> None:
    """Ten turns in two sessions leave more doubt than ten turns in ten sessions, though the mean is one."""
    clustered = bootstrap_ratio([5.0, 0.0], [5.0, 5.0])
    independent = bootstrap_ratio([1.0] * 5 + [0.0] * 5, [1.0] * 10)
    assert clustered.value == independent.value == 0.5
    assert clustered[1:] == (0.0, 1.0)
    assert independent[1:] == pytest.approx((0.2, 0.8))


def test_the_same_seed_gives_the_same_interval() -> None:
    """A stored summary can be recomputed to the digit; another seed is another draw."""
    values = np.random.default_rng(5).random(30)
    ones = np.ones(30)
    assert bootstrap_ratio(values, ones, seed=1) == bootstrap_ratio(values, ones, seed=1)
    assert bootstrap_ratio(values, ones, seed=1) != bootstrap_ratio(values, ones, seed=2)


def test_working_in_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many resamples are held in memory at once is no part of the result, down to one at a time."""
    tops, bottoms = np.arange(9.0), np.arange(1.0, 10.0)
    whole = bootstrap_ratio(tops, bottoms, resamples=500)
    for cells in (1, 100):
        monkeypatch.setattr(stats, "CELLS_AT_ONCE", cells)
        assert bootstrap_ratio(tops, bottoms, resamples=500) == pytest.approx(whole)


@pytest.mark.parametrize("shape", ["sums over turns", "counts", "a few in thousands", "one far out"])
def test_many_sessions_drawn_in_groups_have_the_interval_of_each_drawn_by_itself(
    monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    """Up to the chance of the draw, whatever the sessions look like; a few in thousands keep their whole numbers."""
    dice = np.random.default_rng(11)
    clusters = 2_500
    turns = dice.integers(1, 8, clusters).astype(float)
    tops = {
        "sums over turns": dice.beta(8, 2, clusters) * turns,
        "counts": dice.poisson(3, clusters).astype(float),
        "a few in thousands": (np.arange(clusters) < 3).astype(float),
        "one far out": np.where(np.arange(clusters) == 0, 1e3, dice.normal(5, 0.1, clusters)),
    }[shape]
    bottoms = turns if shape == "sums over turns" else np.ones(clusters)
    grouped = bootstrap_ratio(tops, bottoms)
    monkeypatch.setattr(stats, "DRAWN_ONE_BY_ONE", clusters)
    alone = bootstrap_ratio(tops, bottoms)
    assert grouped.low is not None
    assert alone.low is not None
    assert alone.high is not None
    assert grouped.value == alone.value
    assert grouped.low < alone.high
    assert grouped[1:] == pytest.approx(alone[1:], abs=0.05 * (alone.high - alone.low))


def test_clusters_that_no_groups_describe_are_drawn_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two groups for thousands of different sessions would lose too much, and change nothing therefore."""
    values, ones = np.random.default_rng(13).exponential(size=2_100), np.ones(2_100)
    monkeypatch.setattr(stats, "BINS", 2)
    together = bootstrap_ratio(values, ones, resamples=200)
    monkeypatch.setattr(stats, "DRAWN_ONE_BY_ONE", len(values))
    assert bootstrap_ratio(values, ones, resamples=200) == together


@pytest.mark.parametrize(
    ("tops", "bottoms", "message"),
    [
        ([[1.0, 2.0]], [[1.0]], "alike"),
        ([1.0, 2.0], [1.0, 1.0], "alike"),
        ([[float("nan")]], [[1.0]], "numerator must be finite"),
        ([[1.0]], [[0.0]], "denominator positive"),
        ([[1.0]], [[float("inf")]], "denominator positive"),
    ],
)
def test_clusters_that_cannot_be_averaged_are_refused(tops: object, bottoms: object, message: str) -> None:
    """Shapes must match, and every cluster must have something in it."""
    with pytest.raises(ValueError, match=message):
        bootstrap_ratios(np.array(tops), np.array(bottoms))


@pytest.mark.parametrize(("confidence", "resamples"), [(0.0, 10), (1.0, 10), (95.0, 10), (0.95, 0)])
def test_settings_without_meaning_are_refused(confidence: float, resamples: int) -> None:
    """A confidence is a share strictly between 0 and 1, and some resamples are needed."""
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        bootstrap_ratio([1.0, 2.0], [1.0, 1.0], confidence=confidence, resamples=resamples)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_is_the_published_one(successes: int, trials: int, low: float, high: float) -> None:
    """Newcombe 1998, Table I, method 3 (score without continuity correction)."""
    found = wilson_interval(successes, trials)
    assert found.value == successes / trials
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize(("successes", "trials", "confidence"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_wilson_interval_refuses_what_is_no_share(successes: int, trials: int, confidence: float) -> None:
    """More successes than trials, fewer than none, or a confidence of one."""
    with pytest.raises(ValueError, match="no interval of"):
        wilson_interval(successes, trials, confidence=confidence)


def test_difference_of_two_shares() -> None:
    """Newcombe 1998, table II, method 10: 56/70 less 48/80 has 0.0524 to 0.3339, 9/10 less 3/10 0.1705 to 0.8090."""
    assert difference_interval((56, 70), (48, 80)) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert difference_interval((9, 10), (3, 10)) == pytest.approx((0.6, 0.1705, 0.8090), abs=5e-5)
    value, low, high = difference_interval((3, 10), (9, 10))
    assert (value, low, high) == pytest.approx((-0.6, -0.8090, -0.1705), abs=5e-5)
    with pytest.raises(ValueError, match="no trials"):
        difference_interval((0, 0), (1, 2))


def test_a_share_by_hand() -> None:
    """Of two sessions, both, or one of them twice, are drawn: 1/4, 3/5 or 1 in chances of 1/4, 1/2 and 1/4."""
    assert bootstrap_share([1.0, 2.0], [4.0, 1.0]) == Interval(3 / 5, 1 / 4, 2.0)
    assert bootstrap_share([1.0, 2.0], [4.0, 1.0], confidence=0.4) == Interval(3 / 5, 3 / 5, 3 / 5)
    assert bootstrap_share([-1.0, 3.0], [-2.0, 6.0] * 1, confidence=0.4) == Interval(0.5, 0.5, 0.5)


def test_a_share_of_what_may_be_nothing_has_no_value() -> None:
    """A resample without a gap says nothing of a share; too many of those, and there is none."""
    nothing = Interval(None)
    assert bootstrap_share([1.0, 1.0], [3.0, -2.0]) == nothing
    assert bootstrap_share([1.0, 1.0], [-3.0, 2.0]) == nothing
    assert bootstrap_share([1.0], [2.0]) == bootstrap_share([], []) == nothing
    with pytest.raises(ValueError, match="every number must be finite"):
        bootstrap_share([float("nan"), 1.0], [1.0, 1.0])


def test_resamples_without_a_whole_count_beyond_both_ends() -> None:
    """One of 40 sessions undoes fifteen, so that drawn three times, in 8 of 100 resamples, it leaves no whole.

    Drawn never, once or twice it leaves shares of 20/40, 12.5/24 and 5/8, in 36, 37 and 19 of 100.
    """
    parts, wholes = [0.5] * 39 + [-7.0], [1.0] * 39 + [-15.0]
    assert bootstrap_share(parts, wholes, confidence=0.8) == Interval(12.5 / 24, 20 / 40, 5 / 8)
    assert bootstrap_share(parts, wholes, confidence=0.95) == Interval(None)


def test_the_interval_of_a_share_covers_the_truth() -> None:
    """In 95% of 300 samples within 3 Monte-Carlo errors, of turns that are correlated inside sessions: 0.8 is true."""
    random = np.random.default_rng(20261130)
    covered = []
    for _ in range(300):
        turns = random.integers(1, 6, size=60)
        own = 0.1 * random.standard_normal(60)
        whole = turns * (0.10 + own) + 0.1 * np.sqrt(turns) * random.standard_normal(60)
        part = turns * (0.08 + 0.6 * own) + 0.1 * np.sqrt(turns) * random.standard_normal(60)
        found = bootstrap_share(part, whole, resamples=1_000)
        assert found.low is not None
        assert found.high is not None
        covered.append(found.low <= 0.8 <= found.high)
    assert abs(np.mean(covered) - 0.95) <= 3 * (0.95 * 0.05 / len(covered)) ** 0.5
