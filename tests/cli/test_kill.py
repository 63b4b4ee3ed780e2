"""kill -9, at any moment, loses nothing that cannot be had again: the resumed run ends like an undisturbed one."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shadowdiff.database import store_engine
from shadowdiff.runs import Run, RunStatus
from shadowdiff.store.runs import RunStore
from tests.cli.test_replay import Environment, Json, comparable
from tests.conftest import MODEL, Cli, clean_environment
from tests.pace import slow_reranker

KILLS = 10
SEED = 4
LONGEST_LIFE = 3.0
"""Seconds; some are killed before they have done anything, some in mid-window, some while storing."""


@pytest.mark.slow
def test_killed_at_ten_random_moments_and_resumed(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """A model and a slow plugin; every life is cut short at random; the last one ends in the undisturbed JSON."""
    database = database | slow_reranker(tmp_path / "plugin")
    sides = ["-A", f"onnx:{MODEL},max_length=32", "-B", "slow"]
    arguments = ["replay", "--last", "16", "--pool", "6", *sides]
    undisturbed = _json(cli, database, *arguments, "--no-cache")
    moments = random.Random(SEED)  # noqa: S311 moments, not secrets
    killed, lives = 0, [*arguments, "--no-cache"]
    while killed < KILLS:
        finished = _killed(lives, moments.uniform(0.3, LONGEST_LIFE), database, tmp_path)
        killed += not finished
        newest = _newest(database)
        is_done = newest.run_id != undisturbed["run_id"] and newest.status is RunStatus.DONE
        if finished or is_done:
            # Done before its moment came, or before it could end: a new run gives the next kills something to hit.
            assert comparable(_json(cli, database, "show", newest.run_id)) == comparable(undisturbed)
            lives = [*arguments, "--no-cache"]
        elif newest.run_id != undisturbed["run_id"]:
            lives = ["replay", "--resume", newest.run_id, "--no-cache"]
    if lives[1] == "--resume":
        resumed = _json(cli, database, *lives)
        assert comparable(resumed) == comparable(undisturbed)
    assert killed == KILLS


def _killed(arguments: list[str], seconds: float, database: Environment, folder: Path) -> bool:
    """Start the command and kill it after so long; whether it was done before that."""
    command = [sys.executable, "-m", "shadowdiff", *arguments]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=clean_environment(folder) | database,
        cwd=folder,
    ) as process:
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        code = process.wait()
    assert code in (0, -signal.SIGKILL), "it ended by itself, and not well"
    return code == 0


def _newest(database: Environment) -> Run:
    engine = store_engine(database["SHADOWDIFF_DATABASE_URL"])
    try:
        return RunStore(engine).get("latest")
    finally:
        engine.dispose()


def _json(cli: Cli, database: Environment, *arguments: str) -> Json:
    latency = ["--latency", "0"] if arguments[0] == "replay" else []
    result = cli(*arguments, *latency, "--format", "json", env=database)
    assert result.code == 0, result.err
    found: Json = json.loads(result.out)
    return found
