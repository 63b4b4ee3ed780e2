"""What a replay costs from end to end as it grows: time, where it goes, and memory at 1,000 to 100,000 turns.

Builds, in an embedded Postgres under --home, shadowdiff's own schema with 25,000 sessions of four turns, a recorded
pool of 50 and ten served entries each, and then runs the real command line on the newest 250, 2,500 and 25,000 of
them, with sides that cost next to nothing: what production served against BM25. Every replay is a process of its own
into an empty store. A second process carries the same replay out with a clock around its stages. Asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, text

from benchmarks.material import ROOT
from benchmarks.results import publish
from benchmarks.source_scale import DRAW, clean_environment, execute, vocabulary
from benchmarks.telling import narrate, say
from shadowdiff import embedded

HOME = Path.home() / ".cache" / "shadowdiff-bench" / "scale"
SESSIONS = 25_000
TURNS_PER_SESSION = 4
ORGS = 100
ENTRIES_PER_ORG = 300
POOL = 50
SERVED = 10
CHUNK = 1_000
"""Sessions per INSERT, so that progress can be told."""
SIDES = ("-A", "served", "-B", "bm25")
STAGES = ("starting", "reading", "ranking", "storing", "summing up", "rendering")

ENTRIES = """
INSERT INTO shadowdiff.entries (org_id, entry_id, title, body, updated_at)
SELECT 'org-' || number / :per_org, 'entry-' || number,
       desk.phrase(number, 1, 5, :vocabulary), desk.phrase(number, 2, 30, :vocabulary), timestamptz '2025-06-01 00:00Z'
  FROM generate_series(0, CAST(:orgs AS bigint) * :per_org - 1) AS number
"""

CHATS = """
INSERT INTO shadowdiff.sessions (session_id, org_id, started_at)
SELECT 'session-' || number, 'org-' || desk.draw(number, 4, :orgs),
       timestamptz '2026-01-01 00:00Z' + number * interval '10 minutes'
  FROM generate_series(CAST(:low AS bigint), :high) AS number
"""

ASKS = """
INSERT INTO shadowdiff.turns
       (turn_id, session_id, org_id, position, query, asked_at, pool_recorded, served_recorded)
SELECT 'turn-' || number * 8 + nth, 'session-' || number, 'org-' || desk.draw(number, 4, :orgs), nth,
       desk.phrase(number * 8 + nth, 7, 8, :vocabulary),
       timestamptz '2026-01-01 00:00Z' + number * interval '10 minutes' + nth * interval '40 seconds', true, true
  FROM generate_series(CAST(:low AS bigint), :high) AS number, generate_series(1, :turns) AS nth
"""

LISTS = """
WITH asked AS (
    SELECT number * 8 + nth AS serial, desk.draw(number, 4, :orgs) AS org,
           desk.draw(number * 8 + nth, 5, :per_org) AS start
      FROM generate_series(CAST(:low AS bigint), :high) AS number, generate_series(1, :turns) AS nth
)
INSERT INTO shadowdiff.{table} (turn_id, org_id, rank, entry_id{score})
SELECT 'turn-' || serial, 'org-' || org, place, 'entry-' || org * :per_org + mod(start + {step} * 7, :per_org){value}
  FROM asked, generate_series(1, CAST(:length AS bigint)) AS place
"""
"""A pool steps through its org's entries, so that all differ; what was served is some of it, in another order."""

POOLS = LISTS.format(table="pool_entries", score=", score", value=", 1.0 / place", step="place")
SERVINGS = LISTS.format(table="served_entries", score="", value="", step="(2 + mod(place * 3, 11))")


@dataclass(frozen=True)
class Finished:
    """What one replay took."""

    turns: int
    sessions: int
    seconds: float
    peak_mib: float
    stages: Mapping[str, float] = field(default_factory=dict)
    """Seconds by stage, in another run of the same replay, under a clock."""
    show_seconds: float = 0.0
    """Of `shadowdiff show`, which reads what is stored, diffs it again and renders it."""
    show_peak_mib: float = 0.0


def main() -> None:
    """Build what is not there yet, measure, print."""
    arguments = parsed()
    if arguments.clocked:
        clocked(arguments.clocked, arguments.rest)
        return
    home = arguments.home.expanduser().absolute()
    server = Server(home, embedded.ensure_running(home))
    try:
        server.prepare(arguments.scale)
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        say(f"{server.shape()}; {os.cpu_count()} cores, load {load}")
        found = measure(server, arguments.sessions)
        first, last = found[0], found[-1]
        publish(
            "scale",
            {"scale": arguments.scale, "sessions": list(arguments.sessions)},
            {"load": os.getloadavg(), "sizes": [asdict(each) for each in found]},
            {
                "seconds per turn, largest over smallest": last.seconds / last.turns * first.turns / first.seconds,
                "peak RSS, largest over smallest": last.peak_mib / first.peak_mib,
            },
        )
    finally:
        embedded.stop(home)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.allow_abbrev = False
    parser.add_argument("--home", type=Path, default=HOME, help="directory of the embedded server; made if missing")
    parser.add_argument("--scale", type=float, default=1.0, help="share of 25,000 sessions to build")
    parser.add_argument(
        "--sessions", type=int, nargs="+", default=(250, 2_500, 25_000), help="sizes, of four turns each"
    )
    parser.add_argument("--clocked", type=Path, help=argparse.SUPPRESS)
    arguments, rest = parser.parse_known_args()
    arguments.rest = rest
    return arguments


def measure(server: Server, sizes: Sequence[int]) -> list[Finished]:
    """Run every replay, and print a line for each as soon as it is known."""
    say(f"\n{'replay ' + ' '.join(SIDES):<24}{'wall':>9}{'turns/s':>10}{'peak RSS':>10}{'show':>9}{'peak RSS':>10}")
    found = []
    for sessions in sizes:
        finished = server.measured(sessions)
        found.append(finished)
        say(
            f"{finished.turns:>9,} turns         {finished.seconds:>7.1f} s{finished.turns / finished.seconds:>10,.0f}"
            f"{finished.peak_mib:>6,.0f} MiB{finished.show_seconds:>7.1f} s{finished.show_peak_mib:>6,.0f} MiB"
        )
    say(f"\n{'seconds by stage':<24}" + "".join(f"{name:>12}" for name in STAGES))
    for finished in found:
        say(f"{finished.turns:>9,} turns         " + "".join(f"{finished.stages[name]:>10.2f} s" for name in STAGES))
    return found


class Server:
    """The embedded server of one home, with the own schema filled and a store that is emptied before every replay."""

    def __init__(self, home: Path, url: str) -> None:
        self._home = home
        self._url = url

    def prepare(self, scale: float) -> None:
        """Tables and rows. What an earlier run built at this scale is kept."""
        with tempfile.TemporaryDirectory() as directory:
            self._shadowdiff("db", "upgrade", cwd=directory)
        with self._connected() as connection:
            told = connection.scalar(text("SELECT obj_description(to_regnamespace('desk'), 'pg_namespace')"))
            if told != str(scale):
                build(connection, max(1, round(SESSIONS * scale)))
                connection.exec_driver_sql(f"COMMENT ON SCHEMA desk IS '{scale}'")

    def shape(self) -> str:
        """What the tables hold, in words."""
        with self._connected() as connection:
            counts = {
                name: connection.scalar(text(f"SELECT count(*) FROM shadowdiff.{name}"))  # noqa: S608
                for name in ("sessions", "turns", "entries")
            }
            size = connection.scalar(text("SELECT pg_size_pretty(pg_database_size('postgres'))"))
        return (
            f"{counts['sessions']:,} sessions of {ORGS} orgs, {counts['turns']:,} turns with {POOL} pool entries each, "
            f"{counts['entries']:,} entries, {size}"
        )

    def measured(self, sessions: int) -> Finished:
        """One replay as a user runs it, `show` of it, and the same replay under a clock."""
        replay = ("replay", "--last", str(sessions), *SIDES)
        with tempfile.TemporaryDirectory() as directory:
            self._empty_store()
            seconds, peak = self._shadowdiff(*replay, cwd=directory)
            turns = self._turns()
            show_seconds, show_peak = self._shadowdiff("show", "latest", cwd=directory)
            self._empty_store()
            stages = Path(directory) / "stages.json"
            self._run([sys.executable, "-m", "benchmarks.scale", "--clocked", str(stages), *replay], directory)
            found = json.loads(stages.read_text(encoding="utf-8"))
        return Finished(turns, sessions, seconds, peak, found, show_seconds, show_peak)

    def _empty_store(self) -> None:
        """No run is helped, or slowed down, by what an earlier one left."""
        with self._connected() as connection:
            connection.execute(text("TRUNCATE shadowdiff.runs, shadowdiff.entry_texts, shadowdiff.score_cache CASCADE"))
            connection.execute(text("CHECKPOINT"))

    def _turns(self) -> int:
        with self._connected() as connection:
            return int(connection.scalar(text("SELECT count(*) FROM shadowdiff.run_turns")) or 0)

    def _shadowdiff(self, *arguments: str, cwd: str) -> tuple[float, float]:
        return self._run([sys.executable, "-m", "shadowdiff", *arguments], cwd)

    def _run(self, command: Sequence[str], cwd: str) -> tuple[float, float]:
        """Run it, results thrown away; seconds and peak resident MiB. Exits where it fails."""
        started = time.monotonic()
        environment = clean_environment(self._home) | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(command)} ended with {process.returncode}")
        unit = 1 if sys.platform == "darwin" else 1024
        return time.monotonic() - started, usage.ru_maxrss * unit / 2**20

    def _connected(self) -> Connection:
        """A connection that commits each statement."""
        return create_engine(self._url, isolation_level="AUTOCOMMIT").connect()


def build(connection: Connection, sessions: int) -> None:
    """Fill the tables anew. Foreign keys hold by construction, and are not checked row by row."""
    connection.exec_driver_sql("SET session_replication_role = replica")
    connection.exec_driver_sql("SET max_parallel_workers_per_gather = 0")
    connection.exec_driver_sql("DROP SCHEMA IF EXISTS desk CASCADE; CREATE SCHEMA desk")
    connection.exec_driver_sql(DRAW)
    connection.exec_driver_sql("TRUNCATE shadowdiff.orgs CASCADE")
    numbers: dict[str, object] = {"orgs": ORGS, "per_org": ENTRIES_PER_ORG, "turns": TURNS_PER_SESSION}
    texts: dict[str, object] = {"vocabulary": vocabulary()}
    execute(
        connection,
        "INSERT INTO shadowdiff.orgs (org_id) SELECT 'org-' || org FROM generate_series(0, CAST(:orgs AS int) - 1) org",
        numbers,
    )
    narrate("entries")
    execute(connection, ENTRIES, numbers | texts)
    for low in range(0, sessions, CHUNK):
        narrate(f"sessions and turns, {low:,} of {sessions:,}")
        chunk = numbers | texts | {"low": low, "high": min(low + CHUNK, sessions) - 1}
        execute(connection, CHATS, chunk)
        execute(connection, ASKS, chunk)
        execute(connection, POOLS, chunk | {"length": POOL})
        execute(connection, SERVINGS, chunk | {"length": SERVED})
    narrate("statistics")
    connection.exec_driver_sql("VACUUM ANALYZE")


class Clock:
    """Seconds by stage; what one stage calls of another counts for the other alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._running = threading.local()

    def around(self, owner: Any, name: str, stage: str) -> None:
        """Have a function or method of `owner` counted under `stage`."""
        inner: Callable[..., Any] = getattr(owner, name)

        @wraps(inner)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.counted(stage):
                return inner(*arguments, **named)

        setattr(owner, name, timed)

    @contextmanager
    def counted(self, stage: str) -> Iterator[None]:
        """The time in here is the stage's, and not that of the one around it."""
        stack: list[str] = self._running.__dict__.setdefault("stack", [])
        self._switch(stack[-1] if stack else None)
        stack.append(stage)
        try:
            yield
        finally:
            self._switch(stack.pop())

    def _switch(self, ended: str | None) -> None:
        now = time.perf_counter()
        if ended is not None:
            self.seconds[ended] += now - self._running.since
        self._running.since = now


def clocked(report: Path, command: Sequence[str]) -> None:
    """Carry a command out in this process with a clock around its stages, and write seconds by stage."""
    clock = Clock()
    with clock.counted("starting"):
        from shadowdiff.cli import replay
        from shadowdiff.cli.main import cli
        from shadowdiff.replay import execute as carrying_out
        from shadowdiff.sources.postgres import PostgresSource
        from shadowdiff.store.runs import RunStore

        clock.around(carrying_out.Replay, "finish", "ranking")
        clock.around(PostgresSource, "read", "reading")
        clock.around(RunStore, "save", "storing")
        clock.around(RunStore, "create", "storing")
        clock.around(carrying_out, "summarise", "summing up")
        clock.around(replay, "write_run", "rendering")
        cli(list(command), standalone_mode=False)
    report.write_text(json.dumps(clock.seconds), encoding="utf-8")


if __name__ == "__main__":
    main()
