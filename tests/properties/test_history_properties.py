"""What holds for every history: which nights leave the band of those before them, and which never do."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowdiff.history import BAND_NIGHTS, LEAST_NIGHTS, Band, band, trend
from shadowdiff.nights import History, NightFigures, NightStatus
from shadowdiff.runs import Estimate
from tests.night_cases import AT, night_figures, nights_of

UNHURRIED = settings(max_examples=60)
SHARES = st.floats(0.0, 1.0)
SPREAD = st.lists(st.floats(0.6, 0.8), min_size=LEAST_NIGHTS, max_size=20)
NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


def flagged(history: History, figure: str = "overlap.B") -> list[str]:
    """Nights on which the figure left its band."""
    return [outlier.night for outlier in history.outliers if outlier.figure == figure]


@UNHURRIED
@given(SHARES, st.integers(1, 40))
def test_a_constant_series_is_never_flagged(share: float, length: int) -> None:
    """Nor are last digits: what sums differently by the order of its parts is not news."""
    nudged = [math.nextafter(share, 2.0 if at % 3 else -1.0) for at in range(length)]
    assert not trend("nightly", nights_of([share] * length)).outliers
    assert not trend("nightly", nights_of(nudged)).outliers


@UNHURRIED
@given(SPREAD)
def test_one_far_night_is_always_flagged_and_flags_no_other(overlaps: list[float]) -> None:
    """From the least number of nights on; and a single one hardly moves the bands after it."""
    far = len(overlaps)
    history = trend("nightly", nights_of([*overlaps, 0.01, *overlaps]))
    name = history.nights[far].night
    assert name in flagged(history)
    found = next(item for item in history.outliers if item.night == name and item.figure == "overlap.B")
    assert found.value == 0.01
    assert found.low > 0.01
    assert found.nights == min(len(overlaps), BAND_NIGHTS)


@UNHURRIED
@given(st.lists(SHARES, max_size=LEAST_NIGHTS))
def test_too_few_nights_flag_nothing(overlaps: list[float]) -> None:
    """Not even the wildest: there is no band yet."""
    assert not trend("nightly", nights_of(overlaps)).outliers


@UNHURRIED
@given(SPREAD, st.randoms(use_true_random=False))
def test_the_order_in_which_nights_come_is_theirs(overlaps: list[float], random: object) -> None:
    """Watermarks order them, however they are read."""
    nights = nights_of([*overlaps, 0.01])
    shuffled = list(nights)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert trend("nightly", shuffled) == trend("nightly", nights)


@UNHURRIED
@given(SPREAD, st.integers(1, 12))
def test_what_is_not_shown_still_makes_the_bands(overlaps: list[float], last: int) -> None:
    """Showing fewer nights changes nothing of those shown."""
    whole, part = (trend("nightly", nights_of([*overlaps, 0.01]), kept) for kept in (None, last))
    shown = [night.night for night in whole.nights[-last:]]
    assert [night.night for night in part.nights] == shown
    assert part.outliers == tuple(item for item in whole.outliers if item.night in shown)


@UNHURRIED
@given(SPREAD, SPREAD)
def test_other_sides_start_the_band_anew(before: list[float], after: list[float]) -> None:
    """The first night of them is marked, and is held against none of the others'."""
    moved = [share / 10 for share in after]
    others = nights_of([*before, *moved])
    for at in range(len(before), len(others)):
        sides = (*others[at].sides[:1], ("B", "v4", "cd" * 32))
        others[at] = replace(others[at], sides=sides)
    history = trend("nightly", others)
    first = others[len(before)].night
    assert history.restarts == (first,)
    assert not set(flagged(history)) & {night.night for night in others[len(before) :][:LEAST_NIGHTS]}
    assert trend("nightly", others[len(before) :]).outliers == tuple(
        item for item in history.outliers if item.night >= first
    )


@UNHURRIED
@given(SPREAD, SPREAD)
def test_another_setting_starts_the_band_anew_and_another_name_does_not(
    before: list[float], after: list[float]
) -> None:
    """Top 5 instead of top 10 is another figure; a side called otherwise is the same side."""
    nights = nights_of([*before, *after])
    at = len(before)
    reset = nights[:at] + [replace(night, setting="top 5") for night in nights[at:]]
    renamed = nights[:at] + [replace(night, sides=_renamed(night)) for night in nights[at:]]
    assert trend("nightly", reset).restarts == (nights[at].night,)
    assert trend("nightly", renamed).restarts == ()
    assert trend("nightly", renamed).outliers == trend("nightly", nights).outliers


def _renamed(night: NightFigures) -> tuple[tuple[str, str, str], ...]:
    return tuple((label, f"new {name}", fingerprint) for label, name, fingerprint in night.sides)


@UNHURRIED
@given(SPREAD, st.data())
def test_nights_without_figures_neither_count_nor_interrupt(overlaps: list[float], data: st.DataObject) -> None:
    """Quiet nights, and those that are not finished, wherever they stand."""
    nights = nights_of([*overlaps, 0.01])
    at = data.draw(st.integers(0, len(nights)))
    when = AT + timedelta(days=at, hours=-1)
    quiet = NightFigures("quiet", None, when)
    running = replace(night_figures(when, 0.0), night="running", status=NightStatus.RUNNING)
    history = trend("nightly", [*nights[:at], quiet, running, *nights[at:]])
    assert history.outliers == trend("nightly", nights).outliers
    assert history.restarts == ()


@UNHURRIED
@given(SPREAD, st.floats(0.0, 0.3))
def test_an_interval_that_reaches_into_the_band_is_not_flagged(overlaps: list[float], value: float) -> None:
    """A night of few sessions may lie anywhere: its figure says so itself."""
    last = night_figures(AT + timedelta(days=len(overlaps)), value)
    wide = Estimate(value, max(value - 0.5, 0.0), 0.7)
    pairs = {label: replace(pair, overlap=wide) for label, pair in last.pairs.items()}
    history = trend("nightly", [*nights_of([0.7] * len(overlaps)), replace(last, pairs=pairs)])
    assert not flagged(history)
    assert flagged(trend("nightly", [*nights_of([0.7] * len(overlaps)), last])) == [last.night]


@UNHURRIED
@given(NUMBERS, st.floats(0, 10), st.floats(-1e3, 1e3), st.floats(0.01, 100))
def test_a_band_moves_and_grows_with_its_numbers(numbers: list[float], floor: float, by: float, times: float) -> None:
    """Translated and scaled numbers have a translated and scaled band; their order is nothing to it."""
    found = band(numbers, floor)
    moved = band([times * number + by for number in numbers], times * floor)
    assert (moved.low, moved.high) == pytest.approx((times * found.low + by, times * found.high + by), abs=1e-3)
    assert band(numbers[::-1], floor) == found
    assert not found.excludes(Estimate(sorted(numbers)[len(numbers) // 2])) or len(numbers) % 2 == 0
    assert found.high - found.low >= 2 * floor * (1 - 1e-9) - 1e-6


@UNHURRIED
@given(st.floats(-10, 10), st.floats(0, 5))
def test_a_band_holds_its_ends_and_no_absent_figure_leaves_it(low: float, width: float) -> None:
    """Ends included; None lies nowhere."""
    found = Band(low, low + width)
    assert not found.excludes(Estimate(low))
    assert not found.excludes(Estimate(low + width))
    assert not found.excludes(Estimate(None))
    assert found.excludes(Estimate(low + width + 1.0))
    assert found.excludes(Estimate(low - 1.0))
