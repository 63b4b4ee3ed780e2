"""Gates through the real command line: read before anything is replayed, shown with the run, told by the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from shadowdiff.database import parse_url
from tests.conftest import Cli, MakeDatabase, clean_environment, run_cli

Environment = dict[str, str]
SIDES = ("-A", "cosine", "-B", "bm25")
KEPT = ("--gate", "failed_share <= 2%", "--gate", "sessions >= 2")
CROSSED = ("--gate", "mean_overlap.B >= 0.99")


@pytest.fixture(scope="module")
def replayed_template(
    make_database: MakeDatabase, sample_template: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Name of a database with one run of three sessions."""
    url = make_database(sample_template)
    env = {"SHADOWDIFF_DATABASE_URL": url}
    done = run_cli(tmp_path_factory.mktemp("replayed"), "replay", "--last", "3", *SIDES, env=env)
    assert done.code == 0, done.err
    return str(parse_url(url).database)


@pytest.fixture
def replayed(make_database: MakeDatabase, replayed_template: str) -> Environment:
    """Environment with a copy of it."""
    return {"SHADOWDIFF_DATABASE_URL": make_database(replayed_template)}


@pytest.fixture
def write_toml(tmp_path: Path) -> Callable[[str], object]:
    """Writes the shadowdiff.toml that the commands of the test read."""
    return (tmp_path / "shadowdiff.toml").write_text


def test_rules_that_hold_exit_0_and_one_that_does_not_exits_1(cli: Cli, database: Environment) -> None:
    """The outcomes stand at the end of the output; the error names what was crossed; the run is stored either way."""
    kept = cli("replay", "--last", "3", *SIDES, *KEPT, "--width", "80", env=database)
    assert (kept.code, kept.err) == (0, "")
    assert "Gate: all 2 rules hold." in kept.out
    assert max(map(len, kept.out.splitlines())) <= 80
    crossed = cli("replay", "--last", "3", *SIDES, *KEPT, *CROSSED, env=database)
    assert crossed.code == 1
    assert crossed.out.index("summary of run") < crossed.out.index("Gate crossed: 1 of 3 rules does not hold.")
    assert "✗ crossed  mean_overlap.B >= 0.99" in crossed.out
    assert crossed.err.startswith("shadowdiff: error: gate crossed: mean_overlap.B >= 0.99: is 0.")
    assert crossed.err.count("\n") == 1
    assert cli("show", "latest", *KEPT, *CROSSED, env=database).out == crossed.out
    assert len(cli("runs", env=database).out.splitlines()) == 3


def test_nothing_is_replayed_where_a_rule_cannot_be_read(cli: Cli, database: Environment) -> None:
    """Exit 2, one line that shows the rule; no run is made of it, nor for a side that it will not have."""
    for rule, problem in (
        ("mean_overlap.B => 0.9", "expected <=, <, >= or > after 'B', found '=>' (at 16)"),
        ("mean_overlap.C >= 0.9", "the run has no side C; it has A, B"),
    ):
        refused = cli("replay", "--last", "3", *SIDES, "--gate", rule, env=database)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err == f"shadowdiff: error: --gate {rule!r}: {problem}\n"
    assert "no run" in cli("runs", env=database).out + cli("show", env=database).err


def test_a_stored_run_is_judged_in_every_format(cli: Cli, replayed: Environment) -> None:
    """In the JSON by its schema, in Markdown, in JUnit XML; the exit code is the same in all of them."""
    schema = json.loads((files("shadowdiff.render") / "run-1.schema.json").read_text(encoding="utf-8"))
    shown = {kind: cli("show", *KEPT, *CROSSED, "--format", kind, env=replayed) for kind in FORMATS_JUDGED}
    assert {kind: finished.code for kind, finished in shown.items()} == dict.fromkeys(FORMATS_JUDGED, 1)
    document: dict[str, Any] = json.loads(shown["json"].out)
    jsonschema.Draft202012Validator(schema).validate(document)
    assert [(gate["figure"], gate["passed"]) for gate in document["summary"]["gates"]] == [
        ("failed_share", True),
        ("sessions", True),
        ("mean_overlap.B", False),
    ]
    overlap = document["summary"]["gates"][2]
    assert overlap["bound"] == pytest.approx(document["summary"]["pairs"]["B"]["mean_overlap_ci95"][0], abs=1e-6)
    assert overlap["margin"] == pytest.approx(0.99 - overlap["bound"])
    assert json.loads(shown["jsonl"].out.splitlines()[-1])["gates"] == document["summary"]["gates"]
    assert "**Gate crossed: 1 of 3 rules does not hold.**" in shown["markdown"].out
    assert ElementTree.fromstring(shown["junit"].out.encode()).attrib["failures"] == "1"  # noqa: S314 - our own output
    assert "gates" not in json.loads(cli("show", "--format", "json", env=replayed).out)["summary"]


FORMATS_JUDGED = ("json", "jsonl", "markdown", "junit", "csv")


def test_the_bound_is_judged_unless_the_figure_is_asked_for(cli: Cli, replayed: Environment) -> None:
    """A limit between the figure and its bad end is crossed by the one and kept by the other."""
    pair = json.loads(cli("show", "--format", "json", env=replayed).out)["summary"]["pairs"]["B"]
    limit = (pair["mean_overlap"] + pair["mean_overlap_ci95"][0]) / 2
    rule = f"mean_overlap >= {limit}"
    assert cli("show", "--gate", rule, env=replayed).code == 1
    point = cli("show", "--gate", rule, "--strict", "point", env=replayed)
    assert (point.code, point.err) == (0, "")
    assert "bound: the bad end" not in point.out


def test_configured_rules_count_where_they_are_asked_for(
    cli: Cli, replayed: Environment, write_toml: Callable[[str], object]
) -> None:
    """A night's rules leave a command that is run by hand alone; --gates takes them, beside those of --gate."""
    assert "has no rules under [gate]" in cli("show", "--gates", env=replayed).err
    assert cli("show", "--strict", "point", env=replayed).code == 2
    write_toml('[gate]\nrules = ["mean_overlap >= 0.99"]\nstrict = "point"\n')
    assert cli("show", env=replayed).code == 0
    configured = cli("show", "--gates", "--gate", "sessions >= 1", env=replayed)
    assert configured.code == 1
    assert "Gate crossed: 1 of 2 rules does not hold." in configured.out
    assert "bound: the bad end" not in configured.out
    assert "bound: the bad end" in cli("show", "--gates", "--strict", "bound", env=replayed).out
    write_toml('[gate]\nrules = ["mean_overlap >> 1"]\n')
    assert cli("show", env=replayed).code == 0
    refused = cli("show", "--gates", env=replayed)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("shadowdiff: error: [gate] rule 'mean_overlap >> 1': expected a number after '>'")


def test_a_resumed_run_is_judged(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """--retry-failed goes on with a run: the gate is held against what it has come to."""
    (tmp_path / "none.trec").write_text("other Q0 e 1 1.0 t\n")
    sides = ("-A", "cosine", "-B", "bm25", "-B", "run:none.trec")
    failed = cli("replay", "--last", "2", *sides, "--gate", "failed_share <= 0", "--format", "json", env=database)
    assert failed.code == 4, "a side that failed on all turns comes before a gate"
    assert json.loads(failed.out)["summary"]["gates"][0]["passed"] is False
    run_id = json.loads(failed.out)["run_id"]
    again = ("replay", "--resume", run_id, "--retry-failed", "--format", "json", "--gate")
    refused = cli(*again, "failed_turns.D <= 0", env=database)
    assert (refused.code, "the run has no side D; it has A, B, C" in refused.err) == (2, True)
    resumed = cli(*again, "failed_turns.B <= 0", env=database)
    assert json.loads(resumed.out)["summary"]["gates"][0]["passed"] is True


def test_a_closed_pipe_does_not_hide_a_crossed_gate(replayed: Environment, tmp_path: Path) -> None:
    """`| head -1` gets its line, and the exit code is the gate's."""
    command = [sys.executable, "-m", "shadowdiff", "show", *CROSSED, "--format", "jsonl", "--full-rankings"]
    env = clean_environment(tmp_path) | replayed
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"type": "run"')
        process.stdout.close()
        assert process.wait(120) == 1
        assert process.stderr.read().startswith(b"shadowdiff: error: gate crossed: ")


def test_figures_are_listed_without_a_database(cli: Cli) -> None:
    """By both commands, within the width, and nothing else is done."""
    listed = cli("replay", "--gate-figures", env={"COLUMNS": "80"})
    assert (listed.code, listed.err) == (0, "")
    assert "mean_overlap " in listed.out
    assert max(map(len, listed.out.splitlines())) <= 80
    assert cli("show", "--gate-figures", env={"COLUMNS": "80"}).out == listed.out
