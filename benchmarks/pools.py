"""What retrieving pools costs in a large knowledge base: by cosine, exact against HNSW, and by BM25 from disk.

Builds, in an embedded Postgres under --home, one org per size: entries whose words are drawn from the sample's
knowledge bases as often as they stand there, with unit vectors in clusters, and turns that ask near those clusters.
Prints (a) recall@50 of the approximate index against exact search and the milliseconds per turn of both, alternating;
(b) for the largest org, how long BM25 takes to be built and to be opened from disk, peak memory of the process that
does either, and the milliseconds per query. Asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, text

from benchmarks.results import publish
from benchmarks.telling import narrate, say
from shadowdiff import embedded
from shadowdiff.database import parse_url, source_engine, store_engine
from shadowdiff.lexical import OrgLexicon
from shadowdiff.pools import Lexicons
from shadowdiff.records import Session, Turn
from shadowdiff.sources.postgres import PostgresSource
from shadowdiff.store import approximate
from shadowdiff.store.ingest import ingest
from shadowdiff.store.migrate import upgrade

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIMENSIONS = 384
TURNS = 40
POOL = 50
ROUNDS = 5
PER_CLUSTER = 50
SPREAD = 0.7
"""Length of the noise that is added to a cluster's centre of length 1."""
WORDS = (20, 100)
SEED = 4
DATABASE = "pools"
HOME = Path.home() / ".cache" / "shadowdiff-bench" / "pools"
SAMPLE = Path(__file__).resolve().parent.parent / "sample_sessions" / "kb_entries.jsonl"


@dataclass(frozen=True)
class Cosine:
    """One org's row."""

    entries: int
    build_seconds: float
    index_bytes: int
    exact_ms: float
    hnsw_ms: float
    recall: float


def main() -> None:
    """Build what is not there yet, measure, print."""
    arguments = parsed()
    home = arguments.home.expanduser().absolute()
    if arguments.lexicon:
        say(json.dumps(lexicon(home, arguments.lexicon, max(arguments.sizes))))
        return
    url = embedded.ensure_running(home)
    try:
        engine = store_engine(prepared(url))
        cosine = [measured(engine, size) for size in arguments.sizes]
        table(cosine)
        bm25 = lexicons(home, max(arguments.sizes))
    finally:
        embedded.stop(home)
    largest = cosine[-1]
    publish(
        "pools",
        {"sizes": list(arguments.sizes)},
        {"cosine": [vars(row) for row in cosine], "bm25": bm25, "cores": os.cpu_count()},
        {"recall of the largest": largest.recall, "exact over HNSW, the largest": largest.exact_ms / largest.hnsw_ms},
    )


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=HOME, help="directory of the embedded server; made if missing")
    parser.add_argument("--sizes", type=int, nargs="+", default=(1_000, 5_000, 20_000, 100_000), help="entries per org")
    parser.add_argument("--lexicon", choices=("memory", "first", "again"), help=argparse.SUPPRESS)
    return parser.parse_args()


def prepared(url: str) -> str:
    """URL of the benchmark's own database, with shadowdiff's tables."""
    server = parse_url(url)
    with create_engine(server, isolation_level="AUTOCOMMIT").connect() as connection:
        if not connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": DATABASE}):
            connection.execute(text(f"CREATE DATABASE {DATABASE}"))
    own = server.set(database=DATABASE).render_as_string(hide_password=False)
    upgrade(store_engine(own))
    return own


def measured(engine: Engine, size: int) -> Cosine:
    """Fill the org if it is empty, build its index anew, and search it in both ways, alternating."""
    org_id = f"org-{size}"
    fill(engine, org_id, size)
    seconds, index_bytes = indexed(engine, approximate.LargeOrg(org_id, DIMENSIONS, size))
    asked = {f"{org_id}-turn-{number}": org_id for number in range(TURNS)}
    reader = source_engine(engine.url.render_as_string(hide_password=False))
    exact = PostgresSource(reader, approximate=False)
    hnsw = PostgresSource(reader)
    found = [source.nearest(asked, POOL) for source in (exact, hnsw)]
    if hnsw.approximate_orgs != {org_id}:
        sys.exit(f"the index of {org_id} was not searched")
    times = alternating(lambda: exact.nearest(asked, POOL), lambda: hnsw.nearest(asked, POOL))
    shared = [
        len({item.entry_id for item in found[0][turn]} & {item.entry_id for item in found[1][turn]}) for turn in asked
    ]
    exact_ms, hnsw_ms = (1_000 * statistics.median(measured) / TURNS for measured in times)
    reader.dispose()
    return Cosine(size, seconds, index_bytes, exact_ms, hnsw_ms, sum(shared) / POOL / TURNS)


def alternating(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[list[float], list[float]]:
    """Seconds of either, A B A B."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for place, work in enumerate((first, second)):
            started = time.perf_counter()
            work()
            times[place].append(time.perf_counter() - started)
    return times


def indexed(engine: Engine, org: approximate.LargeOrg) -> tuple[float, int]:
    """Seconds to build the org's index, whatever its size, and the bytes that it takes."""
    narrate(f"indexing {org.entries:,} embeddings")
    with engine.begin() as connection:
        connection.execute(text(f"DROP INDEX IF EXISTS shadowdiff.{org.index}"))
    started = time.perf_counter()
    with engine.begin() as connection:
        approximate.build(connection, org)
    seconds = time.perf_counter() - started
    with engine.connect() as connection:
        size = connection.scalar(
            text("SELECT pg_relation_size(to_regclass(:name))"), {"name": f"shadowdiff.{org.index}"}
        )
    return seconds, int(size or 0)


def fill(engine: Engine, org_id: str, size: int) -> None:
    """Entries through COPY, then turns; what an earlier run has written is kept."""
    import numpy as np

    with engine.connect() as connection:
        if connection.scalar(text("SELECT count(*) FROM shadowdiff.turns WHERE org_id = :org"), {"org": org_id}):
            return
    narrate(f"{size:,} entries")
    random = np.random.default_rng([SEED, size])
    centres = unit(random.normal(size=(max(size // PER_CLUSTER, 1), DIMENSIONS)))
    copied(engine, org_id, bodies(random, size), near(random, centres, size))
    asked = bodies(random, TURNS)
    turns = [
        Turn(f"{org_id}-turn-{number}", number + 1, " ".join(body.split()[:8]), datetime.now(UTC))
        for number, body in enumerate(asked)
    ]
    session = Session(f"{org_id}-session", org_id, datetime.now(UTC), tuple(turns))
    ingest(engine, (), [session], turn_vectors=near(random, centres, TURNS))


def copied(engine: Engine, org_id: str, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
    """Write an org's entries."""
    from pgvector.psycopg import register_vector

    connection = engine.raw_connection()
    driver: Any = connection.driver_connection
    register_vector(driver)
    with driver.cursor() as cursor:
        cursor.execute("INSERT INTO shadowdiff.orgs VALUES (%s, 'synthetic') ON CONFLICT DO NOTHING", (org_id,))
        columns = "org_id, entry_id, title, body, embedding"
        with cursor.copy(f"COPY shadowdiff.entries ({columns}) FROM STDIN (FORMAT BINARY)") as rows:
            rows.set_types(["text", "text", "text", "text", "vector"])
            for number, body in enumerate(texts):
                rows.write_row((org_id, f"{org_id}-{number:06}", " ".join(body.split()[:4]), body, vectors[number]))
    driver.commit()
    connection.close()


def bodies(random: np.random.Generator, count: int) -> list[str]:
    """Texts of the sample's words, each as often as there."""
    import numpy as np

    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    counted = Counter(word for line in lines for word in re.findall(r"\w+", json.loads(line)["body"].lower()))
    words = np.array(list(counted))
    shares = np.array(list(counted.values()), dtype=np.float64)
    lengths = random.integers(*WORDS, size=count)
    drawn = random.choice(words, size=int(lengths.sum()), p=shares / shares.sum())
    return [" ".join(part) for part in np.split(drawn, np.cumsum(lengths)[:-1])]


def near(random: np.random.Generator, centres: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    """Unit vectors, each near to one of the centres."""
    import numpy as np

    chosen = centres[random.integers(len(centres), size=count)]
    return unit(chosen + random.normal(size=chosen.shape) * SPREAD / np.sqrt(DIMENSIONS)).astype(np.float32)


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows at length 1."""
    import numpy as np

    lengths: NDArray[np.float64] = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths)


def lexicons(home: Path, size: int) -> dict[str, Any]:
    """BM25 in memory, kept for the first time, and opened again: each in a process of its own."""
    shutil.rmtree(home / "cache", ignore_errors=True)
    root = str(Path(__file__).resolve().parent.parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    say(f"\n{f'BM25 of {size:,} entries':<28}{'ready in':>11}{'its version':>13}{'a query':>11}{'peak RSS':>11}")
    found = {}
    for way in ("memory", "first", "again"):
        command = [
            sys.executable,
            "-m",
            "benchmarks.pools",
            "--home",
            str(home),
            "--sizes",
            str(size),
            "--lexicon",
            way,
        ]
        finished = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
        found[way] = row = json.loads(finished.stdout)
        name = {"memory": "built in memory", "first": "built and kept on disk", "again": "opened from disk"}[way]
        spent = f"{row['ready_seconds']:,.2f} s", f"{row['version_seconds']:,.2f} s", f"{row['query_ms']:,.1f} ms"
        say(f"{name:<28}{spent[0]:>11}{spent[1]:>13}{spent[2]:>11}{row['peak_bytes'] / 2**20:>7,.0f} MiB")
    say(f"on disk: {found['again']['disk_bytes'] / 2**20:,.0f} MiB; same best {POOL} of every query: {same(found)}")
    return found


def same(found: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether all ways gave the same entries with the same scores."""
    return len({json.dumps(row.pop("best")) for row in found.values() if isinstance(row, dict)}) == 1


def lexicon(home: Path, way: str, size: int) -> dict[str, Any]:
    """One way's figures, in this process."""
    org_id = f"org-{size}"
    url = parse_url(embedded.ensure_running(home)).set(database=DATABASE).render_as_string(hide_password=False)
    source = PostgresSource(source_engine(url), cache_directory=None if way == "memory" else home / "cache")
    asked = [turn.query for session in source.sessions(window(org_id)) for turn in session.turns]
    before = time.perf_counter()
    source.kb_version(org_id)
    reading = time.perf_counter() - before
    started = time.perf_counter()
    held = Lexicons(source).of(org_id)
    ready = time.perf_counter() - started
    best, milliseconds = searched(held, asked)
    return {
        "ready_seconds": ready,
        "version_seconds": reading,
        "query_ms": milliseconds,
        "peak_bytes": peak_bytes(),
        "disk_bytes": sum(file.stat().st_size for file in (home / "cache").rglob("*") if file.is_file()),
        "best": best,
    }


def peak_bytes() -> int:
    """This process's own peak; what Linux tells by getrusage is at least the peak of whoever started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(re.findall(r"VmHWM:\s+(\d+)", status.read_text(encoding="ascii"))[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def window(org_id: str) -> Any:
    """The org's sessions."""
    from shadowdiff.records import Window

    return Window(org_ids=(org_id,))


def searched(held: OrgLexicon, asked: Sequence[str]) -> tuple[list[list[tuple[str, float]]], float]:
    """The best entries of each query, and the median milliseconds."""
    best, times = [], []
    for query in asked:
        started = time.perf_counter()
        best.append(held.top(query, POOL))
        times.append(time.perf_counter() - started)
    return best, 1_000 * statistics.median(times)


def table(rows: Sequence[Cosine]) -> None:
    """Cosine's part of the output."""
    say(f"{os.cpu_count()} cores; {DIMENSIONS} dimensions, pools of {POOL}, {ROUNDS} × {TURNS} turns, A B A B, medians")
    say(f"\n{'entries':>9}{'exact':>13}{'HNSW':>12}{'ratio':>8}{'recall@50':>11}{'build':>10}{'index':>10}")
    for row in rows:
        say(
            f"{row.entries:>9,}{row.exact_ms:>10,.1f} ms{row.hnsw_ms:>9,.1f} ms{row.exact_ms / row.hnsw_ms:>8.1f}"
            f"{row.recall:>11.4f}{row.build_seconds:>8,.1f} s{row.index_bytes / 2**20:>6,.0f} MiB"
        )


if __name__ == "__main__":
    main()
