"""`shadowdiff init`: from a product's own schema to a file with which `shadowdiff replay` works."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from shadowdiff.config import Settings, load_settings
from shadowdiff.database import parse_url
from tests.conftest import ROOT, Cli, Finished, MakeDatabase
from tests.fixtures.phoenix import sent
from tests.servers import run_sql

SCHEMAS = ROOT / "tests" / "fixtures" / "schemas"
STORES = ROOT / "tests" / "fixtures" / "stores"
Replay = Callable[..., dict[str, Any]]


@pytest.fixture
def product(make_database: MakeDatabase) -> Callable[..., str]:
    """Makes a database with these schemas in it and returns its URL."""

    def make(*names: str) -> str:
        url = make_database(None)
        run_sql(url, "CREATE EXTENSION vector")
        for name in names:
            file = SCHEMAS / f"{name}.sql"
            run_sql(url, (file if file.exists() else STORES / f"{name}.sql").read_text(encoding="utf-8"))
        return url

    return make


@pytest.fixture
def replay(cli: Cli, empty_url: str) -> Replay:
    """Replays with the file that `init` wrote; the store is elsewhere."""

    def run(*arguments: str, **env: str) -> dict[str, Any]:
        store = {"SHADOWDIFF_STORE_URL": empty_url} | env
        finished = cli("replay", "--latency", "0", "--format", "json", *arguments, env=store)
        assert (finished.code, finished.err) == (0, "")
        document: dict[str, Any] = json.loads(finished.out)
        return document

    return run


def settings(tmp_path: Path) -> Settings:
    """What the loader makes of the file."""
    return load_settings(tmp_path / "shadowdiff.toml", {})


def started(cli: Cli, url: str, *options: str) -> Finished:
    """`init` as a script runs it."""
    finished = cli("init", "--database", url, *options)
    assert (finished.code, finished.err) == (0, "")
    return finished


def printed_role(finished: Finished) -> str:
    """The SQL of the role among what was printed."""
    return finished.out[finished.out.index("-- A role") : finished.out.index("\n\nnext")]


CASES = {
    "chat": (3, 6, 8, {"org_id"}, "bm25"),
    "searches": (3, 6, 9, {"org_id", "search_query"}, "served"),
    "log": (3, 6, 6, {"score"}, "bm25"),
    "camel": (3, 6, 5, {"org_id"}, "bm25"),
    "views": (3, 5, 3, set(), "served"),
    "cited": (3, 6, 5, {"org_id"}, "served"),
}
"""By schema: sessions, turns, entries in each pool, what else must be mapped, and the baseline proposed."""


@pytest.mark.parametrize("name", CASES)
def test_a_products_own_schema_replays_after_init(
    name: str, cli: Cli, product: Callable[..., str], replay: Replay, tmp_path: Path
) -> None:
    """Nothing but the URL is given: the file that is written is enough to replay, with whole pools and no failure."""
    sessions, turns, pooled, mapped, baseline = CASES[name]
    finished = started(cli, product(name))
    assert "the newest sessions, read this way" in finished.out
    assert f"pool of {pooled}" in finished.out
    assert "(not in entries)" not in finished.out
    found = settings(tmp_path)
    assert found.baseline == baseline
    assert all(column in json.dumps([dict(found.source.parts), dict(found.source.json_keys)]) for column in mapped)
    document = replay("--last", "3", "-B", "bm25", "--full-rankings")
    summary = document["summary"]
    assert (summary["sessions"], summary["turns"], summary["failed_turns"]) == (sessions, turns, 0)
    rankings = [turn["rankings"]["B"] for session in document["sessions"] for turn in session["turns"]]
    assert {len(ranking) for ranking in rankings} == {pooled}


def test_messages_of_users_are_the_turns_and_the_next_of_the_assistant_the_answer(
    cli: Cli, product: Callable[..., str], replay: Replay
) -> None:
    """Also where both were written in one transaction, with the very same time."""
    started(cli, product("chat"))
    queries = [turn["query"] for session in replay("--last", "2")["sessions"] for turn in session["turns"]]
    assert queries == ["user says thing 1", "user says thing 2"] * 2


def test_naive_times_get_the_zone_that_is_given(
    cli: Cli, product: Callable[..., str], replay: Replay, tmp_path: Path
) -> None:
    """Nine in the morning in Berlin is eight in UTC."""
    finished = started(cli, product("searches"), "--timezone", "Europe/Berlin")
    assert "Europe/Berlin, for times that are stored without a zone" in finished.out
    assert settings(tmp_path).source.timezone == "Europe/Berlin"
    assert replay("--last", "1")["sessions"][0]["started_at"].startswith("2026-11-01T12:00:00+00:00")


def test_sessions_that_no_table_holds_are_derived_and_the_file_says_what_that_costs(
    cli: Cli, product: Callable[..., str], tmp_path: Path
) -> None:
    """Grouping reads the whole log; a person should know, and know what is better."""
    started(cli, product("log"))
    written = (tmp_path / "shadowdiff.toml").read_text(encoding="utf-8")
    assert "GROUP BY turn.visitor_id" in written
    assert (
        "# There is no table of sessions: grouping by visitor_id reads all of public.search_log each time." in written
    )
    assert "A materialized view with an index on started_at" in written


@pytest.mark.parametrize(
    ("store", "preset", "table"),
    [
        ("langchain", "langchain", "public.langchain_pg_embedding"),
        ("langchain-table", "langchain-table", "public.help_articles"),
        ("llamaindex", "llamaindex", "public.data_help"),
    ],
)
def test_entries_in_a_vector_store_are_read_by_its_preset(
    store: str, preset: str, table: str, cli: Cli, product: Callable[..., str], replay: Replay, tmp_path: Path
) -> None:
    """Conversations from the product's tables, entries as LangChain or LlamaIndex keeps them."""
    url = product("chat", store)
    run_sql(url, "TRUNCATE documents; UPDATE messages SET retrieved = NULL;")
    started(cli, url)
    source = settings(tmp_path).source
    assert source.presets == (preset,)
    assert source.identifiers["table"] == table
    assert set(source.parts) == {"sessions", "turns"}
    summary = replay("--last", "2", "--pool-from", "bm25", "-B", "bm25")["summary"]
    assert (summary["turns"], summary["failed_turns"]) == (4, 0)


def test_phoenix_is_its_preset_and_the_role_may_read_what_that_reads(
    cli: Cli, product: Callable[..., str], replay: Replay, tmp_path: Path
) -> None:
    """A database that a real Phoenix wrote: nothing to say, served against bm25, through a role made as printed."""
    url = product()
    run_sql(url, sent.DUMP.read_text(encoding="utf-8"))
    role = f"reader_{parse_url(url).database}"
    finished = started(cli, url, "--role", role)
    found = settings(tmp_path)
    assert (found.source.presets, dict(found.source.parts), found.baseline) == (("phoenix",), {}, "served")
    run_sql(url, printed_role(finished))
    try:
        own = parse_url(url).set(username=role).render_as_string(hide_password=False)
        summary = replay("--last", "3", SHADOWDIFF_DATABASE_URL=own)["summary"]
        assert (summary["sessions"], summary["failed_turns"]) == (3, 0)
    finally:
        run_sql(url, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_shadowdiffs_own_tables_are_its_preset(cli: Cli, sample_url: str, replay: Replay, tmp_path: Path) -> None:
    """Where `shadowdiff load` filled them and nothing else is there."""
    finished = started(cli, sample_url)
    assert settings(tmp_path).source.presets == ("shadowdiff",)
    assert "preset shadowdiff" in finished.out
    assert replay("--last", "3", SHADOWDIFF_DATABASE_URL=sample_url)["summary"]["sessions"] == 3


def test_where_nothing_fits_it_says_what_is_missing_and_writes_a_template(
    cli: Cli, product: Callable[..., str], tmp_path: Path
) -> None:
    """Logins and an audit log are no conversations, whatever they are called."""
    finished = started(cli, product("unfit"))
    assert "turns: no table with an id, a query (text) and a time" in finished.out
    assert "sessions and turns have to be mapped" in finished.out
    assert not settings(tmp_path).source.parts
    assert "# Not found: turns: no table" in (tmp_path / "shadowdiff.toml").read_text(encoding="utf-8")


def test_a_wrong_guess_is_put_right_by_options(cli: Cli, product: Callable[..., str], tmp_path: Path) -> None:
    """Everything that is asked can be said instead, and what is said must be possible."""
    url = product("chat")
    options = ("--turns", "audit_log", "--sessions", "none", "--pool", "none", "--entries", "none", "--org", "none")
    started(cli, url, *options)
    parts = settings(tmp_path).source.parts
    assert "audit_log" in parts["turns"]
    assert set(parts) == {"sessions", "turns"}
    for option, value, reason in (
        ("--turns", "organizations", "turns 'organizations': public.organizations cannot be it: turns need"),
        ("--entries", "no_such", "entries 'no_such': it is not in this database, or this role may not see it"),
        ("--org", "colour", "org 'colour': no such column"),
        ("--preset", "no_such", "preset 'no_such' is not known"),
        ("--timezone", "Mars", "timezone 'Mars' is not known"),
        ("--production", "???", "'???' is no scheme"),
    ):
        refused = cli("init", "--force", "--database", url, option, value)
        assert refused.code == 2
        assert reason in refused.err
        assert refused.err.count("\n") == 1
    assert settings(tmp_path).source.parts == parts, "a refusal writes nothing"


# -- The file ---------------------------------------------------------------------------------------------------------


def test_without_a_url_the_template_is_written(cli: Cli, tmp_path: Path) -> None:
    """Every setting explained, none in force."""
    finished = cli("init")
    assert (finished.code, finished.err) == (0, "")
    assert "a template: no database was given" in finished.out
    assert not settings(tmp_path).source.is_mapped


def test_nothing_is_ever_overwritten_without_force(cli: Cli, product: Callable[..., str], tmp_path: Path) -> None:
    """A file, a link to nowhere or a directory: refused before the database is even asked, and left as it is."""
    (tmp_path / "shadowdiff.toml").write_text("# mine\n", encoding="utf-8")
    (tmp_path / "link.toml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "directory").mkdir()
    for arguments in (
        (),
        ("--database", "postgresql://nobody@127.0.0.1:1/x"),
        ("-o", "link.toml"),
        ("-o", "directory"),
    ):
        refused = cli("init", *arguments)
        assert refused.code == 2
        assert "--force overwrites it" in refused.err or "it is a directory" in refused.err
    assert (tmp_path / "shadowdiff.toml").read_text(encoding="utf-8") == "# mine\n"
    assert not (tmp_path / "nowhere").exists()
    started(cli, product("searches"), "--force")
    assert settings(tmp_path).source.is_mapped
    assert sorted(path.name for path in tmp_path.iterdir()) == ["directory", "link.toml", "shadowdiff.toml"]


def test_another_file_and_config_name_where_it_goes(cli: Cli, tmp_path: Path) -> None:
    """`-o FILE`, else `--config FILE`; a broken shadowdiff.toml nearby is none of its business."""
    (tmp_path / "shadowdiff.toml").write_text("[broken", encoding="utf-8")
    assert cli("init", "-o", "a.toml").code == 0
    assert cli("--config", "b.toml", "init").code == 0
    assert (tmp_path / "a.toml").read_text(encoding="utf-8") == (tmp_path / "b.toml").read_text(encoding="utf-8")
    assert "cannot write no/where.toml" in cli("init", "-o", "no/where.toml").err


def test_no_password_is_written_or_printed(cli: Cli, product: Callable[..., str], tmp_path: Path) -> None:
    """Neither that of the URL nor one among its parameters; the file says where it comes from instead."""
    secret = {"sslpassword": "hunter3", "password": "hunter2"}
    url = parse_url(product("searches")).update_query_dict(secret)
    finished = started(cli, url.render_as_string(hide_password=False))
    written = (tmp_path / "shadowdiff.toml").read_text(encoding="utf-8")
    assert "hunter" not in written + finished.out
    assert "PGPASSWORD" in written
    assert str(settings(tmp_path).database_url).startswith("postgresql://postgres@/")
    assert stat.S_IMODE(os.stat(tmp_path / "shadowdiff.toml").st_mode) & 0o600 == 0o600  # noqa: PTH116


def test_an_unreachable_database_is_exit_3(cli: Cli, tmp_path: Path) -> None:
    """One line, and no file."""
    refused = cli("init", "--database", "postgresql://me:hunter2@127.0.0.1:1/x")
    assert refused.code == 3
    assert refused.err.count("\n") == 1
    assert "hunter2" not in refused.err
    assert not (tmp_path / "shadowdiff.toml").exists()


# -- What the server refuses ------------------------------------------------------------------------------------------


def test_a_part_that_the_server_refuses_is_said_and_switched_off(
    cli: Cli, product: Callable[..., str], replay: Replay, tmp_path: Path
) -> None:
    """The file is written all the same, and what works in it works."""
    url = product("searches")
    run_sql(
        url,
        "CREATE FUNCTION angry() RETURNS bigint LANGUAGE plpgsql AS "
        "$$BEGIN RAISE insufficient_privilege USING MESSAGE = 'not for you'; END$$;"
        "ALTER TABLE query_results RENAME TO stored_results;"
        "CREATE VIEW query_results AS SELECT angry() AS query_id, article_id, rank, score FROM stored_results",
    )
    finished = started(cli, url, "--pool", "query_results")
    assert "left out: pool (public.query_results)" in finished.out
    assert "not for you" in finished.out
    assert "pool" not in settings(tmp_path).source.parts
    assert replay("--last", "2", "--pool-from", "bm25", "-A", "bm25", "-B", "bm25")["summary"]["failed_turns"] == 0


def test_a_table_that_the_role_may_not_read_is_passed_over(
    cli: Cli, product: Callable[..., str], tmp_path: Path
) -> None:
    """A role with little still gets a mapping of what it may see, and is told of the rest."""
    url = product("searches")
    role = f"limited_{parse_url(url).database}"
    run_sql(url, f"CREATE ROLE {role} LOGIN; GRANT SELECT ON sessions, queries TO {role}")
    try:
        own = parse_url(url).set(username=role).render_as_string(hide_password=False)
        finished = started(cli, own)
        assert set(settings(tmp_path).source.parts) == {"sessions", "turns"}
        assert "entries: no table looks like the knowledge base" in finished.out
        assert f"5 tables and views; 3 of them {role} may not read" in finished.out
    finally:
        run_sql(url, f"DROP OWNED BY {role}; DROP ROLE {role}")


ODD = "a\"; DROP TABLE x;--%s :x {table}\n\x1b[31m'\\"


def quoted(name: str) -> str:
    """As Postgres reads it."""
    return '"' + name.replace('"', '""') + '"'


def test_hostile_names_and_values_are_names_and_values(
    cli: Cli, product: Callable[..., str], replay: Replay, tmp_path: Path
) -> None:
    """Quotes, semicolons, per cent, colons, braces, line breaks, escapes: quoted, shown visibly, never run."""
    url = product()
    sessions, turns, entries = (quoted(f"{noun} {ODD}") for noun in ("chat", "query", "doc"))
    columns = [quoted(f"{noun} {ODD}") for noun in ("question", "asked at", "retrieved", "speaker role")]
    query, asked, retrieved, role = columns
    run_sql(
        url,
        f"""CREATE SCHEMA {quoted(ODD)}; SET search_path = {quoted(ODD)}, public;
        CREATE TABLE {sessions} ("id:x" text PRIMARY KEY, "created %s at" timestamptz);
        CREATE TABLE {turns} (id text PRIMARY KEY, "chat;id" text REFERENCES {sessions}, {query} text,
                              {asked} timestamptz, {retrieved} text[], {role} text);
        CREATE TABLE {entries} ("doc%id" text PRIMARY KEY, "body %(x)s" text);
        INSERT INTO {sessions} VALUES ('s''1', '2026-11-01Z');
        INSERT INTO {turns} VALUES ('t"1', 's''1', 'what; \x1b[2J', '2026-11-01Z', ARRAY['e1'], 'o''user\\');
        INSERT INTO {entries} VALUES ('e1', 'the body');""",
    )
    role = f"{ODD} {parse_url(url).database}"[:63]
    finished = started(cli, url, "--role", role)
    assert all(character.isprintable() or character == "\n" for character in finished.out)
    assert "first in the pool: the body" in finished.out
    source = settings(tmp_path).source
    assert set(source.parts) == {"sessions", "turns", "entries"}
    assert "E'o''user\\\\'" in source.parts["turns"]
    summary = replay("--last", "3", "-B", "bm25")["summary"]
    assert (summary["turns"], summary["failed_turns"]) == (1, 0)
    run_sql(url, printed_role(finished))
    try:
        own = parse_url(url).set(username=role).render_as_string(hide_password=False)
        assert replay("--last", "3", "-B", "bm25", SHADOWDIFF_DATABASE_URL=own)["summary"]["failed_turns"] == 0
    finally:
        run_sql(url, f"DROP OWNED BY {quoted(role)}; DROP ROLE {quoted(role)}")


# -- The role ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["searches", "camel"])
def test_the_role_that_is_printed_can_replay_and_cannot_write(
    name: str, cli: Cli, product: Callable[..., str], replay: Replay
) -> None:
    """As printed, run by an administrator; with it the same sessions are read, and an INSERT is refused."""
    url = product(name)
    role = f"Reader of {parse_url(url).database}"
    finished = started(cli, url, "--role", role)
    sql = printed_role(finished)
    only = started(cli, url, "--role", role, "--role-sql")
    assert only.out.strip() == sql.strip(), "--role-sql prints the same, and nothing else"
    run_sql(url, sql)
    try:
        own = parse_url(url).set(username=role)
        document = replay(
            "--last", "3", "-B", "bm25", SHADOWDIFF_DATABASE_URL=own.render_as_string(hide_password=False)
        )
        assert (document["summary"]["sessions"], document["summary"]["failed_turns"]) == (3, 0)
        engine = create_engine(own)
        table = re.findall(r"GRANT SELECT ON (.*?)(?:, \"| TO)", sql)[0]
        with engine.connect() as connection:
            connection.execute(text("SET default_transaction_read_only = off"))
            connection.commit()
            with pytest.raises(DBAPIError, match="permission denied"):
                connection.execute(text(f"INSERT INTO {table} DEFAULT VALUES"))
        engine.dispose()
    finally:
        run_sql(url, f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


def test_role_sql_alone_writes_no_file_and_needs_a_database(
    cli: Cli, product: Callable[..., str], tmp_path: Path
) -> None:
    """It can be piped into psql."""
    finished = started(cli, product("chat"), "--role-sql")
    assert finished.out.startswith("-- A role")
    assert 'GRANT SELECT ON "public"."conversations", "public"."messages", "public"."documents"' in finished.out
    assert not (tmp_path / "shadowdiff.toml").exists()
    assert "--role-sql needs --database" in cli("init", "--role-sql").err
