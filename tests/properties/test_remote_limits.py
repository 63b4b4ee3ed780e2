"""Limits hold whatever is asked, answered and throttled, in whatever order."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.remote.aimd import REGAINED_IN, Bucket, Window
from shadowdiff.remote.pacing import Limits, Permit, TooLateError
from shadowdiff.remote.settings import ProviderSettings
from tests.clocks import TurnedClock

RATES = st.floats(0.1, 1e7)
STEPS = st.lists(st.tuples(st.sampled_from(["take", "wait", "throttle"]), st.floats(0, 1e5)), max_size=60)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.integers(0, 5_000)),
        st.tuples(st.sampled_from(["answered", "throttled", "failed"]), st.integers(0, 7)),
        st.tuples(st.just("pass"), st.integers(0, 90)),
    ),
    max_size=80,
)


@given(st.integers(1, 64), st.lists(st.booleans(), max_size=300))
def test_a_window_stays_between_one_and_what_is_configured(most: int, throttles: list[bool]) -> None:
    """Whatever happens; a throttle never widens it, an answer never narrows it."""
    window = Window(most)
    for throttled in throttles:
        before = window.size
        (window.throttled if throttled else window.answered)()
        assert 1 <= window.size <= most
        assert window.size <= before if throttled else window.size >= before


@given(st.integers(1, 64), st.integers(0, 20))
def test_a_window_recovers(most: int, throttles: int) -> None:
    """A window of answers for each place regained is enough."""
    window = Window(most)
    for _ in range(throttles):
        window.throttled()
    for _ in range(most * most):
        window.answered()
    assert window.size == most


@given(RATES, STEPS)
def test_a_bucket_never_yields_more_than_rate_and_burst(per_minute: float, steps: list[tuple[str, float]]) -> None:
    """From any take to any later one: what was taken before the last one is within rate × time + burst."""
    bucket, now, taken = Bucket(per_minute, 0.0), 0.0, list[tuple[float, float]]()
    for step, amount in steps:
        if step == "wait":
            now += amount / 100
        elif step == "throttle":
            bucket.throttled(now)
        else:
            now += bucket.delay(amount, now)
            bucket.take(amount, now)
            taken.append((now, amount))
    for first, (began, _) in enumerate(taken):
        for last in range(first, len(taken)):
            until, amount = taken[last]
            total = sum(each for _, each in taken[first:last]) + min(amount, bucket.burst)
            assert total <= (per_minute / 60 * (until - began) + bucket.burst) * 1.001


@given(RATES, st.floats(0, 1e8), st.floats(0, 1e8), st.integers(0, 50))
def test_no_wait_is_for_ever(per_minute: float, first: float, then: float, throttles: int) -> None:
    """Waiting once as long as told is enough, and no longer than debt and bucket take at the lowest rate."""
    bucket = Bucket(per_minute, 0.0)
    bucket.take(first, 0.0)
    for _ in range(throttles):
        bucket.throttled(0.0)
    delay = bucket.delay(then, 0.0)
    assert math.isfinite(delay)
    assert bucket.delay(then, delay) == 0.0


@given(RATES, st.integers(0, 50), st.floats(0, REGAINED_IN))
def test_a_rate_recovers_in_time(per_minute: float, throttles: int, early: float) -> None:
    """Never above what is configured, and all of it after a minute without throttles."""
    bucket, configured = Bucket(per_minute, 0.0), per_minute / 60
    for _ in range(throttles):
        bucket.throttled(0.0)
    assert 0 < bucket.rate <= configured
    for now in (early, REGAINED_IN * 1.001):
        bucket.delay(1, now)
        assert bucket.rate <= configured
    assert math.isclose(bucket.rate, configured)


@given(
    st.integers(1, 8),
    st.one_of(st.none(), st.floats(1, 10_000)),
    st.one_of(st.none(), st.floats(100, 1_000_000)),
    EVENTS,
)
def test_limits_hold_together(
    concurrency: int, requests: float | None, tokens: float | None, events: list[tuple[str, int]]
) -> None:
    """Never more under way than the window, nor more used than rate × time + burst; nobody stays queued."""
    clock = TurnedClock()
    limits = Limits(
        ProviderSettings(concurrency=concurrency, requests_per_minute=requests, tokens_per_minute=tokens), clock
    )
    under_way: list[Permit] = []
    entered: list[tuple[float, int]] = []
    for event, amount in events:
        if event == "pass":
            clock.time += amount
        elif event == "enter":
            try:
                under_way.append(limits.enter(amount, clock.time + 60, lambda: None))
                entered.append((clock.time, amount))
            except TooLateError:
                assert not limits._queue
        elif under_way:
            _ended(limits, under_way.pop(amount % len(under_way)), event, amount)
        assert len(under_way) <= concurrency
    _within(requests, [(at, 1) for at, _ in entered])
    _within(tokens, entered)


def _ended(limits: Limits, permit: Permit, how: str, seconds: int) -> None:
    if how == "answered":
        limits.answered(permit, permit.tokens)
    elif how == "throttled":
        limits.throttled(permit, seconds / 2)
    limits.leave()


def _within(per_minute: float | None, taken: list[tuple[float, int]]) -> None:
    """What was taken from the first to the last, the last one's debt apart."""
    if per_minute is None or not taken:
        return
    rate = per_minute / 60
    burst = max(1.0, rate)
    total = sum(amount for _, amount in taken[:-1]) + min(taken[-1][1], burst)
    assert total <= (rate * (taken[-1][0] - taken[0][0]) + burst) * 1.001
