"""Results as JSON, and what changed since the last ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.material import ROOT
from shadowdiff.machine import this_machine

FOLDER = ROOT / "bench-results"
WIDTH = 100
PACKAGES = (
    "shadowdiff",
    "onnxruntime",
    "openvino",
    "torch",
    "sentence-transformers",
    "flashrank",
    "fastembed",
    "rerankers",
)


def publish(name: str, setting: Mapping[str, Any], figures: Mapping[str, Any], ratios: Mapping[str, float]) -> None:
    """Write bench-results/`name`.json and print how each ratio changed against the one it replaces.

    `ratios` are the figures that may be compared between runs; those of another
    machine or setting are not.
    """
    file = FOLDER / f"{name}.json"
    machine = this_machine()
    made = {"machine": machine.processor or machine.system, "setting": dict(setting)}
    last = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    _print_changes(last, made, ratios)
    FOLDER.mkdir(exist_ok=True)
    made |= {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "versions": _versions()}
    made |= {"ratios": dict(ratios), "figures": dict(figures)}
    file.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str] = ()) -> None:
    """Print a table within 100 columns; the first column is text, the others numbers."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(width=WIDTH, highlight=False, markup=False, emoji=False)
    console.print(table)
    for note in notes:
        console.print(note)


def _print_changes(last: Any, made: Mapping[str, Any], ratios: Mapping[str, float]) -> None:
    if last is None:
        return
    if any(last.get(key) != made[key] for key in made):
        sys.stdout.write("The last results are of another machine or setting: not compared.\n")
        return
    before: dict[str, float] = last["ratios"]
    changes = [f"{key} {before[key]:.2f} → {now:.2f}" for key, now in ratios.items() if key in before]
    sys.stdout.write(f"Since {last['measured_at']}: {', '.join(changes) or 'nothing to compare'}\n")


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
