"""Migrations: they make exactly the tables of the schema, come and go, and do not get in each other's way."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text
from sqlalchemy.schema import CreateSchema

from shadowdiff.database import parse_url, store_engine
from shadowdiff.errors import ExitCode, StoreError
from shadowdiff.store.migrate import HEADS, alembic_config, require_current, status, upgrade
from shadowdiff.store.schema import SCHEMA, SOURCE_TABLES, metadata
from tests.conftest import Cli

CATALOGUE = """
SELECT 'table' AS kind, relname AS name, relkind::text AS definition
  FROM pg_class WHERE relnamespace = 'shadowdiff'::regnamespace AND relkind IN ('r', 'v', 'm', 'S')
UNION ALL
SELECT 'column', table_name || '.' || ordinal_position || '.' || column_name,
       concat_ws(' ', data_type, udt_name, is_nullable, column_default, is_identity, identity_generation)
  FROM information_schema.columns WHERE table_schema = 'shadowdiff'
UNION ALL
SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'shadowdiff'::regnamespace
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'shadowdiff'
"""


def catalogue(engine: Engine) -> set[tuple[str, str, str]]:
    """Everything in our schema as the server describes it, without Alembic's own table."""
    with engine.connect() as connection:
        rows = connection.execute(text(CATALOGUE))
        return {(row.kind, row.name, row.definition) for row in rows if "alembic_version" not in row.name}


ANNOUNCING = """
SELECT 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid)
  FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = to_regnamespace('shadowdiff')
"""
"""What announces sessions: the migrations make it, and no table of the schema module says it."""


def announcing(engine: Engine) -> set[tuple[str, str, str]]:
    """Our triggers and functions, as the server describes them."""
    with engine.connect() as connection:
        return {(row[0], row[1], row[2]) for row in connection.execute(text(ANNOUNCING))}


def tables(engine: Engine) -> set[str]:
    """Names of our tables."""
    return {name for kind, name, definition in catalogue(engine) if kind == "table" and definition == "r"}


@pytest.fixture
def bare_engine(bare_url: str) -> Iterator[Engine]:
    """A writing engine on a database without any table."""
    engine = store_engine(bare_url)
    yield engine
    engine.dispose()


@pytest.fixture
def stranger(bare_url: str) -> Iterator[tuple[Engine, Engine]]:
    """Engines on one database: of its owner, and of a role that may only connect."""
    owner = store_engine(bare_url)
    role = f"stranger_{uuid.uuid4().hex[:8]}"
    with owner.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
    url = parse_url(bare_url).set(username=role)
    engine = store_engine(url.render_as_string(hide_password=False))
    yield owner, engine
    engine.dispose()
    owner.dispose()


def test_upgrade_downgrade_upgrade_leaves_the_same_schema(bare_engine: Engine) -> None:
    """Nothing is left behind on the way down, nothing is lost on the way up."""
    upgrade(bare_engine)
    before = catalogue(bare_engine) | announcing(bare_engine)
    assert {name for kind, name, _ in before if kind == "table"} >= SOURCE_TABLES
    assert sorted(kind for kind, _, _ in announcing(bare_engine)) == ["function", "trigger", "trigger"]
    for branch in HEADS:
        with bare_engine.connect() as connection:
            command.downgrade(alembic_config(connection), f"{branch}@base")
    assert catalogue(bare_engine) | announcing(bare_engine) == set()
    assert status(bare_engine).current == frozenset()
    upgrade(bare_engine)
    assert catalogue(bare_engine) | announcing(bare_engine) == before


def test_the_migrations_make_what_the_schema_module_says(bare_engine: Engine, empty_engine: Engine) -> None:
    """Constraints and defaults too, which Alembic's own check does not compare."""
    with bare_engine.begin() as connection:
        connection.execute(CreateSchema(SCHEMA))
        connection.execute(text("CREATE EXTENSION vector"))
        metadata.create_all(connection)
    assert catalogue(empty_engine) == catalogue(bare_engine)


def test_alembic_check_finds_no_drift(empty_engine: Engine) -> None:
    """It raises where a new migration would be written."""
    with empty_engine.connect() as connection:
        command.check(alembic_config(connection))


def test_alembic_check_can_find_drift(empty_engine: Engine) -> None:
    """A column that only the database has is seen, so that the test above means something."""
    with empty_engine.begin() as connection:
        connection.execute(text("ALTER TABLE shadowdiff.turns ADD COLUMN mood text"))
    with empty_engine.connect() as connection, pytest.raises(Exception, match="mood"):
        command.check(alembic_config(connection))


def test_the_revision_constants_are_the_heads_of_the_scripts() -> None:
    """What `db status` compares with is what `db upgrade` applies."""
    heads = ScriptDirectory.from_config(alembic_config()).get_revisions("heads")
    assert {next(iter(head.branch_labels)): head.revision for head in heads if head} == HEADS


def test_upgrading_again_changes_nothing(empty_engine: Engine) -> None:
    """A command that upgrades on every start costs nothing but a look."""
    before = catalogue(empty_engine)
    assert upgrade(empty_engine).current == frozenset(HEADS.values())
    assert catalogue(empty_engine) == before


def test_concurrent_upgrades_wait_for_each_other(bare_url: str, bare_engine: Engine, cli: Cli) -> None:
    """Two commands started at once both succeed, and the tables are there once."""
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(cli, "db", "upgrade", env={"SHADOWDIFF_DATABASE_URL": bare_url}) for _ in range(2)]
        finished = [run.result() for run in runs]
    assert [(run.code, run.err) for run in finished] == [(0, ""), (0, "")]
    require_current(bare_engine, "source", "store")


def test_the_store_alone_needs_no_pgvector(bare_engine: Engine) -> None:
    """Only its own tables, and no extension."""
    found = upgrade(bare_engine, ("store",))
    assert (found.lacks("store"), found.lacks("source")) == (False, True)
    made = tables(bare_engine)
    assert made
    assert not made & SOURCE_TABLES
    with bare_engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_extension WHERE extname = 'vector'")) == 0
    require_current(bare_engine, "store")
    with pytest.raises(StoreError, match="has no shadowdiff source tables; run: shadowdiff db upgrade"):
        require_current(bare_engine, "store", "source")


def test_a_user_who_may_not_create_schemas_is_told_so(stranger: tuple[Engine, Engine]) -> None:
    """One line: which migration, on which database, what is missing; and nothing is left behind."""
    owner, engine = stranger
    with pytest.raises(StoreError) as caught:
        upgrade(engine)
    message = str(caught.value)
    assert message.startswith("migrating the store tables failed on postgresql://stranger_")
    assert message.endswith("; grant it, or connect as another role")
    assert f"permission denied for database {owner.url.database}" in message
    assert "\n" not in message
    assert status(owner).current == frozenset()


def test_a_schema_made_by_somebody_else_is_enough(stranger: tuple[Engine, Engine]) -> None:
    """Where an administrator has made schema and extension, the user needs no right to create them."""
    owner, engine = stranger
    with owner.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {engine.url.username}"))
        connection.execute(text("CREATE EXTENSION vector"))
    upgrade(engine)
    require_current(engine, "source", "store")


def test_a_failing_migration_leaves_nothing_behind(bare_engine: Engine) -> None:
    """A branch is applied whole or not at all; the lock is free afterwards."""
    with bare_engine.begin() as connection:
        connection.execute(CreateSchema(SCHEMA))
        connection.execute(text("CREATE TABLE shadowdiff.runs (mine int)"))
    with pytest.raises(StoreError, match='relation "runs" already exists'):
        upgrade(bare_engine)
    assert tables(bare_engine) == {"runs"}
    with bare_engine.begin() as connection:
        connection.execute(text("DROP TABLE shadowdiff.runs"))
    require_current_after_upgrade(bare_engine)


def require_current_after_upgrade(engine: Engine) -> None:
    """Upgrade, and see that it worked."""
    upgrade(engine)
    require_current(engine, "source", "store")


def test_tables_of_a_newer_version_are_left_alone(empty_engine: Engine) -> None:
    """An older command neither touches nor reads them, and says why."""
    with empty_engine.begin() as connection:
        connection.execute(
            text("UPDATE shadowdiff.alembic_version SET version_num = 'store_9999' WHERE version_num ~ 'store'")
        )
    with pytest.raises(StoreError, match="has store tables of another shadowdiff version") as caught:
        require_current(empty_engine, "store")
    assert caught.value.exit_code == ExitCode.UNREACHABLE
    with pytest.raises(StoreError, match="'store_9999'; if a newer shadowdiff made them, install that one"):
        upgrade(empty_engine)


def test_the_environment_variable_drives_plain_alembic(
    make_database: Callable[[str | None], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What contributors use: alembic.ini of the checkout and SHADOWDIFF_DATABASE_URL."""
    from alembic.config import Config

    url = make_database(None)
    monkeypatch.setenv("SHADOWDIFF_DATABASE_URL", url)
    command.upgrade(Config(Path(__file__).resolve().parents[2] / "alembic.ini"), "heads")
    engine = store_engine(url)
    require_current(engine, "source", "store")
    engine.dispose()
