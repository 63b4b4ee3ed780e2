"""What a person reads when the database is not there, not theirs, not ready or too slow."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from shadowdiff import embedded
from shadowdiff.database import database_errors, parse_url, source_engine, store_engine
from shadowdiff.errors import DatabaseError, ExitCode, SourceError, StoreError
from shadowdiff.records import Window
from shadowdiff.sources.postgres import PostgresSource
from shadowdiff.store.migrate import require_current, status, upgrade
from shadowdiff.store.runs import RunStore

RIGHT, WRONG = "the-right-one", "hunter2"


def told(error: type[DatabaseError], action: Callable[[], object]) -> str:
    """The one line with which this fails."""
    with pytest.raises(error) as caught:
        action()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.UNREACHABLE
    return str(caught.value)


def with_engine(url: str, use: Callable[[Engine], object]) -> None:
    """Do something with a writing engine, and close it."""
    engine = store_engine(url)
    try:
        use(engine)
    finally:
        engine.dispose()


@pytest.mark.parametrize("use", [status, upgrade, require_current, lambda engine: RunStore(engine).get("latest")])
def test_nothing_listens(use: Callable[[Engine], object]) -> None:
    """Whatever is asked first: where, and what to look at; the password is masked."""
    url = "postgresql://me:hunter2@127.0.0.1:1/rag?connect_timeout=5"
    message = told(StoreError, lambda: with_engine(url, use))
    assert re.fullmatch(
        r"[a-z ]+ failed on postgresql://me:\*\*\*@127\.0\.0\.1:1/rag\?connect_timeout=5: "
        r"nothing listens there; is Postgres running, and are host and port right\?",
        message,
    )


def test_no_server_behind_the_socket(tmp_path: Path) -> None:
    """A stopped local server is told like an unreachable one."""
    url = f"postgresql:///rag?host={tmp_path}"
    assert "nothing listens there" in told(StoreError, lambda: with_engine(url, status))


def test_a_database_that_does_not_exist(server_url: str) -> None:
    """Postgres says it well enough."""
    url = parse_url(server_url).set(database="no_such_db").render_as_string(hide_password=False)
    assert told(StoreError, lambda: with_engine(url, status)).endswith('FATAL:  database "no_such_db" does not exist')


@pytest.fixture
def guarded_url(server_home: Path, server_url: str, bare_url: str) -> Iterator[str]:
    """A database as a role whose password the server really asks for: a line in pg_hba.conf for this role alone."""
    role = f"guarded_{uuid.uuid4().hex[:8]}"
    admin = create_engine(parse_url(server_url), isolation_level="AUTOCOMMIT")
    rules = embedded.data_directory(server_home) / "pg_hba.conf"
    before = rules.read_text(encoding="utf-8")
    rules.write_text(f"local all {role} scram-sha-256\n{before}", encoding="utf-8")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD '{RIGHT}'"))
        connection.execute(text("SELECT pg_reload_conf()"))
    yield _once_guarded(parse_url(bare_url).set(username=role).render_as_string(hide_password=False))
    rules.write_text(before, encoding="utf-8")
    with admin.connect() as connection:
        connection.execute(text("SELECT pg_reload_conf()"))
    admin.dispose()


def _once_guarded(url: str) -> str:
    """The URL, when the server has read its rules again and lets nobody in without password any more."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        engine = create_engine(parse_url(url))
        try:
            engine.connect().close()
        except OperationalError:
            return url
        finally:
            engine.dispose()
        time.sleep(0.05)
    pytest.fail("the server did not reload pg_hba.conf")


def test_a_wrong_password_is_said_and_not_shown(guarded_url: str) -> None:
    """Neither where it stands in the user part nor as a parameter."""
    wrong = parse_url(guarded_url).set(password=WRONG)
    for url in (wrong, wrong.set(password=None).update_query_dict({"password": WRONG})):
        full = url.render_as_string(hide_password=False)
        message = told(StoreError, lambda full=full: with_engine(full, status))  # type: ignore[misc]
        assert message.endswith(": password authentication failed; check user and password in the URL")
        assert "***" in message
        assert WRONG not in message


def test_no_password_where_one_is_asked_for(guarded_url: str) -> None:
    """The URL lacks it, and the line says so; with the right one all is well."""
    message = told(StoreError, lambda: with_engine(guarded_url, status))
    assert message.endswith(": it asks for a password and the URL has none")
    right = parse_url(guarded_url).set(password=RIGHT).render_as_string(hide_password=False)
    with_engine(right, status)


def test_a_schema_that_is_not_migrated(bare_url: str) -> None:
    """What to run is named, by the check before a command and by the statement that finds no table."""
    line = r"postgresql://\S+ has no shadowdiff tables; run: shadowdiff db upgrade"
    assert re.fullmatch(line, told(StoreError, lambda: with_engine(bare_url, lambda e: require_current(e, "store"))))
    message = told(StoreError, lambda: with_engine(bare_url, lambda engine: RunStore(engine).newest(1)))
    assert message.endswith("; the schema is missing or old, run: shadowdiff db upgrade")
    engine = source_engine(bare_url)
    message = told(SourceError, lambda: list(PostgresSource(engine).sessions(Window(last=1))))
    engine.dispose()
    assert message.startswith("selecting sessions failed on postgresql://")
    assert message.endswith("; the schema is missing or old, run: shadowdiff db upgrade")


def test_a_statement_that_runs_too_long(empty_url: str) -> None:
    """It is cancelled by the server, and the line says why."""
    engine = source_engine(empty_url)

    def sleep() -> None:
        with database_errors(SourceError, "sleeping", engine.url), engine.connect() as connection:
            connection.execute(text("SET LOCAL statement_timeout = '20ms'"))
            connection.execute(text("SELECT pg_sleep(60)"))

    message = told(SourceError, sleep)
    engine.dispose()
    assert re.fullmatch(
        r"sleeping failed on \S+: a statement ran into the statement timeout and was cancelled; .+", message
    )


def test_a_source_sets_its_own_limits(empty_url: str) -> None:
    """Whatever the server's defaults are."""
    engine = source_engine(empty_url)
    with engine.connect() as connection:
        settings = {
            name: connection.scalar(text(f"SHOW {name}"))
            for name in ("statement_timeout", "transaction_read_only", "transaction_isolation", "application_name")
        }
    engine.dispose()
    assert settings == {
        "statement_timeout": "2min",
        "transaction_read_only": "on",
        "transaction_isolation": "repeatable read",
        "application_name": "shadowdiff",
    }


def test_the_url_decides_where_it_says_something(empty_url: str) -> None:
    """A name that an administrator greps for in pg_stat_activity is not overruled."""
    engine = store_engine(f"{empty_url}&application_name=nightly&connect_timeout=3")
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW application_name")) == "nightly"
    engine.dispose()


def test_a_role_that_may_not_read(empty_url: str, empty_engine: Engine) -> None:
    """A role without rights on our schema is told what it lacks."""
    role = f"reader_{uuid.uuid4().hex[:8]}"
    with empty_engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
    url = parse_url(empty_url).set(username=role).render_as_string(hide_password=False)
    message = told(StoreError, lambda: with_engine(url, lambda engine: RunStore(engine).newest(1)))
    assert message.endswith("permission denied for schema shadowdiff; grant it, or connect as another role")


def test_a_connection_that_is_cut(empty_url: str, empty_engine: Engine) -> None:
    """The server goes away in the middle: one line, and the next call connects again."""
    store = RunStore(empty_engine)

    def cut() -> None:
        with database_errors(StoreError, "reading runs", empty_engine.url), empty_engine.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    assert "terminating connection due to administrator command" in told(StoreError, cut)
    assert store.newest(1) == []
