"""The SQL of a least-privilege role: a server takes it as it is, and the role can read and do nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, column, create_engine, select, table, text
from sqlalchemy.exc import DBAPIError

from shadowdiff.database import parse_url
from shadowdiff.sources.role import Table, read_only_role_sql
from tests.conftest import MakeDatabase

SCHEMA = 'Sales "EU"; DROP'
ROLE = "reader'; \"x"
WRITES = (
    'INSERT INTO "{schema}"."Chats" VALUES (2)',
    'UPDATE "{schema}"."Chats" SET id = 3',
    'TRUNCATE "{schema}"."Chats"',
    'CREATE TABLE "{schema}".mine (id int)',
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
)


@pytest.fixture
def owner(make_database: MakeDatabase) -> Iterator[Engine]:
    """A database with two tables in a schema whose names need quoting; roles of the test are dropped after it."""
    engine = create_engine(parse_url(make_database(None)), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {_quoted(SCHEMA)}")
        for name in ("Chats", "secrets"):
            connection.exec_driver_sql(f'CREATE TABLE {_quoted(SCHEMA)}."{name}" AS SELECT 1 AS id')
    yield engine
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {_quoted(ROLE)}")
        connection.exec_driver_sql(f"DROP ROLE {_quoted(ROLE)}")
    engine.dispose()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _read(connection: Connection, name: str) -> object:
    return connection.scalar(select(column("id")).select_from(table(name, schema=SCHEMA)))


def _made(owner: Engine, tables: list[Table]) -> Engine:
    """An engine of the new role, after its SQL ran statement by statement as printed."""
    sql = read_only_role_sql(ROLE, str(owner.url.database), [SCHEMA], tables)
    with owner.connect() as connection:
        for line in sql.splitlines():
            assert line.endswith(";")
            connection.exec_driver_sql(line.replace("%", "%%"))
    return create_engine(owner.url.set(username=ROLE), isolation_level="AUTOCOMMIT")


def test_the_role_reads_what_it_was_given_and_nothing_else(owner: Engine) -> None:
    """One table is readable, its neighbour is not, and its statements are bounded and read-only by default."""
    engine = _made(owner, [(SCHEMA, "Chats")])
    with engine.connect() as connection:
        assert _read(connection, "Chats") == 1
        assert connection.scalar(text("SHOW default_transaction_read_only")) == "on"
        assert connection.scalar(text("SHOW statement_timeout")) == "2min"
        with pytest.raises(DBAPIError, match="permission denied"):
            _read(connection, "secrets")
    engine.dispose()


def test_the_role_cannot_write_even_where_it_lifts_its_own_default(owner: Engine) -> None:
    """The default guards against accidents; what holds against intent are the rights that it does not have."""
    engine = _made(owner, [])
    with engine.connect() as connection:
        connection.execute(text("SET default_transaction_read_only = off"))
        for statement in WRITES:
            with pytest.raises(DBAPIError, match="permission denied"):
                connection.exec_driver_sql(statement.replace("{schema}", SCHEMA.replace('"', '""')))
    engine.dispose()


def test_a_whole_schema_includes_tables_of_the_future(owner: Engine) -> None:
    """Without a list of tables the role reads all of the schema, and what is made there later."""
    engine = _made(owner, [])
    with owner.connect() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {_quoted(SCHEMA)}.later AS SELECT 7 AS id")
    with engine.connect() as connection:
        assert _read(connection, "later") == 7
    engine.dispose()
