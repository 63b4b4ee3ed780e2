"""Where the time of a replay goes, and what a second one costs: `replay --last 100` with two ONNX sides.

Loads the conversations of ../shared/data/mtrag (or the sample's) into an embedded Postgres under --home, then runs the
real command line in processes of their own: first with an empty score cache, then again. Inside each, clocks stand
around the calls that a stage consists of, so that every stage's share of the wall time is measured, not derived.
Stages run in several threads, so the shares may add up to more than one; `not scoring` is the wall time during which
no batch was in the model. Asserts nothing.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.results import publish

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
MTRAG = SHARED / "data" / "mtrag"
SAMPLE = ROOT / "sample_sessions"

STAGES: dict[str, tuple[str, ...]] = {
    "database": (
        "shadowdiff.sources.postgres:PostgresSource.session_ids",
        "shadowdiff.replay.windows:WindowReader.read",
    ),
    "cache": (
        "shadowdiff.store.runs:RunStore.cached_scores",
        "shadowdiff.store.runs:RunStore.keep",
    ),
    "loading": ("shadowdiff.replay.sides:Loading.load",),
    "tokenising": ("shadowdiff.rerankers.pairs:PairEncoder.encode_each",),
    "storing": ("shadowdiff.store.runs:RunStore.save",),
    "diff and summary": ("shadowdiff.replay.execute:summarise",),
    "rendering": ("shadowdiff.cli.replay:write_run",),
}


class Clock:
    """Wall time during which at least one thread was inside a stage."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside = 0
        self._since = 0.0
        self._lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count while the block runs."""
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._since = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self.seconds += time.perf_counter() - self._since


def measured(arguments: Sequence[str], report: Path) -> None:
    """Run the command line with clocks around every stage, and write what they say. Runs in a process of its own."""
    started = time.perf_counter()
    clocks = {stage: Clock() for stage in (*STAGES, "scoring")}
    from shadowdiff.cli.main import main

    for stage, names in STAGES.items():
        for name in names:
            _wrap(name, clocks[stage])
    _wrap_engine(clocks["scoring"])
    loaded = ("onnxruntime", "openvino", "torch", "tokenizers")
    with suppress(SystemExit):
        sys.argv = ["shadowdiff", *arguments]
        main()
    wall = time.perf_counter() - started
    found: dict[str, Any] = {stage: clock.seconds for stage, clock in clocks.items()}
    found |= {"wall": wall, "imported": [name for name in loaded if name in sys.modules]}
    report.write_text(json.dumps(found))


def _wrap(name: str, clock: Clock) -> None:
    from importlib import import_module

    module, path = name.split(":")
    owner: Any = import_module(module)
    *parents, last = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    inner: Callable[..., Any] = getattr(owner, last)

    def timed(*args: Any, **kwargs: Any) -> Any:
        with clock.running():
            return inner(*args, **kwargs)

    setattr(owner, last, timed)


def _wrap_engine(clock: Clock) -> None:
    from shadowdiff.rerankers.engine import Engine

    inner = Engine.score

    def timed(self: Engine, pairs: Any) -> Iterator[Any]:
        batches = inner(self, pairs)
        while True:
            with clock.running():
                scored = next(batches, None)
            if scored is None:
                return
            yield scored

    Engine.score = timed  # type: ignore[method-assign]


def main() -> None:
    """Load, replay twice, print."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(arguments.home or folder)
        environment = os.environ | {"SHADOWDIFF_HOME": str(home), "NO_COLOR": "1"}
        directory = MTRAG if MTRAG.is_dir() and not arguments.sample else SAMPLE
        _shadowdiff(["load", str(directory)], environment)
        try:
            runs = [_replay(arguments, environment, home) for _ in range(2)]
        finally:
            _shadowdiff(["db", "stop"], environment)
    _print(arguments, directory, runs)
    setting = {"last": arguments.last, "pool": arguments.pool, "options": arguments.options, "of": directory.name}
    publish("replay_stages", setting, {"first": runs[0], "again": runs[1]}, _ratios(runs))


def _replay(arguments: argparse.Namespace, environment: dict[str, str], home: Path) -> dict[str, Any]:
    report = home / "report.json"
    model = _model(arguments)
    sides = [f"onnx:{model},{options}" for options in arguments.options]
    command = ["replay", "--last", str(arguments.last), "--pool-from", "bm25", "--pool", str(arguments.pool)]
    command += ["-A", sides[0], "-B", sides[1], "--format", "terminal", "-o", str(home / "diff.txt")]
    subprocess.run(
        [sys.executable, "-m", "benchmarks.replay_stages", "--inside", str(report), *command],
        env=environment,
        check=True,
        cwd=ROOT,
    )
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def _model(arguments: argparse.Namespace) -> Path:
    if arguments.model:
        return Path(arguments.model)
    shared = SHARED / "models" / "minilm-l6-v3"
    return shared if shared.is_dir() else next((SAMPLE / "models").iterdir())


def _shadowdiff(arguments: Sequence[str], environment: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-m", "shadowdiff", *arguments], env=environment, check=True, capture_output=True)


def _ratios(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    first, again = runs
    return {
        "not_scoring_share": 1 - first["scoring"] / first["wall"],
        "first_over_again": first["wall"] / again["wall"],
    }


def _print(arguments: argparse.Namespace, directory: Path, runs: Sequence[dict[str, Any]]) -> None:
    print(f"replay --last {arguments.last} of {directory.name}, pools of {arguments.pool} by BM25")  # noqa: T201
    print(f"{'':18}{'first':>16}{'again':>16}")  # noqa: T201
    for stage in ("wall", "scoring", *STAGES):
        cells = (f"{run[stage]:9.2f} s {run[stage] / run['wall']:4.0%}" for run in runs)
        print(f"{stage:18}{''.join(f'{cell:>16}' for cell in cells)}")  # noqa: T201
    ratios = _ratios(runs)
    print(f"not scoring: {ratios['not_scoring_share']:.1%} of the first run's wall time")  # noqa: T201
    print(f"again: {ratios['first_over_again']:.0f} times faster; imported: {runs[1]['imported'] or 'no runtime'}")  # noqa: T201


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--last", type=int, default=100)
    parser.add_argument("--pool", type=int, default=50)
    parser.add_argument("--model", help="directory of an ONNX cross-encoder")
    parser.add_argument("--options", nargs=2, default=["max_length=96", "max_length=128"], help="of the two sides")
    parser.add_argument("--home", help="where the embedded database goes (default: a temporary directory)")
    parser.add_argument("--sample", action="store_true", help="the sample's conversations, not mtrag's")
    return parser.parse_args()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        measured(sys.argv[3:], Path(sys.argv[2]))
    else:
        main()
