"""The doctor on the mapping: columns, types, statements that are wrong or write, what is not mapped, and indexes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shadowdiff.findings import Status
from tests.patients import PARTS, Patient, the_one

OK, WARN, FAIL = Status
TURNS = PARTS["turns"]


def test_a_column_that_is_missing(patient: Patient) -> None:
    """Each column that is needed and not there is a failure of its own; sessions are not read through such a part."""
    turns = "SELECT id AS turn_id, chat AS session, body AS question, sent AS asked_at FROM {s}.message"
    found = patient.mapped(turns=turns).examine()
    assert [finding.what for finding in found["turns"]] == ["has no column 'session_id'", "has no column 'query'"]
    assert all(finding.status is FAIL for finding in found["turns"])
    assert "AS session_id" in found["turns"][0].do
    assert "sessions read" not in found
    assert any("sessions read" in finding.what for finding in found["not checked"])


@pytest.mark.parametrize(
    ("part", "sql", "what"),
    [
        ("sessions", "SELECT id AS session_id, 'today' AS started_at FROM {s}.chat", "'started_at' is of type text"),
        ("turns", TURNS.replace("vec AS", "body AS"), "'query_embedding' is of type text"),
        ("turns", TURNS.replace("hits AS", "7 AS"), "'pool' is of type integer; expected json, jsonb or an array"),
        ("entries", PARTS["entries"].replace("edited AS", "1 AS"), "'updated_at' is of type integer"),
        ("entries", PARTS["entries"].replace("head AS title", "head AS body"), "has column 'body' twice"),
    ],
)
def test_a_column_of_no_use(patient: Patient, part: str, sql: str, what: str) -> None:
    """Types that cannot be used, and names that stand twice, are named with what is expected."""
    finding = the_one(patient.mapped(**{part: sql}).examine(), part, FAIL)
    assert what in finding.what
    assert f"[source] {part}" in finding.do


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT id AS session_id,, opened FROM {s}.chat", 'syntax error at or near ","'),
        ("SELECT id AS session_id, opened AS started_at FROM {s}.chats", "does not exist"),
        ("SELECT id AS session_id, open AS started_at FROM {s}.chat", 'column "open" does not exist'),
        (
            "WITH gone AS (DELETE FROM {s}.chat RETURNING *) SELECT id AS session_id, opened AS started_at FROM gone",
            "a mapping may only read",
        ),
    ],
)
def test_a_statement_that_the_server_refuses(patient: Patient, sql: str, said: str) -> None:
    """The server's own words, on the part that they are about; one that tries to write is told so."""
    assert said in patient.mapped(sessions=sql).examine()["sessions"][0].what


def test_a_statement_that_writes_through_a_function(patient: Patient) -> None:
    """What only shows when rows are read is refused by the server then, and told where it happened."""
    patient.sql("CREATE SEQUENCE {s}.reads; GRANT USAGE ON {s}.reads TO doctors_reader")
    sessions = f"{PARTS['sessions']} WHERE nextval('{{s}}.reads') > 0"
    finding = patient.mapped(sessions=sessions).examine()["sessions read"][0]
    assert finding.status is FAIL
    assert "nextval" in finding.what
    assert "a mapping may only read" in finding.what
    with patient.owner.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT is_called FROM {patient.schema}.reads").scalar() is False


def test_what_is_not_mapped_is_said_with_what_it_costs(patient: Patient) -> None:
    """Each thing that replays must do without, once."""
    turns = "SELECT id AS turn_id, chat AS session_id, body AS query, sent AS asked_at FROM {s}.message"
    found = patient.mapped(turns=turns, entries=None).examine()
    expected = {
        "pool": "--pool-from",
        "served": "[source] served",
        "entries": "[source] entries",
        "embeddings": "query_embedding",
    }
    for check, remedy in expected.items():
        finding = the_one(found, check, WARN)
        assert finding.what.startswith("not mapped: ")
        assert remedy in finding.do
    assert {finding.what for finding in found["inputs"]} == {
        "cosine needs embeddings of queries and entries, and they are not mapped",
        "bm25 needs the org's entries, and they are not mapped",
    }


def test_changes_that_are_not_mapped(patient: Patient) -> None:
    """Without updated_at nothing can be said about drift, and that is said."""
    entries = PARTS["entries"].replace("edited AS updated_at, ", "")
    found = patient.mapped(entries=entries).examine()
    assert "cannot be told" in the_one(found, "updated_at", WARN).what
    assert "KB drift" not in found


def test_times_without_a_zone(patient: Patient) -> None:
    """Which zone they are in is a guess until it is configured."""
    sessions = PARTS["sessions"].replace("opened AS", "opened::timestamp AS")
    guessed = patient.mapped(sessions=sessions)
    finding = the_one(guessed.examine(), "time zone", WARN)
    assert "sessions.started_at" in finding.what
    assert "UTC" in finding.what
    said = guessed.configured(source=replace(guessed.settings.source, timezone="Etc/UTC"))
    assert "read as Etc/UTC" in the_one(said.examine(), "time zone", OK).what


def test_a_mapping_that_is_no_mapping(patient: Patient) -> None:
    """An unknown preset fails by itself; the server is looked at all the same."""
    unknown = patient.configured(source=replace(patient.settings.source, presets=("nobody",)))
    found = unknown.examine()
    (finding,) = found["mapping"]
    assert finding.status is FAIL
    assert "'nobody' is not known" in finding.what
    the_one(found, "connection", OK)
    the_one(found, "writes", OK)


def many(patient: Patient) -> None:
    """Enough rows for the planner to care."""
    patient.sql(
        "INSERT INTO {s}.chat SELECT gen_random_uuid(), md5('tenant1')::uuid, now() - interval '9 days' - n * interval "
        "'1 second' FROM generate_series(1, 12000) AS n"
    )
    patient.sql(
        "INSERT INTO {s}.message SELECT gen_random_uuid(), id, 'more', opened FROM {s}.chat ORDER BY opened LIMIT 12000"
    )
    patient.sql("INSERT INTO {s}.doc SELECT gen_random_uuid(), tenant, '', 'more' FROM {s}.chat")
    patient.sql("ANALYZE {s}.chat, {s}.message, {s}.doc")


def test_large_tables_with_indexes_are_read_through_them(patient: Patient) -> None:
    """The indexes are named."""
    many(patient)
    found = replace(patient, examined={"sessions": 6}).examine()
    assert "chat_newest" in the_one(found, "newest sessions", OK).what
    assert "message_chat" in the_one(found, "turns by session", OK).what
    assert "doc_pkey" in the_one(found, "entries by id", OK).what


def test_large_tables_without_indexes(patient: Patient) -> None:
    """Each statement that reads a whole table is named with the index that would spare it, and that index does."""
    many(patient)
    patient.sql("DROP INDEX {s}.chat_newest; DROP INDEX {s}.message_chat; ALTER TABLE {s}.doc DROP CONSTRAINT doc_pkey")
    few = replace(patient, examined={"sessions": 6})
    found = few.examine()
    suggested = []
    for check, columns in {
        "newest sessions": "opened DESC, id DESC",
        "turns by session": "chat",
        "entries by id": "tenant, id",
    }.items():
        finding = the_one(found, check, WARN)
        assert f"all of {patient.schema}." in finding.what
        assert f"({columns});" in finding.do
        assert finding.do.startswith(f'CREATE INDEX CONCURRENTLY ON "{patient.schema}".')
        suggested.append(finding.do)
    for statement in suggested:
        with patient.owner.connect() as connection:
            connection.exec_driver_sql(statement)
    found = few.examine()
    assert all(the_one(found, check, OK) for check in ("newest sessions", "turns by session", "entries by id"))


def test_an_expression_that_no_index_serves(patient: Patient) -> None:
    """A cast around the column keeps the server from its index; what to do is to take it away."""
    many(patient)
    hidden = patient.mapped(
        sessions="SELECT id::text AS session_id, tenant AS org_id, opened + interval '0' AS started_at FROM {s}.chat",
        turns=TURNS.replace("chat AS session_id", "chat::text AS session_id"),
    )
    found = replace(hidden, examined={"sessions": 6}).examine()
    for check in ("newest sessions", "turns by session"):
        assert "as it is stored" in the_one(found, check, WARN).do


def test_text_of_a_bounded_length_is_a_plain_column(patient: Patient) -> None:
    """The server compares varchar as text by itself: that is no expression, and an index on it serves."""
    many(patient)
    patient.sql("DROP INDEX {s}.message_chat")
    patient.sql('ALTER TABLE {s}.message RENAME chat TO "chat Id"')
    patient.sql('ALTER TABLE {s}.message ALTER "chat Id" TYPE varchar(60)')
    turns = TURNS.replace("chat AS session_id", '"chat Id" AS session_id')
    few = replace(patient.mapped(turns=turns), examined={"sessions": 6})
    finding = the_one(few.examine(), "turns by session", WARN)
    assert finding.do.endswith('("chat Id");')
    with patient.owner.connect() as connection:
        connection.exec_driver_sql(finding.do)
    the_one(few.examine(), "turns by session", OK)


def test_lists_in_tables_of_their_own_are_looked_up_by_index(patient: Patient) -> None:
    """Pools and served lists as rows: read whole without an index on the turn."""
    patient.sql(
        "CREATE TABLE {s}.hit AS SELECT m.id AS message, (h ->> 'doc')::uuid AS doc, place FROM {s}.message AS m, "
        "jsonb_array_elements(hits) WITH ORDINALITY AS hits(h, place)"
    )
    patient.sql("INSERT INTO {s}.hit SELECT gen_random_uuid(), gen_random_uuid(), 1 FROM generate_series(1, 20000)")
    patient.sql("GRANT SELECT ON {s}.hit TO doctors_reader; ANALYZE {s}.hit")
    rows = "SELECT message AS turn_id, doc AS entry_id, place AS rank FROM {s}.hit"
    turns = TURNS.replace(", hits AS pool, shown AS served", "")
    listed = patient.mapped(turns=turns, pool=rows, served=f"{rows} WHERE place <= 10")
    found = listed.examine()
    for check in ("pool by turn", "served by turn"):
        assert the_one(found, check, WARN).do.endswith("(message);")
    assert "median 50" in the_one(found, "pool size", OK).what
