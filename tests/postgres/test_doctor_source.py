"""The doctor on the source's server: connection, version, standby, rights, and whether anything could be written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

import shadowdiff.checks.checkup
from shadowdiff.checks.server import PROBE, version_finding
from shadowdiff.database import parse_url, store_engine
from shadowdiff.findings import Status
from tests.patients import Patient, examined, the_one, worse
from tests.servers import Bouncer, OwnServer, Standby, bouncer_program

OK, WARN, FAIL = Status


def test_a_healthy_schema_is_all_ok(patient: Patient) -> None:
    """Nothing to warn of, and every area was looked at."""
    found = patient.examine()
    assert worse(found) == []
    assert {"connection", "role", "turns", "pool size", "KB drift", "newest sessions", "side B", "migrations"} <= set(
        found
    )


def test_a_server_that_is_away_is_one_failure(patient: Patient) -> None:
    """One line says why; what hangs on it is said to be skipped, and the rest is looked at."""
    found = patient.configured(database_url="postgresql://me:s3cret@127.0.0.1:1/rag").examine()
    finding = found["connection"][0]
    assert finding.status is FAIL
    assert "is Postgres running" in finding.what
    assert "s3cret" not in str(found)
    assert [finding.check for finding in worse(found) if finding.status is FAIL] == ["connection"]
    skipped = " ".join(finding.what for finding in found["not checked"])
    assert all(
        f"{name}" in skipped for name in ("role", "turns", "pool size", "KB drift", "truncation", "entries by id")
    )
    assert skipped.count("connection did not pass") == len(found["not checked"])
    the_one(found, "store", OK)


@pytest.mark.parametrize(("number", "status"), [(110_022, WARN), (120_000, OK), (180_004, OK)])
def test_old_servers_are_warned_of(number: int, status: Status) -> None:
    """Nobody tries shadowdiff on servers before 12."""
    assert version_finding(number, "x", is_standby=False).status is status


@pytest.fixture
def standby(tmp_path: Path) -> Iterator[str]:
    """A hot standby of a server of its own."""
    primary = OwnServer(tmp_path / "primary")
    following = Standby.of(primary.start(), tmp_path / "standby")
    yield following.url
    following.stop()
    primary.stop()


def test_a_standby_is_named_and_needs_patience(patient: Patient, standby: str) -> None:
    """A hot standby is fine as long as what it cancels is tried again."""
    on_standby = patient.configured(database_url=standby)
    assert "a hot standby" in the_one(on_standby.examine(), "server", OK).what
    impatient = on_standby.limited(retry_for=0.0).examine()
    assert "standby cancels" in the_one(impatient, "standby", WARN).what
    the_one(impatient, "writes", OK)


@pytest.mark.skipif(bouncer_program() is None, reason="pgbouncer is not installed; apt-get install pgbouncer")
def test_pgbouncer_is_fine(patient: Patient, tmp_path_factory: pytest.TempPathFactory) -> None:
    """In transaction mode everything is as without it; the role is told, because this one logs in as the owner."""
    owner = patient.owner.url.render_as_string(hide_password=False)
    bouncer = Bouncer.before(owner, tmp_path_factory.mktemp("bouncer") / "b")
    try:
        found = patient.configured(database_url=bouncer.url).examine()
    finally:
        bouncer.stop()
    assert [finding.check for finding in worse(found)] == ["role"]
    the_one(found, "writes", OK)


def test_a_role_that_could_write_is_told_with_the_sql_of_one_that_cannot(patient: Patient) -> None:
    """Rights on mapped tables and on schemas are named; the SQL names the tables that the mapping names."""
    patient.sql("GRANT INSERT ON {s}.message TO doctors_reader")
    patient.sql("GRANT CREATE ON SCHEMA {s} TO doctors_reader")
    finding = the_one(patient.examine(), "role", WARN)
    assert finding.what == (f"doctors_reader may write {patient.schema}.message; may make tables in {patient.schema}")
    assert 'CREATE ROLE "shadowdiff_reader" LOGIN' in finding.do
    granted = next(line for line in finding.do.splitlines() if line.startswith("GRANT SELECT"))
    assert [name for name in ("chat", "doc", "message") if f'"{patient.schema}"."{name}"' in granted] == [
        "chat",
        "doc",
        "message",
    ]


def test_a_schema_that_everybody_may_write(patient: Patient) -> None:
    """As `public` is on servers before 15: another role would not help, and what does is printed."""
    patient.sql("GRANT CREATE ON SCHEMA {s} TO PUBLIC")
    finding = the_one(patient.examine(), "role", WARN)
    assert finding.what == f"doctors_reader may make tables in {patient.schema}"
    assert finding.do == f'REVOKE CREATE ON SCHEMA "{patient.schema}" FROM PUBLIC;'
    patient.sql(finding.do)
    the_one(patient.examine(), "role", OK)


def test_a_view_is_granted_and_not_what_lies_below_it(patient: Patient) -> None:
    """What the SQL of the mapping names is what a role needs, even where the rows come from elsewhere."""
    patient.sql("CREATE VIEW {s}.visible AS SELECT * FROM {s}.doc; GRANT SELECT ON {s}.visible TO doctors_reader")
    patient.sql("GRANT DELETE ON {s}.doc TO doctors_reader")
    entries = "SELECT id AS entry_id, tenant AS org_id, head AS title, content AS body FROM {s}.visible"
    finding = the_one(patient.mapped(entries=entries).examine(), "role", WARN)
    assert f"may write {patient.schema}.doc" in finding.what
    granted = next(line for line in finding.do.splitlines() if line.startswith("GRANT SELECT"))
    assert '"visible"' in granted
    assert '"doc"' not in granted


def test_a_superuser_is_told(patient: Patient) -> None:
    """It may do anything, whatever was granted."""
    owner = patient.owner.url.render_as_string(hide_password=False)
    assert "superuser" in the_one(patient.configured(database_url=owner).examine(), "role", WARN).what


def test_the_embedded_server_s_superuser_is_nothing_to_worry_about(patient: Patient) -> None:
    """Without a configured database the role is a superuser by nature."""
    owner = patient.owner.url.render_as_string(hide_password=False)
    embedded_source = patient.configured(database_url=None).examinee()
    found = examined(replace(embedded_source, source_url=lambda: owner))
    assert "the only role of the embedded server" in the_one(found, "role", OK).what
    assert f"the embedded server in {patient.settings.home}" in the_one(found, "connection", OK).what


def test_a_transaction_that_could_write_fails(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should something between us and the server lose READ ONLY, the doctor sees it, and leaves nothing behind."""
    monkeypatch.setattr(shadowdiff.checks.checkup, "source_engine", store_engine)
    owner = patient.owner.url.render_as_string(hide_password=False)
    finding = the_one(patient.configured(database_url=owner).examine(), "writes", FAIL)
    assert "CREATE TABLE worked" in finding.what
    with patient.owner.connect() as connection:
        assert connection.scalar(text("SELECT to_regclass(:name)"), {"name": PROBE}) is None


def test_a_role_without_rights_on_a_table(patient: Patient) -> None:
    """The server's own words, on the part that it refused."""
    patient.sql("REVOKE SELECT ON {s}.doc FROM doctors_reader")
    (finding,) = patient.examine()["entries"]
    assert finding.status is FAIL
    assert "permission denied for table doc" in finding.what


def test_what_is_not_migrated(bare_url: str, patient: Patient) -> None:
    """Our own tables are missing: one failure each for source and store, with the command."""
    own = replace(patient.settings.source, parts={}, json_keys={})
    found = patient.configured(database_url=bare_url, store_url=bare_url, source=own).examine()
    assert "shadowdiff db upgrade" in the_one(found, "tables", FAIL).do
    assert "shadowdiff db upgrade" in the_one(found, "migrations", FAIL).do


@pytest.fixture
def fresh(sample_url: str) -> Iterator[Engine]:
    """The sample as if its last session had ended an hour ago, with every entry older than every turn."""
    engine = create_engine(parse_url(sample_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(
            text("CREATE TEMP TABLE late AS SELECT now() - max(started_at) AS by FROM shadowdiff.sessions")
        )
        connection.execute(text("UPDATE shadowdiff.sessions SET started_at = started_at + (SELECT by FROM late)"))
        connection.execute(
            text("UPDATE shadowdiff.turns SET asked_at = asked_at + (SELECT by FROM late) - interval '1 h'")
        )
        connection.execute(text("UPDATE shadowdiff.entries SET updated_at = updated_at - interval '1 year'"))
        connection.execute(text("CREATE ROLE own_keeper LOGIN"))
        connection.execute(text("GRANT USAGE ON SCHEMA shadowdiff TO own_keeper"))
        connection.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA shadowdiff TO own_keeper"))
    yield engine
    with engine.connect() as connection:
        connection.execute(text("DROP OWNED BY own_keeper"))
        connection.execute(text("DROP ROLE own_keeper"))
    engine.dispose()


def test_our_own_schema_is_all_ok(patient: Patient, fresh: Engine) -> None:
    """The sample, loaded, raises nothing: its role may write our own tables, as `load` must."""
    url = fresh.url.set(username="own_keeper").render_as_string(hide_password=False)
    own = replace(patient.settings.source, parts={}, json_keys={})
    found = patient.configured(database_url=url, store_url=url, source=own).examine()
    assert worse(found) == []
    assert "may write shadowdiff's own tables" in the_one(found, "role", OK).what
    assert the_one(found, "tables", OK)
