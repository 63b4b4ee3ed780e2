"""Connections: URLs, masking, engines for the source (read-only) and the store, and database errors in plain words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shadowdiff.config import ConnectionLimits
from shadowdiff.errors import ConfigError, DatabaseError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.exc import DBAPIError

SECRET_WORDS = ("pass", "secret", "scram")
"""Whatever connection parameter has one of these in its name is never shown."""


def parse_url(text: str) -> URL:
    """A SQLAlchemy URL on the psycopg driver. Raises ConfigError, never repeating a password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # their messages may repeat the URL
        raise ConfigError(
            "the database URL does not parse; expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        ) from None
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigError(f"shadowdiff reads and writes Postgres only, not {url.get_backend_name()!r}")
    if text.count("@") > 1 or "@" in (url.database or ""):
        raise ConfigError("the database URL holds an @ or / that is part of a name or password; write %40 or %2F there")
    return url.set(drivername="postgresql+psycopg")


def masked(url: URL) -> str:
    """The URL as it may be printed or stored: no password, wherever it stands."""
    secret = {key: "***" for key in url.query if _is_secret(key)}
    shown = url.set(drivername="postgresql").update_query_dict(secret)
    return shown.render_as_string(hide_password=True).replace("=%2A%2A%2A", "=***")


def without_password(url: URL) -> URL:
    """The URL as it may be written into a file: the same database, and the password left out wherever it stood."""
    kept = {key: value for key, value in url.query.items() if not _is_secret(key)}
    return type(url).create("postgresql", url.username, None, url.host, url.port, url.database, kept)


def _is_secret(parameter: str) -> bool:
    return any(word in parameter.lower() for word in SECRET_WORDS)


def store_engine(text: str, limits: ConnectionLimits | None = None) -> Engine:
    """An engine that may write."""
    from sqlalchemy import create_engine

    url = parse_url(text)
    arguments = _connect_args(url, limits or ConnectionLimits())
    return create_engine(url, connect_args=arguments, pool_pre_ping=True, use_native_hstore=False)


def source_engine(text: str, limits: ConnectionLimits | None = None) -> Engine:
    """An engine whose every transaction is READ ONLY and REPEATABLE READ, under timeouts.

    Production is never written to: each BEGIN says so, and the server refuses
    whatever would write. Nothing is set for the session, only for each
    transaction: behind PgBouncer the session is somebody else's a moment later.
    """
    from sqlalchemy import event

    limits = limits or ConnectionLimits()
    engine = store_engine(text, limits)

    @event.listens_for(engine, "begin")
    def limit(connection: Connection) -> None:
        names = [f"{name}_timeout" for name in ("statement", "lock", "idle_in_transaction_session")]
        given = (limits.statement_timeout, limits.lock_timeout, limits.idle_timeout)
        settings = {name: f"{value:.3f}s" for name, value in zip(names, given, strict=True) if value}
        if settings:
            calls = ", ".join("set_config(%s, %s, true)" for _ in settings)
            arguments = tuple(part for item in settings.items() for part in item)
            connection.exec_driver_sql(f"SELECT {calls}", arguments)

    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _connect_args(url: URL, limits: ConnectionLimits) -> dict[str, object]:
    """Our defaults for what the URL leaves open. No prepared statements: a pooler between would lose them."""
    defaults: dict[str, object] = {"application_name": limits.application_name}
    if limits.connect_timeout:
        defaults["connect_timeout"] = max(math.ceil(limits.connect_timeout), 2)
    given = {name: value for name, value in defaults.items() if name not in url.query}
    return given | {"prepare_threshold": None}


@contextmanager
def database_errors(kind: type[DatabaseError], what: str, url: URL) -> Iterator[None]:
    """Turn driver errors into `kind`: what was being done, on which database (masked), and what to do."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        raise kind(f"{what} failed on {masked(url)}: {_reason(error, url)}") from error
    except UnicodeEncodeError as error:
        shown = ascii(error.object)[:60]
        raise kind(
            f"{what} failed on {masked(url)}: {shown} is not valid Unicode, and Postgres cannot hold it"
        ) from error


def _reason(error: DBAPIError, url: URL) -> str:
    from psycopg import errors

    original = error.orig
    first = _without_password(_first_line(str(original)), url)
    match original:
        case errors.UndefinedTable() | errors.InvalidSchemaName() | errors.UndefinedColumn():
            return f"{first}; the schema is missing or old, run: shadowdiff db upgrade"
        case errors.QueryCanceled() if "statement timeout" in str(original):
            return (
                "a statement ran into the statement timeout and was cancelled; select less, or see what slows Postgres"
            )
        case errors.InsufficientPrivilege():
            return f"{first}; grant it, or connect as another role"
        case errors.UniqueViolation():
            return f"{first}; did another command write it at the same time?"
    return _connection_reason(str(original)) or first


CONNECTION_REASONS = (
    ("password authentication failed", "password authentication failed; check user and password in the URL"),
    ("no password supplied", "it asks for a password and the URL has none"),
    ("Is the server running", "nothing listens there; is Postgres running, and are host and port right?"),
    ("resolve host", "the host name is unknown; check the URL"),
    ("Name or service not known", "the host name is unknown; check the URL"),
    ("timeout expired", "no answer in time; check host, port and firewall"),
    ("does not support SSL", "the server offers no TLS, and the URL asks for it (sslmode)"),
    ("certificate verify failed", "the server's certificate is not trusted; check sslmode and sslrootcert in the URL"),
)
"""What libpq says when it cannot connect, and what we say: it gives no error codes."""


def _connection_reason(text: str) -> str | None:
    return next((reason for sign, reason in CONNECTION_REASONS if sign in text), None)


def _without_password(text: str, url: URL) -> str:
    secrets = [url.password, *(value for key, value in url.normalized_query.items() if _is_secret(key))]
    for secret in secrets:
        for part in (secret,) if isinstance(secret, str) else secret or ():
            text = text.replace(part, "***") if part else text
    return text


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["unknown error"]
    return re.sub(r"^(connection failed: )+", "", lines[-1] if "FATAL" in text else lines[0])
