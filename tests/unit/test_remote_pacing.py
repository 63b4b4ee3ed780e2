"""Limits per provider: what is let through when, what a throttle cuts, and who shares them."""

from __future__ import annotations

import gc
import random
import threading
import time
import uuid
from functools import partial
from typing import Any

import pytest

from shadowdiff.errors import ThrottledError
from shadowdiff.records import Usage
from shadowdiff.remote.asker import Asker, Reply
from shadowdiff.remote.clock import REAL
from shadowdiff.remote.pacing import Limits, Permit, TooLateError
from shadowdiff.remote.settings import ProviderSettings
from tests.clocks import TurnedClock


def limits(clock: TurnedClock, **settings: Any) -> Limits:
    """Limits on that clock."""
    return Limits(ProviderSettings(**settings), clock)


def entered(limit: Limits, clock: TurnedClock, tokens: int = 0, within: float = 10_000) -> Permit:
    """One more call under way."""
    return limit.enter(tokens, clock.time + within, lambda: None)


def room(limit: Limits, clock: TurnedClock, within: float = 0.001) -> int:
    """How many calls may be under way, with none there now; leaves none behind."""
    count = 0
    try:
        while True:
            entered(limit, clock, within=within)
            count += 1
    except TooLateError:
        for _ in range(count):
            limit.leave()
    return count


def test_no_more_than_the_window() -> None:
    """The next one waits until a call ends, or its deadline."""
    clock = TurnedClock()
    assert room(limits(clock, concurrency=3), clock) == 3


def test_a_burst_of_throttles_halves_the_window_once() -> None:
    """All of them were sent before the first one said so."""
    clock = TurnedClock()
    limit = limits(clock, concurrency=8)
    burst = [entered(limit, clock) for _ in range(8)]
    for permit in burst:
        limit.throttled(permit, None)
        limit.leave()
    assert room(limit, clock) == 4


def test_each_round_trip_halves_it_again_down_to_one() -> None:
    """Never to none: somebody has to find out that the provider answers again."""
    clock = TurnedClock()
    limit = limits(clock, concurrency=8)
    sizes = []
    for _ in range(5):
        limit.throttled(entered(limit, clock), None)
        limit.leave()
        sizes.append(room(limit, clock))
    assert sizes == [4, 2, 1, 1, 1]


def test_the_window_regains_one_for_each_window_of_answers() -> None:
    """Slowly up, and never above what is configured."""
    clock = TurnedClock()
    limit = limits(clock, concurrency=4)
    for _ in range(3):
        limit.throttled(entered(limit, clock), None)
        limit.leave()
    sizes = []
    for _ in range(20):
        permit = entered(limit, clock)
        limit.answered(permit, 0)
        limit.leave()
        sizes.append(room(limit, clock))
    assert sizes[:6] == [2, 2, 2, 3, 3, 3]
    assert sizes[-1] == 4


def test_retry_after_is_a_pause_for_all() -> None:
    """Without configured limits too: the provider knows best."""
    clock = TurnedClock()
    limit = limits(clock)
    limit.throttled(entered(limit, clock), 5.0)
    limit.leave()
    entered(limit, clock)
    assert clock.time == pytest.approx(1_005)


def test_the_longest_pause_counts() -> None:
    """A later, shorter one does not call it off."""
    clock = TurnedClock()
    limit = limits(clock)
    one, other = entered(limit, clock), entered(limit, clock)
    limit.throttled(one, 9.0)
    limit.throttled(other, 1.0)
    entered(limit, clock)
    assert clock.time == pytest.approx(1_009)


def test_requests_per_minute_are_spread() -> None:
    """What a second yields at once, then one by one: no minute holds more than it may."""
    clock = TurnedClock()
    limit, sent = limits(clock, concurrency=1, requests_per_minute=120), []
    for _ in range(6):
        entered(limit, clock)
        sent.append(clock.time - 1_000)
        limit.leave()
    assert sent == pytest.approx([0, 0, 0.5, 1.0, 1.5, 2.0])


def test_tokens_per_minute_are_spread() -> None:
    """A call that needs more than a second yields is paid for by those after it."""
    clock = TurnedClock()
    limit, sent = limits(clock, tokens_per_minute=6_000), []
    for _ in range(4):
        entered(limit, clock, tokens=1_000)
        sent.append(clock.time - 1_000)
        limit.leave()
    assert sent == pytest.approx([0, 10, 20, 30])


def test_a_call_that_needs_more_than_a_minute_holds_is_let_through() -> None:
    """Once; the next one pays for it."""
    clock = TurnedClock()
    limit = limits(clock, tokens_per_minute=600)
    entered(limit, clock, tokens=6_000)
    assert clock.time == 1_000
    entered(limit, clock, tokens=10)
    assert clock.time == pytest.approx(1_600)


def test_what_was_used_corrects_what_was_expected() -> None:
    """An answer that used less leaves more for the next, and the other way round; 0 says nothing."""
    for used, after in ((500, 5), (1_000, 10), (2_000, 20), (0, 10)):
        clock = TurnedClock()
        limit = limits(clock, tokens_per_minute=6_000)
        limit.answered(entered(limit, clock, tokens=1_000), used)
        limit.leave()
        entered(limit, clock, tokens=1_000)
        assert clock.time - 1_000 == pytest.approx(after)


def test_a_throttle_slows_the_rate_and_time_heals_it() -> None:
    """Seven tenths at first; as configured again within a minute."""
    clock = TurnedClock()
    limit = limits(clock, requests_per_minute=60)
    limit.throttled(entered(limit, clock), None)
    limit.leave()
    entered(limit, clock)
    assert clock.time - 1_000 == pytest.approx(1 / 0.7)
    clock.time += 60
    entered(limit, clock)
    before = clock.time
    entered(limit, clock)
    assert clock.time - before == pytest.approx(1.0)


def test_limits_are_shared_by_provider_and_settings() -> None:
    """Two sides of one provider have one quota; others have their own; nothing is kept for nobody."""
    name, settings = f"host {uuid.uuid4()}", ProviderSettings()
    one = Asker(name, settings)
    assert Asker(name, ProviderSettings()).limits is one.limits
    assert Asker(f"{name} too", settings).limits is not one.limits
    assert Asker(name, ProviderSettings(concurrency=2)).limits is not one.limits
    one.limits.throttled(one.limits.enter(0, REAL.now() + 60, lambda: None), 1_000.0)
    del one
    gc.collect()
    assert Asker(name, settings).exchange().call(lambda: Reply("fine", Usage())) == "fine"


def test_first_come_first_served() -> None:
    """Nobody is overtaken, however many wait."""
    limit = Limits(ProviderSettings(concurrency=1), REAL)
    held = limit.enter(0, REAL.now() + 60, lambda: None)
    order: list[int] = []

    def one_call(number: int) -> None:
        limit.enter(0, REAL.now() + 60, lambda: None)
        order.append(number)
        limit.leave()

    threads = []
    for number in range(8):
        threads.append(threading.Thread(target=one_call, args=(number,)))
        threads[-1].start()
        while len(limit._queue) <= number:
            assert threads[-1].is_alive()
    assert held.cuts == 0
    limit.leave()
    _joined(threads)
    assert order == list(range(8))


def test_many_threads_and_a_provider_that_throttles() -> None:
    """All turns of 24 threads and two sides end, none lost, never more under way than configured."""
    name, settings = f"host {uuid.uuid4()}", ProviderSettings(concurrency=5, retries=1_000, turn_deadline=120)
    askers = [Asker(name, settings, jitter=lambda low, high: low + high / 1_000) for _ in range(2)]
    provider = _Crowded()
    answers: list[int] = []

    def turns(number: int) -> None:
        for turn in range(20):
            send = partial(provider.answer, number * 20 + turn)
            answers.append(askers[number % 2].exchange().call(send))

    threads = [threading.Thread(target=turns, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    _joined(threads)
    assert sorted(answers) == list(range(480))
    assert provider.most_under_way <= 5
    assert provider.throttled > 0
    assert (askers[0].limits._under_way, list(askers[0].limits._queue)) == (0, [])


class _Crowded:
    """A provider that throttles three calls of ten, and sees how many are under way."""

    def __init__(self) -> None:
        self.most_under_way = self.throttled = self._under_way = 0
        self._drawn = random.Random(11)  # noqa: S311 the same calls fail every time
        self._lock = threading.Lock()

    def answer(self, value: int) -> Reply[int]:
        """Now or never."""
        with self._lock:
            self._under_way += 1
            self.most_under_way = max(self.most_under_way, self._under_way)
            fails, retry_after = self._drawn.random() < 0.3, self._drawn.choice([None, 0.001])
        time.sleep(0.0005)
        with self._lock:
            self._under_way -= 1
            self.throttled += fails
        if fails:
            raise ThrottledError("429", "429", retry_after)
        return Reply(value, Usage(calls=1))


def _joined(threads: list[threading.Thread]) -> None:
    """All ended; a minute is far more than it takes."""
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
