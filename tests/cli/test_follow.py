"""Following through the real command line, while production goes on in a real Postgres."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shadowdiff.database import store_engine
from shadowdiff.sources.bundle import Bundle
from tests.cli.test_mapped import configured
from tests.conftest import Cli, clean_environment
from tests.live import LiveSession
from tests.paid import paid_reranker
from tests.servers import execute, until
from tests.strangers import Renamed

SIDES = ("-A", "served", "-B", "bm25", "--top-k", "4")
LONG_AGO = 3_600.0
IDLE_SECONDS = 20
"""What this test may take, on any machine, from one turn that it asks to the next."""
CUT_OFF = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@dataclass(frozen=True)
class Follower:
    """The command, under way."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def shown(self) -> str:
        """What has been written so far."""
        return self.out.read_text(encoding="utf-8")

    def until_shown(self, text: str) -> None:
        """Wait for it."""
        self.until(f"{text!r} to be shown", lambda: text in self.shown)

    def until(self, what: str, is_so: Callable[[], bool]) -> None:
        """Wait for something to become so, unless the command has ended."""
        until(what, lambda: is_so() or self.process.poll() is not None, 120)
        assert is_so(), self.err.read_text(encoding="utf-8")

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Exit code and stderr, once it has ended by this signal."""
        self.process.send_signal(number)
        return self.process.wait(120), self.err.read_text(encoding="utf-8")


@contextmanager
def following(directory: Path, env: dict[str, str], *arguments: str) -> Iterator[Follower]:
    """Follow in a directory of its own; ended, however the test ends."""
    directory.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "shadowdiff", "replay", "--follow", *arguments]
    out, err = directory / "out", directory / "err"
    environment = clean_environment(directory) | env
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=stdout, stderr=stderr)
    try:
        yield Follower(process, out, err)
    finally:
        process.kill()
        process.wait()


def of_type(kind: str, lines: str) -> list[Any]:
    """JSON lines of one type, in order."""
    return [line for line in map(json.loads, lines.splitlines()) if line["type"] == kind]


@pytest.fixture
def likes(sample: Bundle) -> list[str]:
    """Recorded sessions of two turns and more, which live ones go like."""
    found = (s for s in sample.sessions if len(s.turns) >= 2 and all(t.recorded_pool and t.served for t in s.turns))
    return [session.session_id for session in found]


@pytest.fixture
def like(likes: list[str]) -> str:
    """One of them."""
    return likes[0]


def test_each_session_is_shown_once_it_is_idle_and_lost_connections_lose_nothing(
    cli: Cli, database: dict[str, str], sample: Bundle, like: str, tmp_path: Path
) -> None:
    """Heard through NOTIFY: the next poll would come long after; every connection is cut in the middle."""
    url = database["SHADOWDIFF_DATABASE_URL"]
    org = next(session.org_id for session in sample.sessions if session.session_id == like)
    other = next(session.session_id for session in sample.sessions if session.org_id != org)
    arguments = ("--idle", f"{IDLE_SECONDS}s", "--poll", "1h", "--org", org, "--format", "jsonl", *SIDES)
    with following(tmp_path / "here", database, *arguments) as follower:
        follower.until_shown('"type": "run"')
        empty, goes_on = (LiveSession(url, like).begin() for _ in range(2))
        elsewhere, quick = (LiveSession(url, name).arrive(LONG_AGO) for name in (other, like))
        follower.until_shown(quick.session_id)
        goes_on.ask(1)
        execute(url, CUT_OFF)
        goes_on.ask(2)
        missed = LiveSession(url, like).arrive(LONG_AGO)
        follower.until_shown(goes_on.session_id)
        assert idle_for(url, goes_on) >= IDLE_SECONDS
        follower.until_shown(missed.session_id)
        code, err = follower.end()
        shown = follower.shown
    unexpected = [line for line in err.splitlines() if "trying again until it is back" not in line]
    assert (code, unexpected) == (0, []), "cut in the middle of a statement, it says so, and goes on"
    sessions = of_type("session", shown)
    asked = {session["session_id"]: len(session["turns"]) for session in sessions}
    assert asked == {quick.session_id: 1, missed.session_id: 1, goes_on.session_id: 2}
    assert len(sessions) == 3, "each once"
    assert empty.session_id not in shown
    assert elsewhere.session_id not in shown
    again = cli("show", "latest", "--format", "jsonl", env=database).out
    assert of_type("session", again) == sessions
    assert of_type("summary", again) == of_type("summary", shown)
    assert of_type("summary", shown)[0]["sessions"] == 3
    (began,), (ended,) = of_type("run", shown), of_type("run", again)
    assert (began["status"], ended["status"]) == ("running", "done")
    assert ended["config"]["window"]["org_ids"] == [org]


def idle_for(url: str, session: LiveSession) -> float:
    """Seconds since its last turn, by the clock that stamped it."""
    turns = f"shadowdiff.turns WHERE session_id = '{session.session_id}'"
    return float(rows(url, f"SELECT extract(epoch FROM now() - max(asked_at)) FROM {turns}")[0][0])


def test_a_mapped_schema_is_polled_and_shown_like_any_run(
    cli: Cli, stranger: tuple[str, Renamed], empty_url: str, like: str, tmp_path: Path
) -> None:
    """Terminal, only what changed; SIGTERM ends it as Ctrl-C does; `show` writes the very same, its gate too."""
    url, names = stranger
    here = configured(tmp_path / "here", url, empty_url)
    seen = ("--only-changed", "--width", "90", "--gate", "mean_overlap.B >= 1", "--strict", "point")
    arguments = ("--idle", "3s", "--poll", "1s", *seen, *SIDES)
    like = names.session[like]
    with following(here, {}, *arguments) as follower:
        follower.until("the run to begin", lambda: bool(rows(empty_url, "SELECT 1 FROM shadowdiff.runs")))
        goes_on = LiveSession(url, like, is_mapped=True).begin().ask(1)
        quick = LiveSession(url, like, is_mapped=True).arrive(LONG_AGO)
        goes_on.ask(2)
        follower.until_shown(f"session {quick.session_id}")
        follower.until_shown(f"session {goes_on.session_id}")
        code, err = follower.end(signal.SIGTERM)
        shown = follower.shown
    assert (code, err.count("\n")) == (1, 1)
    assert "mean_overlap.B >= 1" in err
    assert shown.count("━ session ") == 2
    assert shown == cli("show", "latest", *seen, cwd=here).out
    assert "still running" not in shown


def rows(url: str, statement: str) -> list[Any]:
    """What a statement gives."""
    engine = store_engine(url)
    with engine.connect() as connection:
        found = list(connection.exec_driver_sql(statement))
    engine.dispose()
    return found


def test_what_earlier_sessions_cost_counts_against_the_cap_and_the_rest_can_go_on(
    cli: Cli, database: dict[str, str], likes: list[str], tmp_path: Path
) -> None:
    """What is asked again comes from the cache; a document is written at the end, though the cap ended it."""
    url, here = database["SHADOWDIFF_DATABASE_URL"], tmp_path / "here"
    env = database | paid_reranker(tmp_path / "plugin")
    here.mkdir()
    (here / "shadowdiff.toml").write_text("[prices.paid]\nrequest = 1.0\n", encoding="utf-8")
    early = [LiveSession(url, likes[0]).arrive(LONG_AGO).session_id for _ in range(2)]
    arguments = ("--since", "1h", "--max-usd", "1.5", "-A", "bm25", "-B", "paid", "--format", "json", "-o", "run.json")
    planned = "SELECT session_id FROM shadowdiff.run_sessions WHERE turns IS NOT NULL"
    with following(here, env, *arguments) as follower:
        follower.until("the first session", lambda: len(rows(url, planned)) == 2)
        late = LiveSession(url, likes[1]).arrive(LONG_AGO).session_id
        assert follower.process.wait(120) == 1
        err = follower.err.read_text(encoding="utf-8")
    assert "stopped before providers cost more than --max-usd 1.5; 2 of 3 sessions are stored" in err
    written = json.loads((here / "run.json").read_text(encoding="utf-8"))
    assert [session["session_id"] for session in written["sessions"]] == early
    assert written["status"] == "interrupted"
    resumed = cli("replay", "--resume", written["run_id"], "--max-usd", "9", "--format", "json", env=env, cwd=here)
    assert resumed.code == 0, resumed.err
    done = json.loads(resumed.out)
    assert [session["session_id"] for session in done["sessions"]] == [*early, late]
    assert done["summary"]["timing"]["B"]["cost_usd"] == 2.0
