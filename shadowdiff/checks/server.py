"""The source's server: whether it answers, what it is, and whether anything could be written there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shadowdiff.checks.checkup import Checkup
from shadowdiff.checks.relations import Relations, relations
from shadowdiff.findings import Finding, fail, ok, warn
from shadowdiff.sources.parts import READ_ONLY_VIOLATION
from shadowdiff.sources.role import DEFAULT_ROLE, quoted, read_only_role_sql
from shadowdiff.store.schema import SCHEMA

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

OLDEST_SUPPORTED = 12
TABLES_SHOWN = 3
PROBE = "shadowdiff_doctor_probe"

VERSION = text(
    "SELECT current_setting('server_version') AS shown, "
    "CAST(current_setting('server_version_num') AS integer) AS number, pg_is_in_recovery() AS is_standby"
)
ROLE = text(
    "SELECT rolname, rolsuper, rolcreaterole, current_database() AS database FROM pg_roles WHERE rolname = current_user"
)
CREATABLE = text(
    "SELECT nspname, has_schema_privilege('public', oid, 'CREATE') AS by_everybody FROM pg_namespace "
    "WHERE nspname !~ '^pg_' AND has_schema_privilege(oid, 'CREATE') ORDER BY nspname"
)


@dataclass(frozen=True, slots=True)
class Rights:
    """What the source's role may do beyond reading."""

    role: str
    database: str
    is_superuser: bool
    creates_roles: bool
    schemas: tuple[str, ...]
    """Schemas in which it may make things."""
    open_schemas: tuple[str, ...]
    """Of these, those in which everybody may: no other role would change that."""
    relations: Relations


def connection(checkup: Checkup) -> Iterator[Finding]:
    """Whether the source answers, and how far away it is."""

    def work(connection: Connection) -> tuple[str, float]:
        version = str(connection.execute(VERSION).one().shown)
        began = time.perf_counter()
        connection.execute(text("SELECT 1"))
        return version, (time.perf_counter() - began) * 1000

    version, milliseconds = checkup.ask("connecting", work)
    where = f"the embedded server in {checkup.settings.home}" if checkup.is_embedded else place(checkup.engine.url)
    yield ok("connection", f"PostgreSQL {version} at {where}, {milliseconds:.1f} ms")


def place(url: URL) -> str:
    """Host, port and database, without a user or anything secret."""
    host = url.host or str(url.query.get("host", "the local socket"))
    return f"{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def server(checkup: Checkup) -> Iterator[Finding]:
    """Version, and whether it is a standby."""
    row = checkup.ask("asking for the version", lambda connection: connection.execute(VERSION).one())
    yield version_finding(row.number, row.shown, is_standby=row.is_standby)
    if row.is_standby and not checkup.settings.limits.retry_for:
        yield warn(
            "standby",
            "a standby cancels statements that are in the way of replay, and nothing is tried again (retry_for = 0)",
            "set [database] retry_for, say '60s'",
        )


def version_finding(number: int, shown: str, *, is_standby: bool) -> Finding:
    """How a server of this version (as `server_version_num`) stands."""
    kind = "a hot standby: statements that it cancels are tried again" if is_standby else "a primary"
    if number // 10_000 < OLDEST_SUPPORTED:
        told = f"PostgreSQL {shown} is older than {OLDEST_SUPPORTED}; shadowdiff is not tried on such servers"
        return warn("server", told, "read from a newer server, or a copy on one")
    return ok("server", f"version {shown}, {kind}")


def role(checkup: Checkup) -> Iterator[Finding]:
    """Whether the role could write at all, were it not for our READ ONLY transactions."""
    rights = checkup.ask("reading the role's rights", lambda connection: _rights(checkup, connection))
    powers = _powers(rights)
    if checkup.is_embedded:
        yield ok("role", f"{rights.role}, the only role of the embedded server; it reads in READ ONLY transactions")
    elif checkup.mapping.is_own and not (rights.is_superuser or rights.creates_roles):
        yield ok("role", f"{rights.role}; it may write shadowdiff's own tables, as `shadowdiff load` must")
    elif powers:
        closing = [f"REVOKE CREATE ON SCHEMA {quoted(schema)} FROM PUBLIC;" for schema in rights.open_schemas]
        lesser = [] if _is_least(rights) else [_lesser_role(checkup, rights)]
        yield warn("role", f"{rights.role} {'; '.join(powers)}", "\n".join([*lesser, *closing]))
    else:
        yield ok("role", f"{rights.role} may write none of the {len(rights.relations.read)} tables that are read")


def _rights(checkup: Checkup, connection: Connection) -> Rights:
    row = connection.execute(ROLE).one()
    schemas = connection.execute(CREATABLE).all()
    return Rights(
        role=row.rolname,
        database=row.database,
        is_superuser=row.rolsuper,
        creates_roles=row.rolcreaterole,
        schemas=tuple(schema.nspname for schema in schemas),
        open_schemas=tuple(schema.nspname for schema in schemas if schema.by_everybody),
        relations=relations(connection, checkup.parts),
    )


def _powers(rights: Rights) -> list[str]:
    if rights.is_superuser:
        return ["is a superuser and may do anything"]
    writable = [f"{schema}.{name}" for schema, name in rights.relations.writable]
    return [
        *(["may make roles"] if rights.creates_roles else []),
        *([f"may write {_shortened(writable)}"] if writable else []),
        *([f"may make tables in {_shortened(rights.schemas)}"] if rights.schemas else []),
    ]


def _is_least(rights: Rights) -> bool:
    """Whether nothing but what everybody may do is too much."""
    special = rights.is_superuser or rights.creates_roles or rights.relations.writable
    return not special and rights.schemas == rights.open_schemas


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - TABLES_SHOWN} more" if len(names) > TABLES_SHOWN else ""
    return ", ".join(names[:TABLES_SHOWN]) + more


def _lesser_role(checkup: Checkup, rights: Rights) -> str:
    if checkup.mapping.is_own:
        return (
            "connect as a role that may keep shadowdiff's tables and no more:\n"
            f"CREATE ROLE {quoted(SCHEMA)} LOGIN;\n"
            f"GRANT CREATE ON DATABASE {quoted(rights.database)} TO {quoted(SCHEMA)};"
        )
    granted = rights.relations.granted
    schemas = list(dict.fromkeys(schema for schema, _ in granted))
    sql = read_only_role_sql(DEFAULT_ROLE, rights.database, schemas, granted, checkup.limits.statement_timeout)
    return f"connect as a role that can only read:\n{sql}"


def writes(checkup: Checkup) -> Iterator[Finding]:
    """Whether the server refuses a write in our transactions, by a statement that is rolled back if it does not."""
    state = checkup.ask("trying to write", _refusal)
    if state == READ_ONLY_VIOLATION:
        yield ok("writes", "refused: our transactions are READ ONLY (tried CREATE TABLE in one; nothing was made)")
    else:
        told = "not refused: CREATE TABLE" + (f" failed for another reason ({state})" if state else " worked")
        yield fail(
            "writes",
            f"{told} in a transaction that began READ ONLY; it was rolled back",
            "look at what stands between (a pooler in statement mode?), and connect to the server itself",
        )


def _refusal(connection: Connection) -> str | None:
    """The SQLSTATE with which CREATE TABLE is refused: a READ ONLY transaction refuses it before looking at rights."""
    savepoint = connection.begin_nested()
    try:
        connection.execute(text(f"CREATE TABLE {PROBE} (nothing integer)"))
    except DBAPIError as error:
        state: Any = getattr(error.orig, "sqlstate", None)
        return str(state)
    else:
        return None
    finally:
        savepoint.rollback()


def announcements(checkup: Checkup) -> Iterator[Finding]:
    """Whether sessions of the own schema are heard of as they are written; no other schema announces any."""
    if not checkup.mapping.is_own:
        return
    with checkup.source.listener(lambda session_id: None) as listener:
        if listener.is_listening:
            yield ok("announcements", "heard: `replay --follow` learns of new sessions as they are written")
        elif listener.refusal:
            yield ok("announcements", f"not heard, so `replay --follow` polls: {listener.refusal}")
