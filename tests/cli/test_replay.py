"""The main job through the real command line, on a real Postgres."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shadowdiff.cores import usable_cores
from tests.conftest import MODEL, Cli, clean_environment
from tests.pace import held, slow_reranker

Environment = dict[str, str]
Json = dict[str, Any]
ONNX = f"onnx:{MODEL},max_length=96"
"""The sample model, reading every query and the beginning of each entry."""
QUICK = ("--latency", "0")


def run_json(cli: Cli, env: Environment, *arguments: str) -> Json:
    """Replay and read the JSON, valid against the schema."""
    finished = cli("replay", *arguments, "--format", "json", env=env)
    assert finished.code == 0, finished.err
    document: Json = json.loads(finished.out)
    schema = json.loads((files("shadowdiff.render") / "run-1.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(document)
    return document


def comparable(document: Json) -> Json:
    """What two runs of one configuration must share: all but ids and times."""
    rest = {key: value for key, value in document.items() if key not in {"run_id", "started_at", "finished_at"}}
    rest["summary"] = {key: value for key, value in document["summary"].items() if key != "timing"}
    return rest


def test_counts_equal_those_recomputed_from_the_rankings(cli: Cli, database: Environment) -> None:
    """A few independent lines over the output's own rankings give every count that it states."""
    document = run_json(
        cli, database, "--last", "10", "--pool", "5", "--top-k", "4", "-A", "cosine", "-B", ONNX, *QUICK
    )
    assert len(document["sessions"]) == 10
    turns: list[tuple[str, list[str], list[str]]] = []
    only_b_per_session, distinct_a, distinct_b = [], set(), set()
    for session in document["sessions"]:
        seen_a, seen_b = set(), set()
        for turn in session["turns"]:
            a, b = ([item["entry_id"] for item in turn["rankings"][side]] for side in "AB")
            turns.append((turn["outcome"]["B"], a, b))
            seen_a |= set(a)
            seen_b |= set(b)
            assert set(turn["diffs"]["B"]["only_in_b"]) == set(b) - set(a)
            assert turn["diffs"]["B"]["overlap"] == pytest.approx(len(set(a) & set(b)) / 4)
        assert set(session["diffs"]["B"]["only_in_a"]) == seen_a - seen_b
        assert set(session["diffs"]["B"]["both"]) == seen_a & seen_b
        only_b_per_session.append(len(seen_b - seen_a))
        distinct_a |= {(session["org_id"], entry) for entry in seen_a}
        distinct_b |= {(session["org_id"], entry) for entry in seen_b}
    pair = document["summary"]["pairs"]["B"]
    assert pair["only_in_b"] == sum(only_b_per_session)
    assert pair["mean_only_in_b_per_session"] == pytest.approx(sum(only_b_per_session) / 10)
    assert pair["sessions_where_b_adds"] == sum(count > 0 for count in only_b_per_session)
    assert (pair["distinct_a"], pair["distinct_b"]) == (len(distinct_a), len(distinct_b))
    assert pair["same_top1"] == pytest.approx(sum(a[0] == b[0] for _, a, b in turns) / len(turns), abs=1e-6)
    overlap = sum(len(set(a) & set(b)) / 4 for _, a, b in turns) / len(turns)
    assert pair["mean_overlap"] == pytest.approx(overlap, abs=1e-6)
    for outcome, a, b in turns:
        assert outcome == ("same" if a == b else "reordered" if set(a) == set(b) else "different")


def test_the_same_run_twice_is_the_same(cli: Cli, database: Environment) -> None:
    """Byte for byte apart from ids and times, from the cache or computed anew, in whatever order Python keeps sets."""
    arguments = ("--last", "2", "--pool", "8", "--top-k", "4", "-A", "cosine", "-B", ONNX, "-B", "bm25", *QUICK)
    first, second = (run_json(cli, database | {"PYTHONHASHSEED": seed}, *arguments) for seed in "12")
    third = run_json(cli, database | {"PYTHONHASHSEED": "3"}, *arguments, "--no-cache")
    assert json.dumps(comparable(first)) == json.dumps(comparable(second)) == json.dumps(comparable(third))


def test_swapping_the_sides_swaps_every_count(cli: Cli, database: Environment) -> None:
    """Only-in-A of one run is only-in-B of the other, at every level."""
    forth = run_json(cli, database, "--last", "6", "-A", "cosine", "-B", "bm25", "--min-score", "B=1.5", *QUICK)
    back = run_json(cli, database, "--last", "6", "-A", "bm25", "-B", "cosine", "--min-score", "A=1.5", *QUICK)
    for one, other in zip(forth["sessions"], back["sessions"], strict=True):
        assert set(one["diffs"]["B"]["only_in_a"]) == set(other["diffs"]["B"]["only_in_b"])
        for turn, swapped in zip(one["turns"], other["turns"], strict=True):
            assert turn["diffs"]["B"]["only_in_b"] == swapped["diffs"]["B"]["only_in_a"]
            assert turn["diffs"]["B"]["rbo"] == swapped["diffs"]["B"]["rbo"]
    pair, swapped = (run["summary"]["pairs"]["B"] for run in (forth, back))
    for a, b in (
        ("only_in_a", "only_in_b"),
        ("distinct_a", "distinct_b"),
        ("mean_only_in_a_ci95", "mean_only_in_b_ci95"),
    ):
        assert (pair[a], pair[b]) == (swapped[b], swapped[a])
    assert pair["only_in_a"] != pair["only_in_b"]


def test_show_renders_a_stored_run_identically(cli: Cli, database: Environment) -> None:
    """In every format, at any width, sorted and filtered alike."""
    for extra in ([], ["--width", "80", "--only-changed"], ["--format", "jsonl"], ["--sort", "contrast"]):
        replayed = cli("replay", "--last", "4", "-A", "cosine", "-B", "bm25", *extra, env=database)
        assert replayed.code == 0
        assert cli("show", "latest", *extra, env=database).out == replayed.out
    assert len(cli("runs", env=database).out.splitlines()) == 5


def test_latency_is_measured_where_it_is_asked_for(cli: Cli, database: Environment) -> None:
    """Without --latency nothing is timed, nor called latency; with it, what was measured is shown and stored."""
    arguments = ("--last", "2", "-A", "cosine", "-B", "bm25", "-B", "served")
    untimed = run_json(cli, database, *arguments)["summary"]
    assert untimed["machine"] is None
    assert {side["latency_turns"] for side in untimed["timing"].values()} == {0}
    assert {side["latency_p50_seconds"] for side in untimed["timing"].values()} == {None}
    assert "latency" not in cli("show", env=database).out
    timed = run_json(cli, database, *arguments, "--latency", "2")["summary"]
    assert [timed["timing"][side]["latency_turns"] for side in "ABC"] == [2, 2, 0]
    assert timed["timing"]["A"]["latency_p50_seconds"] > 0
    assert timed["timing"]["A"]["latency_p95_seconds"] is None
    assert timed["machine"]["cores"] == usable_cores()
    shown = cli("show", "--width", "160", env=database).out
    assert "latency, p50" in shown
    assert "latency, p95" not in shown
    assert "latency: one pool per call, cache off, after a warm-up; " in shown
    assert f"{usable_cores()} core" in shown
    assert {name: timed[name] for name in timed if name not in {"timing", "machine"}} == {
        name: untimed[name] for name in untimed if name not in {"timing", "machine"}
    }


def test_contrast_puts_the_most_different_session_first(cli: Cli, database: Environment) -> None:
    """By distinct one-sided entries, descending."""
    document = run_json(cli, database, "--last", "20", "-A", "cosine", "-B", "bm25", "--sort", "contrast", *QUICK)
    sizes = [len(s["diffs"]["B"]["only_in_a"]) + len(s["diffs"]["B"]["only_in_b"]) for s in document["sessions"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]


def test_noise_floor_of_a_deterministic_baseline_is_zero(cli: Cli, database: Environment) -> None:
    """The baseline against itself, scored anew with other batch mates, differs nowhere here; and it is shown."""
    arguments = ("--last", "2", "--pool", "8", "--top-k", "4", "-A", ONNX, "-B", "cosine", "--noise", *QUICK)
    noise = run_json(cli, database, *arguments)["summary"]["noise"]
    assert noise["turns"]["different"] == noise["turns"]["failed"] == 0
    assert noise["turns"]["same"] > 0
    assert "noise" in cli("show", env=database).out


def test_sides_failing_on_some_turns_and_on_all(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """Some: counted, shown, exit 0 (4 past --max-failures). All: shown, exit 4. The reason stands there."""
    first = json.loads(cli("replay", "--last", "1", "-A", "cosine", "-B", "bm25", "--format", "json", env=database).out)
    turn = first["sessions"][0]["turns"][0]
    lines = [
        f"{turn['turn_id']} Q0 {item['entry_id']} {item['rank']} {item['score']} t" for item in turn["rankings"]["A"]
    ]
    (tmp_path / "some.trec").write_text("\n".join(lines) + "\n")
    (tmp_path / "none.trec").write_text("other Q0 e 1 1.0 t\n")
    some = cli("replay", "--last", "1", "-A", "cosine", "-B", "run:some.trec", "--width", "160", *QUICK, env=database)
    assert (some.code, some.err) == (0, "")
    assert "failed: some.trec has no line for turn" in some.out
    strict = cli("replay", "--last", "1", "-A", "cosine", "-B", "run:some.trec", "--max-failures", "0.1", env=database)
    assert strict.code == 4
    assert "more than --max-failures 10.0%" in strict.err
    every = cli("replay", "--last", "1", "-A", "cosine", "-B", "run:none.trec", *QUICK, env=database)
    assert every.code == 4
    assert "side B failed on all" in every.err
    assert "summary of run" in every.out


def test_runs_made_elsewhere_without_pools_or_texts(cli: Cli, empty_url: str, tmp_path: Path) -> None:
    """Where nothing was pooled and every side lists entries, the pool is what they list, and bodies may be empty."""
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    entries = [{"org_id": "o", "entry_id": name, "body": ""} for name in "abcdef"]
    turns = [{"turn_id": f"t{n}", "query": "q", "asked_at": "2026-11-01T10:00:00Z"} for n in (1, 2)]
    session = {"session_id": "s", "org_id": "o", "started_at": "2026-11-01T10:00:00Z", "turns": turns}
    (bundle / "kb_entries.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    (bundle / "sessions.jsonl").write_text(json.dumps(session) + "\n")
    before = [("t1", "a", 3), ("t1", "b", 2), ("t1", "c", 1), ("t2", "a", 2), ("t2", "d", 1)]
    after = [("t1", "b", 9), ("t1", "e", 8), ("t1", "a", 7), ("t2", "a", 2), ("t2", "d", 1)]
    for name, rows in (("before", before), ("after", after)):
        (tmp_path / name).write_text("".join(f"{t} Q0 {e} 1 {score} tag\n" for t, e, score in rows))
    env = {"SHADOWDIFF_DATABASE_URL": empty_url}
    assert cli("load", "bundle", env=env).code == 0
    document = run_json(cli, env, "--last", "1", "-A", "run:before", "-B", "run:after", *QUICK)
    one, two = document["sessions"][0]["turns"]
    assert [item["entry_id"] for item in one["rankings"]["A"]] == ["a", "b", "c"]
    assert [item["entry_id"] for item in one["rankings"]["B"]] == ["b", "e", "a"]
    assert (one["diffs"]["B"]["only_in_a"], one["diffs"]["B"]["only_in_b"]) == (["c"], ["e"])
    assert (one["outcome"]["B"], two["outcome"]["B"]) == ("different", "same")
    assert document["summary"]["pools"] == {"union": 2}
    assert cli("replay", "-A", "run:before", "-B", "bm25", env=env).code == 4


def test_served_is_what_production_returned(cli: Cli, database: Environment) -> None:
    """The served side lists exactly what was recorded, in that order."""
    from shadowdiff.sources.bundle import read_bundle
    from tests.conftest import SAMPLE

    served = {turn.turn_id: turn.served for session in read_bundle(SAMPLE).sessions for turn in session.turns}
    document = run_json(cli, database, "--last", "5", "-A", "served", "-B", "rrf:cosine+bm25", *QUICK)
    for session in document["sessions"]:
        for turn in session["turns"]:
            assert tuple(item["entry_id"] for item in turn["rankings"]["A"]) == served[turn["turn_id"]]


@pytest.mark.parametrize("origin", ["cosine", "bm25", "hybrid"])
def test_pools_retrieved_anew(cli: Cli, database: Environment, origin: str) -> None:
    """Each way to retrieve gives full pools, says so, and differs from the others."""
    document = run_json(cli, database, "--last", "3", "--pool", "20", "--pool-from", origin, "--full-rankings", *QUICK)
    turns = [turn for session in document["sessions"] for turn in session["turns"]]
    assert document["summary"]["pools"] == {origin: len(turns)}
    assert all(len(turn["rankings"]["A"]) == 20 for turn in turns)


def test_short_names_and_default_sides(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """shadowdiff.toml names rerankers, and the sides of a plain `replay`."""
    (tmp_path / "shadowdiff.toml").write_text(
        '[rerankers]\nfused = "rrf:cosine+bm25,k=10"\n[replay]\nbaseline = "bm25"\nothers = ["fused", "cosine"]\n'
    )
    sides = run_json(cli, database, "--last", "1", *QUICK)["sides"]
    assert [(side["side"], side["name"], side["spec"]) for side in sides] == [
        ("A", "bm25", "bm25"),
        ("B", "fused", "rrf:cosine+bm25,k=10"),
        ("C", "cosine", "cosine"),
    ]


def test_a_closed_pipe_is_no_failure(database: Environment, tmp_path: Path) -> None:
    """`| head -1` gets its line, and the command ends with 0 and without a traceback."""
    command = [sys.executable, "-m", "shadowdiff", "replay", "--last", "50", "--latency", "0"]
    env = clean_environment(tmp_path) | database
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"A cosine")
        process.stdout.close()
        assert process.wait(120) == 0
        assert process.stderr.read() == b""


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_computed_and_resume_ends_alike(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """Interrupted: exit 130, says how to go on. Resumed: the same figures as an undisturbed run."""
    arguments = ["--last", "24", "-A", "cosine", "-B", "slow", *QUICK]
    database = database | slow_reranker(tmp_path / "plugin")
    command = [sys.executable, "-m", "shadowdiff", "replay", "--no-cache", *arguments]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=held(clean_environment(tmp_path) | database, tmp_path / "go"),
        cwd=tmp_path,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509 no threads here
    ) as process:
        stored = wait_for_stored_sessions(cli, database)
        process.send_signal(signal.SIGINT)
        (tmp_path / "go").touch()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert out == b""
    message = err.decode()
    assert "sessions are stored as run" in message
    assert "Traceback" not in message
    run_id = message.split("--resume ")[1].split(",")[0]
    assert stored
    shown = json.loads(cli("show", run_id, "--format", "json", env=database).out)
    assert (shown["status"], 0 < len(shown["sessions"]) < 24) == ("interrupted", True)
    resumed = json.loads(cli("replay", "--resume", run_id, "--format", "json", "--latency", "0", env=database).out)
    undisturbed = json.loads(cli("replay", *arguments, "--format", "json", env=database).out)
    assert comparable(resumed) == comparable(undisturbed)
    assert "is done" in cli("replay", "--resume", run_id, env=database).err


FORBIDDING = """
import sys

class Forbidding:
    def find_spec(self, name, path=None, target=None):
        if name in {"onnxruntime", "openvino", "tokenizers", "torch"}:
            raise AssertionError(f"{name} was imported")

sys.meta_path.insert(0, Forbidding())
"""


def test_a_replay_out_of_the_cache_loads_no_model(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """The same night again imports neither a runtime nor a tokenizer, and says the same."""
    sides = ["-A", ONNX, "-B", f"{ONNX},input=body", "--pool", "8"]
    first = run_json(cli, database, "--last", "3", *sides, "--latency", "0")
    (tmp_path / "sitecustomize.py").write_text(FORBIDDING)
    forbidden = database | {"PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))}
    again = run_json(cli, forbidden, "--last", "3", *sides, "--latency", "0")
    assert comparable(again) == comparable(first)
    refused = cli("replay", "--last", "3", *sides, "--latency", "0", "--no-cache", env=forbidden)
    assert "was imported" in refused.err, "the import was not forbidden at all"


def hear_ctrl_c() -> None:
    """A suite that runs in the background was started with SIGINT ignored, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_stored_sessions(cli: Cli, database: Environment) -> bool:
    """Wait until a run has stored its first batch."""
    from shadowdiff.database import store_engine
    from shadowdiff.store.runs import RunStore

    engine = store_engine(database["SHADOWDIFF_DATABASE_URL"])
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        runs = RunStore(engine).newest(1)
        if runs and RunStore(engine).progress(runs[0].run_id)[0]:
            engine.dispose()
            return True
        time.sleep(0.05)
    engine.dispose()
    return False


def test_colour_only_where_it_is_wanted(cli: Cli, database: Environment) -> None:
    """A pipe gets none; --color always wins over NO_COLOR; FORCE_COLOR works."""
    arguments = ("replay", "--last", "1", "--latency", "0")
    assert "\x1b" not in cli(*arguments, env=database).out
    assert "\x1b[" in cli(*arguments, "--color", "always", env=database | {"NO_COLOR": "1"}).out
    assert "\x1b[" in cli(*arguments, env=database | {"FORCE_COLOR": "1"}).out
    assert "\x1b" not in cli(*arguments, env=database | {"FORCE_COLOR": "1", "NO_COLOR": "1"}).out


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_no_line_is_wider_than_asked_for(cli: Cli, database: Environment, width: int) -> None:
    """At any width, with three sides and titles of every length."""
    from rich.cells import cell_len

    out = cli("replay", "--last", "6", "-B", "bm25", "-B", "served", "--width", str(width), env=database).out
    assert max(cell_len(line) for line in out.splitlines()) <= width
    assert not any(line != line.rstrip() for line in out.splitlines())


def test_output_to_a_file_is_whole_and_readable(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """-o writes the file, nothing to stdout, and leaves no temporary file behind."""
    finished = cli("replay", "--last", "1", "--format", "jsonl", "-o", "run.jsonl", env=database)
    assert (finished.code, finished.out) == (0, "")
    kinds = [json.loads(line)["type"] for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert kinds == ["run", "session", "summary"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.jsonl"]
    assert (tmp_path / "run.jsonl").stat().st_mode & 0o444


def test_backends_of_one_model_agree(cli: Cli, database: Environment) -> None:
    """ONNX Runtime against OpenVINO in exact fp32: two fingerprints, no difference, nothing on stderr."""
    pytest.importorskip("openvino")
    sides = ("-A", ONNX, "-B", f"{ONNX},backend=openvino,dtype=fp32")
    finished = cli("replay", "--last", "1", "--pool", "10", *sides, *QUICK, "--format", "json", env=database)
    assert (finished.code, finished.err) == (0, "")
    document: Json = json.loads(finished.out)
    assert {turn["outcome"]["B"] for turn in document["sessions"][0]["turns"]} == {"same"}
    assert len({side["fingerprint"] for side in document["sides"]}) == 2
