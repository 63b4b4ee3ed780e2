"""The database itself refuses what must never be in it, whoever writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, text, update
from sqlalchemy.exc import DataError, IntegrityError

from shadowdiff.database import store_engine
from shadowdiff.store import schema
from shadowdiff.store.ingest import ingest
from tests.bundles import AT, entry, label, session, turn

HASH = bytes(32)


@pytest.fixture(scope="module")
def engine(make_database: Callable[[str | None], str], migrated_template: str) -> Iterator[Engine]:
    """A database with two orgs, a session of two turns, and a run that has replayed it; tests leave it as it is."""
    engine = store_engine(make_database(migrated_template))
    entries = [entry("e1"), entry("e2"), entry("e3"), entry("z1", "zeta")]
    turns = (turn("t1", 1, ["e1", "e2"]), turn("t2", 2))
    ingest(engine, entries, [session("s1", *turns)], [label("t1", "e1")])
    with engine.begin() as connection:
        for table, row in STORED_RUN:
            connection.execute(insert(table), row)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A transaction that is rolled back."""
    with engine.connect() as connection:
        yield connection


RUN: dict[str, Any] = {"run_id": "r1", "started_at": AT, "version": "1", "status": "running", "config": {}}
RUN_SIDE: dict[str, Any] = {
    "run_id": "r1",
    "position": 0,
    "label": "A",
    "name": "cosine",
    "spec": "cosine",
    "fingerprint": "00",
}
RUN_SESSION: dict[str, Any] = {
    "run_id": "r1",
    "position": 1,
    "session_id": "s1",
    "org_id": "acme",
    "started_at": AT,
    "tags": {},
    "turns": 2,
}
RUN_TURN: dict[str, Any] = {
    "run_id": "r1",
    "turn_id": "t1",
    "session_id": "s1",
    "position": 1,
    "query": "",
    "asked_at": AT,
    "unpooled": False,
    "missing_entries": 0,
    "pool_origin": "recorded",
    "pool_hash": HASH,
    "pool_entry_ids": ["e1", "e2"],
    "pool_contents": [HASH, HASH],
    "pool_scores": [0.5, None],
}
RANKING: dict[str, Any] = {
    "run_id": "r1",
    "turn_id": "t1",
    "side": "A",
    "entry_ids": ["e2", "e1"],
    "scores": [0.5, None],
    "pairs": 2,
    "cached": 0,
    "truncated": 0,
    "outside_pool": 0,
}
SCORE: dict[str, Any] = {"fingerprint": HASH, "pair": HASH, "score": 0.5, "truncated": False}
STORED_RUN = (
    (schema.runs, RUN),
    (schema.run_sides, RUN_SIDE),
    (schema.run_sessions, RUN_SESSION),
    (schema.run_turns, RUN_TURN),
    (schema.rankings, RANKING),
    (schema.score_cache, SCORE),
)
SESSION: dict[str, Any] = {"session_id": "s2", "org_id": "acme", "started_at": AT}
TURN: dict[str, Any] = {
    "turn_id": "t3",
    "session_id": "s1",
    "org_id": "acme",
    "position": 3,
    "query": "",
    "asked_at": AT,
    "pool_recorded": True,
    "served_recorded": True,
}
POOLED: dict[str, Any] = {"turn_id": "t1", "org_id": "acme", "rank": 3, "entry_id": "e3"}
LABEL: dict[str, Any] = {"org_id": "acme", "turn_id": "t1", "entry_id": "e2", "source": "bundle", "grade": 1}

ACCEPTED = (
    (schema.sessions, SESSION),
    (schema.turns, TURN),
    (schema.pool_entries, POOLED),
    (schema.served_entries, POOLED),
    (schema.labels, LABEL),
    (schema.runs, RUN | {"run_id": "r2"}),
    (schema.run_sides, RUN_SIDE | {"position": 1, "label": "B"}),
    (schema.run_sessions, {"run_id": "r1", "position": 2, "session_id": "s2"}),
    (schema.run_turns, RUN_TURN | {"turn_id": "t2", "position": 2}),
    (schema.rankings, RANKING | {"side": "B"}),
    (schema.failures, {"run_id": "r1", "turn_id": "t1", "side": "C", "reason": "no"}),
    (schema.score_cache, SCORE | {"pair": HASH + HASH}),
    (schema.entry_texts, {"content_hash": HASH, "title": "", "body": ""}),
)
REFUSED = (
    ("entry of another org", schema.pool_entries, POOLED | {"entry_id": "z1"}, "fk_pool_entries_org_id_entry_id"),
    (
        "turn under another org",
        schema.pool_entries,
        POOLED | {"org_id": "zeta", "entry_id": "z1"},
        "fk_pool_entries_turn",
    ),
    ("rank twice", schema.pool_entries, POOLED | {"rank": 2}, "pk_pool_entries"),
    ("entry twice", schema.pool_entries, POOLED | {"entry_id": "e2"}, "uq_pool_entries_turn_id_entry_id"),
    ("rank 0", schema.pool_entries, POOLED | {"rank": 0}, "ck_pool_entries_rank_from_1"),
    ("unknown entry", schema.pool_entries, POOLED | {"entry_id": "e9"}, "fk_pool_entries_org_id_entry_id"),
    ("unknown turn", schema.pool_entries, POOLED | {"turn_id": "t9"}, "fk_pool_entries_turn_id_org_id"),
    ("served rank 0", schema.served_entries, POOLED | {"rank": 0}, "ck_served_entries_rank_from_1"),
    ("served of another org", schema.served_entries, POOLED | {"entry_id": "z1"}, "fk_served_entries_org_id_entry_id"),
    ("served twice", schema.served_entries, POOLED | {"entry_id": "e1"}, "uq_served_entries_turn_id_entry_id"),
    ("position twice", schema.turns, TURN | {"position": 1}, "uq_turns_session_id_position"),
    ("position 0", schema.turns, TURN | {"position": 0}, "ck_turns_position_from_1"),
    ("turn twice", schema.turns, TURN | {"turn_id": "t1"}, "pk_turns"),
    ("turn of another org", schema.turns, TURN | {"org_id": "zeta"}, "fk_turns_session_id_org_id"),
    ("empty turn id", schema.turns, TURN | {"turn_id": ""}, "ck_turns_turn_id_not_empty"),
    ("unknown org", schema.sessions, SESSION | {"org_id": "nobody"}, "fk_sessions_org_id"),
    ("session twice", schema.sessions, SESSION | {"session_id": "s1"}, "pk_sessions"),
    ("tags no object", schema.sessions, SESSION | {"tags": [1]}, "ck_sessions_tags_is_object"),
    ("negative grade", schema.labels, LABEL | {"grade": -1}, "ck_labels_grade_not_negative"),
    ("label twice", schema.labels, LABEL | {"entry_id": "e1"}, "pk_labels"),
    ("NaN cached", schema.score_cache, SCORE | {"pair": b"2", "score": float("nan")}, "ck_score_cache_score_finite"),
    (
        "infinity cached",
        schema.score_cache,
        SCORE | {"pair": b"2", "score": float("-inf")},
        "ck_score_cache_score_finite",
    ),
    ("pool arrays", schema.run_turns, RUN_TURN | {"turn_id": "t2", "position": 2, "pool_scores": [1.0]}, "pool_arrays"),
    (
        "unknown origin",
        schema.run_turns,
        RUN_TURN | {"turn_id": "t2", "position": 2, "pool_origin": "x"},
        "origin_known",
    ),
    ("run turn unplanned", schema.run_turns, RUN_TURN | {"turn_id": "t2", "session_id": "s9"}, "fk_run_turns"),
    ("ranking arrays", schema.rankings, RANKING | {"side": "B", "scores": [1.0]}, "ck_rankings_arrays_aligned"),
    ("side ranks twice", schema.rankings, RANKING, "pk_rankings"),
    ("ranking of no turn", schema.rankings, RANKING | {"turn_id": "t9"}, "fk_rankings_run_id_turn_id"),
    ("side twice", schema.run_sides, RUN_SIDE | {"position": 1}, "uq_run_sides_run_id_label"),
    ("session planned twice", schema.run_sessions, RUN_SESSION | {"position": 2}, "uq_run_sessions_run_id_session_id"),
    (
        "half replayed",
        schema.run_sessions,
        {"run_id": "r1", "position": 2, "session_id": "s2", "turns": 1},
        "replayed_or",
    ),
    ("unknown status", schema.runs, RUN | {"run_id": "r2", "status": "lost"}, "ck_runs_status_known"),
    ("done without summary", schema.runs, RUN | {"run_id": "r2", "status": "done"}, "ck_runs_done_is_summed_up"),
    ("hash of 3 bytes", schema.entry_texts, {"content_hash": b"abc", "title": "", "body": ""}, "ck_entry_texts_hash"),
)


@pytest.mark.parametrize(("table", "row"), ACCEPTED, ids=[table.name for table, _ in ACCEPTED])
def test_the_rows_that_are_spoilt_below_are_good_in_themselves(connection: Connection, table: Any, row: Any) -> None:
    """Otherwise a refusal would prove nothing."""
    write(connection, table, row)


def write(connection: Connection, table: Any, row: Any) -> None:
    """Insert a row and check at once what is otherwise checked at commit."""
    connection.execute(insert(table), row)
    connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))


@pytest.mark.parametrize(
    ("table", "row", "constraint"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_bad_row_is_refused(connection: Connection, table: Any, row: Any, constraint: str) -> None:
    """By the constraint that is meant, at the latest at commit."""
    with pytest.raises(IntegrityError, match=constraint):
        write(connection, table, row)


def test_a_run_cannot_become_done_without_summary(connection: Connection) -> None:
    """Not by an update either."""
    with pytest.raises(IntegrityError, match="ck_runs_done_is_summed_up"):
        connection.execute(update(schema.runs).values(status="done", finished_at=AT))


def test_a_grade_beyond_its_type_is_refused(connection: Connection) -> None:
    """Grades are small numbers."""
    with pytest.raises(DataError, match="smallint out of range"):
        connection.execute(insert(schema.labels), LABEL | {"grade": 40_000})


@pytest.mark.parametrize("entry_id", ["e1", "e2"])
def test_an_entry_that_a_pool_names_cannot_be_deleted(connection: Connection, entry_id: str) -> None:
    """A recorded pool keeps the entries that production retrieved."""
    connection.execute(schema.entries.delete().where(schema.entries.c.entry_id == entry_id))
    with pytest.raises(IntegrityError, match="is still referenced from table"):
        connection.commit()


def test_an_entry_that_nothing_names_can_be_deleted(connection: Connection) -> None:
    """The rest of the knowledge base is free to change."""
    connection.execute(schema.entries.delete().where(schema.entries.c.entry_id == "e3"))
    connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))


def test_deleting_an_org_removes_all_its_rows(connection: Connection) -> None:
    """Entries, sessions, turns, pools and what was served go with it; another org's stay."""
    connection.execute(schema.orgs.delete().where(schema.orgs.c.org_id == "acme"))
    connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    tables = (schema.entries, schema.sessions, schema.turns, schema.pool_entries, schema.served_entries)
    left = [[row.org_id for row in connection.execute(table.select())] for table in tables]
    assert left == [["zeta"], [], [], [], []]


def test_deleting_a_run_removes_all_that_was_computed_for_it(connection: Connection) -> None:
    """Sides, sessions, turns and rankings; the score cache is everybody's and stays."""
    connection.execute(schema.runs.delete())
    tables = (schema.run_sides, schema.run_sessions, schema.run_turns, schema.rankings, schema.failures)
    assert not any(connection.execute(table.select()).all() for table in tables)
    assert len(connection.execute(schema.score_cache.select()).all()) == 1
