"""The SQL that makes a role which can read what a mapping reads, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

DEFAULT_ROLE = "shadowdiff_reader"
"""The role's name where the user gives none."""

Table = tuple[str, str]
"""Schema and name of a table or view."""


def quoted(name: str) -> str:
    """One name as Postgres reads it, whatever it holds; what would act on a terminal is spelled out by code point."""
    doubled = name.replace('"', '""').replace("\0", "")
    if doubled.isprintable():
        return f'"{doubled}"'
    doubled = doubled.replace("\\", "\\\\")
    spelled = (character if character.isprintable() else f"\\+{ord(character):06x}" for character in doubled)
    return 'U&"' + "".join(spelled) + '"'


def read_only_role_sql(
    role: str, database: str, schemas: Sequence[str], tables: Sequence[Table], statement_timeout: float = 120.0
) -> str:
    """SQL for an administrator to read, and to run: one statement per line.

    `tables` are those that the role may read; none: all of `schemas`, with what
    that administrator makes there later. No password stands in it: psql's
    backslash command `password` sets one. `statement_timeout` in seconds; 0 sets none.
    """
    who, where = quoted(role), quoted(database)
    limits = [f"SET statement_timeout = '{statement_timeout:g}s'"] if statement_timeout else []
    limits = ["SET default_transaction_read_only = on", *limits]
    return "\n".join(
        (
            f"CREATE ROLE {who} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;",
            *(f"ALTER ROLE {who} {limit};" for limit in limits),
            f"GRANT CONNECT ON DATABASE {where} TO {who};",
            *(f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {who};" for schema in dict.fromkeys(schemas)),
            *_grants(who, schemas, tables),
        )
    )


def _grants(who: str, schemas: Sequence[str], tables: Sequence[Table]) -> list[str]:
    if tables:
        listed = ", ".join(f"{quoted(schema)}.{quoted(name)}" for schema, name in dict.fromkeys(tables))
        return [f"GRANT SELECT ON {listed} TO {who};"]
    return [
        line
        for schema in map(quoted, dict.fromkeys(schemas))
        for line in (
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {who};",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {who};",
        )
    ]
