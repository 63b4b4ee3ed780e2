"""Nights, one after another: whatever comes in and whenever they run, each session is replayed in exactly one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.nightly.selection import chosen, window_of
from shadowdiff.nightly.settings import NightlySettings
from shadowdiff.records import Session, Window

START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SETTINGS = NightlySettings(first=24 * HOUR, overlap=12 * HOUR, idle=HOUR)
FAR = 10_000.0
"""Hours after which everything is over."""


@dataclass(frozen=True)
class Talk:
    """A session, in hours after START: when it began, when it was last asked, and when the source had it."""

    name: str
    began: float
    lasted: float
    late: float

    @property
    def started_at(self) -> datetime:
        """Its start."""
        return START + self.began * HOUR

    def last_asked(self, now: datetime) -> datetime:
        """Its last turn so far, one every half hour."""
        turns = int(min(self.lasted, max((now - self.started_at) / HOUR, 0.0)) * 2)
        return self.started_at + turns * HOUR / 2


class Production:
    """A source whose clock moves."""

    def __init__(self, talks: Sequence[Talk]) -> None:
        self.talks = sorted(talks, key=lambda talk: talk.began)
        self.now = START

    def session_ids(self, window: Window) -> list[str]:
        """Those that are there by now, oldest first."""
        here = [talk for talk in self.talks if talk.started_at + talk.late * HOUR <= self.now]
        return [
            talk.name
            for talk in here
            if (window.since is None or talk.started_at >= window.since)
            and (window.until is None or talk.started_at < window.until)
        ]

    def last_asked(self, session_ids: Sequence[str]) -> dict[str, datetime]:
        """By the clock."""
        return {talk.name: talk.last_asked(self.now) for talk in self.talks if talk.name in set(session_ids)}

    def sessions(self, window: Window) -> Iterator[Session]:
        """Not asked for."""
        raise NotImplementedError


def nights_of(talks: Sequence[Talk], hours: Sequence[float], settings: NightlySettings) -> list[tuple[str, ...]]:
    """What each night at these hours replays."""
    production, done, watermark = Production(talks), set[str](), None
    replayed = []
    for hour in hours:
        production.now = now = START + hour * HOUR
        window = window_of(settings, watermark, now)
        found = chosen(production, window, settings, watermark, set(done).intersection)
        replayed.append(found.session_ids)
        done |= set(found.session_ids)
        watermark = now
    return replayed


@st.composite
def talks(draw: st.DrawFn) -> list[Talk]:
    """Sessions of up to three days, some of them known to the source a few hours late."""
    hours = st.floats(0, 200)
    drawn = draw(st.lists(st.tuples(hours, st.floats(0, 72), st.floats(0, 11)), max_size=25))
    return [Talk(f"s{place}", *item) for place, item in enumerate(drawn)]


@given(talks(), st.lists(st.floats(1, 24), min_size=1, max_size=12))
def test_each_session_is_replayed_in_exactly_one_night(talks: list[Talk], gaps: list[float]) -> None:
    """Whatever the gaps between nights, sessions that go on for days, and sessions that come late."""
    hours = [24.0]
    for gap in [*gaps, *[10.0] * 30]:
        hours.append(hours[-1] + gap)
    counted = Counter(name for night in nights_of(talks, hours, SETTINGS) for name in night)
    first_seen = {talk.name for talk in talks if talk.began + talk.late <= hours[-1]}
    assert set(counted) == first_seen
    assert set(counted.values()) <= {1}


@given(talks())
def test_an_open_session_waits_unless_the_next_night_would_not_see_it(talks: list[Talk]) -> None:
    """A session that was asked something within the last hour is left, but for one that began too long ago."""
    hours = [24.0 * night for night in range(1, 12)]
    by_name = {talk.name: talk for talk in talks}
    for hour, night in zip(hours, nights_of(talks, hours, SETTINGS), strict=True):
        now = START + hour * HOUR
        for talk in (by_name[name] for name in night):
            is_over = talk.last_asked(now) <= now - SETTINGS.idle
            assert is_over or talk.started_at < now - SETTINGS.overlap


@given(st.integers(1, 5), st.integers(0, 40))
def test_what_a_sample_left_out_is_not_drawn_from_again(size: int, sessions: int) -> None:
    """The next night's overlap sees the sessions that were not drawn, and leaves them."""
    talks = [Talk(f"s{place}", 20 + place / 20, 0.0, 0.0) for place in range(sessions)]
    settings = NightlySettings(first=24 * HOUR, overlap=12 * HOUR, idle=HOUR, sample=size)
    first, second, third = nights_of(talks, [24.0, 25.0, 40.0], settings)
    assert len(first) == min(size, sessions)
    assert not second
    assert not third
    assert first == nights_of(talks, [24.0], settings)[0], "the same ones however often the night begins anew"


def test_a_night_can_look_further_back() -> None:
    """`--since` takes the watermark's place."""
    now = START + 100 * HOUR
    assert window_of(SETTINGS, None, now).since == now - SETTINGS.first
    assert window_of(SETTINGS, now - 5 * HOUR, now).since == now - 17 * HOUR
    assert window_of(SETTINGS, now - 5 * HOUR, now, START).since == START
