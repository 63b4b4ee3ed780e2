"""A provider's bad day, through the real command line: nothing is lost or paid for twice, and no other side suffers."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from shadowdiff.database import store_engine
from tests.cli.test_privacy import configure
from tests.cli.test_replay import comparable
from tests.conftest import Cli, clean_environment
from tests.providers import Faults, ProviderServer
from tests.providers.sides import KEYS

Environment = dict[str, str]
Json = dict[str, Any]
MODEL = "cohere:rerank-v3.5"
KILLS = 10
SEED = 7
SECONDS = 0.05
"""A call's, where runs are killed."""


def provider(url: str, **more: object) -> str:
    """[providers.cohere] with these settings beside the URL."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"url": url, **more}.items()]
    return "\n".join(["[providers.cohere]", *lines, '[prices."cohere:rerank-v3.5"]', "search_unit = 0.002", ""])


def replayed(cli: Cli, env: Environment, *arguments: str, code: int = 0) -> Json:
    """The run as JSON."""
    finished = cli("replay", *arguments, "--format", "json", env=env | KEYS)
    assert finished.code == code, finished.err
    document: Json = json.loads(finished.out)
    return document


@pytest.mark.slow
def test_two_hundred_turns_on_a_bad_day(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """30% throttled, 5% HTTP 500, 1% hanging, eight at a time: every turn is paid for once; then no call at all."""
    faults = Faults(throttled=0.15, throttled_silently=0.15, broken=0.05, hangs=0.01, seed=SEED)
    with ProviderServer("cohere", faults) as server:
        configure(tmp_path, provider(server.url, read_timeout="5s", concurrency=8, retries=12))
        arguments = ("--last", "55", "--pool", "5", "-A", "bm25", "-B", MODEL)
        first = replayed(cli, database, *arguments)
        summary = first["summary"]
        assert summary["turns"] >= 200
        assert summary["failed_turns"] == 0
        assert set(server.answered.values()) == {1}
        assert summary["timing"]["B"]["calls"] == sum(server.answered.values())
        assert len(server.requests) > sum(server.answered.values()), "nothing went wrong at all"
        before = len(server.requests)
        again = replayed(cli, database, *arguments)
        assert len(server.requests) == before
    assert again["sessions"] == first["sessions"]
    assert again["summary"]["timing"]["B"]["cost_usd"] == 0


def test_a_side_that_always_fails_disturbs_no_other(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """Exit 4, the side is shown as failed with the reason, and the others' figures are what they are without it."""
    with ProviderServer("cohere", Faults(forbidden=1.0)) as server:
        configure(tmp_path, provider(server.url))
        both = ("--last", "3", "--pool", "5", "-A", "bm25", "-B", "cosine")
        alone = replayed(cli, database, *both)
        document = replayed(cli, database, *both, "-B", MODEL, code=4)
        assert len(server.requests) <= 8, "a side that was refused went on asking"
        shown = cli("show", "latest", env=database)
    assert document["summary"]["pairs"]["B"] == alone["summary"]["pairs"]["B"]
    failed = document["summary"]["sides"]["C"]
    assert (failed["ranked_turns"], failed["failed_turns"]) == (0, document["summary"]["turns"])
    assert "401" in shown.out


def test_max_failures_is_a_share(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """A few failed turns are shown and no reason to fail the run, until the user says so."""
    with ProviderServer("cohere", Faults(bug=0.0, missing=0.2, seed=3)) as server:
        configure(tmp_path, provider(server.url))
        arguments = ("--last", "8", "--pool", "5", "-A", "bm25", "-B", MODEL)
        document = replayed(cli, database, *arguments)
        assert 0 < document["summary"]["failed_turns"] < document["summary"]["turns"]
        strict = cli("replay", *arguments, "--no-cache", "--max-failures", "0.01", env=database | KEYS)
    assert strict.code == 4
    assert "--max-failures" in strict.err


def test_only_failed_turns_are_asked_for_again(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """`--resume RUN --retry-failed` sends one call per failed turn, and leaves none failed."""
    with ProviderServer("cohere", Faults(missing=0.3, seed=3)) as server:
        configure(tmp_path, provider(server.url))
        document = replayed(cli, database, "--last", "6", "--pool", "5", "-A", "bm25", "-B", MODEL)
    failed = document["summary"]["failed_turns"]
    assert failed
    with ProviderServer("cohere") as server:
        configure(tmp_path, provider(server.url))
        again = replayed(cli, database, "--resume", document["run_id"], "--retry-failed")
        assert len(server.requests) == failed
    assert again["summary"]["failed_turns"] == 0
    assert again["run_id"] == document["run_id"]
    untouched = [turn for session in document["sessions"] for turn in session["turns"] if not turn.get("failures")]
    after = {turn["turn_id"]: turn for session in again["sessions"] for turn in session["turns"]}
    assert all(after[turn["turn_id"]]["rankings"] == turn["rankings"] for turn in untouched)


def test_the_cap_is_kept(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """Exit 1 before more is spent; the results are there; a price that is not known is refused beforehand."""
    with ProviderServer("cohere") as server:
        configure(tmp_path, provider(server.url))
        arguments = ("--last", "6", "--pool", "5", "-A", "bm25", "-B", MODEL)
        capped = cli("replay", *arguments, "--max-usd", "0.0101", env=database | KEYS)
        assert capped.code == 1
        assert "--max-usd 0.0101" in capped.err
        assert len(server.requests) == 5
        run_id = json.loads(cli("show", "latest", "--format", "json", env=database).out)["run_id"]
        done = replayed(cli, database, "--resume", run_id, "--max-usd", "1")
        assert len(server.requests) == done["summary"]["turns"]
        refused = cli("replay", "--last", "1", "-A", "bm25", "-B", "cohere:rerank-v4", "--max-usd", "1", env=database)
    assert refused.code == 2
    assert "price" in refused.err


def test_killed_ten_times_and_resumed(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """Kill -9 at random moments: the last JSON is the undisturbed one, and nothing stored is asked for again."""
    with ProviderServer("cohere", seconds=SECONDS) as server:
        configure(tmp_path, provider(server.url, concurrency=2))
        arguments = ["--last", "25", "--pool", "5", "-A", "bm25", "-B", MODEL]
        undisturbed = replayed(cli, database, *arguments)
        forget_scores(database)
        moments = random.Random(SEED)  # noqa: S311 moments, not secrets
        stored: list[tuple[int, set[str]]] = []
        resume: list[str] = []
        for _ in range(KILLS):
            kill_after(server, moments.randrange(1, 10), resume or arguments, database, tmp_path)
            time.sleep(2 * SECONDS)  # what the killed process had sent is answered
            run_id, queries = asked_so_far(database, besides=undisturbed["run_id"])
            stored.append((len(server.requests), queries))
            resume = ["--resume", run_id] if run_id else []
        if still_open(database, besides=undisturbed["run_id"]):
            final = replayed(cli, database, *resume)
        else:
            final = json.loads(cli("show", "latest", "--format", "json", env=database).out)
        for place, queries in stored:
            assert not queries & {request.body["query"] for request in server.requests[place:] if request.body}
    assert with_costs(final) == with_costs(undisturbed)


def with_costs(document: Json) -> Json:
    """All that an interrupted run must share with an undisturbed one: what it cost, too."""
    costs = {label: side["cost_usd"] for label, side in document["summary"]["timing"].items()}
    return comparable(document) | {"costs": costs}


def kill_after(server: ProviderServer, calls: int, arguments: list[str], database: Environment, folder: Path) -> None:
    """Start a replay and kill it at some moment after so many more calls, unless it is done before."""
    enough = len(server.requests) + calls
    command = [sys.executable, "-m", "shadowdiff", "replay", *arguments]
    env = clean_environment(folder) | database | KEYS
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=env, cwd=folder, **quiet) as process:  # type: ignore[call-overload]
        while process.poll() is None and len(server.requests) < enough:
            time.sleep(0.007)
        process.send_signal(signal.SIGKILL)
        process.wait()


def forget_scores(database: Environment) -> None:
    """Empty the score cache."""
    execute(database, "DELETE FROM shadowdiff.score_cache")


def asked_so_far(database: Environment, besides: str) -> tuple[str | None, set[str]]:
    """The newest other run, and the queries of the turns that were answered for it and stored."""
    found = execute(
        database,
        "SELECT run_id, coalesce(search_query, query) AS query FROM shadowdiff.runs "
        "LEFT JOIN shadowdiff.asks USING (run_id) LEFT JOIN shadowdiff.turns USING (turn_id) "
        "WHERE run_id <> :besides",
        besides=besides,
    )
    return (found[0]["run_id"] if found else None), {row["query"] for row in found if row["query"] is not None}


def still_open(database: Environment, besides: str) -> bool:
    """Whether the killed run is not done."""
    found = execute(database, "SELECT status FROM shadowdiff.runs WHERE run_id <> :besides", besides=besides)
    return bool(found[0]["status"] != "done")


def execute(database: Environment, statement: str, **values: str) -> list[Mapping[str, Any]]:
    """Run one statement against the store."""
    engine = store_engine(database["SHADOWDIFF_DATABASE_URL"])
    try:
        with engine.begin() as connection:
            done = connection.execute(text(statement), values)
            return [dict(row) for row in done.mappings()] if done.returns_rows else []
    finally:
        engine.dispose()
