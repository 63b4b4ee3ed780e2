"""How much a provider is asked at a time and per minute: one set of limits for all sides that use it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from shadowdiff.remote.aimd import Bucket, Window
from shadowdiff.remote.clock import Clock
from shadowdiff.remote.settings import ProviderSettings


class TooLateError(Exception):
    """The limits will not let a call through before its deadline; the message says which, after the provider's name."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call."""

    tokens: int
    """What it was expected to use."""
    cuts: int
    """How often the limits had been cut when it was given."""


class Limits:
    """Calls under way, requests and tokens per minute, and pauses. First come, first served.

    `answered` and `throttled` are told before `leave`, which wakes those who wait.
    Being throttled cuts all limits, once for all calls that were under way at
    the time: they tell of the same overload. A Retry-After is a pause for all.
    """

    def __init__(self, settings: ProviderSettings, clock: Clock) -> None:
        self._clock = clock
        self._window = Window(settings.concurrency)
        self._requests = _bucket(settings.requests_per_minute, clock)
        self._tokens = _bucket(settings.tokens_per_minute, clock)
        self._paused_until = clock.now()
        self._cuts = 0
        self._under_way = 0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    def enter(self, tokens: int, deadline: float, check: Callable[[], None]) -> Permit:
        """Wait for leave to make one call, which `leave` gives back.

        `check` is asked at every wake, and what it raises ends the wait. Raises
        TooLateError as soon as it is sure that the deadline would pass.
        """
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                self._wait(ticket, tokens, deadline, check)
                return self._permit(tokens)
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def answered(self, permit: Permit, tokens: int) -> None:
        """The call was answered and has used so many tokens; 0: the provider does not say."""
        with self._changed:
            self._window.answered()
            if self._tokens and tokens:
                self._tokens.take(tokens - permit.tokens, self._clock.now())

    def throttled(self, permit: Permit, retry_after: float | None) -> None:
        """The provider asks to be asked less often, and not at all for `retry_after` seconds."""
        with self._changed:
            now = self._clock.now()
            self._paused_until = max(self._paused_until, now + (retry_after or 0.0))
            if permit.cuts == self._cuts:
                self._cuts += 1
                self._window.throttled()
                for bucket in filter(None, (self._requests, self._tokens)):
                    bucket.throttled(now)

    def leave(self) -> None:
        """A call has ended, however it went."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def wake(self) -> None:
        """Let everybody who waits look again whether they still want to."""
        with self._changed:
            self._changed.notify_all()

    def _wait(self, ticket: object, tokens: int, deadline: float, check: Callable[[], None]) -> None:
        """Until the ticket is the first of the queue and there is room. Whoever leaves the queue wakes the others."""
        while True:
            check()
            now = self._clock.now()
            if now >= deadline:
                raise TooLateError("had no room for the turn within its limits")
            first = self._queue[0] is ticket
            delay = self._delay(tokens, now, deadline) if first else 0.0
            if first and delay == 0.0 and self._under_way < self._window.size:
                return
            self._clock.wait(self._changed, delay or deadline - now)

    def _delay(self, tokens: int, now: float, deadline: float) -> float:
        """Seconds until time alone would let the call through."""
        if self._paused_until >= deadline:
            raise TooLateError(f"asks not to be asked for another {self._paused_until - now:.1f} s")
        requests = self._requests.delay(1, now) if self._requests else 0.0
        paced = max(requests, self._tokens.delay(tokens, now) if self._tokens else 0.0)
        if now + paced >= deadline:
            raise TooLateError(f"has its next request or tokens per minute free in {paced:.1f} s")
        return max(paced, self._paused_until - now, 0.0)

    def _permit(self, tokens: int) -> Permit:
        now = self._clock.now()
        self._under_way += 1
        if self._requests:
            self._requests.take(1, now)
        if self._tokens:
            self._tokens.take(tokens, now)
        return Permit(tokens, self._cuts)


def _bucket(per_minute: float | None, clock: Clock) -> Bucket | None:
    return None if per_minute is None else Bucket(per_minute, clock.now())


_shared: WeakValueDictionary[tuple[str, ProviderSettings, Clock], Limits] = WeakValueDictionary()
_lock = threading.Lock()


def limits_of(provider: str, settings: ProviderSettings, clock: Clock) -> Limits:
    """The same object for all who ask the provider under the same settings, for as long as somebody does."""
    with _lock:
        found = _shared.get((provider, settings, clock))
        if found is None:
            found = _shared[provider, settings, clock] = Limits(settings, clock)
        return found
