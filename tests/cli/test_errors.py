"""Errors are for people: one plain line on stderr, a documented exit code, nothing on stdout."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import MODEL, Cli, Finished

Environment = dict[str, str]


def refused(finished: Finished, code: int) -> str:
    """The one line that a refused command wrote."""
    assert finished.code == code, finished.err
    assert finished.out == ""
    lines = finished.err.splitlines()
    assert len(lines) == 1, finished.err
    assert lines[0].startswith("shadowdiff: error: ")
    return lines[0].removeprefix("shadowdiff: error: ")


def test_no_database_reachable(cli: Cli) -> None:
    """Exit 3, the URL without its password, and what to look at."""
    url = "postgresql://me:s3cret@127.0.0.1:1/rag"
    line = refused(cli("replay", env={"SHADOWDIFF_DATABASE_URL": url}), 3)
    assert "postgresql://me:***@127.0.0.1:1/rag" in line
    assert "is Postgres running" in line
    assert "s3cret" not in line


def test_schema_not_migrated(cli: Cli, bare_url: str) -> None:
    """Exit 3 and the command that helps; and it does help."""
    env = {"SHADOWDIFF_DATABASE_URL": bare_url}
    line = refused(cli("replay", "--last", "1", env=env), 3)
    assert line.endswith("has no shadowdiff tables; run: shadowdiff db upgrade")
    assert cli("db", "upgrade", env=env).code == 0
    assert "no sessions are stored" in refused(cli("replay", "--last", "1", env=env), 2)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--org", "acme"], "unknown org: 'acme'; it holds 'freightloom'"),
        (["--session", "nope"], "unknown session: 'nope'"),
        (["--since", "2031-01-01"], "no sessions since 2031-01-01 00:00 UTC; nothing to replay"),
        (["--last", "0"], "Invalid value for '--last': 0 is not in the range x>=1"),
        (["--last", "-3"], "Invalid value for '--last'"),
        (["--top-k", "0"], "Invalid value for '--top-k'"),
        (["--max-usd", "nan"], "Invalid value for '--max-usd': 'nan' is not a number that can be compared with"),
        (["--max-failures", "nan"], "Invalid value for '--max-failures': 'nan' is not a number"),
        (["--max-usd", "inf"], "Invalid value for '--max-usd': 'inf' is not a number"),
        (["--min-score", "A=nan"], "'A=nan' is not SIDE=NUMBER, such as B=0.2"),
        (["--min-score", "A=-inf"], "'A=-inf' is not SIDE=NUMBER"),
        (["--min-score", "A"], "'A' is not SIDE=NUMBER"),
        (["--since", "yesterday"], "neither an age (30m, 24h, 7d, 2w) nor a date"),
        (["--since", "24h", "--until", "48h"], "--since is not before --until"),
        (["-B", "onx:models/v3"], "no reranker 'onx' in 'onx:models/v3'; installed: bedrock, bm25, "),
        (["-B", "onx:models/v3"], "did you mean 'onnx'?"),
        (["-B", "bm25,k1=2"], "unknown option 'k1' in 'bm25,k1=2'; bm25 knows: none"),
        (["-B", "cosine:x"], "cosine takes nothing after the colon"),
        (["-B", "onnx:nowhere"], "no model at nowhere"),
        (["-B", "run:nowhere.trec"], "no run file at nowhere.trec"),
        (["-B", "onnx:m,api_key=x"], "secrets never stand in a spec"),
        (["--min-score", "C=0.5"], "--min-score names side 'C'; this run's sides are A, B"),
        (["--min-score", "B"], "Invalid value for '--min-score'"),
        (["--resume", "nope"], "no run 'nope'; list them with: shadowdiff runs"),
        (["-o", "nowhere/run.json", "--last", "1", "--latency", "0"], "cannot write nowhere/run.json"),
        (["--bogus"], "No such option"),
    ],
)
def test_usage_and_configuration(cli: Cli, database: Environment, arguments: Sequence[str], expected: str) -> None:
    """Exit 2, and a line that says what failed, on what, and what there is instead."""
    assert expected in refused(cli("replay", *arguments, env=database), 2)


def test_unknown_run(cli: Cli, database: Environment) -> None:
    """`show` of a run that is not stored says where to look."""
    assert "no run 'x'; list them with: shadowdiff runs" in refused(cli("show", "x", env=database), 2)
    assert "no run is stored yet" in refused(cli("show", env=database), 2)


@pytest.mark.parametrize(
    ("break_model", "expected"),
    [
        (lambda model: (model / "tokenizer.json").unlink(), "holds no tokenizer.json"),
        (lambda model: (model / "model.onnx").unlink(), "holds no model.onnx"),
        (lambda model: (model / "model.onnx").write_bytes(b"not a model"), "is not an ONNX model that can be loaded"),
        (lambda model: (model / "tokenizer.json").write_text("{}"), "is not a tokenizer file"),
    ],
)
def test_a_broken_model_is_found_before_anything_is_replayed(
    cli: Cli, database: Environment, tmp_path: Path, break_model: object, expected: str
) -> None:
    """Exit 2 in one line, without noise from the runtime, and no run is stored."""
    assert callable(break_model)
    shutil.copytree(MODEL, tmp_path / "model")
    break_model(tmp_path / "model")
    assert expected in refused(cli("replay", "-B", "onnx:model", env=database), 2)
    assert "no run is stored yet" in cli("runs", env=database).out


def test_a_malformed_bundle_names_file_and_line(cli: Cli, empty_url: str, tmp_path: Path) -> None:
    """`load` refuses with file, line and reason, and leaves nothing behind."""
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "kb_entries.jsonl").write_text('{"org_id":"o","entry_id":"e","body":"b"}\n')
    (bundle / "sessions.jsonl").write_text('{"session_id":"s","org_id":"o","started_at":"soon"}\n')
    env = {"SHADOWDIFF_DATABASE_URL": empty_url}
    line = refused(cli("load", "bundle", env=env), 2)
    assert line.startswith("sessions.jsonl:1: ")
    assert "no org at all" in refused(cli("replay", "--org", "o", env=env), 2)


def test_configuration_file(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """A mistake in shadowdiff.toml names file and key."""
    (tmp_path / "shadowdiff.toml").write_text("[databse]\nurl = 'x'\n")
    assert "shadowdiff.toml: unknown section [databse]" in refused(cli("runs", env=database), 2)
    assert "no configuration file at other.toml" in refused(cli("--config", "other.toml", "runs", env=database), 2)


def test_settings_of_a_provider_that_is_not_there_are_warned_of(
    cli: Cli, database: Environment, tmp_path: Path
) -> None:
    """A limit under a misspelt name applies to nobody; the replay goes on."""
    (tmp_path / "shadowdiff.toml").write_text("[providers.cohre]\nrequests_per_minute = 10\n")
    finished = cli("replay", "--last", "1", "-A", "bm25", "-B", "cosine", "--latency", "0", env=database)
    assert finished.code == 0
    assert "[providers.cohre] is not used: no reranker or judge 'cohre' is installed (did you mean" in finished.err


def test_debug_shows_the_traceback(cli: Cli, database: Environment) -> None:
    """Only with --debug."""
    finished = cli("--debug", "show", "x", env=database)
    assert "Traceback" in finished.err
    assert finished.code != 0


def test_what_is_no_file_is_written_to_and_not_put_aside(cli: Cli, database: dict[str, str], tmp_path: Path) -> None:
    """A device or a pipe stays what it is; a link still leads to the file, which is new."""
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "file.json"
    os.mkfifo(pipe)
    file.write_text("old", encoding="utf-8")
    link.symlink_to(file.name)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_text, encoding="utf-8")
        assert cli("runs", env=database).code == 0
        told = cli(
            "replay", "--last", "1", "-A", "served", "-B", "bm25", "--format", "json", "-o", "pipe", env=database
        )
        assert (told.code, told.err) == (0, "")
        assert json.loads(read.result(60))["summary"]["sessions"] == 1
    assert pipe.is_fifo()
    assert cli("show", "latest", "--format", "json", "-o", "link", env=database).code == 0
    assert link.is_symlink()
    assert json.loads(file.read_text(encoding="utf-8"))["summary"]["sessions"] == 1
