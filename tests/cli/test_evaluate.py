"""`evaluate`, by the real command line: the sample's labels, real conversations, and runs that have none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import ir_measures
import pytest
from ir_measures import AP, RR, Judged, P, R, nDCG
from sqlalchemy import text

from shadowdiff.database import store_engine
from shadowdiff.store.labels import Labels
from shadowdiff.store.runs import RunStore
from shadowdiff.trec import qrels_line
from tests.conftest import MODEL, SAMPLE, SHARED, Cli

MTRAG = SHARED / "data" / "mtrag"
TREC: Any = ir_measures
ORG = "cloud"
SESSIONS = 12
SAME_OF_SESSIONS = ("measures", "segments", "turns", "sessions", "labels", "left_out", "unjudged", "ceiling")
"""What an evaluation says of its sessions, whichever runs they are of."""


def evaluated(cli: Cli, env: dict[str, str], *arguments: str) -> dict[str, Any]:
    """The document, by default of the latest run."""
    finished = cli("evaluate", "--format", "json", *arguments, env=env)
    assert (finished.code, finished.err) == (0, "")
    document: dict[str, Any] = json.loads(finished.out)
    return document


def exported(directory: Path, turns: set[str]) -> tuple[Any, dict[str, Any]]:
    """Qrels and runs as `export --format trec` wrote them, of these turns."""
    qrels = [item for item in TREC.read_trec_qrels(str(directory / "qrels.txt")) if item.query_id in turns]
    runs = {side: list(TREC.read_trec_run(str(directory / f"{side}.trec"))) for side in "AB"}
    return qrels, runs


def test_the_sample(cli: Cli, database: dict[str, str], tmp_path: Path) -> None:
    """Means are those of ir_measures on the exported files; every format is written, at every width."""
    assert cli("replay", "--last", "10", "-A", "cosine", "-B", "bm25", "--format", "json", env=database).code == 0
    document = evaluated(cli, database, "-k", "5", "-k", "20")
    assert (document["schema"], document["turns"], document["sessions"]) == ("shadowdiff.evaluation/1", 39, 10)
    assert cli("export", "latest", "--format", "trec", "-o", "files", env=database).code == 0
    qrels, runs = exported(tmp_path / "files", {item.query_id for item in _qrels(tmp_path)})
    ours = {found["measure"]: found for found in document["measures"]}
    theirs = {"ndcg": nDCG, "mrr": RR, "p": P, "recall": R, "judged": Judged}
    for name, measure in {f"{n}@{k}": m @ k for n, m in theirs.items() for k in (5, 20)}.items() | {("map", AP)}:
        for side, run in runs.items():
            expected = ir_measures.calc_aggregate([measure], qrels, run)[measure]
            assert ours[name]["means"][side]["mean"] == pytest.approx(expected, abs=1e-6), (name, side)
    wide = cli("evaluate", "latest", "--width", "80", env=database)
    assert (wide.code, wide.err) == (0, "")
    assert max(map(len, wide.out.splitlines())) <= 80
    assert "39 turns with labels in 10 sessions" in wide.out
    written = cli("evaluate", "--format", "markdown", "--unjudged", "2", "-o", "comment.md", env=database)
    assert (written.code, written.out, written.err) == (0, "", "")
    assert (tmp_path / "comment.md").read_text().startswith("**")


def _qrels(tmp_path: Path) -> list[Any]:
    return list(TREC.read_trec_qrels(str(tmp_path / "files" / "qrels.txt")))


def test_a_run_without_labels_is_told_where_they_come_from(cli: Cli, database: dict[str, str]) -> None:
    """Exit 2, one line, nothing on stdout."""
    assert cli("replay", "--last", "2", "-A", "cosine", "-B", "bm25", "--format", "json", env=database).code == 0
    engine = store_engine(database["SHADOWDIFF_DATABASE_URL"])
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM shadowdiff.labels"))
    engine.dispose()
    finished = cli("evaluate", env=database)
    assert (finished.code, finished.out) == (2, "")
    assert "no label on any of the 7 turns of run" in finished.err
    assert "`shadowdiff review`" in finished.err
    assert len(finished.err.splitlines()) == 1


@pytest.mark.skipif(not MTRAG.is_dir(), reason="needs the MTRAG conversations in ../shared/data/mtrag")
def test_labels_of_a_file(cli: Cli, database: dict[str, str], sample_store: RunStore, tmp_path: Path) -> None:
    """Measured without being stored, or stored under the file's name and then measured: the same figures."""
    assert cli("replay", "--last", "30", "-A", "cosine", "-B", "bm25", "--latency", "0", env=database).code == 0
    run = sample_store.get("latest")
    known = Labels(sample_store).of_run(run.run_id)
    engine = store_engine(database["SHADOWDIFF_DATABASE_URL"])
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM shadowdiff.labels"))
    engine.dispose()
    written = (SAMPLE / "qrels.txt").read_text()
    regraded = replace(known[0], grade=known[0].grade + 1)
    (tmp_path / "judged.txt").write_text(written + qrels_line(regraded))
    evaluated = ("evaluate", "latest", "--format", "json")
    held = cli(*evaluated, "--labels", "judged.txt", env=database)
    assert cli(*evaluated, env=database).code == 2, "nothing is stored"
    stored = cli("label", "latest", "--import", "judged.txt", "--author", "Ann", env=database)
    assert stored.code == 0
    assert (
        stored.err == "shadowdiff: warning: judged.txt: 1 entry is graded twice, and not alike; the last line counts\n"
    )
    labels = Labels(sample_store).of_run(run.run_id)
    turns = len({label.turn_id for label in labels})
    assert {label.entry_id: label.grade for label in labels if label.turn_id == regraded.turn_id}[
        regraded.entry_id
    ] == regraded.grade
    left_out = f"{len(written.splitlines()) - len(known):,} lines of turns that the run does not have left out"
    assert stored.out == f"stored {len(labels):,} labels of {turns:,} turns from judged.txt; {left_out}\n"
    assert {(label.source, label.author) for label in labels} == {("judged.txt", "Ann")}
    again = cli("label", "latest", "--import", "judged.txt", "--author", "Ann", env=database)
    assert again.out == stored.out
    assert json.loads(cli(*evaluated, env=database).out) == json.loads(held.out)
    (tmp_path / "other.txt").write_text("elsewhere 0 x 1\n")
    refused = cli("label", "latest", "--import", "other.txt", env=database)
    assert (refused.code, refused.out) == (2, "")
    assert "other.txt judges no turn of run" in refused.err
    assert "/dev/null judges no turn" in cli(*evaluated, "--labels", "/dev/null", env=database).err, (
        "a pipe is read too"
    )
    assert "no qrels at missing.txt" in cli(*evaluated, "--labels", "missing.txt", env=database).err


def test_real_conversations(cli: Cli, empty_url: str, tmp_path: Path) -> None:
    """Turns that nobody judged are counted and left out; the pool's own recall is what no order can exceed."""
    judged = _cut_down(tmp_path / "bundle")
    env = {"SHADOWDIFF_DATABASE_URL": empty_url}
    assert cli("load", "bundle", env=env).code == 0
    sides = ("-A", "bm25", "-B", f"onnx:{MODEL},max_length=32")
    pools = ("--pool-from", "bm25", "--pool", "10", "--top-k", "5")
    replayed = cli("replay", "--last", str(SESSIONS), *pools, *sides, "--format", "json", env=env)
    assert (replayed.code, replayed.err) == (0, "")
    turns = json.loads(replayed.out)["summary"]["turns"]
    document = evaluated(cli, env)
    assert document["turns"] == judged
    assert document["left_out"] == {
        "unlabelled_turns": turns - judged,
        "unfinished_turns": 0,
        "failed": {},
        "sides": [],
    }
    ceiling = document["ceiling"]["recall"]
    recall = {found["measure"]: found for found in document["measures"]}["recall@5"]["means"]
    assert recall["A"]["mean"] == pytest.approx(ceiling[4], abs=1e-6)
    assert recall["B"]["mean"] <= ceiling[-1]


def _cut_down(target: Path) -> int:
    """The first sessions of one org with some judged turn, its entries and their labels; returns the judged turns."""
    target.mkdir()
    qrels = [line.split() for line in (MTRAG / "qrels.txt").read_text().splitlines()]
    labelled = {row[0] for row in qrels}
    lines = (MTRAG / "sessions.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    kept = [item for item in found if item["org_id"] == ORG and any(t["turn_id"] in labelled for t in item["turns"])]
    turns = {turn["turn_id"] for session in kept[:SESSIONS] for turn in session["turns"]}
    entries = (MTRAG / "kb_entries.jsonl").read_text(encoding="utf-8").splitlines()
    (target / "sessions.jsonl").write_text("".join(json.dumps(item) + "\n" for item in kept[:SESSIONS]))
    (target / "kb_entries.jsonl").write_text("".join(f"{e}\n" for e in entries if json.loads(e)["org_id"] == ORG))
    (target / "qrels.txt").write_text("".join(" ".join(row) + "\n" for row in qrels if row[0] in turns))
    return len(turns & labelled)


def test_a_gate_by_labels(cli: Cli, database: dict[str, str], tmp_path: Path) -> None:
    """Exit 1 names the rule, in every format; labels of a file count in place of the stored ones."""
    assert cli("replay", "--last", "10", "-A", "cosine", "-B", "bm25", "--format", "json", env=database).code == 0
    kept, crossed = "ndcg@5.A >= 0.1", "ndcg@5.B >= ndcg@5.A + 0.5"
    held = cli("gate", "latest", "--rule", kept, "--width", "80", env=database)
    assert (held.code, held.err) == (0, "")
    assert "39 turns with labels in 10 sessions" in held.out
    assert "Intervals of 10 sessions are too narrow" in held.out
    assert max(map(len, held.out.splitlines())) <= 80
    both = cli("gate", "--rule", kept, "--rule", crossed, "--format", "json", env=database)
    assert both.code == 1
    assert both.err.startswith(f"shadowdiff: error: gate crossed: {crossed}: is ")
    document = json.loads(both.out)
    assert (document["schema"], document["passed"]) == ("shadowdiff.gate/1", False)
    assert [outcome["passed"] for outcome in document["gates"]] == [True, False]
    assert document["warnings"][0].startswith("Intervals of 10 sessions are too narrow")
    assert cli("export", "latest", "--format", "trec", "-o", "files", env=database).code == 0
    qrels = (tmp_path / "files" / "qrels.txt").read_text(encoding="utf-8").splitlines()
    (tmp_path / "half.txt").write_text("\n".join(qrels[: len(qrels) // 2]) + "\n", encoding="utf-8")
    written = cli(
        "gate", "--rule", crossed, "--labels", "half.txt", "--format", "junit", "-o", "gate.xml", env=database
    )
    assert written.code == 1
    assert "shadowdiff: warning: Intervals of " in written.err
    suite = ElementTree.fromstring((tmp_path / "gate.xml").read_text(encoding="utf-8")).find("testsuite")  # noqa: S314 ours
    assert suite is not None
    assert suite.attrib["failures"] == "1"
    (tmp_path / "other.txt").write_text("nobody:1 0 e1 1\n", encoding="utf-8")
    refused = cli("gate", "--rule", kept, "--labels", "other.txt", env=database)
    assert refused.code == 2
    assert "other.txt judges no turn of run" in refused.err


def test_all_runs_since_a_time(cli: Cli, database: dict[str, str]) -> None:
    """Each session once, from its newest run of these sides; other sides and pruned runs are left out and said."""
    chosen = ("--latency", "0", "--top-k", "5", "--format", "json", "-A", "cosine")
    for sessions, side in ((6, "bm25"), (2, "rrf:cosine+bm25"), (3, "bm25")):
        assert cli("replay", "--last", str(sessions), *chosen, "-B", side, env=database).code == 0
    engine = store_engine(database["SHADOWDIFF_DATABASE_URL"])
    newest, other, whole = (run.run_id for run in RunStore(engine).newest())
    alone = evaluated(cli, database, whole)
    assert (alone["run_ids"], alone["since"], alone["sessions"]) == ([whole], None, 6)
    with engine.begin() as connection:
        again = "turn_id IN (SELECT turn_id FROM shadowdiff.run_turns WHERE run_id = :newest)"
        gone = text(f"DELETE FROM shadowdiff.rankings WHERE run_id = :whole AND side = 'B' AND {again}")
        assert connection.execute(gone, {"whole": whole, "newest": newest}).rowcount > 3
    both = evaluated(cli, database, "--since", "1h")
    assert (both["run_id"], both["run_ids"], both["pruned_runs"]) == (newest, [whole, newest], [])
    (left_out,) = both["other_runs"]
    assert (left_out["run_ids"], left_out["sides"][1]["name"]) == ([other], "rrf:cosine+bm25")
    assert {name: both[name] for name in SAME_OF_SESSIONS} == {name: alone[name] for name in SAME_OF_SESSIONS}
    said = cli("evaluate", "--since", "1h", "--width", "80", env=database)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("evaluation of 2 runs since 20")
    assert f"left out, 1 run of other sides or setting: {other}" in said.out
    gate = ("gate", "--since", "1h", "--rule", "ndcg@5.B >= 0")
    held = json.loads(cli(*gate, "--format", "json", env=database).out)
    assert (held["run_ids"], held["turns"], held["passed"]) == ([whole, newest], both["turns"], True)
    suite = cli(*gate, "--format", "junit", env=database)
    assert suite.code == 0
    assert f'name="run" value="{whole} {newest}"' in suite.out
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM shadowdiff.run_sessions WHERE run_id = :whole"), {"whole": whole})
    engine.dispose()
    rest = evaluated(cli, database, "--since", "1h")
    assert (rest["run_ids"], rest["pruned_runs"], rest["sessions"]) == ([newest], [whole], 3)
    refused = cli("evaluate", "--since", "2100-01-01", env=database)
    assert (refused.code, refused.out, len(refused.err.splitlines())) == (2, "", 1)
    assert "no run has started since 2100-01-01 00:00 UTC" in refused.err
