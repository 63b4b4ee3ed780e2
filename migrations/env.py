"""Alembic environment: migrates over the connection that shadowdiff hands in, or SHADOWDIFF_DATABASE_URL."""

from __future__ import annotations

import os

from alembic import context
from alembic.script.revision import RevisionError
from sqlalchemy import Connection, inspect
from sqlalchemy.schema import CreateSchema

from shadowdiff.database import store_engine
from shadowdiff.store.schema import SCHEMA, metadata


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Look only at our own schema: the database may be somebody's production."""
    return name == SCHEMA if kind == "schema" else True


def migrate(connection: Connection) -> None:
    """Run inside one transaction: a migration that fails leaves nothing behind."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=SCHEMA,
        include_schemas=True,
        include_name=include_name,
        compare_server_default=True,
    )
    with context.begin_transaction():
        if not inspect(connection).has_schema(
            SCHEMA
        ):  # IF NOT EXISTS would ask for the right to create it all the same
            connection.execute(CreateSchema(SCHEMA))
        context.run_migrations()


given = context.config.attributes.get("connection")
if isinstance(given, Connection):
    migrate(given)
elif "SHADOWDIFF_DATABASE_URL" in os.environ:
    engine = store_engine(os.environ["SHADOWDIFF_DATABASE_URL"])
    with engine.connect() as opened:
        migrate(opened)
    engine.dispose()
else:
    raise RevisionError("set SHADOWDIFF_DATABASE_URL, or run: shadowdiff db upgrade")
