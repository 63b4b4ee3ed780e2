"""Bring a database's shadowdiff schema to this version's tables, from a checkout and from an installed wheel alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import inspect, text

from shadowdiff.database import database_errors, masked
from shadowdiff.errors import StoreError
from shadowdiff.shipped import shipped_directory
from shadowdiff.store.schema import SCHEMA, SOURCE_REVISION, STORE_REVISION

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection, Engine

Branch = Literal["source", "store"]
BRANCHES: tuple[Branch, ...] = ("store", "source")
HEADS: dict[Branch, str] = {"source": SOURCE_REVISION, "store": STORE_REVISION}


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """Where a database's tables stand."""

    current: frozenset[str]
    """Revisions applied."""
    vector_available: bool
    """Whether this server can install pgvector, which only the source tables need."""

    def lacks(self, branch: Branch) -> bool:
        """Whether this branch's tables are missing or old."""
        return HEADS[branch] not in self.current


def alembic_config(connection: Connection | None = None) -> Config:
    """An Alembic configuration for our migrations, on an open connection if given."""
    from alembic.config import Config

    config = Config()
    directory = shipped_directory("migrations")
    config.set_main_option("script_location", str(directory))
    config.set_main_option("path_separator", "newline")
    versions = [str(directory / "versions" / branch) for branch in BRANCHES]
    config.set_main_option("version_locations", "\n".join(versions))
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def status(engine: Engine) -> SchemaStatus:
    """Read what has been applied. Raises StoreError if the database cannot be reached."""
    with database_errors(StoreError, "reading the schema", engine.url), engine.connect() as connection:
        if inspect(connection).has_table("alembic_version", schema=SCHEMA):
            rows = connection.execute(text(f"SELECT version_num FROM {SCHEMA}.alembic_version"))  # noqa: S608 a constant
            current = frozenset(row[0] for row in rows)
        else:
            current = frozenset()
        available = connection.scalar(text("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"))
        return SchemaStatus(current=current, vector_available=bool(available))


def upgrade(engine: Engine, branches: tuple[Branch, ...] = BRANCHES) -> SchemaStatus:
    """Apply what is missing of these branches and return the new status.

    Concurrent upgrades wait for each other on an advisory lock. Raises
    StoreError; each branch is applied whole or not at all.
    """
    for branch in branches:
        _upgrade_branch(engine, branch)
    return status(engine)


def _upgrade_branch(engine: Engine, branch: Branch) -> None:
    from alembic import command
    from alembic.util import CommandError

    with (
        database_errors(StoreError, f"migrating the {branch} tables", engine.url),
        closing(engine.connect()) as connection,
        _alone(connection),
    ):
        try:
            command.upgrade(alembic_config(connection), f"{branch}@head")
        except CommandError as error:
            raise StoreError(
                f"migrating the {branch} tables failed on {masked(engine.url)}: {error}; "
                "if a newer shadowdiff made them, install that one"
            ) from error


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Hold the advisory lock of migrations; it outlives the transactions inside."""
    connection.execute(text("SELECT pg_advisory_lock(hashtext('shadowdiff.migrate'))"))
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(hashtext('shadowdiff.migrate'))"))
        connection.commit()


def require_current(engine: Engine, *branches: Branch, found: SchemaStatus | None = None) -> None:
    """Raise StoreError, saying what to run, unless these branches' tables are this version's.

    `found` is what `status` said a moment ago; None: it is asked.
    """
    found = found or status(engine)
    lacking = next((branch for branch in branches if found.lacks(branch)), None)
    if lacking is not None:
        raise StoreError(f"{masked(engine.url)} {_state(found, lacking)}; run: shadowdiff db upgrade")


def _state(found: SchemaStatus, lacking: Branch) -> str:
    if not found.current:
        return "has no shadowdiff tables"
    if any(revision.startswith(f"{lacking}_") for revision in found.current):
        return f"has {lacking} tables of another shadowdiff version"
    return f"has no shadowdiff {lacking} tables"
