"""Variants side by side: each in its own process, one at a time, A B C A B C, with what else the machine did."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.material import ROOT
from benchmarks.processor import Busy, share_of_others
from benchmarks.telling import narrate
from benchmarks.variants import BASELINE, Variant

QUIET = 0.05
"""Processor share of others above which a measurement is called disturbed."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What every variant gets."""

    home: Path
    threads: int
    turns: int
    characters: int | None


@dataclass
class Lane:
    """A variant's process and what was measured of it, by round."""

    variant: Variant
    process: subprocess.Popen[str]
    unavailable: str | None
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    """Seconds of every single call, all rounds."""
    stolen: float = 0.0

    def ask(self, what: str) -> dict[str, Any]:
        """Send a command and wait. Raises RuntimeError where the process died."""
        assert self.process.stdin is not None and self.process.stdout is not None  # noqa: S101, PT018 both are pipes
        self.process.stdin.write(json.dumps({"do": what}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.variant.key!r} ended with {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def measure(self, what: str) -> None:
        """One round: `all` turns in one call, or `turns` one a call."""
        before, begun = Busy.now(), time.perf_counter()
        answer = self.ask(what)
        wall, after = time.perf_counter() - begun, Busy.now()
        self.walls.append(sum(answer["walls"]))
        self.cpus.append(answer["cpu"])
        self.calls += answer["walls"]
        self.others.append(share_of_others(before, after, answer["cpu"], wall))
        self.stolen += after.stolen - before.stolen

    def stop(self) -> None:
        """End the process by ending its input."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles."""

    low: float
    median: float
    high: float


def start(variants: Sequence[Variant], setting: Setting) -> list[Lane]:
    """Start and load every variant, one after the other."""
    return [_started(variant, setting) for variant in variants]


def _started(variant: Variant, setting: Setting) -> Lane:
    numbers = [str(setting.threads), str(setting.turns), str(setting.characters or 0)]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.worker", variant.key, str(setting.home), *numbers]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    line = process.stdout.readline() if process.stdout is not None else ""
    answer: dict[str, str] = json.loads(line) if line else {"unavailable": f"its process ended with {process.wait()}"}
    narrate(f"{variant.key}: {answer.get('unavailable') or 'loaded'}")
    return Lane(variant, process, answer.get("unavailable"))


def race(lanes: Sequence[Lane], what: str, rounds: int) -> None:
    """`rounds` rounds over all variants that are available, after one that is not counted."""
    running = [lane for lane in lanes if lane.unavailable is None]
    for lane in running:
        lane.ask(what)
    for number in range(rounds):
        for lane in running:
            lane.measure(what)
        narrate(f"round {number + 1}/{rounds}: others used {max(lane.others[-1] for lane in running):.0%} at most")


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of at least one value."""
    if len(values) < 2:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(low, median, high)


def paired(baseline: Sequence[float], other: Sequence[float]) -> Spread:
    """How many times quicker than the baseline, by rounds."""
    return spread([first / second for first, second in zip(baseline, other, strict=True)])


def baseline_of(lanes: Sequence[Lane]) -> Lane | None:
    """The lane that ratios are against; None where it could not run."""
    return next((lane for lane in lanes if lane.variant.key == BASELINE and lane.unavailable is None), None)


def disturbance(lanes: Sequence[Lane]) -> Mapping[str, float]:
    """How quiet it was: share of measurements that others disturbed, their median share, seconds stolen."""
    shares = [share for lane in lanes for share in lane.others]
    disturbed = sum(share > QUIET for share in shares) / len(shares) if shares else 0.0
    stolen = sum(lane.stolen for lane in lanes)
    return {"disturbed": disturbed, "others": statistics.median(shares or [0.0]), "stolen": stolen}
