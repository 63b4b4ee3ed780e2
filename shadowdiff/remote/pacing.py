"""How much a provider is asked at a time: one set of limits for all sides that use it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from weakref import WeakValueDictionary

from shadowdiff.remote.clock import Clock
from shadowdiff.remote.settings import ProviderSettings


class TooLateError(Exception):
    """The limits will not let a call through before its deadline."""


class Limits:
    """Calls under way at a time. First come, first served."""

    def __init__(self, settings: ProviderSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._under_way = 0

    def enter(self, tokens: int, deadline: float, check: Callable[[], None]) -> None:
        """Wait for leave to make one call, which `leave` gives back.

        `check` is asked at every wake, and what it raises ends the wait. Raises
        TooLateError.
        """
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                self._wait(ticket, deadline, check)
                self._under_way += 1
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def leave(self) -> None:
        """The call has ended."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def wake(self) -> None:
        """Let everybody who waits look again whether they still want to."""
        with self._changed:
            self._changed.notify_all()

    def _wait(self, ticket: object, deadline: float, check: Callable[[], None]) -> None:
        while True:
            check()
            if self._queue[0] is ticket and self._under_way < self._settings.concurrency:
                return
            left = deadline - self._clock.now()
            if left <= 0:
                raise TooLateError
            self._clock.wait(self._changed, left)


_shared: WeakValueDictionary[tuple[str, ProviderSettings, Clock], Limits] = WeakValueDictionary()
_lock = threading.Lock()


def limits_of(provider: str, settings: ProviderSettings, clock: Clock) -> Limits:
    """The same object for all who ask the provider under the same settings."""
    with _lock:
        found = _shared.get((provider, settings, clock))
        if found is None:
            found = _shared[provider, settings, clock] = Limits(settings, clock)
        return found
