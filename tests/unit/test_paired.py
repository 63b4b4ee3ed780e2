"""Tests of paired differences over sessions: hand-computed cases, and what they do on sessions of our own making."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest

from shadowdiff.paired import (
    EXACT_UP_TO,
    FLIPS,
    Balance,
    balance,
    detectable,
    holm,
    sessions_needed,
    sign_flip_test,
    standard_error,
)
from shadowdiff.stats import bootstrap_ratio

Sessions = list[np.ndarray[tuple[int], np.dtype[np.float64]]]
"""Differences of the turns, session by session."""


def drawn(random: np.random.Generator, sessions: int, effect: float = 0.0) -> Sessions:
    """Sessions of 1 to 7 turns whose differences share a session's own part, as large as the turn's."""
    own, turns = 0.1 * random.standard_normal(sessions), random.integers(1, 8, size=sessions)
    return [effect + part + 0.1 * random.standard_normal(number) for part, number in zip(own, turns, strict=True)]


def totals(sessions: Sessions) -> list[float]:
    """The sum of each session's differences."""
    return [float(turns.sum()) for turns in sessions]


def sizes(sessions: Sessions) -> list[float]:
    """The turns of each session."""
    return [float(len(turns)) for turns in sessions]


def trials(sessions: int, number: int, effect: float = 0.0) -> Iterator[Sessions]:
    """Samples, the same ones every time."""
    random = np.random.default_rng(20261129)
    return (drawn(random, sessions, effect) for _ in range(number))


def test_every_sign_is_tried() -> None:
    """Of the 8 sums of 1, 2 and 3, two are as far from 0 as 6; of 1, 2 and -3, all eight are as far as 0."""
    assert sign_flip_test([1.0, 2.0, 3.0]) == (2 / 8, True)
    assert sign_flip_test([1.0, 2.0, -3.0]) == (1.0, True)


def test_rounding_makes_no_sums_differ() -> None:
    """Tenths, whose sums have rounding errors, have the p of the same whole numbers."""
    assert sign_flip_test([-0.5, 0.9, -0.7, -0.1]) == sign_flip_test([-5, 9, -7, -1]) == (14 / 16, True)
    assert sign_flip_test([0.1, 0.2, -0.3]).p == 1.0


def test_sessions_without_a_difference_change_nothing() -> None:
    """Their sign means nothing, however many they are; without any session there is nothing to be found."""
    assert sign_flip_test([1.0, 2.0, 3.0, *[0.0] * 100]) == sign_flip_test([1.0, 2.0, 3.0])
    assert sign_flip_test([0.0, 0.0]) == sign_flip_test([]) == (1.0, True)


def test_drawn_signs_agree_with_all_of_them() -> None:
    """With two sessions more than are looked at one by one; and p is never 0."""
    values = np.random.default_rng(5).normal(0.3, 1.0, size=EXACT_UP_TO + 2)
    sums = [abs(np.dot(signs, values)) for signs in product((-1.0, 1.0), repeat=len(values))]
    found = sign_flip_test(values)
    assert not found.is_exact
    assert found.p == pytest.approx(np.mean(np.array(sums) >= abs(values.sum()) - 1e-9), abs=0.02)
    assert sign_flip_test([1.0] * 40).p == 1 / (FLIPS + 1)


def test_neither_order_nor_sides_change_p() -> None:
    """To the last digit, drawn or not."""
    values = np.random.default_rng(6).normal(size=30)
    expected = sign_flip_test(values)
    assert sign_flip_test(values[::-1]) == sign_flip_test(-values) == expected


@pytest.mark.parametrize(("totals_given", "flips"), [([float("nan")], 10), ([float("inf"), 1.0], 10), ([1.0], 0)])
def test_what_cannot_be_tested_is_refused(totals_given: list[float], flips: int) -> None:
    """A total that is no number would be found significant."""
    with pytest.raises(ValueError, match="every total must be finite"):
        sign_flip_test(totals_given, flips=flips)


def test_holm_corrects_the_smallest_most() -> None:
    """The example of Holm's step-down: 4 x 0.005, 3 x 0.01, 2 x 0.03, and never less than a smaller p's."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_standard_error_by_hand() -> None:
    """Of one turn a session it is that of a mean: the standard deviation over the square root of the number."""
    assert standard_error([1.0, 2.0, 3.0, 4.0], [1.0] * 4) == pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2)
    assert standard_error([2.0], [1.0]) is None


def test_detectable_by_hand() -> None:
    """2.80 standard errors; a quarter of it takes sixteen times the sessions."""
    smallest = detectable([1.0, 2.0, 3.0, 4.0], [1.0] * 4)
    assert smallest == pytest.approx((1.959964 + 0.841621) * 0.645497, abs=1e-5)
    assert sessions_needed(4, 1.0, 0.25) == 64
    assert sessions_needed(40, 0.001, 0.5) == 2
    assert detectable([1.0, 1.0], [1.0, 1.0]) is None


def test_balance_counts_rounding_errors_as_ties() -> None:
    """0.1 + 0.2 is not 0.3 to a computer."""
    assert balance([0.1 + 0.2 - 0.3, 0.5, -0.5, 0.25, 0.0]) == Balance(2, 2, 1)


def test_under_no_difference_sessions_are_rejected_at_the_level_and_turns_are_not() -> None:
    """Of 400 samples 5% are rejected within 3 Monte-Carlo errors; by a test that takes turns for independent, 20%."""
    samples = list(trials(sessions=25, number=400))
    by_session = np.mean([sign_flip_test(totals(sample), flips=1_000).p <= 0.05 for sample in samples])
    by_turn = np.mean([sign_flip_test(np.concatenate(sample), flips=1_000).p <= 0.05 for sample in samples])
    error = (0.05 * 0.95 / len(samples)) ** 0.5
    assert abs(by_session - 0.05) <= 3 * error
    assert by_turn > 0.15


def test_the_interval_covers_the_truth() -> None:
    """In 95% of 400 samples within 3 Monte-Carlo errors, whose true difference is 0.03."""
    effect = 0.03
    intervals = [bootstrap_ratio(totals(sample), sizes(sample), resamples=1_000) for sample in trials(40, 400, effect)]
    covered = np.mean(
        [found.low <= effect <= found.high for found in intervals if found.low is not None and found.high is not None]
    )
    assert abs(covered - 0.95) <= 3 * (0.95 * 0.05 / len(intervals)) ** 0.5


def test_what_is_called_detectable_is_found_four_times_in_five() -> None:
    """A true difference of that size, against the test that is shown beside it."""
    sessions = 40
    smallest = float(np.mean([detectable(totals(sample), sizes(sample)) for sample in trials(sessions, 100)]))
    found = [sign_flip_test(totals(sample), flips=1_000).p <= 0.05 for sample in trials(sessions, 300, smallest)]
    assert np.mean(found) == pytest.approx(0.8, abs=3 * (0.8 * 0.2 / 300) ** 0.5)
