"""The doctor on sessions and entries: sizes, ids, times, gaps, leaks, drift and embeddings, each spoiled in turn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shadowdiff.findings import Status
from tests.patients import PARTS, Patient, the_one

OK, WARN, FAIL = Status
ONE = "(SELECT id FROM {s}.message ORDER BY id LIMIT 1)"


def test_what_a_healthy_schema_says_of_itself(patient: Patient) -> None:
    """The figures are those of the tables."""
    found = patient.examine()
    assert "the newest 6 sessions of 2 orgs" in the_one(found, "sessions read", OK).what
    assert the_one(found, "sessions per day", OK).what == "0.2 (6 in the last 30.0 days)"
    assert the_one(found, "turns per session", OK).what == "median 2, 95% have at most 2, largest 2"
    assert the_one(found, "pool size", OK).what == "median 50, smallest 50, largest 50"
    assert the_one(found, "entries in pools", OK).what == "all 600 places name an entry of the turn's own org"
    assert the_one(found, "KB drift", OK).what == "none of 120 served entries changed after its turn"
    assert the_one(found, "dimensions", OK).what == "3 for queries and entries"


def test_no_sessions(patient: Patient) -> None:
    """Nothing to replay."""
    patient.sql("TRUNCATE {s}.chat")
    assert the_one(patient.examine(), "sessions read", FAIL).what == "there are none"


def test_no_turns(patient: Patient) -> None:
    """Sessions whose turns are called something else."""
    patient.sql("UPDATE {s}.message SET chat = gen_random_uuid()")
    assert "none of the newest 6 sessions has a turn" in the_one(patient.examine(), "sessions read", FAIL).what


def test_sessions_without_turns(patient: Patient) -> None:
    """Some of them only."""
    patient.sql("DELETE FROM {s}.message WHERE chat = md5('chat11')::uuid")
    assert "1 of 6 sessions have none" in the_one(patient.examine(), "turns per session", WARN).what


def test_old_sessions(patient: Patient) -> None:
    """Nothing new for a month."""
    patient.sql("UPDATE {s}.chat SET opened = opened - interval '90 days'")
    assert (
        "none in the last 30 days; the newest started on" in the_one(patient.examine(), "sessions per day", WARN).what
    )


@pytest.mark.parametrize(("kept", "what"), [(12, "that is few"), (30, "a replay takes up to 50")])
def test_small_pools(patient: Patient, kept: int, what: str) -> None:
    """A reranker cannot rescue what retrieval never returned; pools smaller than --pool are told too."""
    patient.sql(
        "UPDATE {s}.message SET hits = (SELECT jsonb_agg(h ORDER BY place) FROM jsonb_array_elements(hits) "
        f"WITH ORDINALITY AS hits(h, place) WHERE place <= {kept})"
    )
    finding = the_one(patient.examine(), "pool size", WARN)
    assert f"median {kept}" in finding.what
    assert what in finding.what
    if kept == 30:
        the_one(replace(patient, examined={"pool": 30}).examine(), "pool size", OK)


def test_turns_without_lists(patient: Patient) -> None:
    """Their share, for pools and for served lists."""
    patient.sql(f"UPDATE {{s}}.message SET hits = NULL, shown = NULL WHERE id = {ONE}")
    found = patient.examine()
    assert the_one(found, "turns' pool", WARN).what == "1 of 12 turns have none (8.3%)"
    assert the_one(found, "turns' served", WARN).what == "1 of 12 turns have none (8.3%)"


def test_a_list_that_is_no_list(patient: Patient) -> None:
    """Told with the turn and the key to configure; what builds on it is skipped."""
    patient.sql(f"UPDATE {{s}}.message SET hits = '[{{\"document\": 1}}]' WHERE id = {ONE}")
    found = patient.examine()
    finding = found["sessions read"][0]
    assert finding.status is FAIL
    assert "an entry without an id" in finding.what
    assert any("pool size" in skipped.what for skipped in found["not checked"])


def test_entries_that_are_gone(patient: Patient) -> None:
    """Counted, with their share of all places in pools."""
    patient.sql("DELETE FROM {s}.doc WHERE id = md5('doc13')::uuid")
    finding = the_one(patient.examine(), "entries in pools", WARN)
    assert finding.what == "6 of 600 places in pools (1.0%) name an entry that is no longer there"


def test_entries_of_another_org(patient: Patient) -> None:
    """A leak fails, with an example; it is not counted as gone."""
    patient.sql(
        "UPDATE {s}.message SET hits = hits || jsonb_build_array(jsonb_build_object('doc', md5('doc27')::uuid)) "
        "WHERE chat = md5('chat11')::uuid"
    )
    found = patient.examine()
    finding = the_one(found, "leak", FAIL)
    assert finding.what.startswith("2 of 602 places in pools name an entry of another org: turn ")
    assert "entries in pools" not in found


def test_orgs_that_use_the_same_ids(patient: Patient) -> None:
    """Then an id that only another org has may be one's own that is gone: a warning, and no alarm."""
    patient.sql("ALTER TABLE {s}.doc DROP CONSTRAINT doc_pkey")
    patient.sql("INSERT INTO {s}.doc SELECT id, md5('tenant3')::uuid FROM {s}.doc WHERE tenant = md5('tenant1')::uuid")
    patient.sql("INSERT INTO {s}.doc SELECT id, md5('tenant4')::uuid FROM {s}.doc WHERE tenant = md5('tenant3')::uuid")
    patient.sql("DELETE FROM {s}.doc WHERE id = md5('doc13')::uuid AND tenant = md5('tenant1')::uuid")
    assert "may be an entry of their own that is gone" in the_one(patient.examine(), "leak", WARN).what


def test_other_orgs_that_take_too_long_to_look_through(patient: Patient) -> None:
    """What is missing is counted all the same."""
    patient.sql("DELETE FROM {s}.doc WHERE id = md5('doc13')::uuid")
    patient.sql("INSERT INTO {s}.doc VALUES (md5('doc13')::uuid, md5('tenant3')::uuid, '', 'slow')")
    patient.sql(
        "CREATE FUNCTION {s}.slowly(tenant uuid) RETURNS boolean LANGUAGE sql COST 1000000 AS $$ "
        "SELECT CASE WHEN tenant = md5('tenant3')::uuid THEN pg_sleep(60) IS NOT NULL ELSE true END $$"
    )
    slow = patient.mapped(entries=f"{PARTS['entries']} WHERE {{s}}.slowly(tenant)").limited(statement_timeout=3.0)
    found = slow.examine()
    assert the_one(found, "leak", WARN).what.startswith("not known: looking for 6 missing entries")
    assert "6 of 600" in the_one(found, "entries in pools", WARN).what


def test_ids_that_entries_cannot_have(patient: Patient) -> None:
    """Pools that name something else than entries do: the server's words, once."""
    patient.sql(f"UPDATE {{s}}.message SET hits = '[\"page-7\"]' WHERE id = {ONE}")
    found = patient.examine()
    assert "page-7" in found["entries looked up"][0].what
    assert found["entries looked up"][0].status is FAIL
    assert any("KB drift" in skipped.what for skipped in found["not checked"])


def test_entries_changed_after_their_turn(patient: Patient) -> None:
    """Of what was served, not of the whole pool; where nothing was served, of the pool."""
    patient.sql("UPDATE {s}.doc SET edited = now() WHERE id IN (md5('doc13')::uuid, md5('doc140')::uuid)")
    finding = the_one(patient.examine(), "KB drift", WARN)
    assert finding.what == "6 of 120 served entries changed after their turn (5.0%), on 6 of 12 turns"
    patient.sql("UPDATE {s}.message SET shown = NULL")
    assert the_one(patient.examine(), "KB drift", WARN).what.startswith("12 of 600 pooled entries changed")


def test_entries_twice_in_a_pool(patient: Patient) -> None:
    """A pool of chunks names its document again and again."""
    patient.sql(f"UPDATE {{s}}.message SET hits = hits || (hits -> 3) WHERE id = {ONE}")
    assert "1 of 12 pools name an entry twice" in the_one(patient.examine(), "repeats", WARN).what


def test_ids_that_repeat(patient: Patient) -> None:
    """An id must name one session, and one turn."""
    patient.sql("INSERT INTO {s}.message SELECT * FROM {s}.message ORDER BY id LIMIT 1")
    twice = f"{PARTS['sessions']} UNION ALL {PARTS['sessions']}"
    found = patient.mapped(sessions=twice).examine()
    assert the_one(found, "session ids", FAIL).what.startswith("6 session ids stand in several rows")
    assert the_one(found, "turn ids", FAIL).what.startswith("1 turn ids name several turns")


def test_turns_without_an_id(patient: Patient) -> None:
    """Nothing could be stored of them."""
    patient.sql(f"UPDATE {{s}}.message SET id = NULL WHERE id = {ONE}")
    assert the_one(patient.examine(), "turn ids", FAIL).what == "some turns have no id"


def test_times_that_make_no_sense(patient: Patient) -> None:
    """In the future, or none at all."""
    patient.sql("UPDATE {s}.chat SET opened = now() + interval '3 hours' WHERE id = md5('chat11')::uuid")
    patient.sql("UPDATE {s}.chat SET opened = NULL WHERE id = md5('chat12')::uuid")
    patient.sql("UPDATE {s}.message SET sent = NULL WHERE chat = md5('chat13')::uuid")
    told = " | ".join(finding.what for finding in patient.examine()["times"])
    assert "1 of 5 sessions and 0 of 10 turns lie in the future" in told
    assert "2 of 10 turns have no asked_at" in told
    assert "sessions without started_at, such as" in told


def test_empty_queries(patient: Patient) -> None:
    """Some, and all."""
    patient.sql(f"UPDATE {{s}}.message SET body = '  ' WHERE id = {ONE}")
    assert "1 of 12 turns have an empty query" in the_one(patient.examine(), "queries", WARN).what
    patient.sql("UPDATE {s}.message SET body = NULL")
    assert "all of 12 turns" in the_one(patient.examine(), "queries", FAIL).what


@pytest.mark.parametrize(
    ("spoil", "check", "status", "what"),
    [
        ("UPDATE {s}.doc SET vec = NULL WHERE tenant = md5('tenant1')::uuid", "embeddings", WARN, "50 of 100 entries"),
        (f"UPDATE {{s}}.message SET vec = NULL WHERE id = {ONE}", "embeddings", WARN, "1 of 12 queries have none"),
        ("UPDATE {s}.doc SET vec = '{0,0,0}' WHERE id = md5('doc11')::uuid", "embeddings", WARN, "are all zeros"),
        (
            "UPDATE {s}.doc SET vec = '{NaN,0,0}' WHERE id = md5('doc11')::uuid",
            "embeddings",
            WARN,
            "no vector of finite",
        ),
        ("UPDATE {s}.doc SET vec = '{1,2}' WHERE id = md5('doc11')::uuid", "dimensions", FAIL, "2 (1), 3 (99)"),
        ("UPDATE {s}.message SET vec = '{1,2}'", "dimensions", FAIL, "2 for queries and 3 for entries"),
    ],
)
def test_embeddings(patient: Patient, spoil: str, check: str, status: Status, what: str) -> None:
    """Missing, empty, broken or of several sizes."""
    patient.sql(spoil)
    assert what in the_one(patient.examine(), check, status).what


def test_a_statement_that_takes_too_long(patient: Patient) -> None:
    """It is cancelled, told as not known, and what hangs on it is skipped; the doctor goes on."""
    slow = f"{PARTS['sessions']} WHERE pg_sleep(1) IS NOT NULL"
    found = patient.mapped(sessions=slow).limited(statement_timeout=0.5).examine()
    assert "timeout" in the_one(found, "sessions read", WARN).what
    assert any("pool size" in finding.what for finding in found["not checked"])
    the_one(found, "migrations", OK)
