"""Sessions as they become idle: the source is polled, and woken by what is heard of it, for as long as it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue

from shadowdiff.errors import SourceError
from shadowdiff.protocols import Followable
from shadowdiff.records import Window
from shadowdiff.replay.follow import Following
from shadowdiff.sources.listening import ANY_SESSION

OVERLAP = timedelta(hours=1)
"""How far a poll looks back before the one before it: for sessions that were written later than they started."""
SESSIONS_AT_ONCE = 8
"""Shown together, and what Ctrl-C waits for."""


@dataclass
class Ears:
    """What others say to somebody who waits. Never blocks whoever speaks, not even a signal handler."""

    said: SimpleQueue[str | None] = field(default_factory=SimpleQueue)

    def hear(self, session_id: str) -> None:
        """A session was written; ANY_SESSION: some were, and nobody says which."""
        self.said.put(session_id)

    def wake(self) -> None:
        """End the waiting: something else has changed."""
        self.said.put(None)

    def wait(self, seconds: float) -> list[str]:
        """What is said by then: returns as soon as anything is."""
        said = []
        with suppress(Empty):
            if seconds > 0:
                said.append(self.said.get(timeout=seconds))
            while True:
                said.append(self.said.get_nowait())
        return [session_id for session_id in said if session_id is not None]


class Coming:
    """Iterates over the ids of sessions that have become idle, some at a time, each once, until `is_over`.

    Raises SourceError where the source fails and is not waited for.
    """

    def __init__(
        self,
        source: Followable,
        window: Window,
        following: Following,
        ears: Ears,
        seconds_between_polls: Callable[[], float],
        is_over: Callable[[], bool],
    ) -> None:
        """`window` says since when, and of which orgs; `seconds_between_polls` is asked before each."""
        self._source = source
        self._window = window
        self._following = following
        self._ears = ears
        self._seconds_between_polls = seconds_between_polls
        self.is_over = is_over
        self._polled: tuple[datetime, float] | None = None
        """By the source's clock, and by ours."""

    def __iter__(self) -> Iterator[list[str]]:
        """Ids of idle sessions, as they become so."""
        try:
            self._set_clock(self._source.activity(())[0])
            yield from self._idle_sessions()
        except SourceError:
            if not self.is_over():
                raise

    def _idle_sessions(self) -> Iterator[list[str]]:
        wait = 0.0
        while not self.is_over():
            self._find(self._ears.wait(wait))
            idle = self._look()
            if idle:
                yield idle
            wait = 0.0 if idle else self._seconds_to_wait()

    def _find(self, heard: list[str]) -> None:
        """Take in the sessions that were heard of, and all that a poll finds where one is due."""
        now = self._now()
        if ANY_SESSION in heard:
            self._polled = None
        named = self._following.news(filter(None, heard))
        if named:
            self._following.found(self._source.selected(replace(self._window, session_ids=tuple(named))), now)
        if self._seconds_to_poll() <= 0:
            self._following.found(self._source.selected(self._recent()), now)
            self._polled = now, time.monotonic()

    def _look(self) -> list[str]:
        """Sessions that are idle by now."""
        due = self._following.due(self._now(), SESSIONS_AT_ONCE)
        if not due:
            return []
        now, activity = self._source.activity(due)
        self._set_clock(now)
        return self._following.looked(due, activity, now)

    def _recent(self) -> Window:
        """What may have come since the last poll; everything, where there was none."""
        if self._polled is None or self._window.since is None:
            return self._window
        return replace(self._window, since=max(self._window.since, self._polled[0] - OVERLAP))

    def _seconds_to_poll(self) -> float:
        return 0.0 if self._polled is None else self._polled[1] + self._seconds_between_polls() - time.monotonic()

    def _seconds_to_wait(self) -> float:
        due = self._following.next_due
        to_look = self._seconds_to_poll() if due is None else (due - self._now()).total_seconds()
        return max(min(self._seconds_to_poll(), to_look), 0.0)

    def _set_clock(self, now: datetime) -> None:
        self._clock = now, time.monotonic()

    def _now(self) -> datetime:
        """The source's time: what it last said, and what has passed here since."""
        said, at = self._clock
        return said + timedelta(seconds=time.monotonic() - at)
