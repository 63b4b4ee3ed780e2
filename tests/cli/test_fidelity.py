"""How well the replay reproduces what production served, through the real command line."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.cli.test_replay import Environment, Json, run_json
from tests.conftest import Cli

QUICK = ("--latency", "0")
FUSED = "rrf:cosine+bm25"
"""What the sample's production ran."""


def turns_of(document: Json) -> list[list[Json]]:
    """Turns by session."""
    return [session["turns"] for session in document["sessions"]]


def recomputed(document: Json, side: str) -> dict[str, Any]:
    """The counts from nothing but what was served and the whole rankings."""
    compared = []
    for turn in (turn for turns in turns_of(document) for turn in turns):
        served = turn["served"]
        shown = [item["entry_id"] for item in turn["rankings"][side]][: len(served)]
        compared.append((served, shown, [a == b for a, b in zip(served, shown, strict=True)]))
    first = [matches.index(False) + 1 for _, _, matches in compared if not all(matches)]
    return {
        "turns": len(compared),
        "identical": sum(all(matches) for _, _, matches in compared),
        "reordered": sum(set(a) == set(b) and a != b for a, b, _ in compared),
        "mean_overlap": round(sum(len(set(a) & set(b)) / len(a) for a, b, _ in compared) / len(compared), 6),
        "median_first_divergence": median(first) if first else None,
        "diverging_at_first": first.count(1),
    }


def stated(document: Json) -> dict[str, Any]:
    """The same counts, as the summary gives them."""
    fidelity = document["summary"]["fidelity"]
    return {name: fidelity[name] for name in recomputed(document, fidelity["side"])}


def test_production_s_own_reranker_reproduces_what_was_served(cli: Cli, database: Environment) -> None:
    """The sample's 218 turns: identical, but for a tie that float32 breaks otherwise. A shorter K changes nothing."""
    arguments = ("--last", "100", "-A", FUSED, "-B", "cosine", "--top-k", "3", "--full-rankings", *QUICK)
    document = run_json(cli, database, *arguments)
    fidelity = document["summary"]["fidelity"]
    assert stated(document) == recomputed(document, "A")
    assert (fidelity["turns"], fidelity["verdict"]) == (218, "reproduces")
    assert fidelity["identical"] + fidelity["near_ties"] == 218
    assert document["config"]["production_assumed"] is True
    assert "A reproduces what production served" in cli("show", env=database).out


def test_another_reranker_does_not_and_the_report_says_so(cli: Cli, database: Environment) -> None:
    """Cosine, taken for production's because it is the baseline; the counts are those of the rankings."""
    document = run_json(cli, database, "--last", "10", "-A", "cosine", "-B", FUSED, "--full-rankings", *QUICK)
    fidelity = document["summary"]["fidelity"]
    assert stated(document) == recomputed(document, "A")
    assert fidelity["verdict"] == "doubtful"
    shown = cli("show", "--width", "200", env=database).out
    assert "A is taken for production's reranker, because it is the baseline and nothing else was said" in shown
    assert "So a difference from A is not a difference from what users saw." in shown


def test_entries_cut_from_the_pool_cannot_be_reproduced(cli: Cli, database: Environment) -> None:
    """With pools of 20, some of what was served is outside them: counted apart, and held against the replay."""
    document = run_json(cli, database, "--last", "10", "-A", FUSED, "-B", "cosine", "--pool", "20", *QUICK)
    turns = [turn for session in turns_of(document) for turn in session]
    assert document["summary"]["fidelity"]["verdict"] == "doubtful"
    outside = [turn["fidelity"]["outside_pool"] for turn in turns]
    assert document["summary"]["fidelity"]["served_outside_pool"] == sum(outside) > 0
    assert all(turn["fidelity"]["overlap"] <= 1 - turn["fidelity"]["outside_pool"] / 10 for turn in turns)


@pytest.mark.parametrize("named", ["B", "b", FUSED, "mine"])
def test_any_side_can_be_production_s(cli: Cli, database: Environment, tmp_path: Path, named: str) -> None:
    """By label, spec or short name; it is said, so nothing is assumed."""
    (tmp_path / "shadowdiff.toml").write_text(f'[rerankers]\nmine = "{FUSED}"\n')
    arguments = ("--last", "2", "-A", "served", "-B", "mine", "--production", named, *QUICK)
    document = run_json(cli, database, *arguments)
    assert (document["config"]["production"], document["config"]["production_assumed"]) == ("B", False)
    assert document["summary"]["fidelity"]["side"] == "B"


def test_show_says_the_same(cli: Cli, database: Environment) -> None:
    """In every format: fidelity is computed from what is stored."""
    arguments = ("--last", "2", "-A", "served", "-B", FUSED, "--production", "B", *QUICK)
    for format_ in ("terminal", "json", "jsonl"):
        replayed = cli("replay", *arguments, "--format", format_, env=database)
        assert cli("show", "--format", format_, env=database).out == replayed.out


def test_the_setting_names_it_where_the_command_line_does_not(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """A run without that side has no fidelity, and `none` on the command line switches it off."""
    (tmp_path / "shadowdiff.toml").write_text(f'[replay]\nproduction = "{FUSED}"\n')
    with_it = ("--last", "1", "-A", "cosine", "-B", FUSED, *QUICK)
    assert run_json(cli, database, *with_it)["summary"]["fidelity"]["side"] == "B"
    off = run_json(cli, database, *with_it, "--production", "none")
    without = run_json(cli, database, "--last", "1", "-A", "cosine", "-B", "bm25", *QUICK)
    for document in (off, without):
        assert document["config"]["production"] is document["summary"]["fidelity"] is None
        assert all(turn["served"] and turn["fidelity"] is None for turns in turns_of(document) for turn in turns)


def test_a_side_that_lists_by_itself_is_not_taken_for_production_s(cli: Cli, database: Environment) -> None:
    """`served` against itself would always reproduce."""
    assert run_json(cli, database, "--last", "1", "-A", "served", "-B", "cosine", *QUICK)["summary"]["fidelity"] is None


def test_a_side_that_the_run_lacks_is_refused(cli: Cli, database: Environment) -> None:
    """Before anything is computed, with the sides that there are."""
    refused = cli("replay", "-A", "cosine", "-B", "bm25", "--production", "C", env=database)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "shadowdiff: error: --production 'C' is no side of this run; use one of A cosine, B bm25, or 'none'\n"
    )
    assert cli("runs", env=database).out.startswith("no run is stored yet")


def test_what_production_says_it_used_is_shown(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """Read through a mapping, counted over the turns, the most frequent first; and the same once stored."""
    (tmp_path / "shadowdiff.toml").write_text(
        '[source]\npreset = "shadowdiff"\nturns = """SELECT *, embedding AS query_embedding, '
        "CASE position WHEN 1 THEN 'minilm-v2' ELSE 'minilm-v3' END AS served_by FROM shadowdiff.turns\"\"\"\n"
    )
    env = database | {"SHADOWDIFF_STORE_URL": database["SHADOWDIFF_DATABASE_URL"]}
    document = run_json(cli, env, "--last", "4", "-A", FUSED, "-B", "cosine", *QUICK)
    turns = [turn for session in turns_of(document) for turn in session]
    assert {(turn["position"] == 1, turn["served_by"]) for turn in turns} == {(True, "minilm-v2"), (False, "minilm-v3")}
    later = len(turns) - 4
    assert list(document["summary"]["fidelity"]["served_by"].items()) == [("minilm-v3", later), ("minilm-v2", 4)]
    named = f"Reranker that production says it used, and turns: minilm-v3 ({later}), minilm-v2 (4)\n"
    assert named in cli("show", env=env).out
