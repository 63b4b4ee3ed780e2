"""Nights through the real command line: what each replays, its reports, its gate, and being cut short."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest
from sqlalchemy import text

from shadowdiff.database import store_engine
from shadowdiff.sources.bundle import Bundle, read_bundle
from tests.cli.test_replay import Environment, comparable
from tests.conftest import MODEL, SHARED, Cli, Finished, clean_environment, load
from tests.pace import held, slow_reranker
from tests.servers import until

FILES = {"summary.md", "run.json", "report.html", "junit.xml"}
SETTINGS = """
[replay]
baseline = "cosine"
others = ["bm25"]

[nightly]
directory = "reports"
first = "7d"
overlap = "2d"
idle = "30min"
top_k = 4
"""
GATE = """
[gate]
rules = ["sessions <= 15", "failed_share <= 0.02"]
"""
NIGHTS = ("2026-10-24T02:30", "2026-11-06T02:30", "2026-11-21T02:30")


@dataclass
class Home:
    """A folder with a shadowdiff.toml, from which nights are started."""

    cli: Cli
    folder: Path
    env: Environment

    def nightly(self, as_of: str, *arguments: str) -> Finished:
        """One call, as if it were that time."""
        return self.cli("nightly", "--as-of", as_of, *arguments, env=self.env, cwd=self.folder)

    def run(self, night: str) -> dict[str, Any]:
        """What the night's report says."""
        found: dict[str, Any] = json.loads((self.folder / "reports" / night / "run.json").read_text(encoding="utf-8"))
        return found

    def sessions(self, night: str) -> list[str]:
        """Ids of those that the night replayed."""
        return [session["session_id"] for session in self.run(night)["sessions"]]


@pytest.fixture
def home(cli: Cli, database: Environment, tmp_path: Path) -> Home:
    """The sample, with reports and a gate."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "shadowdiff.toml").write_text(SETTINGS + GATE, encoding="utf-8")
    return Home(cli, folder, database)


def started_between(bundle: Bundle, since: str, until: str) -> list[str]:
    """Ids of the bundle's sessions that started then."""
    bounds = [datetime.fromisoformat(moment).replace(tzinfo=UTC) for moment in (since, until)]
    return [session.session_id for session in bundle.sessions if bounds[0] <= session.started_at < bounds[1]]


def test_three_nights(home: Home, sample: Bundle) -> None:
    """Each session in exactly one night, reports on disk, three rows of history; the third night crosses a gate."""
    first, second, third = (home.nightly(as_of) for as_of in NIGHTS)
    assert [first.code, second.code, third.code] == [0, 0, 1], (first.err, second.err, third.err)
    assert first.out == first.err == second.out == second.err == third.out == "", "silent when all is well"
    (line,) = third.err.splitlines()
    assert "night 2026-11-21: gate crossed: sessions <= 15" in line

    names = ["2026-10-24", "2026-11-06", "2026-11-21"]
    reports = home.folder / "reports"
    assert sorted(path.name for path in reports.iterdir() if not path.name.startswith(".")) == [*names, "latest"]
    assert (reports / "latest").resolve().name == "2026-11-21"
    assert all({path.name for path in (reports / name).iterdir()} == FILES for name in names)

    replayed = [session for name in names for session in home.sessions(name)]
    assert sorted(replayed) == sorted(started_between(sample, "2026-10-17T02:30", NIGHTS[-1]))
    again = home.nightly("2026-11-21T03:30")
    assert (again.code, again.out, again.err) == (0, "", ""), "no new session: nothing is judged"
    assert home.run("2026-11-21-2")["run_id"] is None

    listed = json.loads(home.cli("history", "--format", "json", env=home.env, cwd=home.folder).out)
    assert [night["sessions"] for night in listed["nights"][:3]] == [len(home.sessions(name)) for name in names]


def started(home: Home, as_of: str, env: Environment) -> subprocess.Popen[str]:
    """A night that goes on beside this test."""
    command = [sys.executable, "-m", "shadowdiff", "nightly", "--as-of", as_of]
    environment = clean_environment(home.folder) | home.env | env
    return subprocess.Popen(
        command, cwd=home.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.fixture
def slow_home(home: Home, tmp_path: Path) -> Home:
    """Nights that take a few seconds: side B sleeps."""
    settings = SETTINGS.replace('others = ["bm25"]', 'others = ["slow"]').replace("top_k = 4", "top_k = 4\npool = 6")
    (home.folder / "shadowdiff.toml").write_text(settings, encoding="utf-8")
    return Home(home.cli, home.folder, home.env | slow_reranker(tmp_path / "plugin"))


def test_two_started_together(slow_home: Home, tmp_path: Path) -> None:
    """One runs; the other says so, does nothing and exits 0."""
    both = [started(slow_home, NIGHTS[-1], held({}, tmp_path / "go")) for _ in range(2)]
    until("one of them to end", lambda: any(process.poll() is not None for process in both), 200)
    (tmp_path / "go").touch()
    ended = [(process.communicate(timeout=200), process.returncode) for process in both]
    assert [code for _, code in ended] == [0, 0], ended
    told = sorted(err for (_, err), _ in ended)
    assert told[0] == ""
    assert "a night of 'nightly' is under way in another process; nothing was done" in told[1]
    listed = json.loads(slow_home.cli("runs", "--format", "json", env=slow_home.env).out)
    assert len(listed) == 1


@pytest.mark.slow
def test_killed_in_mid_night_the_next_call_ends_it(slow_home: Home, tmp_path: Path) -> None:
    """Kill -9 while sessions are replayed: the next call's report is that of a night which nothing disturbed."""
    process = started(slow_home, NIGHTS[-1], held({}, tmp_path / "never"))
    killed_after = kill_once_stored(process, slow_home)
    assert not (slow_home.folder / "reports").exists()

    resumed = slow_home.nightly(NIGHTS[-1])
    assert (resumed.code, resumed.out, resumed.err) == (0, "", "")
    assert [path.name for path in (slow_home.folder / "reports").iterdir() if path.name[0] == "2"] == ["2026-11-21"]

    settings = slow_home.folder / "shadowdiff.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + 'name = "other"\n', encoding="utf-8")
    (slow_home.folder / "reports").rename(slow_home.folder / "killed")
    assert slow_home.nightly(NIGHTS[-1]).code == 0
    undisturbed = slow_home.run("2026-11-21")
    (slow_home.folder / "reports").rename(slow_home.folder / "undisturbed")
    (slow_home.folder / "killed").rename(slow_home.folder / "reports")
    assert 0 < killed_after < len(undisturbed["sessions"])
    assert comparable(slow_home.run("2026-11-21")) == comparable(undisturbed)


def kill_once_stored(process: subprocess.Popen[str], home: Home) -> int:
    """Kill -9 as soon as some sessions are stored; returns how many."""
    engine = store_engine(home.env["SHADOWDIFF_DATABASE_URL"])
    stored = text("SELECT count(turns) FROM shadowdiff.run_sessions")
    try:
        while process.poll() is None:
            with engine.connect() as connection:
                if done := int(connection.scalar(stored) or 0):
                    process.send_signal(signal.SIGKILL)
                    process.communicate()
                    return done
            time.sleep(0.02)
    finally:
        engine.dispose()
    raise AssertionError(process.communicate())


def test_a_night_whose_side_has_changed_begins_anew(home: Home, tmp_path: Path) -> None:
    """What was cut short cannot be gone on with: said, kept, and its sessions are replayed tonight."""
    model = tmp_path / "model"
    model.mkdir()
    for file in MODEL.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    settings = SETTINGS.replace('"bm25"', f'"onnx:{model},max_length=32", "slow"') + "pool = 4\n"
    (home.folder / "shadowdiff.toml").write_text(settings, encoding="utf-8")
    home = Home(home.cli, home.folder, home.env | slow_reranker(tmp_path / "plugin"))
    kill_once_stored(started(home, NIGHTS[-1], held({}, tmp_path / "never")), home)
    tokenizer = model / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    begun = home.nightly("2026-11-22T02:30")
    assert begun.code == 0
    assert "cannot be gone on with: side B" in begun.err
    assert "tonight replays its sessions" in begun.err
    runs = json.loads(home.cli("runs", "--format", "json", env=home.env).out)
    assert [run["status"] for run in runs] == ["done", "interrupted"]
    assert home.run("2026-11-22")["run_id"] == runs[0]["run_id"]
    assert home.run("2026-11-22")["config"]["window"]["since"] == "2026-11-14T02:30:00+00:00", "as of the night before"


def test_nights_of_real_conversations(cli: Cli, empty_url: str, tmp_path: Path) -> None:
    """Every conversation of mtrag that has a time, in exactly one of three nights."""
    if not (SHARED / "data" / "mtrag").is_dir():
        pytest.skip("shared/data/mtrag is not here: real conversations that a user's machine never has")
    bundle = read_bundle(SHARED / "data" / "mtrag")
    engine = store_engine(empty_url)
    load(engine, bundle)
    engine.dispose()
    settings = SETTINGS.replace('"bm25"', '"rrf:bm25+bm25"').replace('"cosine"', '"bm25"')
    more = 'pool = 4\npool_from = "bm25"\n'
    (tmp_path / "shadowdiff.toml").write_text(settings.replace('"7d"', '"900d"') + more, encoding="utf-8")
    home = Home(cli, tmp_path, {"SHADOWDIFF_DATABASE_URL": empty_url})
    starts = sorted(session.started_at for session in bundle.sessions)
    times = [starts[80], starts[160], starts[-1] + timedelta(days=10)]
    nights = [home.nightly(f"{moment:%Y-%m-%dT%H:%M}") for moment in times]
    assert [night.code for night in nights] == [0, 0, 0], [night.err for night in nights]
    replayed = [name for moment in times for name in home.sessions(f"{moment:%Y-%m-%d}")]
    assert sorted(replayed) == sorted(session.session_id for session in bundle.sessions)
    table = home.cli("history", env=home.env, cwd=home.folder)
    assert all(f"{moment:%Y-%m-%d}" in table.out for moment in times)


def test_a_person_who_looks_on_is_told(home: Home) -> None:
    """In a real terminal: what was replayed, the gate's outcomes and where the report is; nothing wider than it."""
    command = ["-m", "shadowdiff", "nightly", "--as-of", NIGHTS[0]]
    environment = clean_environment(home.folder) | home.env | {"TERM": "xterm", "NO_COLOR": "1"}
    child = pexpect.spawn(
        sys.executable,
        command,
        cwd=str(home.folder),
        env=environment,
        dimensions=(24, 80),
        encoding="utf-8",
        timeout=200,
    )
    child.expect(pexpect.EOF)
    child.close()
    screen = pyte.HistoryScreen(80, 60)
    pyte.Stream(screen).feed(child.before or "")
    shown = [line.rstrip() for line in screen.display]
    assert child.exitstatus == 0
    assert "night 2026-10-24" in shown
    assert any(line.startswith("  7 sessions, 28 turns: ") for line in shown), shown
    assert "  Gate: all 2 rules hold." in shown
    assert any(line.lstrip().startswith("report: ") for line in shown)


def test_a_call_from_before_the_last_night(home: Home) -> None:
    """What a missed night left is the next one's; with --since it is looked for."""
    assert home.nightly(NIGHTS[1]).code == 0
    before = home.nightly(NIGHTS[0])
    assert before.code == 2
    assert "--as-of is before 2026-11-06 02:30 UTC" in before.err
    assert home.nightly(NIGHTS[0], "--since", "2026-10-12").code == 0
    assert home.nightly(NIGHTS[1], "--since", "2026-10-12").code in {0, 1}
    listed = json.loads(home.cli("runs", "--format", "json", env=home.env).out)
    assert sum(run["sessions"] for run in listed) == len({name for night in nights_on_disk(home) for name in night})


def nights_on_disk(home: Home) -> list[list[str]]:
    """Sessions of every night's report."""
    folders = sorted(path for path in (home.folder / "reports").iterdir() if path.name[0] == "2" and path.is_dir())
    documents = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in folders]
    return [[session["session_id"] for session in document.get("sessions", ())] for document in documents]
