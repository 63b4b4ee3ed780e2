"""Database URLs: what is understood, what is refused, and no password in anything printed."""

from __future__ import annotations

from urllib.parse import quote

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from shadowdiff.database import database_errors, masked, parse_url, store_engine
from shadowdiff.errors import ConfigError, StoreError


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_postgres_scheme_means_psycopg(scheme: str) -> None:
    """URLs come from other tools' configuration, each with its own driver in it."""
    url = parse_url(f"{scheme}://me:pw@db:5433/rag?sslmode=require")
    assert (url.drivername, url.host, url.port, url.database) == ("postgresql+psycopg", "db", 5433, "rag")
    assert (url.password, url.query["sslmode"]) == ("pw", "require")
    assert masked(url) == "postgresql://me:***@db:5433/rag?sslmode=require"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hunter2@db/rag", "postgresql://me:***@db/rag"),
        ("postgresql://:hunter2@db/rag", "postgresql://:***@db/rag"),
        ("postgresql://me@db/rag?password=hunter2", "postgresql://me@db/rag?password=***"),
        ("postgresql:///rag?port=5433&PASSWORD=hunter2", "postgresql:///rag?PASSWORD=***&port=5433"),
        ("postgresql://db/rag?password=a&password=hunter2", "postgresql://db/rag?password=***"),
        ("postgresql://db/rag?sslpassword=hunter2", "postgresql://db/rag?sslpassword=***"),
        ("postgresql://db/rag?oauth_client_secret=hunter2", "postgresql://db/rag?oauth_client_secret=***"),
        ("postgresql://me:hunter2%40%2F%3A%23@db/rag", "postgresql://me:***@db/rag"),
        ("postgresql://me:a:hunter2@db/rag", "postgresql://me:***@db/rag"),
        ("postgresql://me:a/hunter2?#@db/rag", "postgresql://me:***@db/rag"),
        ("postgresql://me:hunter2@[::1]/rag", "postgresql://me:***@[::1]/rag"),
        ("postgresql://db/rag", "postgresql://db/rag"),
    ],
)
def test_a_password_is_masked_wherever_it_stands(text: str, shown: str) -> None:
    """The rest of the URL stays readable."""
    assert masked(parse_url(text)) == shown


@given(st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=4))
def test_no_encoded_password_is_ever_shown(password: str) -> None:
    """Any text can be a password when it is percent-encoded."""
    url = parse_url(f"postgresql://me:{quote(password, safe='')}@db.example/rag")
    assert url.password == password
    assert masked(url) == "postgresql://me:***@db.example/rag"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:hun@ter2@db/rag",
        "postgresql://me:hun@ter2/x@db/rag",
        "postgresql://me:hun@ter2?x@db/rag",
        "postgresql://me/x:ter2@db/rag",
        "postgresql://me:x@db/rag?password=hun@ter2",
    ],
)
def test_a_password_with_a_bare_at_sign_is_refused(text: str) -> None:
    """It would be cut in two, and its second half shown as the host."""
    with pytest.raises(ConfigError, match="write %40") as caught:
        parse_url(text)
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        *("", "   ", "hunter2", "host=db password=hunter2", "postgresql://me:hunter2@db:port/rag", "://me:hunter2@db"),
        "postgresql://me:hunter2@db:99:99/rag",
    ],
)
def test_what_does_not_parse_is_refused_without_being_repeated(text: str) -> None:
    """The form that is expected stands in the message; no cause that a traceback could print does."""
    with pytest.raises(ConfigError, match=r"expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE") as caught:
        parse_url(text)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("scheme", ["mysql", "sqlite", "mysql+pymysql", "https"])
def test_another_database_is_refused(scheme: str) -> None:
    """Postgres only, and said so."""
    with pytest.raises(ConfigError, match=f"Postgres only, not '{scheme.split('+', maxsplit=1)[0]}'") as caught:
        store_engine(f"{scheme}://me:hunter2@db/rag")
    assert "hunter2" not in str(caught.value)


TCP = 'connection failed: connection to server at "10.0.0.1", port 5432 failed:'
SOCKET = 'connection to server on socket "/run/.s.PGSQL.5432" failed:'
NOTHING_LISTENS = "nothing listens there; is Postgres running, and are host and port right?"
CONNECTION_ERRORS = (
    (
        f'{TCP} FATAL:  password authentication failed for user "me"',
        "password authentication failed; check user and password in the URL",
    ),
    (f"{TCP} Connection refused\n\tIs the server running on that host and accepting connections?", NOTHING_LISTENS),
    (f"{SOCKET} No such file or directory\n\tIs the server running locally?", NOTHING_LISTENS),
    ('failed to resolve host "dbb": [Errno -2] Name or service not known', "the host name is unknown; check the URL"),
    ("connection timeout expired", "no answer in time; check host, port and firewall"),
    ("fe_sendauth: no password supplied", "it asks for a password and the URL has none"),
    (f'{TCP} FATAL:  database "rag" does not exist', f'{TCP[19:]} FATAL:  database "rag" does not exist'),
)


@pytest.mark.parametrize("password", ["hunter2", "password", "e"])
@pytest.mark.parametrize(("said", "shown"), CONNECTION_ERRORS)
def test_connection_errors_are_told_in_plain_words(said: str, shown: str, password: str) -> None:
    """What was done, where, why and what to do, even if the password is a word of the message."""
    url = parse_url(f"postgresql://me:{password}@10.0.0.1/rag")
    with pytest.raises(StoreError) as caught, database_errors(StoreError, "reading runs", url):
        raise OperationalError("SELECT 1", {}, psycopg.OperationalError(said))
    expected = shown.replace(password, "***") if shown in said else shown
    assert str(caught.value) == f"reading runs failed on postgresql://me:***@10.0.0.1/rag: {expected}"


def test_a_password_that_the_driver_repeats_is_masked() -> None:
    """Wherever it stood in the URL."""
    url = parse_url("postgresql://me:hunter2@db/rag?sslpassword=swordfish")
    with pytest.raises(StoreError) as caught, database_errors(StoreError, "reading", url):
        raise OperationalError(None, None, psycopg.OperationalError("hunter2 and swordfish are wrong"))
    assert str(caught.value).endswith(": *** and *** are wrong")


def test_text_that_postgres_cannot_hold_is_said_plainly() -> None:
    """Arguments from a shell may hold half a surrogate pair, and the driver cannot send one."""
    with (
        pytest.raises(StoreError, match=r"reading failed on .*: '\\udcff' is not valid Unicode") as caught,
        database_errors(StoreError, "reading", parse_url("postgresql://db/rag")),
    ):
        "\udcff".encode()
    assert "\n" not in str(caught.value)
