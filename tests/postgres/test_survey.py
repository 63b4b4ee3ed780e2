"""The catalogue as it is read from a real server: every kind of relation, rights, bounds, and nothing but reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, Select, text

from shadowdiff.config import ConnectionLimits
from shadowdiff.database import parse_url, source_engine
from shadowdiff.sources import statements
from shadowdiff.sources.catalogue import Catalogue
from shadowdiff.sources.mapping import preset_names, preset_parts, source_mapping
from shadowdiff.sources.parts import Part, Parts
from shadowdiff.sources.proposal import Choices, Proposal, propose
from shadowdiff.sources.survey import glimpsed, read_catalogue
from shadowdiff.sources.trial import relations_read, tried
from tests.conftest import ROOT, MakeDatabase
from tests.postgres.test_source import counted_statements
from tests.servers import run_sql

SCHEMAS = ROOT / "tests" / "fixtures" / "schemas"
Look = Callable[[str], Catalogue]


@pytest.fixture
def engine(bare_url: str) -> Iterator[Engine]:
    """A read-only engine on an empty database with pgvector."""
    run_sql(bare_url, "CREATE EXTENSION vector")
    made = source_engine(bare_url)
    yield made
    made.dispose()


def seen(engine: Engine, sql: str = "SELECT 1", **how: int) -> Catalogue:
    """The catalogue after this was run."""
    run_sql(engine.url.render_as_string(hide_password=False), sql)
    with engine.connect() as connection:
        return glimpsed(connection, read_catalogue(connection, **how))


def test_every_kind_of_relation_is_seen_once(engine: Engine) -> None:
    """Partitions are read through their parent, an extension's tables and the system's are nobody's business."""
    found = seen(
        engine,
        """CREATE TABLE plain (id bigint PRIMARY KEY); CREATE VIEW seen AS SELECT * FROM plain;
        CREATE MATERIALIZED VIEW kept AS SELECT * FROM plain; CREATE TEMP TABLE passing (id int);
        CREATE TABLE parted (id bigint, at timestamptz, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
        CREATE TABLE child () INHERITS (plain); CREATE SCHEMA shadowdiff; CREATE TABLE shadowdiff.sessions (id int);
        INSERT INTO parted SELECT n, '2026-05-05' FROM generate_series(1, 70) AS n; ANALYZE parted_1;""",
    )
    kinds = {relation.name: relation.kind for relation in found.relations}
    assert kinds == {"plain": "table", "seen": "view", "kept": "materialized view", "parted": "partitioned table"}
    assert found.by_where["public", "parted"].rows == 70
    assert (found.by_where["public", "plain"].rows, found.by_where["public", "seen"].rows) == (0, None)
    assert found.own_sessions is False


def test_columns_keys_and_indexes_arrive(engine: Engine) -> None:
    """Types without schema and by their base, enum labels, keys, foreign keys, unique and leading columns."""
    found = seen(
        engine,
        """CREATE DOMAIN short AS varchar(9); CREATE TYPE mood AS ENUM ('ok', 'not ok');
        CREATE TABLE target (a int, b uuid, PRIMARY KEY (a, b));
        CREATE TABLE here (id bigint PRIMARY KEY, "we ird" short UNIQUE, feeling mood, v vector(2), h halfvec(2)[],
                           gone int, a int, b uuid, FOREIGN KEY (a, b) REFERENCES target);
        ALTER TABLE here DROP COLUMN gone; CREATE INDEX ON here (b, id); CREATE INDEX ON here (a) WHERE a > 0;
        CREATE INDEX ON here (lower("we ird"));""",
    )
    here = found.by_where["public", "here"]
    assert [(column.name, column.type) for column in here.columns] == [
        ("id", "bigint"),
        ("we ird", "character varying"),
        ("feeling", "text"),
        ("v", "vector"),
        ("h", "halfvec[]"),
        ("a", "integer"),
        ("b", "uuid"),
    ]
    assert here.by_name["feeling"].labels == ("ok", "not ok")
    assert here.key == ("id",)
    assert (set(here.unique), set(here.indexed)) == ({"id", "we ird"}, {"id", "we ird", "b"})
    assert [(key.columns, key.target, key.target_columns) for key in here.foreign_keys] == [
        (("a", "b"), ("public", "target"), ("a", "b"))
    ]


def test_thousands_of_tables_are_a_handful_of_statements_and_the_likely_ones_come_first(engine: Engine) -> None:
    """A schema per customer must not make `init` slow, nor hide what looks like sessions."""
    many = "DO $$BEGIN FOR n IN 1..400 LOOP EXECUTE format('CREATE TABLE a_%s (id int)', n); END LOOP; END$$;"
    run_sql(engine.url.render_as_string(hide_password=False), many + "CREATE TABLE zz_queries (id int, query text)")
    with engine.connect() as connection, counted_statements(engine) as sent:
        found = read_catalogue(connection, limit=20)
    assert found.is_cut
    assert len(found.relations) == 20
    assert found.relations[0].name == "zz_queries"
    assert len([statement for statement in sent if "pg_" in statement]) <= 6


def test_what_a_role_may_not_read_is_said_and_not_looked_into(engine: Engine) -> None:
    """Relations without rights are there, unreadable; columns without rights are not."""
    url, role = engine.url, f"limited_{engine.url.database}"
    run_sql(
        url.render_as_string(hide_password=False),
        f"""CREATE ROLE {role} LOGIN; CREATE TABLE open (id int PRIMARY KEY, secret text);
        CREATE TABLE messages (id int, role text);
        GRANT SELECT (id) ON open TO {role}; INSERT INTO messages VALUES (1, 'user');
        CREATE SCHEMA closed; CREATE TABLE closed.x (id int); GRANT SELECT ON closed.x TO {role};""",
    )
    limited = source_engine(url.set(username=role).render_as_string(hide_password=False))
    try:
        found = seen_as(limited)
        assert {relation.name: relation.is_readable for relation in found.relations} == {
            "open": True,
            "messages": False,
            "x": False,
        }
        assert [column.name for column in found.by_where["public", "open"].columns] == ["id"]
        assert not found.values
    finally:
        limited.dispose()
        run_sql(url.render_as_string(hide_password=False), f"DROP OWNED BY {role}; DROP ROLE {role}")


def seen_as(engine: Engine) -> Catalogue:
    """The catalogue as this role sees it."""
    with engine.connect() as connection:
        return glimpsed(connection, read_catalogue(connection))


def test_a_glimpse_that_fails_or_takes_too_long_shows_nothing_and_harms_nothing(engine: Engine, bare_url: str) -> None:
    """A view may be slow or broken; the others are still looked into."""
    run_sql(
        bare_url,
        """CREATE TABLE messages (id int, role text); INSERT INTO messages VALUES (1, 'user');
        CREATE VIEW slow_messages AS SELECT 1 AS id, pg_sleep(60)::text AS role;
        CREATE VIEW bad_messages AS SELECT id, (1 / (id - 1))::text AS role FROM messages;""",
    )
    hurried = source_engine(bare_url, ConnectionLimits(statement_timeout=3))
    found = seen_as(hurried)
    hurried.dispose()
    assert found.values == {("public", "messages", "role"): frozenset({"user"})}


def test_shapes_of_json_columns_are_told_apart(engine: Engine) -> None:
    """Lists of ids, of objects, lists within objects, and objects themselves; with the role of the row."""
    found = seen(
        engine,
        """CREATE TABLE messages (id int, role text, ids jsonb, within json, odd jsonb);
        INSERT INTO messages VALUES
          (1, 'user', '["a", "b"]', '{"n": 1, "sources": [{"doc": "d1", "score": 0.5}], "none": []}', '"text"'),
          (2, 'assistant', '[]', NULL, 'null'), (3, NULL, '{"k": "v"}', '3', '[[1]]');""",
    )
    shapes = {
        name: {(shape.path, shape.item, shape.role, shape.is_list, tuple(sorted(shape.fields))) for shape in found}
        for (_, _, name), found in found.shapes.items()
    }
    assert shapes == {
        "ids": {(None, "string", "user", True, ("",)), (None, "object", None, False, ("k",))},
        "within": {
            ("sources", "object", "user", True, ("doc", "score")),
            (None, "object", "user", False, ("n", "none", "sources")),
        },
        "odd": {(None, "array", None, True, ("",))},
    }


# -- Proposals on a real server ---------------------------------------------------------------------------------------


@pytest.fixture
def proposed(make_database: MakeDatabase) -> Iterator[Callable[[str], tuple[Engine, Proposal]]]:
    """Loads one of the schemas and proposes a mapping for it."""
    engines: list[Engine] = []

    def make(name: str) -> tuple[Engine, Proposal]:
        url = make_database(None)
        run_sql(url, "CREATE EXTENSION vector")
        run_sql(url, (SCHEMAS / f"{name}.sql").read_text(encoding="utf-8"))
        engines.append(source_engine(url))
        presets = {preset: preset_parts(preset) for preset in preset_names()}
        return engines[-1], propose(seen_as(engines[-1]), Choices(), presets)

    yield make
    for engine in engines:
        engine.dispose()


CHOSEN = {
    "chat": ("conversations", "messages", "messages.retrieved", None, "documents", "organization_id"),
    "searches": ("sessions", "queries", "query_results", "query_results", "articles", "tenant_id"),
    "log": ("visitor_id", "search_log", "search_log.results", None, "kb_pages", None),
    "camel": ("ChatThread", "ChatMessage", "ChatMessage.metadata.sources", None, "KnowledgeChunk", "workspaceId"),
    "views": (
        "chat_sessions",
        "user_queries",
        "user_queries.retrieved_ids",
        "user_queries.shown_ids",
        "passages",
        None,
    ),
    "cited": ("chats", "chat_messages", "message_sources", "message_sources", "faq", "account_id"),
    "unfit": (None, None, None, None, None, None),
}
"""By schema: sessions, turns, pool, served, entries and org, without schema."""


@pytest.mark.parametrize("name", CHOSEN)
def test_typical_schemas_come_out_right(name: str, proposed: Callable[[str], tuple[Engine, Proposal]]) -> None:
    """Each as a product has it, with real DDL and rows, and traps beside what is meant."""
    _, proposal = proposed(name)
    parts = ("sessions", "turns", "pool", "served", "entries", "org")
    schemas = ("public.", "Prod App.", "reporting.")
    found = [proposal.chosen.get(part) for part in parts]
    for schema in schemas:
        found = [chosen.removeprefix(schema) if chosen else None for chosen in found]
    assert tuple(found) == CHOSEN[name]


ASKED: dict[str, Callable[[Part, list[str]], Select[Any]]] = {
    "turns": statements.turns_of,
    "pool": statements.listing,
    "served": statements.listing,
    "entries": lambda part, ids: statements.entries_by_id(part, {ids[0]: set(ids)}),
}
"""The statement through which the source reads each part."""


@pytest.mark.parametrize(
    ("name", "part", "column"),
    [
        ("chat", "turns", "conversation_id"),
        ("chat", "entries", "id"),
        ("searches", "turns", "session_id"),
        ("searches", "pool", "query_id"),
        ("searches", "served", "query_id"),
        ("searches", "entries", "id"),
        ("camel", "turns", '"threadId"'),
        ("cited", "turns", "chat_id"),
        ("cited", "pool", "id"),
        ("cited", "served", "id"),
    ],
)
def test_filters_reach_the_indexes_through_what_is_proposed(
    name: str, part: str, column: str, proposed: Callable[[str], tuple[Engine, Proposal]]
) -> None:
    """Turns of a session, lists of a turn and entries by id are found where the rows lie, not read and thrown away."""
    engine, proposal = proposed(name)
    ids = ["1"] if name in {"searches", "cited"} else ["00000000-0000-0000-0000-000000000000"]
    with engine.connect() as connection:
        described = Parts(source_mapping(proposal.settings())).get(connection, part)
        compiled = ASKED[part](described, ids).compile(engine)
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = connection.exec_driver_sql(f"EXPLAIN {compiled}", dict(compiled.params)).scalars()
        assert any(re.search(rf"Index Cond: .*\b{column} = ANY|Index Cond: \({column} = ", line) for line in plan)


def test_a_trial_says_which_part_the_server_refuses(proposed: Callable[[str], tuple[Engine, Proposal]]) -> None:
    """And reads sessions without it."""
    engine, proposal = proposed("searches")
    run_sql(
        engine.url.render_as_string(hide_password=False),
        "ALTER TABLE query_results ALTER rank TYPE text; ALTER TABLE articles RENAME body TO other",
    )
    trial = tried(engine, proposal)
    assert trial.broken == {
        "pool": "[source] pool column 'rank' is of type text; expected a number; see: shadowdiff doctor",
        "entries": trial.broken["entries"],
    }
    assert "column entry.body does not exist" in trial.broken["entries"]
    assert len(trial.sessions) == 3
    assert all(turn.recorded_pool is None and turn.served for session in trial.sessions for turn in session.turns)


def test_relations_are_those_of_the_parts_and_of_presets(
    proposed: Callable[[str], tuple[Engine, Proposal]], sample_url: str
) -> None:
    """What a role needs: named for parts of our own, asked of the planner for a preset's, all of our own schema."""
    engine, proposal = proposed("camel")
    schemas, tables = relations_read(engine, proposal)
    assert schemas == ["Prod App"]
    assert tables == [("Prod App", "ChatThread"), ("Prod App", "ChatMessage"), ("Prod App", "KnowledgeChunk")]
    own = source_engine(sample_url)
    presets = {preset: preset_parts(preset) for preset in preset_names()}
    assert relations_read(own, propose(seen_as(own), Choices(), presets)) == (["shadowdiff"], [])
    own.dispose()


@pytest.mark.parametrize(("said", "meant"), [("Europe/Oslo", "Europe/Oslo"), ("<+02>-02", "UTC"), ("5.5", "UTC")])
def test_the_servers_zone_is_taken_where_it_has_a_name(said: str, meant: str, bare_url: str) -> None:
    """Postgres takes zones that are mere offsets; a mapping cannot name those."""
    name = parse_url(bare_url).database
    run_sql(bare_url, f"ALTER DATABASE {name} SET timezone = '{said}'")
    engine = source_engine(bare_url)
    assert seen_as(engine).timezone == meant
    engine.dispose()


def test_nothing_but_reads_is_sent(engine: Engine) -> None:
    """Every statement of a survey starts with SELECT, SAVEPOINT or ROLLBACK."""
    run_sql(engine.url.render_as_string(hide_password=False), (SCHEMAS / "searches.sql").read_text(encoding="utf-8"))
    with counted_statements(engine) as sent:
        catalogue = seen_as(engine)
        proposal = propose(catalogue, Choices(), {})
        tried(engine, proposal)
        relations_read(engine, proposal)
    starts = {statement.split(maxsplit=1)[0].upper() for statement in sent}
    assert starts <= {"SELECT", "SAVEPOINT", "ROLLBACK", "EXPLAIN"}
    assert len(sent) > 10
