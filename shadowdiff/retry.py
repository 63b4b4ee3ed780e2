"""Patience with a database that goes away for a moment: what is tried again, how often, and for how long."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from typing import TypeVar

from shadowdiff.errors import DatabaseError

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_OF_A_STAY_SECONDS = 60.0
"""Where a database is waited for without end: it may be away for a weekend."""
TRANSIENT_CLASSES = ("08",)
"""SQLSTATE classes: connection exceptions."""
TRANSIENT_STATES = frozenset({"40001", "40P01", "57P01", "57P02", "57P03", "57P05"})
"""Serialization failures and conflicts with recovery on a standby, deadlocks, and a server that stops or starts."""

T = TypeVar("T")


def is_transient(error: DatabaseError) -> bool:
    """Whether the same statement may well succeed in a moment: by SQLSTATE, or a connection that broke or was refused.

    libpq gives no SQLSTATE for a connection that could not be made or was lost.
    """
    from psycopg import OperationalError
    from sqlalchemy.exc import DBAPIError

    cause = error.__cause__
    if not isinstance(cause, DBAPIError):
        return False
    state = getattr(cause.orig, "sqlstate", None)
    if state is None:
        return cause.connection_invalidated or isinstance(cause.orig, OperationalError)
    return state in TRANSIENT_STATES or state.startswith(TRANSIENT_CLASSES)


class Retries:
    """Runs work on one database, again and again while it is away, for a bounded time.

    Until the first success nothing is tried again: a wrong host or password
    must be told at once.
    """

    def __init__(
        self,
        retry_for: float = 0.0,
        on_wait: Callable[[str], None] = lambda text: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        """`retry_for` in seconds, infinity for as long as it takes; `on_wait` is told once per outage.

        Once `is_over` nothing is tried again.
        """
        self._retry_for = retry_for
        self._on_wait = on_wait
        self._sleep = sleep
        self._clock = clock
        self._is_over = is_over
        self._was_reached = False

    def run(self, work: Callable[[], T]) -> T:
        """What `work` returns. Raises its DatabaseError when it is not transient, or the time is up."""
        began: float | None = None
        attempt = 0
        while True:
            try:
                result = work()
            except DatabaseError as error:
                if not (self._was_reached and self._retry_for and is_transient(error)):
                    raise
                began = self._clock() if began is None else began
                self._wait(error, began, attempt)
                attempt += 1
            else:
                self._was_reached = True
                return result

    def _wait(self, error: DatabaseError, began: float, attempt: int) -> None:
        if self._is_over():
            raise error
        left = began + self._retry_for - self._clock()
        if left <= 0:
            self._was_reached = False  # whoever asks next must not wait as long again
            raise type(error)(f"{error}; tried again for {self._retry_for:g} s") from error.__cause__
        stays = math.isinf(self._retry_for)
        if attempt == 0:
            until = "until it is back" if stays else f"for up to {self._retry_for:g} s"
            self._on_wait(f"{error}; trying again {until}")
        longest = LONGEST_PAUSE_OF_A_STAY_SECONDS if stays else LONGEST_PAUSE_SECONDS
        self._sleep(min(growing_pause(attempt, longest), left))


def growing_pause(attempt: int, longest: float) -> float:
    """Seconds to wait after so many vain attempts, about `longest` at most; never the same for two who wait."""
    pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(attempt, 30), longest)
    return pause * random.uniform(0.5, 1.5)  # noqa: S311 jitter, not secrecy
