"""`cascade:` through the real command line: embeddings as gate, the sample's cross-encoder where they are not sure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conftest import MODEL, Cli

Environment = dict[str, str]
QUICK = ("--pool", "8", "--top-k", "3", "--format", "json", "--latency", "0")


def rankings(document: dict[str, Any], side: str) -> list[list[str]]:
    """What a side showed, turn by turn."""
    turns = [turn for session in document["sessions"] for turn in session["turns"]]
    return [[item["entry_id"] for item in turn["rankings"][side]] for turn in turns]


def test_each_turn_is_the_gates_or_the_others(cli: Cli, database: Environment) -> None:
    """Every turn of the cascade is that of one of its parts, and both occur; shown again it is the same."""
    cascade = f"cascade:gate=cosine,margin=0.2,then=onnx:{MODEL}"
    finished = cli("replay", "--last", "8", "-A", "cosine", "-B", cascade, "-B", f"onnx:{MODEL}", *QUICK, env=database)
    assert finished.code == 0, finished.err
    document = json.loads(finished.out)
    gate, both, then = (rankings(document, side) for side in "ABC")
    assert all(shown in pair for shown, *pair in zip(both, gate, then, strict=True))
    assert gate != both != then
    assert document["sides"][1]["spec"] == cascade
    again = json.loads(cli("show", "latest", "--format", "json", env=database).out)
    assert again == document


def test_parts_by_short_name_and_refusals(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """A part with options has a name of its own; what cannot work is said before anything is read."""
    (tmp_path / "shadowdiff.toml").write_text(f'[rerankers]\nshort = "onnx:{MODEL},max_length=64"\n')
    side = "cascade:gate=bm25,margin=0.2,at=3,then=short"
    finished = cli("replay", "--last", "2", "-A", "bm25", "-B", side, *QUICK, env=database)
    assert finished.code == 0, finished.err
    for arguments, reason in (
        (("-B", f"cascade:gate=bm25,margin=0.2,then=onnx:{MODEL},max_length=64"), "needs a short name"),
        (("-B", side, "--min-score", "B=0.5"), "no threshold fits both"),
    ):
        refused = cli("replay", "-A", "bm25", *arguments, env=database)
        assert (refused.code, refused.err.count("\n")) == (2, 1), refused.err
        assert reason in refused.err
