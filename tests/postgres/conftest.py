"""Fixtures of the doctor's tests: one database, a role that can only read it, and a schema for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from shadowdiff.database import parse_url
from shadowdiff.sources.role import read_only_role_sql
from tests.conftest import MakeDatabase
from tests.patients import HEALTHY, Patient, patient_settings

READER = "doctors_reader"


@pytest.fixture(scope="session")
def clinic(make_database: MakeDatabase) -> Iterator[Engine]:
    """A database in which each test makes a schema of its own, and the role that reads it."""
    engine = create_engine(parse_url(make_database(None)), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for line in read_only_role_sql(READER, str(engine.url.database), (), ()).splitlines():
            connection.exec_driver_sql(line)
    yield engine
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {READER}")
        connection.exec_driver_sql(f"DROP ROLE {READER}")
    engine.dispose()


@pytest.fixture(scope="session")
def runs_url(make_database: MakeDatabase, migrated_template: str) -> str:
    """A store that the doctor only looks at."""
    return make_database(migrated_template)


@pytest.fixture
def patient(clinic: Engine, runs_url: str, tmp_path: Path) -> Iterator[Patient]:
    """A healthy schema, read as a role that can do no more."""
    schema = f"s_{uuid.uuid4().hex[:8]}"
    url = clinic.url.set(username=READER).render_as_string(hide_password=False)
    made = Patient(schema, clinic, patient_settings(schema, url, runs_url, tmp_path))
    made.sql(HEALTHY.replace("{reader}", READER))
    yield made
    made.sql("DROP SCHEMA {s} CASCADE")
