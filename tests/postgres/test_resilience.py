"""A real server's bad days: it restarts, goes away, follows another one, stands behind a pooler, and is only read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from shadowdiff import embedded
from shadowdiff.config import ConnectionLimits
from shadowdiff.database import parse_url, source_engine, store_engine
from shadowdiff.errors import ConfigError, SourceError
from shadowdiff.records import Window
from shadowdiff.retry import Retries
from shadowdiff.sources.bundle import Bundle
from shadowdiff.sources.postgres import PostgresSource
from shadowdiff.store.migrate import upgrade
from shadowdiff.store.runs import RunStore
from tests.cli.test_follow import following
from tests.cli.test_mapped import configured
from tests.conftest import Cli, clean_environment, load
from tests.live import LiveSession
from tests.pace import held, slow_reranker
from tests.servers import Bouncer, OwnServer, Standby, bouncer_program, execute, until
from tests.strangers import fill

SESSIONS = 16
"""Two windows: while the second is ranked, nothing more is read."""
REPLAY = (
    *("replay", "--last", str(SESSIONS), "-A", "bm25", "-B", "slow"),
    *("--latency", "0", "--no-cache", "--format", "json"),
)


@pytest.fixture
def own_server(tmp_path: Path, sample: Bundle) -> Iterator[OwnServer]:
    """A server of this test's own with the sample loaded."""
    server = OwnServer(tmp_path / "home")
    engine = store_engine(server.start())
    upgrade(engine)
    load(engine, sample)
    engine.dispose()
    yield server
    server.start()
    server.stop()


def started(server: OwnServer, directory: Path, retry_for: str) -> subprocess.Popen[bytes]:
    """A replay under way, with its first batch stored, held in its second until `go_on`."""
    directory.mkdir()
    (directory / "shadowdiff.toml").write_text(f'[database]\nretry_for = "{retry_for}"\n', encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "shadowdiff", *REPLAY],
        cwd=directory,
        env=held(clean_environment(directory) | slow_reranker(directory / "plugin"), directory / "go")
        | server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    engine = store_engine(server.start())
    store = RunStore(engine)

    def has_begun() -> bool:
        runs = store.newest(1)
        return bool(runs) and 0 < store.progress(runs[0].run_id)[0] < SESSIONS

    until("the first batch", has_begun, 120)
    engine.dispose()
    return process


def go_on(directory: Path) -> None:
    """Let the replay in this directory go on."""
    (directory / "go").touch()


def comparable(output: str) -> dict[str, Any]:
    """A run without its ids and times."""
    document: dict[str, Any] = json.loads(output)
    document["summary"].pop("timing")
    return {key: value for key, value in document.items() if key not in {"run_id", "started_at", "finished_at"}}


@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back_changes_no_result(
    own_server: OwnServer, cli: Cli, tmp_path: Path
) -> None:
    """Source and store at once, in the middle of a run: the run goes on where it was."""
    undisturbed = cli(*REPLAY, env=slow_reranker(tmp_path / "plugin") | own_server.environment)
    execute(own_server.start(), "TRUNCATE shadowdiff.runs CASCADE")
    process = started(own_server, tmp_path / "here", "60s")
    own_server.kill()
    go_on(tmp_path / "here")
    assert process.stderr is not None
    noticed = process.stderr.readline().decode()
    own_server.start()
    out, err = process.communicate(timeout=240)
    assert (process.returncode, err, undisturbed.code) == (0, b"", 0)
    assert noticed.endswith("; trying again for up to 60 s\n")
    assert comparable(out.decode()) == comparable(undisturbed.out)


@pytest.mark.slow
def test_a_server_that_stays_away_ends_the_run_and_loses_nothing(
    own_server: OwnServer, cli: Cli, tmp_path: Path
) -> None:
    """Exit 3 in time; what was stored is there when the server is, and the run can go on."""
    process = started(own_server, tmp_path / "here", "2s")
    own_server.kill()
    go_on(tmp_path / "here")
    out, err = process.communicate(timeout=240)
    assert (process.returncode, out) == (3, b"")
    lines = err.decode().splitlines()
    assert len(lines) == 3, lines
    assert "; trying again for up to 2 s" in lines[0]
    assert "; tried again for 2 s" in lines[2]
    resumable = re.search(r"stored as run (\S+); go on with: shadowdiff replay --resume \1", lines[1])
    assert resumable, lines[1]
    own_server.start()
    env = slow_reranker(tmp_path / "plugin") | own_server.environment
    kept = json.loads(cli("show", resumable[1], "--format", "json", env=env).out)
    assert 0 < len(kept["sessions"]) < SESSIONS
    assert kept["status"] == "interrupted"
    resumed = cli("replay", "--resume", resumable[1], *REPLAY[-3:], "--latency", "0", env=env)
    assert resumed.code == 0, resumed.err
    assert len(json.loads(resumed.out)["sessions"]) == SESSIONS


@pytest.mark.slow
def test_a_server_that_comes_back_is_followed_on(own_server: OwnServer, tmp_path: Path) -> None:
    """However long it was away: told once, and what was found or written meanwhile is shown."""
    url = own_server.start()
    arguments = ("--idle", "3s", "--poll", "1h", "--format", "jsonl", "-A", "served", "-B", "bm25")
    with following(tmp_path / "here", own_server.environment, *arguments) as follower:
        follower.until_shown('"type": "run"')
        found = LiveSession(url, "hv-04bd").arrive(0)
        own_server.kill()
        follower.until("the outage to be noticed", lambda: bool(follower.err.read_text(encoding="utf-8")))
        own_server.start()
        follower.until_shown(found.session_id)
        late = LiveSession(url, "hv-04bd").arrive(3_600)
        follower.until_shown(late.session_id)
        code, err = follower.end()
        assert len(follower.shown.splitlines()) == 4
    assert (code, len(err.splitlines())) == (0, 1)
    assert err.endswith("; trying again until it is back\n")


def test_the_hold_on_a_run_is_taken_again_after_a_lost_connection(own_server: OwnServer) -> None:
    """And fails where another command was quicker."""
    engine, other = (store_engine(own_server.start()) for _ in range(2))
    store, rival = RunStore(engine, Retries(30)), RunStore(other)
    with store.carrying_out("r1"):
        own_server.kill()
        own_server.start()
        assert store.newest(1) == []
        with pytest.raises(ConfigError, match="is being carried out by another command"), rival.carrying_out("r1"):
            pass
        execute(
            own_server.start(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        )
        with rival.carrying_out("r1"), pytest.raises(ConfigError, match="is being carried out by another command"):
            store.newest(1)
    engine.dispose()
    other.dispose()


READS = re.compile(
    r"SELECT\b|DECLARE \S+ CURSOR FOR (?:SELECT|WITH \w+ AS MATERIALIZED)\b"
    r"|FETCH FORWARD|CLOSE\b|SHOW\b|SAVEPOINT|ROLLBACK|RELEASE|;?$"
    r"|BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY$|BEGIN$|COMMIT$",
    re.IGNORECASE,
)


def test_the_servers_log_of_a_replay_holds_nothing_but_reads(
    cli: Cli, server_home: Path, bare_url: str, empty_url: str, sample: Bundle, tmp_path: Path
) -> None:
    """Statement by statement on the source, every pool and side; data is read in READ ONLY transactions."""
    engine = store_engine(bare_url)
    fill(engine, sample)
    engine.dispose()
    name = parse_url(bare_url).database
    execute(bare_url, "ALTER SYSTEM SET log_line_prefix = '%d '", "SELECT pg_reload_conf()")
    execute(bare_url, f"ALTER DATABASE {name} SET log_statement = 'all'")
    here = configured(tmp_path / "here", bare_url, empty_url)
    sides = ("-A", "cosine", "-B", "bm25", "-B", "served")
    for more in ((), ("--pool-from", "hybrid"), ("--since", "2026-01-01", "--org", "unknown")):
        assert cli("replay", "--last", "5", *sides, *more, "--format", "json", cwd=here).code in {0, 2}
    log = (embedded.data_directory(server_home) / "log").read_text(encoding="utf-8")
    found = re.findall(rf"^{name} LOG:  (?:statement|execute [^:]+): (.*)$", log, re.MULTILINE)
    assert len(found) > 60
    assert [statement for statement in found if not READS.match(statement)] == []
    assert found.count("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") > 10
    opened = ""
    for statement in found:
        opened = statement if statement.startswith("BEGIN") else opened
        if "helpdesk." in statement:
            assert opened.endswith("READ ONLY")


@pytest.mark.skipif(bouncer_program() is None, reason="pgbouncer is not installed; apt-get install pgbouncer")
def test_behind_pgbouncer_in_transaction_mode(
    cli: Cli, sample_url: str, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """Source and store both: same results, nothing set that the next client would find, TLS parameters heeded."""
    bouncer = Bouncer.before(sample_url, tmp_path_factory.mktemp("bouncer") / "b")
    arguments = ("replay", "--last", "6", "-A", "cosine", "-B", "bm25", "--latency", "0", "--format", "json")
    try:
        direct = cli(*arguments, env={"SHADOWDIFF_DATABASE_URL": sample_url})
        pooled = cli(*arguments, env={"SHADOWDIFF_DATABASE_URL": bouncer.url})
        assert (pooled.code, pooled.err) == (0, "")
        assert comparable(pooled.out) == comparable(direct.out)
        engine = source_engine(bouncer.url)
        source = PostgresSource(engine)
        assert len(source.session_ids(Window())) == 55
        with source.listener(lambda session_id: None) as listener:
            assert (listener.is_listening, listener.refusal[:23]) == (False, "a pooler stands between")
        engine.dispose()
        encrypted = source_engine(f"{bouncer.url}?sslmode=require")
        with pytest.raises(SourceError, match="the server offers no TLS, and the URL asks for it"):
            PostgresSource(encrypted).session_ids(Window())
        plain = create_engine(parse_url(bouncer.url), connect_args={"prepare_threshold": None})
        with plain.connect() as connection:
            shown = {name: connection.scalar(text(f"SHOW {name}")) for name in ("statement_timeout", "lock_timeout")}
            assert shown == {"statement_timeout": "0", "lock_timeout": "0"}
            assert connection.scalar(text("SHOW default_transaction_read_only")) == "off"
            assert connection.scalar(text("SELECT count(*) FROM pg_listening_channels()")) == 0
        plain.dispose()
    finally:
        bouncer.stop()


def test_on_a_hot_standby_conflicts_with_recovery_are_tried_again(
    own_server: OwnServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The primary vacuums away what a transaction on the standby still sees: the read is done again, whole."""
    url = own_server.start()
    execute(url, "CREATE TABLE crowd AS SELECT generate_series(1, 1000) AS x")
    standby = Standby.of(url, tmp_path_factory.mktemp("standby") / "s")
    waits: list[str] = []
    engine = source_engine(standby.url, ConnectionLimits())
    source = PostgresSource(engine, retries=Retries(30, waits.append))
    try:
        assert len(source.session_ids(Window())) == 55
        with source.listener(waits.append) as listener:
            assert (listener.is_listening, listener.refusal[:15]) == (False, "it is a standby")
        seen: list[int] = []

        def count_twice(connection: Any) -> int:
            seen.append(connection.scalar(text("SELECT count(*) FROM crowd")))
            if len(seen) == 1:
                execute(url, "DELETE FROM crowd WHERE x > 500", "VACUUM crowd")
                until("the standby to follow", lambda: _replayed(engine, url))
            return int(connection.scalar(text("SELECT count(*) FROM crowd")))

        assert source.read("counting", count_twice) == 500
        assert seen == [1000, 500]
        assert len(waits) == 1
        assert "recovery" in waits[0]
    finally:
        engine.dispose()
        standby.stop()


def _replayed(standby: Engine, primary: str) -> bool:
    admin = create_engine(parse_url(primary))
    with admin.connect() as there, standby.connect() as here:
        written = there.scalar(text("SELECT pg_current_wal_flush_lsn()"))
        done = here.scalar(text("SELECT pg_last_wal_replay_lsn() >= CAST(:lsn AS pg_lsn)"), {"lsn": written})
    admin.dispose()
    return bool(done)
