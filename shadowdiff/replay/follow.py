"""Which sessions are to be replayed, and when: each once, and not before it has been idle. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from shadowdiff.records import Activity

LEAST_PAUSE = timedelta(seconds=1)
"""Before a session that has no turn yet is looked at again."""
SILENT_FOR = timedelta(days=1)
"""A session that has had no turn for so long is let go; should it be found again, it is new."""


@dataclass(slots=True)
class _Open:
    """A session that is not replayed yet."""

    found_at: datetime
    due: datetime
    """When it may have been idle for long enough, as far as is known."""
    activity: Activity | None = None
    idle_since: datetime | None = None


class Following:
    """Keeps account of sessions from when they are found until they are idle.

    Every time is the source's own, so that this machine's clock does not matter.
    A session is idle once its last turn is `idle` old. Where the clock that
    stamped the turn is ahead of the source's, or turns have no times, what counts
    is when the turn was first seen.
    """

    def __init__(self, idle: timedelta) -> None:
        self._idle = idle
        self._open: dict[str, _Open] = {}
        self._taken: set[str] = set()

    @property
    def open_sessions(self) -> int:
        """Sessions that were found and are not taken."""
        return len(self._open)

    def news(self, session_ids: Iterable[str]) -> list[str]:
        """Of these the ones that were not found before, each once, in the order given."""
        named = dict.fromkeys(session_ids)
        return [name for name in named if name not in self._open and name not in self._taken]

    def found(self, session_ids: Iterable[str], now: datetime) -> None:
        """Take in sessions to be followed, in any order and however often."""
        for session_id in self.news(session_ids):
            self._open[session_id] = _Open(found_at=now, due=now)

    def due(self, now: datetime, at_most: int) -> list[str]:
        """Open sessions that may be idle by now, and are to be looked at; the first found first."""
        return list(islice((name for name, session in self._open.items() if session.due <= now), at_most))

    @property
    def next_due(self) -> datetime | None:
        """When the next session is to be looked at; None where none is open."""
        return min((session.due for session in self._open.values()), default=None)

    def looked(self, session_ids: Sequence[str], activity: Mapping[str, Activity], now: datetime) -> list[str]:
        """What a look at these sessions showed; returns, and takes, those that are idle, the longest idle first.

        A session without a turn is absent from `activity`.
        """
        idle = []
        for session_id in session_ids:
            session = self._open.get(session_id)
            if session is None:
                continue
            if session_id in activity:
                self._seen(session, activity[session_id], now)
            else:
                session.due = now + max(self._idle, LEAST_PAUSE)
                if now - session.found_at >= SILENT_FOR:
                    del self._open[session_id]
            if session.idle_since is not None and session.due <= now:
                idle.append((session.idle_since, session_id))
        return [self._take(session_id) for _, session_id in sorted(idle)]

    def _seen(self, session: _Open, activity: Activity, now: datetime) -> None:
        if session.idle_since is None or activity != session.activity:
            session.activity = activity
            session.idle_since = min(activity.last_asked or now, now)
        session.due = session.idle_since + self._idle

    def _take(self, session_id: str) -> str:
        del self._open[session_id]
        self._taken.add(session_id)
        return session_id
