"""Mapped sources on a real Postgres: every type that is promised, hostile values, and statements that try to write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, create_engine, event, text

from shadowdiff.config import ConnectionLimits, SourceSettings
from shadowdiff.database import parse_url, source_engine
from shadowdiff.errors import ConfigError, DatabaseError, SourceError
from shadowdiff.records import RecordedEntry, Session, Window
from shadowdiff.sources.mapping import DEFAULT_ORG, source_mapping
from shadowdiff.sources.postgres import PostgresSource

SESSIONS = "SELECT 'a' AS session_id, 'o' AS org_id, TIMESTAMPTZ '2026-11-01 10:00Z' AS started_at"
TURNS = "SELECT 'a' AS session_id, 't' AS turn_id, 'how?' AS query, TIMESTAMPTZ '2026-11-01 10:00Z' AS asked_at"
ENTRIES = "SELECT 'o' AS org_id, 'e' AS entry_id, 'T' AS title, 'B' AS body"
Open = Callable[..., PostgresSource]


@pytest.fixture
def writer(bare_url: str) -> Iterator[Engine]:
    """An engine that makes tables for a test."""
    engine = create_engine(parse_url(bare_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE EXTENSION vector"))
    yield engine
    engine.dispose()


@pytest.fixture
def opened(bare_url: str, writer: Engine) -> Iterator[Open]:
    """Opens the database through a mapping; parts that are not given are one constant row."""
    engines: list[Engine] = []

    def open_source(**settings: Any) -> PostgresSource:
        rest = {
            name: settings.pop(name)
            for name in ("timezone", "parameters", "identifiers", "json_keys")
            if name in settings
        }
        parts = {"sessions": SESSIONS, "turns": TURNS, "entries": ENTRIES} | settings
        engine = source_engine(bare_url, ConnectionLimits(statement_timeout=20))
        engines.append(engine)
        return PostgresSource(engine, source_mapping(SourceSettings(parts=parts, **rest)))

    yield open_source
    for engine in engines:
        engine.dispose()


def run(writer: Engine, *statements: str) -> None:
    """Execute as the owner."""
    with writer.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


def only(source: PostgresSource) -> Session:
    """The one session there is."""
    (session,) = source.sessions(Window())
    return session


@contextmanager
def statements_of(source: PostgresSource) -> Iterator[list[str]]:
    """What is sent meanwhile."""
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[2])

    event.listen(source._engine, "before_cursor_execute", note)
    yield seen
    event.remove(source._engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("kind", "ids", "absent"),
    [
        ("uuid", ("00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"), "nope"),
        ("bigint", ("7", "9223372036854775807"), "99999999999999999999"),
        ("integer", ("-1", "12"), "1.5"),
        ("text", ("o'hara", "two words"), "x"),
        ("character(9)", ("short", "longer"), "x"),
        ("tenant_slug", ("acme", "zeta"), "nobody"),
        ("short_name", ("acme", "zeta"), "nobody"),
    ],
)
def test_ids_of_any_type_are_compared_as_that_type(
    opened: Open, writer: Engine, kind: str, ids: tuple[str, str], absent: str
) -> None:
    """Enums and domains too; an id that the type cannot hold is an unknown one, not an error."""
    run(
        writer,
        "CREATE TYPE tenant_slug AS ENUM ('acme', 'zeta')",
        "CREATE DOMAIN short_name AS varchar(20) CHECK (VALUE <> '')",
        f"CREATE TABLE s (k {kind} PRIMARY KEY, o {kind}, at timestamptz DEFAULT '2026-11-01Z')",
        f"CREATE TABLE t (k {kind} PRIMARY KEY, s {kind})",
        f"CREATE TABLE p (t {kind}, e {kind}, r int)",
        f"CREATE TABLE e (o {kind}, k {kind}, v vector)",
    )
    with writer.connect() as connection:
        first, second = ({"a": ids[0], "b": other} for other in ids)
        for row in ({"a": ids[0]}, {"a": ids[1]}):
            connection.execute(text(f"INSERT INTO s VALUES (CAST(:a AS {kind}), CAST(:a AS {kind}))"), row)
            connection.execute(text(f"INSERT INTO t VALUES (CAST(:a AS {kind}), CAST(:a AS {kind}))"), row)
        for rank, row in enumerate((second, first)):
            connection.execute(text(f"INSERT INTO p VALUES (CAST(:a AS {kind}), CAST(:b AS {kind}), {rank})"), row)
            connection.execute(
                text(f"INSERT INTO e VALUES (CAST(:a AS {kind}), CAST(:b AS {kind}), '[1,{rank}]')"), row
            )
    source = opened(
        sessions="SELECT k AS session_id, o AS org_id, at AS started_at FROM s",
        turns=(
            "SELECT s AS session_id, k AS turn_id, 'q' AS query, now() AS asked_at, "
            "'[0,1]'::vector AS query_embedding FROM t"
        ),
        pool="SELECT t AS turn_id, e AS entry_id, r AS rank FROM p",
        entries="SELECT o AS org_id, k AS entry_id, 'b' AS body, v AS embedding FROM e",
    )
    assert sorted(source.session_ids(Window())) == sorted(ids)
    assert source.session_ids(Window(org_ids=(ids[0],), session_ids=ids)) == [ids[0]]
    (session,) = source.sessions(Window(session_ids=(ids[0],)))
    pool = session.turns[0].recorded_pool or ()
    assert (session.org_id, [item.entry_id for item in pool]) == (ids[0], [ids[1], ids[0]])
    assert set(source.entries({ids[0]: set(ids), ids[1]: set(ids)})) == {(ids[0], ids[0]), (ids[0], ids[1])}
    assert [item.entry_id for item in source.nearest({ids[0]: ids[0]}, 5)[ids[0]]] == [ids[0], ids[1]]
    for window in (Window(session_ids=(absent,)), Window(org_ids=(absent,)), Window(session_ids=(ids[0], absent))):
        with pytest.raises(ConfigError, match=r"unknown (org|session): .*; it holds"):
            source.session_ids(window)


@pytest.mark.parametrize(
    "stored",
    [
        "'[1,2.5,-3]'::vector",
        "'[1,2.5,-3]'::halfvec",
        "'{1,2.5,-3}'::real[]",
        "'{1,2.5,-3}'::double precision[]",
        "'[1, 2.5, -3]'::jsonb",
        "'[1, 2.5, -3]'::json",
        r"'\x0000803f00002040000040c0'::bytea",
    ],
)
def test_embeddings_of_any_type_are_read_and_retrieved_by(opened: Open, stored: str) -> None:
    """The same vector, and the same nearest entries, whether the server compares them or we do."""
    far, zero = "'[-1,0,0]'", "'[0,0,0]'"
    other = stored.partition("::")[2]
    spelled = {"bytea": (r"'\x000080bf0000000000000000'", r"'\x000000000000000000000000'")}
    brackets = ("'{-1,0,0}'", "'{0,0,0}'") if other.endswith("[]") else (far, zero)
    far, zero = spelled.get(other, brackets)
    source = opened(
        turns=f"{TURNS}".replace("'how?' AS query", f"'how?' AS query, {stored} AS query_embedding"),
        entries=(
            f"SELECT 'o' AS org_id, k AS entry_id, 'b' AS body, v AS embedding FROM "
            f"(VALUES ('near', {stored}), ('far', {far}::{other}), ('none', NULL)) AS x(k, v)"
        ),
    )
    expected = np.array([1, 2.5, -3], dtype=np.float32)
    assert source.turn_vectors(["t"])["t"].tolist() == expected.tolist()
    vectors = source.entry_vectors({"o": {"near", "none"}})
    assert (list(vectors), vectors["o", "near"].tolist()) == ([("o", "near")], expected.tolist())
    found = source.nearest({"t": "o"}, 2)["t"]
    assert [item.entry_id for item in found] == ["near", "far"]
    cosine = -1 / np.linalg.norm(expected.astype(np.float64))
    assert [item.score for item in found] == pytest.approx([1.0, cosine], abs=1e-7)


def test_retrieval_does_not_depend_on_an_approximate_index(opened: Open, writer: Engine) -> None:
    """An HNSW index answers with at most `hnsw.ef_search` entries, 40 by default: a pool of 50 would come short."""
    run(
        writer,
        "CREATE TABLE kb (k int PRIMARY KEY, v vector(3))",
        "INSERT INTO kb SELECT n, ARRAY[1, n, n % 7]::vector FROM generate_series(1, 3000) AS n",
        "CREATE INDEX ON kb USING hnsw (v vector_cosine_ops)",
        "ANALYZE kb",
    )
    source = opened(
        turns=TURNS.replace("'how?' AS query", "'how?' AS query, '[1,1,1]'::vector AS query_embedding"),
        entries="SELECT k AS entry_id, 'b' AS body, v AS embedding FROM kb",
    )
    assert len(source.nearest({"t": "o"}, 100)["t"]) == 100


def test_pools_come_from_rows_arrays_or_json(opened: Open) -> None:
    """Each entry once, at its best place; null is not recorded, an empty list is."""
    recorded = (RecordedEntry("b", 0.5), RecordedEntry("a", None))
    rows = "(VALUES ('t', 'b', 1, 0.5), ('t', 'a', 2, NULL), ('t', 'b', 3, 0.1), ('t', NULL, 4, 0.1)) AS x(t, e, r, s)"
    by_rows = opened(
        pool=f"SELECT t AS turn_id, e AS entry_id, r AS rank, s AS score FROM {rows}",
        served=f"SELECT t AS turn_id, e AS entry_id, -r AS rank FROM {rows} WHERE r < 3",
    )
    turn = only(by_rows).turns[0]
    assert (turn.recorded_pool, turn.served) == (recorded, ("a", "b"))
    columns = (
        """, '[{"doc": "b", "s": 0.5}, {"doc": "a"}, {"doc": "b"}]'::jsonb AS pool, ARRAY[7, 8]::bigint[] AS served"""
    )
    by_json = opened(turns=TURNS + columns, json_keys={"entry_id": "doc", "score": "s"})
    turn = only(by_json).turns[0]
    assert (turn.recorded_pool, turn.served) == (recorded, ("7", "8"))
    turn = only(opened(turns=TURNS + ", NULL::jsonb AS pool, '{}'::text[] AS served")).turns[0]
    assert (turn.recorded_pool, turn.served) == (None, ())
    turn = only(opened(pool="SELECT 'x' AS turn_id, 'e' AS entry_id, 1 AS rank")).turns[0]
    assert (turn.recorded_pool, turn.served) == (None, None)


def test_a_pool_may_bring_its_texts(opened: Open) -> None:
    """As production's reranker read them, whatever the knowledge base says today."""
    source = opened(pool="SELECT 't' AS turn_id, 'e' AS entry_id, 1 AS rank, 'then' AS body")
    assert only(source).turns[0].recorded_pool == (RecordedEntry("e", None, "", "then"),)


def test_times_without_zone_are_read_and_bounded_in_the_mappings_zone(opened: Open, writer: Engine) -> None:
    """The window meets the column in its own terms, so that an index on it serves."""
    run(
        writer,
        "CREATE TABLE s (k int PRIMARY KEY, at timestamp NOT NULL)",
        "INSERT INTO s SELECT n, TIMESTAMP '2026-07-01' + n * interval '1 minute' FROM generate_series(1, 20000) AS n",
        "CREATE INDEX by_time ON s (at)",
        "ANALYZE s",
    )
    source = opened(sessions="SELECT k AS session_id, at AS started_at FROM s", timezone="Europe/Berlin")
    since, until = datetime(2026, 7, 1, 10, tzinfo=UTC), datetime(2026, 7, 1, 10, 2, tzinfo=UTC)
    assert source.session_ids(Window(since=since, until=until)) == ["720", "721"]
    session = next(source.sessions(Window(session_ids=("720",))))
    assert (session.started_at, session.org_id) == (since, "default")
    with statements_of(source) as seen:
        source.session_ids(Window(since=since, last=3))
    (statement,) = [each for each in seen if "LIMIT" in each and "at AS started_at" in each]
    with writer.connect() as connection:
        bound = {"param_1": datetime(2026, 7, 1, 12), "param_2": 3}  # noqa: DTZ001 as the column holds it
        names = [part.split(")")[0] for part in statement.split("%(")[1:]]
        values = dict(zip(names, bound.values(), strict=True))
        plan = connection.exec_driver_sql(f"EXPLAIN {statement}", values)
        assert any("by_time" in row[0] for row in plan)


def test_what_is_not_mapped_has_a_default(opened: Open) -> None:
    """No org, no position, no entries: one org, the order of asking, no texts."""
    rows = "(VALUES ('t2', 2), ('t1', 1), ('t3', NULL)) AS x(k, m)"
    source = opened(
        sessions="SELECT 1 AS session_id, DATE '2026-11-01' AS started_at",
        turns=(
            f"SELECT 1 AS session_id, k AS turn_id, NULL::text AS query, DATE '2026-11-01' + m AS asked_at FROM {rows}"
        ),
        entries="",
    )
    session = only(source)
    assert [(turn.turn_id, turn.position, turn.query) for turn in session.turns] == [
        ("t1", 1, ""),
        ("t2", 2, ""),
        ("t3", 3, ""),
    ]
    assert (session.org_id, session.turns[2].asked_at) == ("default", session.started_at)
    assert source.session_ids(Window(org_ids=("default",))) == ["1"]
    assert source.entries({"default": {"e"}}) == {}
    assert source.org_entries("default") == []
    assert source.nearest({"t1": "default"}, 5) == {}
    with pytest.raises(ConfigError, match="unknown org: 'acme'"):
        source.session_ids(Window(org_ids=("acme",)))


def test_parts_whose_ids_do_not_fit_each_other_say_so(opened: Open) -> None:
    """A pool by numbers for turns by names; orgs that are uuids for sessions without any."""
    source = opened(pool="SELECT 1 AS turn_id, 'e' AS entry_id, 1 AS rank")
    with pytest.raises(ConfigError, match=r'through \[source\] failed: invalid input .* "t"; .* types must fit'):
        only(source)
    source = opened(entries="SELECT gen_random_uuid() AS org_id, 'e' AS entry_id, 'b' AS body")
    with pytest.raises(ConfigError, match=r"reading entries .* without org_id are of the org 'default'"):
        source.entries({"default": {"e"}})


def test_a_knowledge_base_without_orgs_is_everybodys(opened: Open) -> None:
    """Each org that asks gets the entry as its own."""
    source = opened(entries="SELECT 'e' AS entry_id, 'B' AS body, '[1]'::jsonb AS embedding")
    found = source.entries({"one": {"e"}, "two": {"e", "x"}})
    assert {key: entry.org_id for key, entry in found.items()} == {("one", "e"): "one", ("two", "e"): "two"}
    assert set(source.entry_vectors({"one": {"e"}})) == {("one", "e")}
    assert [entry.org_id for entry in source.org_entries("three")] == ["three"]


HOSTILE = (
    "'; DROP TABLE precious; --",
    '"; DROP TABLE precious; --',
    "%s %(x)s :x \\ \u2028",
    "$$; DROP TABLE precious; $$",
)


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_are_values(opened: Open, writer: Engine, value: str) -> None:
    """In ids, orgs, entry ids, parameters and names of tables: they come back as they are, and nothing is executed."""
    run(writer, "CREATE TABLE precious (x int)", "CREATE TABLE kb (k text, o text, s text)")
    with writer.connect() as connection:
        connection.execute(text("INSERT INTO kb VALUES (:v, :v, :v)"), {"v": value})
    source = opened(
        sessions="SELECT s AS session_id, o AS org_id, now() AS started_at FROM kb",
        turns="SELECT s AS session_id, k AS turn_id, :question AS query, now() AS asked_at, ARRAY[k] AS served FROM kb",
        entries=(
            "SELECT o AS org_id, k AS entry_id, ' :x :a:b %s 50%' || E'\\\\:q' || '12:30'::time AS body FROM kb "
            "WHERE :question::text <> k || 'x'"
        ),
        parameters={"question": value, "unused": value},
    )
    assert source.session_ids(Window(session_ids=(value,), org_ids=(value,))) == [value]
    (session,) = source.sessions(Window(session_ids=(value,)))
    (turn,) = session.turns
    assert (session.org_id, turn.turn_id, turn.query, turn.served) == (value, value, value, (value,))
    assert source.entries({value: {value}})[value, value].body == " :x :a:b %s 50%\\:q12:30:00"
    assert source.turn_vectors([value]) == {}
    with pytest.raises(ConfigError, match="entries: relation"):
        opened(entries="{table}", identifiers={"table": value}).org_entries("o")
    with writer.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM precious")) == 0


WRITES = {
    "a second statement": "SELECT 'a' AS session_id, now() AS started_at) AS q; DROP TABLE precious; --",
    "out of the transaction": "SELECT 1) AS q; COMMIT; DROP TABLE precious; SELECT * FROM (SELECT 1",
    "data-modifying WITH": (
        "WITH gone AS (DELETE FROM precious RETURNING x) SELECT x AS session_id, now() AS started_at FROM gone"
    ),
    "a function that writes": "SELECT wipe() AS session_id, now() AS started_at",
    "a sequence": "SELECT nextval('counter') AS session_id, now() AS started_at",
    "row locks": "SELECT x AS session_id, now() AS started_at FROM precious FOR UPDATE",
}


@pytest.mark.parametrize("statement", WRITES.values(), ids=WRITES)
def test_a_mapping_that_tries_to_write_is_refused_by_the_server(opened: Open, writer: Engine, statement: str) -> None:
    """And the line names the part or what was being done, and says why."""
    run(
        writer,
        "CREATE TABLE precious (x int)",
        "INSERT INTO precious VALUES (1)",
        "CREATE SEQUENCE counter",
        "CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM precious RETURNING x'",
    )
    with pytest.raises((ConfigError, DatabaseError)) as caught:
        opened(sessions=statement).session_ids(Window())
    assert isinstance(caught.value, ConfigError)
    assert any(
        sign in str(caught.value)
        for sign in ("read-only transaction", "data-modifying", "multiple commands", "syntax error")
    )
    with writer.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM precious")) == 1
        assert connection.scalar(text("SELECT is_called FROM counter")) is False


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"turns": "SELECT 1 AS session_id"}, r"\[source\] turns has no column 'turn_id'; see: shadowdiff doctor"),
        ({"turns": "nowhere.turns"}, r'\[source\] turns: relation "nowhere.turns" does not exist'),
        ({"turns": "SELECT FROM WHERE"}, r'\[source\] turns: syntax error at or near "WHERE"'),
        (
            {"turns": TURNS + " UNION ALL " + TURNS},
            r"turns gives turn_id 't' more than once or null; .* make it unique",
        ),
        ({"turns": TURNS + ", '5'::json AS pool"}, r"pool of turn 't': expected a list of entries, found 5"),
    ],
)
def test_a_mapping_that_does_not_fit_says_where(opened: Open, parts: dict[str, str], reason: str) -> None:
    """The part, and what the server or the reader found."""
    with pytest.raises((ConfigError, SourceError), match=reason):
        list(opened(**parts).sessions(Window()))


def test_a_session_that_is_being_written_is_seen_as_of_one_moment(opened: Open, writer: Engine) -> None:
    """A turn and a pool that are committed between two statements of a read are not in it, and are in the next."""
    run(
        writer,
        "CREATE TABLE t (k int, at timestamptz DEFAULT now())",
        "CREATE TABLE p (t int, e text)",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO p VALUES (1, 'a')",
    )
    source = opened(
        turns="SELECT 'a' AS session_id, k AS turn_id, 'q' AS query, at AS asked_at FROM t",
        pool="SELECT t AS turn_id, e AS entry_id, 1 AS rank FROM p",
    )
    assert len(only(source).turns) == 1
    written: list[str] = []

    def write_meanwhile(*arguments: Any) -> None:
        if "asked_at" in arguments[2] and not written:
            written.append(arguments[2])
            run(writer, "INSERT INTO t VALUES (2)", "INSERT INTO p VALUES (1, 'b'), (2, 'c')")

    event.listen(source._engine, "before_cursor_execute", write_meanwhile)
    (during,) = source.sessions(Window(session_ids=("a",)))
    assert [turn.recorded_pool for turn in during.turns] == [(RecordedEntry("a"),)]
    assert written
    after = only(source)
    assert [len(turn.recorded_pool or ()) for turn in after.turns] == [2, 1]


def test_orgs_of_sessions_are_told_in_text(opened: Open) -> None:
    """Whatever types ids have; sessions without an org, or in a schema without orgs, are of the one that is assumed."""
    rows = "(VALUES (7, 70, 2), (3, NULL, 1)) AS s (id, org, day)"
    started = "TIMESTAMPTZ '2026-11-01 10:00Z' + day * INTERVAL '1 day' AS started_at"
    with_orgs = opened(sessions=f"SELECT id AS session_id, org AS org_id, {started} FROM {rows}")
    assert list(with_orgs.session_orgs(Window()).items()) == [("3", DEFAULT_ORG), ("7", "70")]
    assert with_orgs.session_orgs(Window(org_ids=("70",))) == {"7": "70"}
    without = opened(sessions=f"SELECT id AS session_id, {started} FROM {rows}")
    assert without.session_orgs(Window()) == {"3": DEFAULT_ORG, "7": DEFAULT_ORG}
