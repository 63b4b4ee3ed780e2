"""Properties of following: each session once, never before it is idle, whatever is heard, missed or heard twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.records import Activity
from shadowdiff.replay.follow import SILENT_FOR, Following

START = datetime(2026, 11, 29, 9, tzinfo=UTC)
IDLE = timedelta(seconds=60)
LATER = START + timedelta(hours=12)


def at(seconds: int) -> datetime:
    """So long after the start."""
    return START + timedelta(seconds=seconds)


@dataclass(frozen=True)
class Live:
    """A session as production writes it: when each turn is written, and what time is written beside it."""

    name: str
    turns: tuple[tuple[datetime, datetime | None], ...]

    def activity(self, now: datetime) -> Activity | None:
        """What the source holds of it."""
        seen = [asked for written, asked in self.turns if written <= now]
        return Activity(len(seen), max((asked for asked in seen if asked), default=None)) if seen else None

    def last_written(self, now: datetime) -> datetime:
        """When its newest turn came into the source."""
        return max(written for written, _ in self.turns if written <= now)


@st.composite
def sessions(draw: st.DrawFn, lags: st.SearchStrategy[int | None]) -> list[Live]:
    """Some sessions with no turn or some; `lags`: seconds from a turn's time to its being written, None: no time."""
    found = []
    for place in range(draw(st.integers(1, 6))):
        written = sorted(draw(st.lists(st.integers(0, 600), max_size=5)))
        drawn = [(moment, draw(lags)) for moment in written]
        turns = tuple((at(moment), None if lag is None else at(moment - lag)) for moment, lag in drawn)
        found.append(Live(f"s{place}", turns))
    return found


LATE = st.integers(0, 90)
ANY_LAG = st.one_of(st.none(), st.integers(-7_200, 90))
"""Written late, by a clock that is ahead, or without any time."""
HEARD = st.lists(st.tuples(st.integers(0, 900), st.lists(st.integers(0, 5), max_size=4)), max_size=8)
"""Which sessions are heard of when: any of them, repeatedly, or never."""


def followed(lives: list[Live], heard: list[tuple[int, list[int]]], at_once: int) -> list[tuple[str, datetime]]:
    """What is taken, and when, by somebody who looks whenever a look is due; a poll finds all at the start and end."""
    following, taken = Following(IDLE), []
    by_name = {live.name: live for live in lives}
    news = {at(moment): [lives[place % len(lives)].name for place in places] for moment, places in heard}
    now, names = START, list(by_name)
    while now <= LATER:
        following.found([*news.get(now, ()), *(names if now in {START, at(700)} else ())], now)
        while due := following.due(now, at_once):
            shown = {name: activity for name in due if (activity := by_name[name].activity(now)) is not None}
            taken += [(name, now) for name in following.looked(due, shown, now)]
        moments = [moment for moment in (*news, at(700), following.next_due) if moment is not None and moment > now]
        now = min(moments, default=LATER + IDLE)
    return taken


@given(sessions(LATE), HEARD, st.integers(1, 4))
def test_each_session_is_taken_once_and_never_before_it_is_idle(
    lives: list[Live], heard: list[tuple[int, list[int]]], at_once: int
) -> None:
    """By the times of the turns that are there: whoever has a turn is taken in the end, and nobody else."""
    taken = followed(lives, heard, at_once)
    assert sorted(name for name, _ in taken) == sorted(live.name for live in lives if live.turns)
    for name, moment in taken:
        activity = next(live for live in lives if live.name == name).activity(moment)
        assert activity is not None
        assert activity.last_asked is not None
        assert activity.last_asked + IDLE <= moment


@given(sessions(ANY_LAG), HEARD, st.integers(1, 4))
def test_clocks_that_are_ahead_and_turns_without_a_time_hold_nobody_up(
    lives: list[Live], heard: list[tuple[int, list[int]]], at_once: int
) -> None:
    """Each is taken once all the same, and not before its newest turn has been there, or is, idle for long enough."""
    taken = followed(lives, heard, at_once)
    assert sorted(name for name, _ in taken) == sorted(live.name for live in lives if live.turns)
    for name, moment in taken:
        live = next(live for live in lives if live.name == name)
        activity = live.activity(moment)
        assert activity is not None
        is_old = activity.last_asked is not None and activity.last_asked + IDLE <= moment
        assert is_old or live.last_written(moment) + IDLE <= moment
        assert moment <= max(live.last_written(LATER), at(900)) + 2 * IDLE


@given(st.integers(0, 3), st.integers(1, 10))
def test_a_session_without_a_turn_is_let_go_after_a_day(more: int, seconds: int) -> None:
    """Looked at now and then until then; found again, it is new."""
    following, now, looks = Following(timedelta(seconds=seconds)), START, 0
    following.found(["s"], now)
    while following.open_sessions:
        now = following.next_due or now
        assert following.looked(following.due(now, 1), {}, now) == []
        looks += 1
        now += timedelta(hours=more)
    assert SILENT_FOR <= now - timedelta(hours=more) - START <= SILENT_FOR + timedelta(hours=more, seconds=20)
    assert following.news(["s", "s"]) == ["s"]
    following.found(["s"], now)
    assert following.looked(["s"], {"s": Activity(1, START)}, now) == ["s"]
    assert following.news(["s"]) == []
