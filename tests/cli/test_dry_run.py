"""`shadowdiff replay --dry-run`, by the real command line against a provider that writes down what it is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli
from tests.paid import calls_made, paid_reranker

TOML = """
[rerankers]
managed = "paid:model"

[prices.managed]
search_unit = 0.002
as_of = "2026-11-01"
"""
REPLAY = ("replay", "--last", "4", "-A", "cosine", "-B", "managed")


@pytest.fixture
def environment(tmp_path: Path, database: dict[str, str]) -> dict[str, str]:
    """The sample, a provider and its price."""
    (tmp_path / "shadowdiff.toml").write_text(TOML)
    return database | paid_reranker(tmp_path / "plugin")


def forecast(cli: Cli, environment: dict[str, str], *more: str) -> dict[str, Any]:
    """What a dry run says, as JSON."""
    ran = cli(*REPLAY, "--dry-run", "--format", "json", *more, env=environment)
    assert (ran.code, ran.err) == (0, "")
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_it_tells_what_a_replay_then_does(cli: Cli, environment: dict[str, str]) -> None:
    """Calls and dollars before anything is sent; after the replay, nothing is left to ask."""
    said = forecast(cli, environment)
    assert calls_made(environment) == 0
    assert cli("runs", env=environment).out.startswith("no run is stored yet")
    managed = said["sides"][1]
    assert (managed["name"], managed["spec"], managed["at_most"]) == ("managed", "paid:model", False)
    assert said["usd"] == managed["usd"] == pytest.approx(0.002 * managed["search_units"])
    assert said["sides"][0]["calls"] is None

    ran = cli(*REPLAY, "--format", "json", env=environment)
    assert ran.code == 0
    timing = json.loads(ran.out)["summary"]["timing"]["B"]
    assert calls_made(environment) == timing["calls"] == managed["calls"] > 0
    assert timing["cost_usd"] == pytest.approx(said["usd"])

    again = forecast(cli, environment)
    assert (again["usd"], again["sides"][1]["calls"], again["sides"][1]["new_turns"]) == (0, 0, 0)
    assert forecast(cli, environment, "--no-cache")["sides"][1] == managed
    assert calls_made(environment) == managed["calls"]


def test_it_reads_well(cli: Cli, environment: dict[str, str]) -> None:
    """Units, dollars, whose prices, and whether --max-usd would stop it."""
    ran = cli(*REPLAY, "--dry-run", "--width", "80", "--max-usd", "0.001", env=environment)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("dry run: nothing was sent, and nothing is stored\n")
    assert "cost: prices as of 2026-11-01, yours to keep right" in ran.out
    assert "Providers would cost about $0.0" in ran.out
    assert "--max-usd 0.001 would stop it before the end." in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_it_tells_what_is_left_of_an_interrupted_run(cli: Cli, environment: dict[str, str]) -> None:
    """What was asked for before the cap is not counted again."""
    whole = forecast(cli, environment)
    stopped = cli(*REPLAY, "--max-usd", str(whole["usd"] / 2), "--format", "json", env=environment)
    assert stopped.code == 1
    spent = json.loads(stopped.out)["summary"]["timing"]["B"]["cost_usd"]
    left = cli("replay", "--resume", "latest", "--dry-run", "--format", "json", env=environment)
    assert left.code == 0
    assert json.loads(left.out)["usd"] == pytest.approx(whole["usd"] - 0.002 * calls_made(environment))
    assert 0 < spent <= whole["usd"] / 2


def test_without_a_provider_nothing_would_be_asked(cli: Cli, database: dict[str, str]) -> None:
    """Local sides are listed with their pairs."""
    ran = cli("replay", "--last", "2", "-A", "cosine", "-B", "bm25", "--dry-run", env=database)
    assert ran.code == 0
    assert "No provider would be asked anything." in ran.out
    assert "calls" not in ran.out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--format", "csv"), "--dry-run has no format 'csv'; use one of terminal, json"),
        (("--until", "2000-01-01"), "no sessions until 2000-01-01 00:00 UTC; nothing to replay"),
        (("--resume", "latest"), "no run is stored yet"),
        (("--resume", "latest", "--retry-failed"), "--dry-run does not know what --retry-failed would ask for"),
    ],
)
def test_what_it_refuses(cli: Cli, environment: dict[str, str], more: tuple[str, ...], said: str) -> None:
    """In one line, with exit code 2."""
    ran = cli(*REPLAY, "--dry-run", *more, env=environment)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
