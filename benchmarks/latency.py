"""Latency as production would feel it: one turn's pool of 50 per call, each variant in its own process.

p50, p95 and p99 are over every call of every round; the ratio is of medians, by rounds. Never derived from bulk speed.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.material import load_material
from benchmarks.options import Options, read_options
from benchmarks.race import Lane, baseline_of, disturbance, paired, race, start
from benchmarks.results import publish, show
from benchmarks.variants import prepare_places

COLUMNS = ("variant", "calls", "p50 ms", "p95 ms", "p99 ms", "× st", "quartiles", "× CPU")


def main(arguments: list[str] | None = None) -> None:
    """Race, print the table, write the JSON."""
    options = read_options(__doc__ or "", turns=20, rounds=5, arguments=arguments)
    material = load_material(options.setting.turns, characters=options.setting.characters)
    prepare_places(material.model, options.setting.home)
    lanes = start(options.variants, options.setting)
    race(lanes, "turns", options.rounds)
    for lane in lanes:
        lane.stop()
    _report(options, lanes)


def _report(options: Options, lanes: Sequence[Lane]) -> None:
    base, quiet = baseline_of(lanes), disturbance(lanes)
    running = [lane for lane in lanes if lane.unavailable is None]
    figures = {lane.variant.key: _figures(base, lane, options.rounds) for lane in running} if base else {}
    rows = [_row(lane.variant.label, figures[lane.variant.key]) for lane in running if figures]
    notes = [f"{lane.variant.label}: not available: {lane.unavailable}" for lane in lanes if lane.unavailable]
    notes.append(
        f"Others used {quiet['others']:.0%} of the machine; {quiet['disturbed']:.0%} of rounds were disturbed."
    )
    show(f"One pool of 50 a call, {options.setting.threads} threads", COLUMNS, rows, notes)
    setting: dict[str, Any] = {"turns": options.setting.turns, "threads": options.setting.threads}
    setting |= {"characters": options.setting.characters}
    ratios = {f"{key} × st": figure["ratio"] for key, figure in figures.items()}
    publish("latency", setting, {"variants": figures, **quiet}, ratios)


def _figures(base: Lane, lane: Lane, rounds: int) -> dict[str, Any]:
    """Of one variant; percentiles in milliseconds."""
    ratio = paired(_medians(base, rounds), _medians(lane, rounds))
    p50, p95, p99 = (float(np.percentile(lane.calls, at)) * 1000 for at in (50, 95, 99))
    found = {"calls": len(lane.calls), "p50": p50, "p95": p95, "p99": p99}
    cpu = paired(base.cpus, lane.cpus).median
    return {**found, "ratio": ratio.median, "low": ratio.low, "high": ratio.high, "cpu_ratio": cpu}


def _medians(lane: Lane, rounds: int) -> list[float]:
    """Median seconds of a call, by round."""
    size = len(lane.calls) // rounds
    return [statistics.median(lane.calls[place * size : (place + 1) * size]) for place in range(rounds)]


def _row(label: str, figure: dict[str, Any]) -> tuple[str, ...]:
    return (
        label,
        f"{figure['calls']}",
        f"{figure['p50']:.0f}",
        f"{figure['p95']:.0f}",
        f"{figure['p99']:.0f}",
        f"{figure['ratio']:.2f}",
        f"{figure['low']:.2f}–{figure['high']:.2f}",
        f"{figure['cpu_ratio']:.2f}",
    )


if __name__ == "__main__":
    main()
