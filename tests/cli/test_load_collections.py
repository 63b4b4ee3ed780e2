"""`load` of BEIR and TREC collections, made of real conversations."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED, Cli

MTRAG = SHARED / "data" / "mtrag"
ORG = "fiqa"
needs_mtrag = pytest.mark.skipif(not MTRAG.is_dir(), reason="needs the MTRAG conversations in ../shared/data/mtrag")
QUICK = ("--latency", "0")


def lines(name: str) -> list[dict[str, Any]]:
    """The objects of one org in a file of MTRAG."""
    found = (json.loads(line) for line in (MTRAG / name).read_text(encoding="utf-8").splitlines())
    return [item for item in found if item["org_id"] == ORG]


def labels(turn_ids: set[str]) -> list[list[str]]:
    """MTRAG's qrels of these turns."""
    rows = [line.split() for line in (MTRAG / "qrels.txt").read_text().splitlines()]
    return [row for row in rows if row[0] in turn_ids]


def write_json(path: Path, objects: list[dict[str, Any]]) -> None:
    """Packed JSON lines."""
    path.write_bytes(gzip.compress("".join(json.dumps(item) + "\n" for item in objects).encode()))


@needs_mtrag
def test_a_beir_directory_of_real_conversations(cli: Cli, empty_url: str, tmp_path: Path) -> None:
    """Loaded through BEIR's files, sessions, turns, entries and labels are those of the bundle."""
    sessions, entries = lines("sessions.jsonl"), lines("kb_entries.jsonl")
    turns = [turn for session in sessions for turn in session["turns"]]
    judged = labels({turn["turn_id"] for turn in turns})
    directory = tmp_path / ORG
    (directory / "qrels").mkdir(parents=True)
    documents = [
        {"_id": e["entry_id"], "title": e.get("title", ""), "text": e["body"], "metadata": {}} for e in entries
    ]
    write_json(directory / "corpus.jsonl.gz", documents)
    write_json(directory / "queries.jsonl.gz", [{"_id": turn["turn_id"], "text": turn["query"]} for turn in turns])
    rows = "".join(f"{turn_id}\t{entry_id}\t{grade}\n" for turn_id, _, entry_id, grade in judged)
    (directory / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    env = {"SHADOWDIFF_DATABASE_URL": empty_url}
    loaded = cli("load", ORG, env=env)
    assert (loaded.code, loaded.err) == (0, "")
    assert loaded.out == (
        f"loaded {len(entries):,} entries of 1 orgs, {len(sessions):,} sessions, {len(turns):,} turns "
        f"(0 with a recorded pool), {len(judged):,} labels, no embeddings\n"
    )
    replayed = cli(
        "replay", "--last", "5", "--pool-from", "bm25", "-A", "bm25", "-B", "bm25", "--format", "json", env=env
    )
    assert (replayed.code, replayed.err) == (0, "")
    found = json.loads(replayed.out)["sessions"]
    expected = sessions[-5:]
    assert [session["session_id"] for session in found] == [session["session_id"] for session in expected]
    assert [[turn["query"] for turn in session["turns"]] for session in found] == [
        [turn["query"] for turn in session["turns"]] for session in expected
    ]
    split = cli("load", ORG, "--split", "test", "--org", "judged", "--replace", env=env)
    assert split.code == 2
    assert "is stored for org 'fiqa' already" in split.err


@needs_mtrag
def test_runs_and_qrels_without_any_text(cli: Cli, empty_url: str, tmp_path: Path) -> None:
    """Topics, a run and qrels are enough for `run:` against `run:`; a side that reads texts fails, and says why."""
    sessions = lines("sessions.jsonl")[:4]
    turns = [turn for session in sessions for turn in session["turns"]]
    names = [entry["entry_id"] for entry in lines("kb_entries.jsonl")][:12]
    (tmp_path / "topics.tsv").write_text("".join(f"{t['turn_id']}\t{' '.join(t['query'].split())}\n" for t in turns))
    for name, step in (("first", 1), ("second", 5)):
        ranked = [names[(place * step) % 12] for place in range(12)]
        rows = [
            f"{t['turn_id']} Q0 {e} {rank} {12 - rank} x\n" for t in turns for rank, e in enumerate(ranked, start=1)
        ]
        (tmp_path / f"{name}.run").write_text("".join(rows))
    (tmp_path / "qrels.txt").write_text("".join(f"{t['turn_id']} 0 {names[0]} 1\n" for t in turns))
    env = {"SHADOWDIFF_DATABASE_URL": empty_url}
    parts = ("--topics", "topics.tsv", "--run", "first.run", "--qrels", "qrels.txt")
    loaded = cli("load", "--org", "bare", *parts, env=env)
    assert (loaded.code, loaded.err) == (0, "")
    assert (
        f"loaded 12 entries (12 without text) of 1 orgs, 4 sessions, {len(turns)} turns ({len(turns)} with"
        in loaded.out
    )
    runs = ("-A", "run:first.run", "-B", "run:second.run")
    replayed = cli("replay", "--last", "4", *runs, "--top-k", "3", "--format", "json", *QUICK, env=env)
    assert (replayed.code, replayed.err) == (0, "")
    document = json.loads(replayed.out)
    assert document["summary"]["pools"] == {"recorded": len(turns)}
    turn = document["sessions"][0]["turns"][0]
    assert [item["entry_id"] for item in turn["rankings"]["A"]] == names[:3]
    assert turn["diffs"]["B"]["only_in_b"] == [names[5], names[10]]
    texts = cli("replay", "--last", "1", "-A", "run:first.run", "-B", "bm25", "--width", "200", *QUICK, env=env)
    assert texts.code == 4
    assert "no entry of this turn's pool has a text, which this side reads" in texts.out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "nothing to load: name a directory, or --topics"),
        (["--topics", "t.tsv"], "say into which org to load, with --org"),
        (["nowhere"], "nowhere: no such directory; a bundle is a directory with kb_entries.jsonl"),
        (["empty"], "empty: neither a bundle"),
        (["empty", "--form", "bundle", "--org", "o"], "--org does not go with a bundle"),
        (["empty", "--form", "bundle", "--session-pattern", "x"], "--session-pattern does not go with a bundle"),
        (["empty", "--form", "beir"], "empty: no queries.jsonl"),
        (["empty", "--form", "trec"], "empty: no topics.*"),
        (["empty", "--form", "trec", "--split", "test"], "--split goes with a BEIR directory"),
        (["--topics", "t.tsv", "--org", "o", "--session-pattern", "x"], "has no group 'session'"),
        (["--topics", "t.tsv", "--org", "o", "--qrels", "no.txt"], "no.txt: cannot be read: No such file"),
    ],
)
def test_what_cannot_be_loaded(cli: Cli, tmp_path: Path, arguments: list[str], expected: str) -> None:
    """One line, before any database is asked."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "t.tsv").write_text("1\tq\n")
    finished = cli("load", *arguments, env={"SHADOWDIFF_DATABASE_URL": "postgresql://127.0.0.1:1/x"})
    assert (finished.code, finished.out) == (2, "")
    assert len(finished.err.splitlines()) == 1
    assert expected in finished.err
