"""The own schema as a source: what is selected, in what order, in how many statements, and never written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError

from shadowdiff.database import source_engine
from shadowdiff.errors import ConfigError
from shadowdiff.records import Entry, Session, Turn, Window
from shadowdiff.sources.bundle import Bundle
from shadowdiff.sources.postgres import PostgresSource
from shadowdiff.store.ingest import ingest


@contextmanager
def counted_statements(engine: Engine) -> Iterator[list[str]]:
    """Collects every statement sent through the engine."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def test_a_write_through_the_source_is_refused_by_the_server(sample_url: str) -> None:
    """Production is never written to, even by a bug: Postgres itself says no."""
    engine = source_engine(sample_url)
    with engine.connect() as connection, pytest.raises(DBAPIError, match="read-only transaction"):
        connection.execute(text("DELETE FROM shadowdiff.turns"))
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW transaction_read_only")) == "on"
        assert connection.scalar(text("SHOW transaction_isolation")) == "repeatable read"
        assert connection.scalar(text("SELECT count(*) FROM shadowdiff.turns")) == 218
    engine.dispose()


def test_sessions_come_back_as_they_were_loaded(sample_source: PostgresSource, sample: Bundle) -> None:
    """Every session with its turns, pools (scores included), served lists and tags, oldest first."""
    expected = sorted(sample.sessions, key=lambda session: (session.started_at, session.session_id))
    assert list(sample_source.sessions(Window())) == expected


def test_last_selects_the_newest_and_yields_them_oldest_first(sample_source: PostgresSource, sample: Bundle) -> None:
    """`--last 10` is the ten newest sessions, in reading order."""
    newest = sorted(sample.sessions, key=lambda session: session.started_at)[-10:]
    assert sample_source.session_ids(Window(last=10)) == [session.session_id for session in newest]


def test_filters_combine(sample_source: PostgresSource, sample: Bundle) -> None:
    """Org and time narrow each other; since is inclusive, until exclusive."""
    ours = sorted((s for s in sample.sessions if s.org_id == "tallywage"), key=lambda s: s.started_at)
    window = Window(org_ids=("tallywage",), since=ours[2].started_at, until=ours[5].started_at)
    assert sample_source.session_ids(window) == [session.session_id for session in ours[2:5]]


def test_a_sample_is_drawn_by_seed(sample_source: PostgresSource) -> None:
    """The same seed draws the same sessions, another seed others, always in order of time."""
    everything = sample_source.session_ids(Window())
    first = sample_source.session_ids(Window(sample=12, seed=1))
    assert first == sample_source.session_ids(Window(sample=12, seed=1))
    assert first != sample_source.session_ids(Window(sample=12, seed=2))
    assert first == [session_id for session_id in everything if session_id in set(first)]
    assert len(first) == 12


def test_unknown_names_are_refused_with_what_there_is(sample_source: PostgresSource) -> None:
    """A misspelt org or session is an error that shows what is stored, not an empty result."""
    with pytest.raises(ConfigError, match=r"unknown org: 'acme'; it holds 'freightloom', 'halden-vault'"):
        sample_source.session_ids(Window(org_ids=("acme", "tallywage")))
    with pytest.raises(ConfigError, match="unknown sessions: 'x', 'y'"):
        sample_source.session_ids(Window(session_ids=("x", "y")))


def test_an_empty_database_says_so(empty_url: str) -> None:
    """A filter on an empty database does not list what does not exist."""
    engine = source_engine(empty_url)
    source = PostgresSource(engine)
    with pytest.raises(ConfigError, match="the database holds no org at all"):
        source.session_ids(Window(org_ids=("acme",)))
    assert source.session_ids(Window(last=10)) == []
    engine.dispose()


def test_statements_do_not_grow_with_turns(empty_url: str, empty_engine: Engine) -> None:
    """Reading a window takes the same number of statements for 3 turns and for 600."""
    ingest(empty_engine, [Entry("o", "e", "t", "b")], [_session("small", 3), _session("large", 600)])
    engine = source_engine(empty_url)
    source = PostgresSource(engine)
    counts = {}
    list(source.sessions(Window()))
    source.entries({"o": {"e"}})  # the columns of each part are asked for once
    for name in ("small", "large"):
        with counted_statements(engine) as seen:
            (session,) = source.sessions(Window(session_ids=(name,)))
            wanted = {"o": {"e"}}
            source.entries(wanted)
            source.entry_vectors(wanted)
            source.turn_vectors([turn.turn_id for turn in session.turns])
            source.nearest({turn.turn_id: session.org_id for turn in session.turns}, 10)
        counts[name] = len(seen)
    engine.dispose()
    assert counts == {"small": 13, "large": 13}


def test_the_newest_sessions_are_found_through_the_index(empty_url: str, empty_engine: Engine) -> None:
    """`--last N`, of one org or of all, reads an index from its end and not the table."""
    ingest(empty_engine, [Entry("o", "e", "t", "b")], [_session(f"s{n}", 1, minutes=n) for n in range(3000)])
    with empty_engine.begin() as connection:
        connection.execute(text("ANALYZE shadowdiff.sessions"))
        newest = "SELECT session_id FROM shadowdiff.sessions {} ORDER BY started_at DESC, session_id DESC LIMIT 10"
        for where, index in (("", "ix_sessions_newest"), ("WHERE org_id = 'o'", "ix_sessions_newest")):
            plan = "\n".join(connection.scalars(text("EXPLAIN " + newest.format(where))))
            assert f"using {index}" in plan
            assert "Sort" not in plan


def test_nearest_agrees_with_numpy(sample_source: PostgresSource, sample: Bundle) -> None:
    """Cosine retrieval in SQL equals brute force over the stored vectors, within the turn's org only."""
    assert sample.embeddings is not None
    turns = [(session, turn) for session in sample.sessions for turn in session.turns]
    for index in (0, 90, 217):
        session, turn = turns[index]
        found = sample_source.nearest({turn.turn_id: session.org_id}, 5)[turn.turn_id]
        own = [row for row, entry in enumerate(sample.entries) if entry.org_id == session.org_id]
        vectors = sample.embeddings.entries[own].astype(np.float32)
        query = sample.embeddings.turns[index].astype(np.float32)
        cosines = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
        best = np.argsort(-cosines, kind="stable")[:5]
        assert [item.entry_id for item in found] == [sample.entries[own[row]].entry_id for row in best]
        assert [item.score for item in found] == pytest.approx(cosines[best].tolist(), abs=1e-5)


def test_what_is_not_stored_is_absent(sample_source: PostgresSource) -> None:
    """Unknown entries, turns and orgs leave gaps, not errors: a knowledge base loses entries."""
    found = sample_source.entries({"tallywage": {"tw-kb-001", "gone"}, "nobody": {"x"}})
    assert list(found) == [("tallywage", "tw-kb-001")]
    assert sample_source.turn_vectors(["gone"]) == {}
    assert sample_source.nearest({"gone": "tallywage"}, 5) == {}
    assert sample_source.org_entries("nobody") == []


def test_hostile_ids_are_values_not_sql(sample_source: PostgresSource) -> None:
    """Ids are bound, never formatted into a statement."""
    with pytest.raises(ConfigError, match="unknown org"):
        sample_source.session_ids(Window(org_ids=("'; DROP TABLE shadowdiff.turns; --",)))
    assert len(sample_source.session_ids(Window())) == 55


def _session(name: str, turns: int, minutes: int = 0) -> Session:
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    asked = tuple(Turn(f"{name}:{n}", n, f"question {n}", start) for n in range(1, turns + 1))
    return Session(name, "o", start, asked)
