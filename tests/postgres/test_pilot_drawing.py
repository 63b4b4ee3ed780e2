"""Which sessions of a real source a pilot draws, and the rate that is reckoned from them."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shadowdiff.errors import ConfigError
from shadowdiff.pilot import drawing
from shadowdiff.pilot.drawing import drawn_sessions
from shadowdiff.records import Entry, Session, Window
from shadowdiff.sources.bundle import Bundle
from shadowdiff.sources.postgres import PostgresSource
from tests.conftest import load
from tests.render_cases import STARTED

if TYPE_CHECKING:
    from sqlalchemy import Engine

EVERYTHING = Window()


def test_whole_sessions_until_they_hold_enough(sample_source: PostgresSource, sample: Bundle) -> None:
    """As few as do; a larger number draws them all again; orgs give their shares, and another seed draws others."""
    turns = {session.session_id: len(session.turns) for session in sample.sessions}
    orgs = {session.session_id: session.org_id for session in sample.sessions}
    few, more = (drawn_sessions(sample_source, EVERYTHING, number) for number in (60, 100))
    assert few.of_sessions == len(sample.sessions)
    assert few.turns == sum(turns[name] for name in few.session_ids) >= 60
    assert few.turns - max(turns[name] for name in few.session_ids) < 60
    assert set(few.session_ids) < set(more.session_ids)
    everything = sample_source.session_ids(EVERYTHING)
    assert list(more.session_ids) == [name for name in everything if name in more.session_ids]
    share = len(few.session_ids) / len(turns)
    held = Counter(orgs[name] for name in few.session_ids)
    assert all(abs(held[org] - share * size) <= 1 for org, size in Counter(orgs.values()).items())
    assert drawn_sessions(sample_source, EVERYTHING, 60, seed=1).session_ids != few.session_ids
    assert drawn_sessions(sample_source, EVERYTHING, 60, by_org=False).session_ids != few.session_ids


def test_all_where_there_are_no_more(
    sample_source: PostgresSource, sample: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted a few at a time, to the last; then the rate is no longer reckoned but exact."""
    monkeypatch.setattr(drawing, "AT_ONCE", 7)
    found = drawn_sessions(sample_source, EVERYTHING, 10_000)
    assert len(found.session_ids) == len(sample.sessions)
    times = [moment for session in sample.sessions for moment in (session.started_at, session.turns[-1].asked_at)]
    months = (max(times) - min(times)) / timedelta(days=30)
    assert found.turns_per_month == pytest.approx(found.turns / months, rel=0.01)
    part = drawn_sessions(sample_source, EVERYTHING, 60)
    assert part.turns_per_month == pytest.approx(found.turns_per_month, rel=0.25)


def test_only_from_the_window(sample_source: PostgresSource, sample: Bundle) -> None:
    """Of one org, in a time; an org that is not there is refused by name."""
    first = sample.sessions[0]
    until = first.started_at + timedelta(days=1)
    window = Window(since=first.started_at, until=until, org_ids=(first.org_id,))
    found = drawn_sessions(sample_source, window, 10_000)
    days = {session.session_id for session in sample.sessions if first.started_at <= session.started_at < until}
    assert set(found.session_ids) == days & {s.session_id for s in sample.sessions if s.org_id == first.org_id}
    with pytest.raises(ConfigError, match="unknown org: 'nobody'"):
        drawn_sessions(sample_source, Window(org_ids=("nobody",)), 10)


def test_sessions_without_a_turn_are_not_drawn(empty_engine: Engine) -> None:
    """They hold nothing; where there is nothing else, nothing is drawn."""
    load(empty_engine, Bundle((Entry("acme", "kb-1", "", "Text."),), (Session("s", "acme", STARTED),)))
    found = drawn_sessions(PostgresSource(empty_engine), EVERYTHING, 5)
    assert (found.session_ids, found.turns, found.of_sessions, found.turns_per_month) == ((), 0, 1, None)
