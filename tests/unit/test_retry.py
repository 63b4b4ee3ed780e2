"""What is tried again, how often, and for how long; without waiting for it."""

from __future__ import annotations

import math

import pytest
from psycopg import errors
from sqlalchemy.exc import DBAPIError, OperationalError

from shadowdiff.errors import SourceError
from shadowdiff.retry import Retries, is_transient


def lost(original: Exception | None = None, *, invalidated: bool = False) -> SourceError:
    """A SourceError as database_errors makes it."""
    error = SourceError("reading sessions failed on postgresql://db: gone")
    error.__cause__ = OperationalError(
        "SELECT 1", {}, original or errors.AdminShutdown(), connection_invalidated=invalidated
    )
    return error


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        self.slept.append(seconds)
        self.now += seconds

    def read(self) -> float:
        """Seconds since the start."""
        return self.now


class Flaky:
    """Works, but for some calls in the middle."""

    def __init__(self, fails: int, error: SourceError | None = None, after: int = 1) -> None:
        self.calls = 0
        self._fails = range(after + 1, after + 1 + fails)
        self._error = error or lost()

    def __call__(self) -> int:
        """The number of the call."""
        self.calls += 1
        if self.calls in self._fails:
            raise self._error
        return self.calls


def patient(clock: Clock, retry_for: float = 60, told: list[str] | None = None) -> Retries:
    """Retries on that clock."""
    return Retries(retry_for, (told if told is not None else []).append, clock.sleep, clock.read)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (lost(errors.SerializationFailure()), True),
        (lost(errors.DeadlockDetected()), True),
        (lost(errors.AdminShutdown()), True),
        (lost(errors.CannotConnectNow()), True),
        (lost(errors.ConnectionFailure()), True),
        (lost(errors.OperationalError("connection refused")), True),
        (lost(errors.InternalError("?"), invalidated=True), True),
        (lost(errors.QueryCanceled()), False),
        (lost(errors.UndefinedTable()), False),
        (lost(errors.LockNotAvailable()), False),
        (SourceError("no cause"), False),
    ],
)
def test_what_is_transient(error: SourceError, expected: bool) -> None:
    """A server that stops, starts or loses its connections; never a timeout or a mistake."""
    assert is_transient(error) is expected


def test_a_server_that_comes_back_is_waited_for() -> None:
    """Each pause longer than the one before, up to a bound; told once."""
    clock, told, work = Clock(), list[str](), Flaky(fails=9)
    retries = patient(clock, told=told)
    assert retries.run(work) == 1
    assert retries.run(work) == 11
    assert len(clock.slept) == 9
    assert 0.05 <= clock.slept[0] <= 0.15
    assert max(clock.slept) <= 7.5
    assert clock.slept[5] > clock.slept[0]
    assert told == ["reading sessions failed on postgresql://db: gone; trying again for up to 60 s"]


def test_a_server_that_stays_away_ends_it_in_time() -> None:
    """Within the time allowed, and the line says how long it was tried."""
    clock, work = Clock(), Flaky(fails=10**6)
    retries = patient(clock, 20)
    retries.run(work)
    with pytest.raises(SourceError, match=r"gone; tried again for 20 s$") as caught:
        retries.run(work)
    assert isinstance(caught.value.__cause__, DBAPIError)
    assert clock.now == pytest.approx(20)
    with pytest.raises(SourceError, match=r"gone$"):
        retries.run(work)
    assert clock.now == pytest.approx(20)


def test_nothing_is_tried_again_before_the_first_success() -> None:
    """A wrong host is told at once."""
    clock, work = Clock(), Flaky(fails=1, after=0)
    with pytest.raises(SourceError, match=r"gone$"):
        patient(clock).run(work)
    assert (work.calls, clock.slept) == (1, [])


def test_zero_switches_it_off() -> None:
    """`retry_for = 0`."""
    clock, work = Clock(), Flaky(fails=1)
    retries = patient(clock, 0)
    retries.run(work)
    with pytest.raises(SourceError, match=r"gone$"):
        retries.run(work)


def test_a_mistake_is_not_tried_again() -> None:
    """It would only fail again."""
    clock, work = Clock(), Flaky(fails=1, error=lost(errors.UndefinedColumn()))
    retries = patient(clock)
    retries.run(work)
    with pytest.raises(SourceError):
        retries.run(work)
    assert clock.slept == []


def test_who_stays_waits_without_end_until_it_is_over() -> None:
    """Told once, pauses that grow to about a minute; then the error as it was, at once."""
    clock, told, work = Clock(), list[str](), Flaky(fails=10**6)
    over = iter([False] * 500)
    is_over = lambda: next(over, True)  # noqa: E731 a name for a keyword
    retries = Retries(math.inf, told.append, clock.sleep, clock.read, is_over)
    retries.run(work)
    with pytest.raises(SourceError, match=r"gone$"):
        retries.run(work)
    assert len(clock.slept) == 500
    assert 30 <= max(clock.slept) <= 90
    assert clock.slept[0] <= 0.15
    assert told == ["reading sessions failed on postgresql://db: gone; trying again until it is back"]
