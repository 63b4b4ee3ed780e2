"""What diff and summary of a million turns cost: seconds in the pure rooms, and memory.

Draws rankings of pools of 50 for two sides, B near A but not equal to it, in sessions of one to seven turns of a
hundred orgs, with what production served. Every session passes through `diff_session` and `SummaryBuilder.add` and is
forgotten; at the end the summary is made, with its intervals. The clock runs while shadowdiff's code does, not while
sessions are drawn. Each size is a process of its own, so that its peak memory is its own. Asserts nothing.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.results import publish
from benchmarks.telling import say
from shadowdiff.cli.main import COLLECTED_AFTER
from shadowdiff.diff import diff_session
from shadowdiff.records import (
    Entry,
    Pool,
    PoolEntry,
    PoolOrigin,
    Ranking,
    ReplayedSession,
    ReplayedTurn,
    Session,
    Turn,
)
from shadowdiff.runs import RunConfig, Side
from shadowdiff.summary import SummaryBuilder

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZES = (10_000, 100_000, 1_000_000)
POOL = 50
ORGS = 100
ENTRIES_PER_ORG = 300
TURNS_OF_A_SESSION = range(1, 8)
SPREAD = 0.15
"""Noise on A's scores that makes B's: about two of A's top ten are others' in B's."""
SERVED = 10
SESSIONS_AT_ONCE = 250


@dataclass(frozen=True)
class Measured:
    """What one size took."""

    turns: int
    sessions: int
    diff_seconds: float
    adding_seconds: float
    finishing_seconds: float
    cpu_seconds: float
    """Of the processor, for the three together: what other load on the machine does not add to."""
    drawing_seconds: float
    """Not shadowdiff's: making the sessions."""
    peak_mib: float
    baseline_mib: float
    """Resident before the first session was drawn."""
    mean_overlap: float
    """That the sides differ at all."""

    @property
    def seconds(self) -> float:
        """In the pure rooms."""
        return self.diff_seconds + self.adding_seconds + self.finishing_seconds


def main() -> None:
    """Measure every size, print a line for each as soon as it is known, write JSON if asked."""
    arguments = parsed()
    if arguments.alone:
        sys.stdout.write(json.dumps(asdict(measured(arguments.turns[0]))))
        return
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    say(f"{os.cpu_count()} cores, load {load}; pools of {POOL}, top 10, two sides, served lists of {SERVED}\n")
    columns = ("diff", "adding up", "summary", "together", "CPU", "turns/s", "peak RSS", "drawing")
    say(f"{'turns':>10}" + "".join(f"{name:>12}" for name in columns))
    found = [in_a_process_of_its_own(turns) for turns in arguments.turns]
    first, last = found[0], found[-1]
    publish(
        "diff_scale",
        {"turns": list(arguments.turns)},
        {"load": os.getloadavg(), "sizes": [asdict(each) for each in found]},
        {"seconds per turn, largest over smallest": last.seconds / last.turns * first.turns / first.seconds},
    )


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, nargs="+", default=SIZES, help="sizes to measure")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def in_a_process_of_its_own(turns: int) -> Measured:
    """Measure one size and print it."""
    command = [sys.executable, "-m", "benchmarks.diff_scale", "--alone", "--turns", str(turns)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = Measured(**json.loads(done.stdout))
    parts = (found.diff_seconds, found.adding_seconds, found.finishing_seconds, found.seconds, found.cpu_seconds)
    timed = "".join(f"{seconds:>10.2f} s" for seconds in parts)
    say(
        f"{found.turns:>10,}{timed}{found.turns / found.seconds:>12,.0f}{found.peak_mib:>8,.0f} MiB"
        f"{found.drawing_seconds:>10.2f} s"
    )
    return found


def measured(turns: int) -> Measured:
    """Diff and sum up this many turns, here."""
    sides = (Side("A", "a", "a", "0"), Side("B", "b", "b", "1"))
    config = RunConfig(production="A")
    gc.set_threshold(*COLLECTED_AFTER)
    builder = SummaryBuilder(config, sides)
    baseline = peak_mib()
    sessions = drawn_sessions(turns)
    diffing = adding = cpu = 0.0
    started = time.perf_counter()
    while batch := next(sessions, None):
        before, cpu_before = time.perf_counter(), time.process_time()
        outcomes = [diff_session(session, sides, config) for session in batch]
        between = time.perf_counter()
        for outcome in outcomes:
            builder.add(outcome)
        diffing, adding = diffing + between - before, adding + time.perf_counter() - between
        cpu += time.process_time() - cpu_before
    ended, cpu_before = time.perf_counter(), time.process_time()
    summary = builder.finish({}, unpooled_turns=0, missing_entries=0)
    finishing = time.perf_counter() - ended
    return Measured(
        turns=summary.turns,
        sessions=summary.sessions,
        diff_seconds=diffing,
        adding_seconds=adding,
        finishing_seconds=finishing,
        cpu_seconds=cpu + time.process_time() - cpu_before,
        drawing_seconds=ended - started - diffing - adding,
        peak_mib=peak_mib(),
        baseline_mib=baseline,
        mean_overlap=summary.pairs["B"].overlap.value or 0.0,
    )


def drawn_sessions(turns: int) -> Iterator[list[ReplayedSession]]:
    """Some sessions at a time, until there are as many turns; the same on every machine."""
    dice = random.Random(4)  # noqa: S311 sampling, not secrecy
    orgs = [Org(number) for number in range(ORGS)]
    began = datetime(2026, 1, 1, tzinfo=UTC)
    number = drawn = 0
    while drawn < turns:
        batch: list[ReplayedSession] = []
        while drawn < turns and len(batch) < SESSIONS_AT_ONCE:
            length = min(dice.choice(TURNS_OF_A_SESSION), turns - drawn)
            org, started_at = dice.choice(orgs), began + timedelta(minutes=number)
            asked = org.replayed(f"s{number}", length, started_at)
            session = Session(f"s{number}", org.org_id, started_at, tuple(turn.turn for turn in asked))
            batch.append(ReplayedSession(session, asked))
            number, drawn = number + 1, drawn + length
        yield batch


class Org:
    """A knowledge base, and rankings of pools out of it."""

    def __init__(self, number: int) -> None:

        self.org_id = f"org-{number:03}"
        names = [f"{self.org_id}-entry-{place:04}" for place in range(ENTRIES_PER_ORG)]
        self._entries = [PoolEntry(Entry(self.org_id, name, name, name), 1) for name in names]
        self._names = np.array(names, dtype=object)
        self._random = np.random.default_rng(number)

    def replayed(self, session_id: str, turns: int, asked_at: datetime) -> tuple[ReplayedTurn, ...]:
        """Turns of one session: a topic of the org's, so that its turns share entries."""
        start = int(self._random.integers(ENTRIES_PER_ORG - 2 * POOL))
        chosen = start + self._random.permuted(np_rows(turns, 2 * POOL), axis=1)[:, :POOL]
        a = self._random.random((turns, POOL))
        b = a + self._random.normal(0, SPREAD, (turns, POOL))
        made = []
        for place in range(turns):
            pool = Pool(tuple(self._entries[at] for at in chosen[place]), PoolOrigin.RECORDED)
            rankings = {label: self._ranking(chosen[place], row[place]) for label, row in (("A", a), ("B", b))}
            shown = rankings["A"].entry_ids[:SERVED]
            served = shown if place % 2 else (shown[1], shown[0], *shown[2:])
            turn = Turn(f"{session_id}-t{place}", place + 1, "how?", asked_at, served=served, served_by="v1")
            made.append(ReplayedTurn(turn, pool, rankings))
        return tuple(made)

    def _ranking(self, chosen: NDArray[np.int64], scores: NDArray[np.float64]) -> Ranking:

        order = (-scores).argsort()
        return Ranking(tuple(self._names[chosen[order]].tolist()), tuple(scores[order].tolist()))


def np_rows(rows: int, columns: int) -> NDArray[np.int64]:
    """0, 1, …, in every row."""
    return np.tile(np.arange(columns), (rows, 1))


def peak_mib() -> float:
    """Peak resident memory of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


if __name__ == "__main__":
    main()
