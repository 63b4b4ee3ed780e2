"""What a replay costs on a large production schema: time in the source database, and memory.

Builds, in an embedded Postgres under --home, a support desk's tables that share no name with shadowdiff's: uuid keys,
times without a zone, pools and served lists as uuid arrays in the turn's own row. Then runs the real command line on
them and prints (a) the durations of every statement that the reading role sent, from the server's log, each run a new
process and so with cold plans; (b) peak resident memory over windows of two sizes. Asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, text

from benchmarks.telling import narrate, say
from shadowdiff import embedded

SESSIONS = 200_000
ORGS = 2_000
ENTRIES_PER_ORG = 150
POOL = 50
SERVED = 10
CHUNK = 10_000
"""Sessions per INSERT, so that progress can be told."""
READER = "desk_reader"
DATABASE = "helpdesk"
STORE = "shadow_results"
SAMPLE = Path(__file__).resolve().parent.parent / "sample_sessions" / "kb_entries.jsonl"

TABLES = """
DROP SCHEMA IF EXISTS desk CASCADE;
CREATE SCHEMA desk;
CREATE TABLE desk.articles (
    article_key uuid PRIMARY KEY, tenant uuid NOT NULL, headline text NOT NULL, content text NOT NULL,
    revised timestamp NOT NULL
);
CREATE TABLE desk.chats (chat_key uuid PRIMARY KEY, tenant uuid NOT NULL, opened timestamp NOT NULL);
CREATE TABLE desk.asks (
    ask_key uuid PRIMARY KEY, chat_key uuid NOT NULL, words text NOT NULL, said timestamp NOT NULL,
    hits uuid[] NOT NULL, shown uuid[] NOT NULL
);
"""

DRAW = """
CREATE FUNCTION desk.draw(number bigint, salt bigint, sides bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN mod(hashint8extended(number, salt) & 4611686018427387903, sides);
CREATE FUNCTION desk.phrase(number bigint, salt bigint, length bigint, vocabulary text[]) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN (SELECT string_agg(vocabulary[1 + desk.draw(number * 64 + place, salt, cardinality(vocabulary))], ' ')
          FROM generate_series(1, length) AS place);
"""
"""Numbers and words that look random and are the same on every machine."""

ARTICLES = """
INSERT INTO desk.articles
SELECT md5('article' || number)::uuid, md5('tenant' || number / :per_org)::uuid,
       desk.phrase(number, 1, 5, :vocabulary), desk.phrase(number, 2, 30, :vocabulary),
       timestamp '2025-06-01' + desk.draw(number, 3, 400) * interval '1 day'
  FROM generate_series(0, CAST(:orgs AS bigint) * :per_org - 1) AS number
"""

CHATS = """
INSERT INTO desk.chats
SELECT md5('chat' || number)::uuid, md5('tenant' || desk.draw(number, 4, :orgs))::uuid,
       timestamp '2026-01-01' + number * (interval '300 days' / :sessions)
  FROM generate_series(CAST(:low AS bigint), :high) AS number
"""

ASKS = """
WITH asked AS (
    SELECT number * 8 + nth AS serial, md5('chat' || number)::uuid AS chat_key,
           timestamp '2026-01-01' + number * (interval '300 days' / :sessions) + nth * interval '40 seconds' AS said,
           desk.draw(number, 4, :orgs) * :per_org AS first_article,
           desk.draw(number * 8 + nth, 5, :per_org) AS start
      FROM generate_series(CAST(:low AS bigint), :high) AS number,
           generate_series(1, 1 + desk.draw(number, 6, 7)) AS nth
), retrieved AS MATERIALIZED (
    SELECT serial, chat_key, said,
           ARRAY(SELECT md5('article' || first_article + mod(start + place * 7, :per_org))::uuid
                   FROM generate_series(1, :pool) AS place) AS hits
      FROM asked
)
INSERT INTO desk.asks
SELECT md5('ask' || serial)::uuid, chat_key, desk.phrase(serial, 7, 8, :vocabulary), said, hits,
       hits[3:2 + :served]
  FROM retrieved
"""
"""One to seven turns a session, four in the mean; a pool steps through its org's articles, so that all differ."""

INDEXES = """
CREATE INDEX ON desk.chats (opened);
CREATE INDEX ON desk.asks (chat_key);
CREATE INDEX ON desk.articles (tenant);
VACUUM ANALYZE;
"""

CONFIGURATION = """\
[source]
timezone = "Europe/Berlin"
sessions = "SELECT chat_key AS session_id, tenant AS org_id, opened AS started_at FROM desk.chats"
turns = '''
SELECT chat_key AS session_id, ask_key AS turn_id, words AS query, said AS asked_at, hits AS pool, shown AS served
  FROM desk.asks
'''
entries = '''
SELECT article_key AS entry_id, tenant AS org_id, headline AS title, content AS body, revised AS updated_at
  FROM desk.articles
'''
"""

LOGGED = re.compile(rf"^\[{READER}\] LOG:  duration: ([\d.]+) ms  (\w+)")
"""How the server logs a step of one of the reader's statements: parse, bind, execute, or all of it (statement)."""


@dataclass(frozen=True)
class Finished:
    """What one replay took: seconds by the clock, peak resident bytes, statements on the source with their time."""

    seconds: float
    peak_bytes: int
    statements: int
    source_milliseconds: float


def main() -> None:
    """Build what is not there yet, measure, print."""
    arguments = parsed()
    home = arguments.home.expanduser().absolute()
    server = Server(home, embedded.ensure_running(home))
    try:
        server.prepare(arguments.scale)
        say(f"{server.shape()}; {os.cpu_count()} cores")
        measure(server, arguments.windows)
    finally:
        embedded.stop(home)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="directory of the embedded server; made if missing")
    parser.add_argument("--scale", type=float, default=1.0, help="share of 200,000 sessions and 2,000 orgs to build")
    parser.add_argument(
        "--windows", type=int, nargs=2, default=(1000, 5000), help="sizes whose peak memory is compared"
    )
    return parser.parse_args()


def measure(server: Server, windows: Sequence[int]) -> None:
    """Run every replay in a process of its own, and print a line for each as soon as it is known."""
    say(f"\n{'replay -A served -B bm25':<34}{'in the source':>15}{'statements':>12}{'peak RSS':>11}{'wall':>9}")
    server.restart()
    for name in ("--last 10, server just restarted", "--last 10, again", "--last 10, again"):
        show(name, server.replay(10))
    peaks = []
    for last in windows:
        finished = server.replay(last)
        show(f"--last {last}", finished)
        peaks.append(finished.peak_bytes)
    say(f"\npeak RSS, --last {windows[1]} over --last {windows[0]}: {peaks[1] / peaks[0]:.3f}")


def show(name: str, finished: Finished) -> None:
    """One line of the table."""
    spent, peak = f"{finished.source_milliseconds:,.1f} ms", f"{finished.peak_bytes / 2**20:,.0f} MiB"
    say(f"{name:<34}{spent:>15}{finished.statements:>12,}{peak:>11}{finished.seconds:>7.1f} s")


class Server:
    """The embedded server of one home, with the big schema, an empty store, and a log that tells durations."""

    def __init__(self, home: Path, url: str) -> None:
        from shadowdiff.database import parse_url

        self._home = home
        self._url = parse_url(url)

    def prepare(self, scale: float) -> None:
        """Databases, reading role, log format, tables. What an earlier run built at this scale is kept."""
        with self._connected("postgres") as connection:
            if not connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": DATABASE}):
                connection.execute(text(f"CREATE DATABASE {DATABASE}"))
            if not connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": READER}):
                connection.execute(text(f"CREATE ROLE {READER} LOGIN"))
            connection.execute(text(f"GRANT pg_read_all_data TO {READER}"))
            connection.execute(text(f"ALTER ROLE {READER} SET log_min_duration_statement = 0"))
            connection.execute(text(f"ALTER ROLE {READER} SET log_parameter_max_length = 0"))
            connection.execute(text("ALTER SYSTEM SET log_line_prefix = '[%u] '"))
            connection.execute(text("ALTER SYSTEM SET max_wal_size = '8GB'"))
            connection.execute(text("SELECT pg_reload_conf()"))
        with self._connected(DATABASE) as connection:
            if built_scale(connection) != scale:
                build(connection, scale)

    def shape(self) -> str:
        """What the tables hold, in words."""
        with self._connected(DATABASE) as connection:
            counts = {
                name: connection.scalar(text(f"SELECT count(*) FROM desk.{name}"))  # noqa: S608
                for name in ("chats", "asks", "articles")
            }
            orgs = connection.scalar(text("SELECT count(DISTINCT tenant) FROM desk.chats"))
            size = connection.scalar(text(f"SELECT pg_size_pretty(pg_database_size('{DATABASE}'))"))
        return (
            f"{counts['chats']:,} sessions of {orgs:,} orgs, {counts['asks']:,} turns with {POOL} pool ids each "
            f"({counts['asks'] * POOL:,} pool rows' worth), {counts['articles']:,} entries, {size}"
        )

    def restart(self) -> None:
        """Empty the server's own cache; the operating system may still hold its files."""
        embedded.stop(self._home)
        embedded.ensure_running(self._home)

    def replay(self, last: int) -> Finished:
        """One replay in a new process, into an empty store; results are thrown away."""
        store = self._empty_store()
        log = embedded.data_directory(self._home) / "log"
        offset = log.stat().st_size
        urls = {
            "SHADOWDIFF_DATABASE_URL": shown(self._url.set(database=DATABASE, username=READER)),
            "SHADOWDIFF_STORE_URL": store,
        }
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "shadowdiff.toml").write_text(CONFIGURATION, encoding="utf-8")
            seconds, peak = self._shadowdiff(
                *("replay", "--last", str(last), "-A", "served", "-B", "bm25"), cwd=directory, urls=urls
            )
        steps = logged_steps(log, offset)
        statements = sum(step in ("execute", "statement") for _, step in steps)
        return Finished(seconds, peak, statements, sum(milliseconds for milliseconds, _ in steps))

    def _empty_store(self) -> str:
        """URL of a new database with shadowdiff's tables: no run is helped by what an earlier one left."""
        with self._connected("postgres") as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {STORE} WITH (FORCE)"))
            connection.execute(text(f"CREATE DATABASE {STORE}"))
        url = shown(self._url.set(database=STORE))
        with tempfile.TemporaryDirectory() as directory:
            self._shadowdiff("db", "upgrade", cwd=directory, urls={"SHADOWDIFF_DATABASE_URL": url})
        return url

    def _shadowdiff(self, *arguments: str, cwd: str, urls: dict[str, str]) -> tuple[float, int]:
        """Run the command line; seconds and peak resident bytes. Exits with it where it fails."""
        command = [sys.executable, "-m", "shadowdiff", *arguments]
        environment = clean_environment(self._home) | urls
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"shadowdiff {' '.join(arguments)} ended with {process.returncode}")
        unit = 1 if sys.platform == "darwin" else 1024
        return time.monotonic() - started, usage.ru_maxrss * unit

    def _connected(self, database: str) -> Connection:
        """A connection that commits each statement."""
        engine = create_engine(self._url.set(database=database), isolation_level="AUTOCOMMIT")
        return engine.connect()


def clean_environment(home: Path) -> dict[str, str]:
    """This process's environment without settings of shadowdiff's, importing the package beside this file."""
    root = str(Path(__file__).resolve().parent.parent)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHADOWDIFF_")}
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return kept | {"PYTHONPATH": path, "SHADOWDIFF_HOME": str(home)}


def shown(url: URL) -> str:
    """The URL as a string that connects."""
    return url.render_as_string(hide_password=False)


def built_scale(connection: Connection) -> float | None:
    """The scale at which an earlier run built everything; None where none came to its end."""
    told = connection.scalar(text("SELECT obj_description(to_regnamespace('desk'), 'pg_namespace')"))
    return float(told) if told else None


def build(connection: Connection, scale: float) -> None:
    """Make and fill the tables."""
    sessions = max(1, round(SESSIONS * scale))
    numbers = {"orgs": max(1, round(ORGS * scale)), "per_org": ENTRIES_PER_ORG, "sessions": sessions}
    texts = {"vocabulary": vocabulary(), "pool": POOL, "served": SERVED}
    for script in (TABLES, DRAW):
        connection.exec_driver_sql(script)
    narrate("entries")
    execute(connection, ARTICLES, numbers | texts)
    for low in range(0, sessions, CHUNK):
        narrate(f"sessions and turns, {low:,} of {sessions:,}")
        chunk = numbers | texts | {"low": low, "high": min(low + CHUNK, sessions) - 1}
        execute(connection, CHATS, chunk)
        execute(connection, ASKS, chunk)
    narrate("indexes")
    for statement in filter(None, map(str.strip, INDEXES.split(";"))):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"COMMENT ON SCHEMA desk IS '{scale}'")
    narrate("built")


def execute(connection: Connection, statement: str, values: Mapping[str, object]) -> None:
    """One statement, with those of the values that it names."""
    clause = text(statement)
    connection.execute(clause, {name: values[name] for name in clause.compile().params})


def vocabulary() -> list[str]:
    """The 400 most frequent words of the sample's knowledge bases, so that stemming and term statistics have work."""
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    words = Counter(word for line in lines for word in re.findall(r"[a-z]{3,}", json.loads(line)["body"].lower()))
    return [word for word, _ in words.most_common(400)]


def logged_steps(log: Path, offset: int) -> list[tuple[float, str]]:
    """Milliseconds and kind of all that the reading role had the server do since, as the server logged it."""
    with log.open(encoding="utf-8", errors="replace") as lines:
        lines.seek(offset)
        return [(float(found[1]), found[2]) for line in lines if (found := LOGGED.match(line))]


if __name__ == "__main__":
    main()
