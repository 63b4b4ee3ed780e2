"""Connections: URLs, masking, engines for the source (read-only) and the store, and database errors in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shadowdiff.errors import ConfigError, DatabaseError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import ConnectionPoolEntry

CONNECT_TIMEOUT_SECONDS = 10
STATEMENT_TIMEOUT_MILLISECONDS = 120_000
SECRET_PARAMETERS = frozenset({"password", "sslpassword", "passfile"})


def parse_url(text: str) -> URL:
    """A SQLAlchemy URL on the psycopg driver. Raises ConfigError, never repeating a password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(
            "the database URL does not parse; expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        ) from error
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigError(f"shadowdiff reads and writes Postgres only, not {url.get_backend_name()!r}")
    return url.set(drivername="postgresql+psycopg")


def masked(url: URL) -> str:
    """The URL as it may be printed or stored: no password, wherever it stands."""
    secret = {key: "***" for key in url.query if key in SECRET_PARAMETERS}
    shown = url.set(drivername="postgresql").update_query_dict(secret)
    return shown.render_as_string(hide_password=True)


def store_engine(text: str) -> Engine:
    """An engine that may write."""
    from sqlalchemy import create_engine

    return create_engine(parse_url(text), connect_args=_connect_args(), pool_pre_ping=True)


def source_engine(text: str) -> Engine:
    """An engine whose every transaction is READ ONLY and REPEATABLE READ, under a statement timeout.

    Production is never written to: the session default and each BEGIN both
    say so, and the server refuses whatever would write.
    """
    from sqlalchemy import create_engine, event

    engine = create_engine(parse_url(text), connect_args=_connect_args(), pool_pre_ping=True)

    @event.listens_for(engine, "connect")
    def make_read_only(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("SET default_transaction_read_only = on")
        cursor.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MILLISECONDS}")
        cursor.close()
        connection.commit()

    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _connect_args() -> dict[str, object]:
    return {"connect_timeout": CONNECT_TIMEOUT_SECONDS, "application_name": "shadowdiff"}


@contextmanager
def database_errors(kind: type[DatabaseError], what: str, url: URL) -> Iterator[None]:
    """Turn driver errors into `kind`: what was being done, on which database (masked), and what to do."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        raise kind(f"{what} failed on {masked(url)}: {_reason(error, url)}") from error


def _reason(error: DBAPIError, url: URL) -> str:
    from psycopg import errors

    original = error.orig
    text = _without_password(str(original), url)
    match original:
        case errors.UndefinedTable() | errors.InvalidSchemaName() | errors.UndefinedColumn():
            return f"{_first_line(text)}; the schema is missing or old, run: shadowdiff db upgrade"
        case errors.QueryCanceled():
            return f"a statement ran longer than {STATEMENT_TIMEOUT_MILLISECONDS // 1000} s and was cancelled"
        case errors.InsufficientPrivilege():
            return f"{_first_line(text)}; grant it, or connect as another role"
    return _connection_reason(text)


def _connection_reason(text: str) -> str:
    if "password authentication failed" in text:
        return "password authentication failed; check user and password in the URL"
    if "Connection refused" in text or "No such file or directory" in text:
        return "nothing listens there; is Postgres running, and are host and port right?"
    if "resolve host" in text or "Name or service not known" in text:
        return "the host name is unknown; check the URL"
    if "timeout expired" in text:
        return f"no answer within {CONNECT_TIMEOUT_SECONDS} s; check host, port and firewall"
    return _first_line(text)


def _without_password(text: str, url: URL) -> str:
    secrets = [url.password, *(url.query.get(key) for key in SECRET_PARAMETERS)]
    for secret in secrets:
        if isinstance(secret, str) and secret:
            text = text.replace(secret, "***")
    return text


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(
        r"^(connection failed: )+", "", lines[-1] if "FATAL" in text and lines else (lines or ["unknown error"])[0]
    )
