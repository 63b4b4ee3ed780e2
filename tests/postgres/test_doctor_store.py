"""The doctor on the store, the disk and the configuration."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from sqlalchemy import create_engine

from shadowdiff.checks.checkup import Check, Checkup, examine
from shadowdiff.database import parse_url
from shadowdiff.findings import Finding, Status, ok
from shadowdiff.nightly.settings import GateSettings, NightlySettings
from shadowdiff.rerankers.vectors_kept import KeptVectors, TokenVectors
from tests.patients import Patient, examined, the_one

OK, WARN, FAIL = Status


class Usage(NamedTuple):
    """As shutil.disk_usage gives it."""

    total: int
    used: int
    free: int


def test_a_store_that_is_away(patient: Patient) -> None:
    """It fails, what needs it is skipped, and the source is looked at all the same."""
    found = patient.configured(store_url="postgresql://me:s3cret@127.0.0.1:1/runs").examine()
    assert "is Postgres running" in the_one(found, "store", FAIL).what
    assert the_one(found, "not checked", WARN).what == "migrations, separation: store did not pass"
    assert "s3cret" not in str(found)
    the_one(found, "pool size", OK)


@pytest.fixture
def reading_url(empty_url: str) -> Iterator[str]:
    """A migrated store, as a role that may only read it."""
    engine = create_engine(parse_url(empty_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE ROLE runs_reader LOGIN")
        connection.exec_driver_sql("GRANT USAGE ON SCHEMA shadowdiff TO runs_reader")
        connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA shadowdiff TO runs_reader")
    yield engine.url.set(username="runs_reader").render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP OWNED BY runs_reader")
        connection.exec_driver_sql("DROP ROLE runs_reader")
    engine.dispose()


def test_a_store_that_may_not_be_written(patient: Patient, reading_url: str) -> None:
    """A replay would end at its first run; the doctor says so before."""
    finding = the_one(patient.configured(store_url=reading_url).examine(), "migrations", FAIL)
    assert "'runs_reader' may not write" in finding.what
    assert "GRANT" in finding.do


def test_a_store_in_the_source_s_database(patient: Patient) -> None:
    """Whatever name or role leads there, it is the same database."""
    owner = patient.owner.url.render_as_string(hide_password=False)
    finding = the_one(patient.configured(store_url=owner).examine(), "separation", WARN)
    assert "the database that sessions come from" in finding.what


@pytest.mark.parametrize(
    ("total", "free", "status"),
    [(10**12, 10**11, OK), (10**12, 4 * 10**10, WARN), (10**10, 9 * 10**8, WARN)],
)
def test_room_for_the_embedded_server(
    patient: Patient, runs_url: str, monkeypatch: pytest.MonkeyPatch, total: int, free: int, status: Status
) -> None:
    """Under a gigabyte, or under a twentieth of the disk, is too little."""
    monkeypatch.setattr(shutil, "disk_usage", lambda directory: Usage(total, total - free, free))
    examinee = replace(patient.configured(store_url=None).examinee(), store_url=lambda: runs_url)
    found = examined(examinee)
    assert str(patient.settings.home) in the_one(found, "disk", status).what
    assert "the embedded server in" in the_one(found, "store", OK).what


def test_other_servers_disks_are_not_guessed_at(patient: Patient) -> None:
    """Where nothing is embedded there is no disk of ours."""
    assert "disk" not in patient.examine()


def test_no_patience_and_no_limits(patient: Patient) -> None:
    """Zeros in [database] are told; the doctor's own statements stay limited."""
    found = patient.limited(statement_timeout=0.0, lock_timeout=0.0, retry_for=0.0).examine()
    assert "statement_timeout, lock_timeout" in the_one(found, "timeouts", WARN).what
    assert "ends the run at once" in the_one(found, "retries", WARN).what
    assert Checkup(patient.limited(statement_timeout=0.0).examinee()).limits.statement_timeout == 120.0


def test_the_file_is_named(patient: Patient) -> None:
    """So that nobody wonders which one was read."""
    found = patient.configured(file=Path("there/shadowdiff.toml")).examine()
    assert the_one(found, "file", OK).what == "there/shadowdiff.toml"


def test_a_check_that_breaks_is_a_failure_of_its_own(patient: Patient) -> None:
    """What it found before stands, what needs it is skipped by name, and what does not goes on."""

    def breaks(checkup: Checkup) -> Iterator[Finding]:
        yield ok("first", "so far")
        raise ZeroDivisionError("by zero\nand more")

    def fine(checkup: Checkup) -> Iterator[Finding]:
        yield ok("fine", "as ever")

    checks = (
        Check("a", "first", breaks),
        Check("a", "second", fine, ("first",)),
        Check("b", "third", fine, ("second",)),
        Check("b", "fourth", fine),
    )
    found = list(examine(Checkup(patient.examinee()), checks))
    told = [(item.area, item.finding.check, item.finding.status, item.finding.what) for item in found]
    assert told == [
        ("a", "first", OK, "so far"),
        ("a", "first", FAIL, "the check itself broke: ZeroDivisionError: by zero"),
        ("a", "not checked", WARN, "second: first did not pass"),
        ("b", "fine", OK, "as ever"),
        ("b", "not checked", WARN, "third: first did not pass"),
    ]


def test_kept_token_vectors_are_told(patient: Patient, tmp_path: Path) -> None:
    """Where they lie, and what they take of what they may; nothing where nothing is kept."""
    at_first = patient.configured(cache=tmp_path).examine()
    assert "token vectors" not in at_first
    kept = KeptVectors(tmp_path, "model")
    kept.keep({b"text": TokenVectors(np.zeros((20, 8), dtype=np.float32), False)})
    found = the_one(patient.configured(cache=tmp_path).examine(), "token vectors", OK)
    assert found.what == f"kept in {kept.file}; they take 0.0 MB of at most 2.1 GB"


def nightly(patient: Patient, **nightly: object) -> Patient:
    """With a [nightly] section."""
    return patient.configured(nightly=replace(NightlySettings(), **nightly))  # type: ignore[arg-type]


def test_nights_are_looked_at_where_they_are_configured(
    patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where reports go, the webhook's variable, and rules that can be read; nothing where nothing is configured."""
    assert not {"gate", "reports", "deliveries"} & set(patient.examine())
    monkeypatch.setenv("HOOK", "https://hooks.example.com/secret-path")
    found = nightly(patient, directory=tmp_path / "a" / "b", webhook_env="HOOK", s3="s3://bucket/x").examine()
    assert the_one(found, "reports", OK).what == str(tmp_path / "a" / "b")
    assert the_one(found, "deliveries", OK).what == "s3://bucket/x and the webhook of $HOOK; not tried"
    assert "secret-path" not in str(found)


def test_nights_that_cannot_be_as_configured(patient: Patient, tmp_path: Path) -> None:
    """A file in the directory's place, no URL in the variable, and a rule of a side that there is not."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    found = nightly(patient, directory=tmp_path / "file" / "reports", webhook_env="NO_SUCH_HOOK").examine()
    assert "is a file" in the_one(found, "reports", FAIL).what
    assert "NO_SUCH_HOOK" in found["deliveries"][0].what
    assert found["deliveries"][0].status is FAIL
    gated = patient.configured(others=("bm25",), gate=GateSettings(("mean_overlap.D >= 0.5",))).examine()
    assert "D" in the_one(gated, "gate", FAIL).what


@pytest.mark.parametrize(("latency", "warned"), [(20, 0), (19, 1), (0, 2)])
def test_a_rule_over_a_latency_that_no_night_measures(patient: Patient, latency: int, warned: int) -> None:
    """It would be crossed every night, whatever was measured."""
    rules = GateSettings(("p95_seconds.B <= 0.4", "p50_seconds.B <= 0.2", "mean_overlap.B >= 0.5"))
    found = nightly(patient.configured(others=("bm25",), gate=rules), name="v4", latency=latency).examine()["gate"]
    assert [finding.status for finding in found] == [OK] + [WARN] * warned
    assert all("latency = " in finding.do for finding in found[1:])
