"""From nothing to the first score: a fresh process imports, loads and scores one pair, A B A B; and its peak memory.

Also what part of the scoring time of real turns is tokenising.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.material import ROOT, load_material
from benchmarks.processor import Busy, share_of_others
from benchmarks.race import QUIET, Spread, paired, spread
from benchmarks.results import publish, show
from benchmarks.telling import narrate
from benchmarks.variants import prepare_places
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse

OURS = """
import sys
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse
print(build(parse(sys.argv[1])).score("where are backups kept?", ["Backups are kept in Frankfurt."]))
"""
SENTENCE_TRANSFORMERS = """
import sys
from sentence_transformers import CrossEncoder
print(CrossEncoder(sys.argv[1], device="cpu").predict([("where are backups kept?", "Backups are kept in Frankfurt.")]))
"""
COLUMNS = ("fresh process to first score", "wall s", "× st", "quartiles", "CPU s", "× CPU", "peak MB", "of st")
TOKENISING_REPEATS = 5


@dataclass
class Start:
    """A program and what its fresh processes took."""

    label: str
    program: str
    argument: str
    walls: list[float]
    cpus: list[float]
    peaks: list[float]
    """Megabytes resident at most."""
    unavailable: str | None = None


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--turns", type=int, default=8, help="turns whose tokenising is measured")
    parser.add_argument("--home", type=Path, default=Path.home() / ".cache" / "shadowdiff-bench")
    given = parser.parse_args(arguments)
    material = load_material(given.turns)
    places = prepare_places(material.model, given.home.absolute())
    starts = [
        _start("sentence-transformers", SENTENCE_TRANSFORMERS, str(places.torch)),
        _start("shadowdiff, ORT fp32", OURS, f"onnx:{material.model}"),
        _start("shadowdiff, OpenVINO", OURS, f"onnx:{material.model},backend=openvino"),
    ]
    others = _race(starts, given.rounds)
    tokenising = tokenising_share(f"onnx:{material.model}", given.turns)
    _report(starts, others, tokenising, {"rounds": given.rounds, "turns": given.turns})


def tokenising_share(spec: str, turns: int) -> Spread:
    """Tokenising real turns as a share of scoring them, texts in, scores out: processor time, by repeat."""
    requests = load_material(turns).requests
    shares = []
    for _ in range(TOKENISING_REPEATS):
        reranker: Any = build(parse(spec))  # anew: it remembers the texts it has tokenised
        reranker.prepare()
        begun = time.process_time()
        reranker.truncated(requests)  # tokenises only
        tokenised = time.process_time()
        reranker.score_batch(requests)
        ended = time.process_time()
        shares.append((tokenised - begun) / (ended - begun))
    return spread(shares)


def _start(label: str, program: str, argument: str) -> Start:
    """After one run that is not counted: it fills the page cache and compiles bytecode."""
    found = Start(label, program, argument, [], [], [])
    done = subprocess.run(_command(found), cwd=ROOT, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode:
        found.unavailable = (done.stderr.strip().splitlines() or ["it failed"])[-1]
    return found


def _race(starts: Sequence[Start], rounds: int) -> list[float]:
    """Interleaved rounds. Returns the processor share of others in each measurement."""
    others: list[float] = []
    for number in range(rounds):
        others += [_measure(start) for start in starts if start.unavailable is None]
        narrate(f"round {number + 1}/{rounds}")
    return others


def _measure(start: Start) -> float:
    before, begun = Busy.now(), time.perf_counter()
    process = subprocess.Popen(
        _command(start), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment()
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = used.ru_utime + used.ru_stime
    start.walls.append(wall)
    start.cpus.append(cpu)
    start.peaks.append(used.ru_maxrss / 1024)
    return share_of_others(before, Busy.now(), cpu, wall)


def _command(start: Start) -> list[str]:
    return [sys.executable, "-W", "ignore", "-c", start.program, start.argument]


def _environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1"}


def _report(starts: Sequence[Start], others: Sequence[float], tokenising: Spread, setting: dict[str, Any]) -> None:
    base = starts[0]
    running = [start for start in starts if start.unavailable is None] if base.unavailable is None else []
    rows = [_row(base, start) for start in running]
    disturbed = sum(share > QUIET for share in others) / len(others) if others else 0.0
    notes = [f"{start.label}: not available: {start.unavailable}" for start in starts if start.unavailable]
    notes.append(
        f"Tokenising is {tokenising.median:.1%} of scoring (processor time; quartiles {tokenising.low:.1%}–"
        f"{tokenising.high:.1%}). {disturbed:.0%} of measurements were disturbed."
    )
    show("Cold start", COLUMNS, rows, notes)
    ratios = {f"{start.label} × st": paired(base.walls, start.walls).median for start in running}
    ratios |= {f"{start.label} × st, CPU": paired(base.cpus, start.cpus).median for start in running}
    figures = {"starts": [asdict(start) for start in starts], "tokenising": asdict(tokenising), "disturbed": disturbed}
    publish("cold_start", setting, figures, {**ratios, "tokenising share": tokenising.median})


def _row(base: Start, start: Start) -> tuple[str, ...]:
    ratio, peak = paired(base.walls, start.walls), spread(start.peaks).median
    return (
        start.label,
        f"{spread(start.walls).median:.2f}",
        f"{ratio.median:.1f}",
        f"{ratio.low:.1f}–{ratio.high:.1f}",
        f"{spread(start.cpus).median:.2f}",
        f"{paired(base.cpus, start.cpus).median:.1f}",
        f"{peak:.0f}",
        f"{peak / spread(base.peaks).median:.0%}",
    )


if __name__ == "__main__":
    main()
