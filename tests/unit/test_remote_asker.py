"""What is tried again, how often, for how long, and what is told of it: by a clock that nobody waits for."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from shadowdiff.errors import RefusedError, RemoteError, RerankerError, ThrottledError, TransientError
from shadowdiff.records import Asked, Usage
from shadowdiff.remote.asker import Asker, Exchange, Reply
from shadowdiff.remote.settings import ProviderSettings
from tests.clocks import TurnedClock

ANSWERED = Usage(calls=1, search_units=1.0, input_tokens=10)
Step: TypeAlias = Exception | str


class Provider:
    """Does what its script says, call by call, each taking two seconds."""

    def __init__(self, clock: TurnedClock, *script: Step) -> None:
        self._clock = clock
        self._script = list(script)
        self.sent_at: list[float] = []

    def __call__(self) -> Reply[str]:
        """The next step."""
        self.sent_at.append(self._clock.time - 1_000.0)
        self._clock.time += 2.0
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        return Reply(step, ANSWERED)


def busy(retry_after: float | None = None) -> ThrottledError:
    """429."""
    return ThrottledError("host answers 429: <said>", "host answers 429", retry_after)


def broken(retry_after: float | None = None) -> TransientError:
    """500."""
    return TransientError("host answers 500: <said>", "host answers 500", retry_after)


def longest(low: float, high: float) -> float:
    """The most that jitter may draw."""
    assert low == 0.0
    return high


def an_asker(
    clock: TurnedClock,
    jitter: Callable[[float, float], float] = longest,
    **settings: Any,
) -> Asker:
    """An asker of a provider that no other test asks."""
    return Asker(f"host {uuid.uuid4()}", ProviderSettings(**settings), clock, jitter)


def an_exchange(*script: Step, **settings: Any) -> tuple[Exchange, Provider, TurnedClock]:
    """A turn's exchange with a provider that does as scripted."""
    clock = TurnedClock()
    return an_asker(clock, **settings).exchange(), Provider(clock, *script), clock


def test_an_answer_is_counted_as_it_came() -> None:
    """One attempt: its usage, its seconds, and no waiting."""
    exchange, provider, _ = an_exchange("fine")
    assert exchange.call(provider) == "fine"
    assert exchange.asked == Asked(ANSWERED, attempts=1, seconds=2.0, waited_seconds=0.0)


def test_nothing_asked_is_nothing() -> None:
    """Before any call there is no latency, not one of zero."""
    exchange, _, _ = an_exchange()
    assert exchange.asked == Asked()


def test_several_calls_of_a_turn_add_up() -> None:
    """Usage, attempts and seconds; repairs are counted apart."""
    exchange, provider, _ = an_exchange("one", "two")
    assert [exchange.call(provider), exchange.call(provider)] == ["one", "two"]
    exchange.repaired()
    assert exchange.asked == Asked(ANSWERED + ANSWERED, attempts=2, seconds=4.0, repairs=1)


def test_pauses_double_up_to_the_longest() -> None:
    """Half a second at first, twice as long each time, never above twenty; latency holds the answered call alone."""
    exchange, provider, clock = an_exchange(*[broken()] * 8, "fine", retries=8, turn_deadline=500)
    assert exchange.call(provider) == "fine"
    assert clock.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]
    assert exchange.asked == Asked(ANSWERED, attempts=9, seconds=2.0, waited_seconds=71.5)


def test_pauses_are_drawn_from_the_whole_range() -> None:
    """Full jitter: those who failed together do not come back together."""
    clock, ranges = TurnedClock(), list[tuple[float, float]]()

    def half(low: float, high: float) -> float:
        ranges.append((low, high))
        return high / 2

    exchange = an_asker(clock, half).exchange()
    exchange.call(Provider(clock, broken(), broken(), broken(), "fine"))
    assert ranges == [(0.0, 0.5), (0.0, 1.0), (0.0, 2.0)]
    assert clock.waits == [0.25, 0.5, 1.0]


@pytest.mark.parametrize("error", [busy(7.0), broken(7.0)])
def test_retry_after_is_the_least_pause(error: RemoteError) -> None:
    """With a 429 and with a 503 alike."""
    exchange, provider, _ = an_exchange(error, "fine")
    exchange.call(provider)
    assert provider.sent_at == [0.0, 9.0]
    assert exchange.asked.waited_seconds == pytest.approx(7.0)


def test_a_short_retry_after_does_not_shorten_the_pause() -> None:
    """Retry-After: 0 from a server that is overrun would be a hammer."""
    exchange, provider, clock = an_exchange(busy(0.0), busy(0.0), "fine")
    exchange.call(provider)
    assert clock.waits == [0.5, 1.0]


@pytest.mark.parametrize("error", [busy(), broken()])
def test_the_last_error_is_told(error: ThrottledError | TransientError) -> None:
    """Of the same class, with attempts and time, in the message and in the textless form, which quotes nobody."""
    exchange, provider, _ = an_exchange(*[error] * 3, retries=2)
    with pytest.raises(type(error)) as caught:
        exchange.call(provider)
    assert str(caught.value) == f"{error} (3 attempts in 7.5 s)"
    assert caught.value.textless == f"{error.textless} (3 attempts in 7.5 s)"
    assert exchange.asked == Asked(attempts=3, seconds=None, waited_seconds=1.5)


def test_retries_can_be_switched_off() -> None:
    """With `retries = 0` there is one attempt."""
    exchange, provider, clock = an_exchange(broken(), "never sent", retries=0)
    with pytest.raises(TransientError, match=r"\(1 attempt in 2\.0 s\)"):
        exchange.call(provider)
    assert (len(provider.sent_at), clock.waits) == (1, [])


def test_a_pause_longer_than_the_deadline_ends_the_turn_at_once() -> None:
    """Retry-After: 300 with 118 seconds left: nobody waits for what must fail."""
    exchange, provider, clock = an_exchange(busy(300.0), "never sent")
    with pytest.raises(ThrottledError, match=r"1 attempt in 2\.0 s, and the deadline .* to wait 300\.0 s"):
        exchange.call(provider)
    assert (len(provider.sent_at), clock.waits) == (1, [])


def test_others_do_not_ask_during_that_pause_either() -> None:
    """The provider has said when: turns that end before then fail without a call, and say why."""
    clock = TurnedClock()
    asker, provider = an_asker(clock), Provider(clock, busy(300.0), "later")
    with pytest.raises(ThrottledError):
        asker.exchange().call(provider)
    following = asker.exchange()
    with pytest.raises(RemoteError, match=r"asks not to be asked for another 300\.0 s, and a turn has 120 s"):
        following.call(provider)
    assert following.asked == Asked()
    clock.time += 200
    assert asker.exchange().call(provider) == "later"
    assert provider.sent_at == [0.0, 302.0]


def test_the_deadline_bounds_all_attempts_together() -> None:
    """However many retries are left."""
    exchange, provider, clock = an_exchange(*[broken()] * 50, retries=50, turn_deadline=20)
    with pytest.raises(TransientError, match="the deadline leaves no time"):
        exchange.call(provider)
    assert clock.time - 1_000 <= 20


def test_the_deadline_is_the_turns_not_the_calls() -> None:
    """A second call has what the first one left."""
    exchange, provider, clock = an_exchange("fine", broken(), "never sent", turn_deadline=5)
    exchange.call(provider)
    assert exchange.left == 3.0
    clock.time += 0.9
    with pytest.raises(TransientError, match="deadline"):
        exchange.call(provider)
    clock.time += 9.0
    assert exchange.left == 0.0, "people are told how much was left"
    assert exchange.asked == Asked(ANSWERED, attempts=2, seconds=None)


def test_a_refusal_stops_the_side() -> None:
    """The first reason stays; nothing is sent any more, by no exchange."""
    clock = TurnedClock()
    asker, provider = an_asker(clock), Provider(clock, RefusedError("401: key <said>", "401"), "never sent")
    before = asker.exchange()
    with pytest.raises(RefusedError, match=r"^401: key <said>$"):
        asker.exchange().call(provider)
    assert asker.stopped == "401: key <said>"
    for exchange in (before, asker.exchange()):
        with pytest.raises(RefusedError, match=r"^401: key <said>; not asked again$") as caught:
            exchange.call(provider)
        assert caught.value.textless == "401; not asked again"
        assert exchange.asked == Asked()
    assert len(provider.sent_at) == 1


def test_a_refusal_stops_its_own_side_only() -> None:
    """Another side of the same provider has another model, or another key."""
    clock, settings, name = TurnedClock(), ProviderSettings(), f"host {uuid.uuid4()}"
    one, other = Asker(name, settings, clock), Asker(name, settings, clock)
    with pytest.raises(RefusedError):
        one.exchange().call(Provider(clock, RefusedError("404", "404")))
    assert other.exchange().call(Provider(clock, "fine")) == "fine"


def test_any_other_error_fails_the_turn() -> None:
    """One attempt; the side goes on."""
    clock = TurnedClock()
    asker, provider = an_asker(clock), Provider(clock, RemoteError("indices repeat", "indices repeat"), "fine")
    exchange = asker.exchange()
    with pytest.raises(RemoteError, match=r"^indices repeat$"):
        exchange.call(provider)
    assert exchange.asked == Asked(attempts=1)
    assert asker.exchange().call(provider) == "fine"
    assert asker.stopped is None


def test_a_bug_gives_its_place_back() -> None:
    """Whatever is raised, the window is not one smaller for ever."""
    clock = TurnedClock()
    asker = an_asker(clock, concurrency=1)
    with pytest.raises(ZeroDivisionError):
        asker.exchange().call(Provider(clock, ZeroDivisionError()))
    assert asker.exchange().call(Provider(clock, "fine")) == "fine"


def test_limits_are_waited_for_and_reported_apart() -> None:
    """Ten a minute are one every six seconds; latency knows nothing of it."""
    clock = TurnedClock()
    asker, provider = an_asker(clock, requests_per_minute=10), Provider(clock, "one", "two", "three")
    exchange = asker.exchange()
    for _ in range(3):
        exchange.call(provider)
    assert provider.sent_at == pytest.approx([0, 6, 12])
    assert exchange.asked.seconds == 6.0
    assert exchange.asked.waited_seconds == pytest.approx(8.0)


def test_limits_that_leave_no_time_say_so() -> None:
    """With what to change; nothing is sent, and nobody waits for what must fail."""
    clock = TurnedClock()
    asker, provider = an_asker(clock, requests_per_minute=1, turn_deadline=30), Provider(clock, "one", "never sent")
    asker.exchange().call(provider)
    late = asker.exchange()
    with pytest.raises(RemoteError, match=r"free in 58\.0 s, and a turn has 30 s: raise turn_deadline, or lower"):
        late.call(provider)
    assert (late.asked, clock.waits) == (Asked(), [])


@pytest.mark.parametrize(
    ("per_minute", "deadline", "concurrency"), [(None, 120, 8), (600, 120, 8), (3, 120, 4), (1, 120, 2), (0.1, 60, 1)]
)
def test_slow_rates_are_not_queued_for(per_minute: float | None, deadline: float, concurrency: int) -> None:
    """Eight turns in a queue for three requests a minute would fail for nothing."""
    settings = ProviderSettings(requests_per_minute=per_minute, turn_deadline=deadline)
    assert Asker("host", settings).concurrency == concurrency


def test_an_attempt_that_the_limits_forbid_tells_what_failed_before() -> None:
    """The class of the last answer, and that there was no time for another."""
    exchange, provider, _ = an_exchange(broken(), "never sent", requests_per_minute=1, turn_deadline=30)
    with pytest.raises(TransientError, match=r"500: <said> \(1 attempt in 2\.5 s, and then it has its next request"):
        exchange.call(provider)


def test_closing_fails_every_later_call() -> None:
    """At once, as an error of the turn; and it is no refusal."""
    clock = TurnedClock()
    asker, provider = an_asker(clock), Provider(clock)
    exchange = asker.exchange()
    asker.close()
    with pytest.raises(RemoteError, match="was stopped") as caught:
        exchange.call(provider)
    assert type(caught.value) is RemoteError
    assert asker.stopped is None


@pytest.mark.parametrize("wait", ["backoff", "window", "rate", "pause"])
def test_closing_wakes_whoever_waits(wait: str) -> None:
    """In a pause between attempts, for a place in the window, for the rate and for the provider's pause alike."""
    settings = ProviderSettings(concurrency=1, requests_per_minute=0.5 if wait == "rate" else None, turn_deadline=300)
    asker = Asker(f"host {uuid.uuid4()}", settings, jitter=longest)
    found: list[RerankerError] = []
    waiting = threading.Thread(target=_waits_in, args=(asker, wait, found))
    waiting.start()
    while not _is_waiting(asker, wait):
        assert waiting.is_alive()
    asker.close()
    waiting.join(30)
    assert not waiting.is_alive()
    assert [type(error) for error in found] == [RemoteError]


def test_a_refusal_wakes_whoever_waits() -> None:
    """A turn in its pause has nothing to wait for."""
    asker = Asker(f"host {uuid.uuid4()}", ProviderSettings(turn_deadline=300), jitter=longest)
    found: list[RerankerError] = []
    waiting = threading.Thread(target=_waits_in, args=(asker, "backoff", found))
    waiting.start()
    while not _is_waiting(asker, "backoff"):
        assert waiting.is_alive()
    asker.refuse(RefusedError("401", "401"))
    waiting.join(30)
    assert not waiting.is_alive()
    assert [type(error) for error in found] == [RefusedError]


def _waits_in(asker: Asker, wait: str, found: list[RerankerError]) -> None:
    """Get into a wait of minutes, and keep what ends it."""
    never = asker.limits.enter(0, asker.clock.now() + 300, asker.check) if wait != "backoff" else None
    if never is not None and wait != "window":
        if wait == "pause":
            asker.limits.throttled(never, 250.0)
        asker.limits.leave()
    try:
        asker.exchange().call(lambda: _raise(broken(250.0)))
    except RerankerError as error:
        found.append(error)


def _raise(error: Exception) -> Reply[str]:
    raise error


def _is_waiting(asker: Asker, wait: str) -> bool:
    """Whether the other thread sleeps by now."""
    condition = asker._changed if wait == "backoff" else asker.limits._changed
    with condition:
        return bool(condition._waiters)  # type: ignore[attr-defined]
