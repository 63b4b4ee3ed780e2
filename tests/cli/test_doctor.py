"""`shadowdiff doctor` as a user runs it: exit codes, formats, widths, and text that is hostile."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shadowdiff.render.text import UNSAFE, cells
from tests.conftest import MODEL, Cli

Environment = dict[str, str]


def document(out: str) -> dict[str, Any]:
    """The JSON."""
    parsed: dict[str, Any] = json.loads(out)
    assert parsed["schema"] == "shadowdiff.doctor/1"
    return parsed


def test_the_sample_passes(cli: Cli, database: Environment) -> None:
    """Exit 0 with warnings, a line for each thing, nothing on stderr, and the counts at the end."""
    finished = cli("doctor", "-A", "served", "-B", f"onnx:{MODEL}", env=database)
    assert (finished.code, finished.err) == (0, "")
    lines = finished.out.splitlines()
    assert re.fullmatch(r"\d+ ok, \d+ warnings?, 0 failed", lines[-1])
    for expected in (
        r"ok    connection         PostgreSQL \d+.*",
        r"ok    announcements      heard: `replay --follow` learns .*",
        r"ok    pool size          median 50, smallest 50, largest 50",
        r"ok    newest sessions    through ix_sessions_newest",
        r"ok    side B             onnx:.*",
    ):
        assert any(re.fullmatch(expected, line) for line in lines), expected
    assert any("7 of 200" in line for line in lines)


def test_a_failure_ends_in_2(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """One bad name among the sides; the sides of shadowdiff.toml and its short names are looked at."""
    (tmp_path / "shadowdiff.toml").write_text(
        '[replay]\nbaseline = "bm25"\nothers = ["cosine"]\nproduction = "old"\n[rerankers]\nold = "onnx:gone"\n'
    )
    finished = cli("doctor", "--format", "json", env=database)
    assert (finished.code, finished.err) == (2, "")
    found = {finding["check"]: finding for finding in document(finished.out)["findings"]}
    assert found["side A"]["what"].startswith("bm25 can be loaded")
    assert found["side B"]["what"].startswith("cosine can be loaded")
    assert found["side production"]["status"] == "fail"
    assert "no model at gone" in found["side production"]["what"]
    assert found["file"]["what"] == "shadowdiff.toml"
    assert document(finished.out)["counts"]["fail"] == 1


def test_nothing_reachable_is_a_finding_too(cli: Cli) -> None:
    """Exit 2, not 3: the doctor could look, and says what it could not see."""
    finished = cli("doctor", env={"SHADOWDIFF_DATABASE_URL": "postgresql://me:s3cret@127.0.0.1:1/rag"})
    assert (finished.code, finished.err) == (2, "")
    assert "fail  connection" in finished.out
    assert "fail  store" in finished.out
    assert "s3cret" not in finished.out


def test_a_file_that_cannot_be_read_is_an_error(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """As with every command."""
    (tmp_path / "shadowdiff.toml").write_text("[sourec]\n")
    finished = cli("doctor", env=database)
    assert (finished.code, finished.out) == (2, "")
    assert "unknown section [sourec]" in finished.err


@pytest.mark.parametrize("width", [80, 160])
def test_widths_and_colours(cli: Cli, database: Environment, width: int) -> None:
    """Every line fits; colour is styles only, NO_COLOR wins over FORCE_COLOR."""
    environment = database | {"FORCE_COLOR": "1"}
    coloured = cli("doctor", "--width", str(width), env=environment).out
    assert "\x1b[" in coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert not UNSAFE.findall(bare.replace("\n", ""))
    assert max(map(cells, bare.splitlines())) <= width
    assert "\x1b" not in cli("doctor", "--width", str(width), env=environment | {"NO_COLOR": "1"}).out


def test_hostile_names_are_shown_not_obeyed(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """A model's name comes from a file; what is printed of it is escaped."""
    name = "gone\x1b[2J\u202e[bold red]loud"
    (tmp_path / "shadowdiff.toml").write_text(f"[rerankers]\nbad = {json.dumps('onnx:' + name)}\n")
    finished = cli("doctor", env=database)
    assert finished.code == 2
    assert not UNSAFE.findall(finished.out.replace("\n", ""))
    assert "[bold red]loud" in finished.out
