"""`colbert:` through the real command line, with a real late-interaction model over the sample sessions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shadowdiff.rerankers.vectors_kept import FILE, FOLDER
from tests.conftest import Cli
from tests.contract.tiny_models import save_tiny_late_interaction

Environment = dict[str, str]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a late-interaction model with 64 positions."""
    return save_tiny_late_interaction(tmp_path_factory.mktemp("tiny"))


def test_replays_and_keeps_what_it_made_of_entries(cli: Cli, database: Environment, tiny: Path, tmp_path: Path) -> None:
    """Every turn is ranked, cuts are counted, latency is measured; a run past the score cache gives the same."""
    side = f"colbert:{tiny},device=cpu"
    arguments = ("replay", "--last", "2", "--pool", "12", "-A", "cosine", "-B", side, "--format", "json")
    first = cli(*arguments, "--latency", "2", env=database)
    assert first.code == 0, first.err
    assert "Loading" not in first.err
    summary = json.loads(first.out)["summary"]
    side_b = summary["sides"]["B"]
    assert side_b["ranked_turns"] > 0
    assert (side_b["failed_turns"], summary["timing"]["B"]["latency_turns"]) == (0, 2)
    assert 0 < side_b["truncated_pairs"] <= side_b["pairs"]
    kept = tmp_path / "unused-home" / "cache" / FOLDER / FILE
    assert kept.is_file()
    again = cli(*arguments, "--latency", "0", "--no-cache", env=database)
    assert json.loads(again.out)["sessions"] == json.loads(first.out)["sessions"]


def test_nothing_is_kept_where_texts_may_not_lie(cli: Cli, database: Environment, tiny: Path, tmp_path: Path) -> None:
    """`store_text = false`: vectors give texts away, so they stay in memory; offline a directory is no matter."""
    (tmp_path / "shadowdiff.toml").write_text("[privacy]\nstore_text = false\noffline = true\n")
    arguments = ("replay", "--last", "1", "--pool", "4", "-A", "cosine", "-B", f"colbert:{tiny}", "--latency", "0")
    finished = cli(*arguments, env=database)
    assert finished.code == 0, finished.err
    assert not (tmp_path / "unused-home" / "cache" / FOLDER).exists()
    refused = cli("replay", "-A", "cosine", "-B", "colbert:acme/late", env=database)
    assert refused.code == 2
    assert "would contact the Hugging Face hub" in refused.err
