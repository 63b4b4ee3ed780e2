"""Sessions are announced as they are written into the own schema; what has been asked in them, and by when."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from shadowdiff.database import parse_url, source_engine
from shadowdiff.records import Window
from shadowdiff.sources.listening import ANY_SESSION, Listener
from shadowdiff.sources.postgres import PostgresSource
from tests.live import LiveSession
from tests.servers import execute

SECONDS = 60
WRITTEN = (
    "INSERT INTO shadowdiff.sessions SELECT prefix || n, (SELECT min(org_id) FROM shadowdiff.orgs), now() "
    "FROM generate_series(1, {count}) AS n, (VALUES ('{prefix}')) AS given (prefix)"
)


@pytest.fixture
def reader_url(sample_url: str) -> str:
    """The sample as a role sees it that may write nothing."""
    role = f"listens_{uuid.uuid4().hex[:8]}"
    execute(sample_url, f"CREATE ROLE {role} LOGIN", f"ALTER ROLE {role} SET default_transaction_read_only = on")
    return parse_url(sample_url).set(username=role).render_as_string(hide_password=False)


@pytest.fixture
def heard(reader_url: str) -> Iterator[SimpleQueue[str]]:
    """What a listener hears that may only read."""
    engine = source_engine(reader_url)
    ears: SimpleQueue[str] = SimpleQueue()
    with Listener(engine, ears.put) as listener:
        assert (listener.is_listening, listener.refusal) == (True, "")
        yield ears
    engine.dispose()


def test_who_may_only_read_hears_of_every_session(heard: SimpleQueue[str], sample_url: str) -> None:
    """By its id, once per statement; by none where they are very many, or the id is too long to be sent."""
    session = LiveSession(sample_url, "hv-04bd").begin()
    assert heard.get(timeout=SECONDS) == session.session_id
    execute(sample_url, WRITTEN.format(count=100, prefix="some-"))
    assert sorted(heard.get(timeout=SECONDS) for _ in range(100)) == sorted(f"some-{n}" for n in range(1, 101))
    execute(sample_url, WRITTEN.format(count=0, prefix="none-"), WRITTEN.format(count=101, prefix="many-"))
    assert heard.get(timeout=SECONDS) == ANY_SESSION
    execute(sample_url, WRITTEN.format(count=1, prefix="é" * 4_000))
    assert heard.get(timeout=SECONDS) == ANY_SESSION
    execute(sample_url, WRITTEN.format(count=1, prefix="é" * 3_999))
    assert heard.get(timeout=SECONDS) == "é" * 3_999 + "1"
    assert heard.empty()


def test_after_a_lost_connection_it_hears_again(heard: SimpleQueue[str], sample_url: str) -> None:
    """And says, when it is lost and when it is made again, that something may have been missed."""
    execute(
        sample_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE usename LIKE 'listens_%' AND datname = current_database()",
    )
    assert [heard.get(timeout=SECONDS) for _ in range(2)] == [ANY_SESSION] * 2
    execute(sample_url, WRITTEN.format(count=1, prefix="again-"))
    assert heard.get(timeout=SECONDS) == "again-1"


def test_activity_counts_turns_on_the_servers_clock(sample_url: str) -> None:
    """A session without a turn, or that is not there, is absent."""
    engine = source_engine(sample_url)
    source = PostgresSource(engine)
    now, none = source.activity(())
    assert none == {}
    silent, asked = (LiveSession(sample_url, "hv-04bd").begin() for _ in range(2))
    asked.ask(1, ago=-7_200)
    then, found = source.activity((silent.session_id, asked.session_id, "nobody"))
    assert then >= now
    assert list(found) == [asked.session_id]
    activity = found[asked.session_id]
    assert activity.turns == 1
    assert activity.last_asked is not None
    assert activity.last_asked > then
    assert source.last_asked((silent.session_id, asked.session_id)) == {asked.session_id: activity.last_asked}
    assert source.selected(Window(session_ids=("nobody", silent.session_id), org_ids=("nobody",))) == []
    assert source.selected(Window(session_ids=("nobody", silent.session_id))) == [silent.session_id]
    engine.dispose()
