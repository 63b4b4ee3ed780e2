"""`shadowdiff optimize` as a user runs it: the sample model on the sample's turns."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from shadowdiff.render.text import UNSAFE, cells
from tests.conftest import MODEL, ROOT, Cli
from tests.contract.tiny_models import save_bag_of_tokens

Environment = dict[str, str]
FEW = ("--last", "3", "--turns", "4", "--pool", "6", "--max-length", "64", "--top-k", "4")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the sample model that may be written beside, under a name that is hostile."""
    directory = tmp_path / "v3 \x1b[2J"
    shutil.copytree(MODEL, directory)
    return directory


@pytest.mark.slow
def test_the_sample_model_on_the_sample(cli: Cli, database: Environment, model: Path) -> None:
    """Every way has figures or a reason; fused ranks as the model does; what is recommended can be replayed.

    What was written is current for the next call. (What a terminal shows of the comparison is in the goldens.)
    """
    finished = cli("optimize", model, *FEW, "--format", "json", env=database)
    assert (finished.code, finished.err) == (0, "")
    document = json.loads(finished.out)
    assert [item["state"] for item in document["variants"]] == ["written", "refused", "written"]
    compared = document["comparison"]
    assert (compared["turns"], compared["pairs"], compared["sessions"]) == (4, 24, 3)
    ways = {way["name"]: way for way in compared["ways"]}
    reference, fused, int8 = (ways[name]["measured"] for name in ("model.onnx, ort fp32", "fused, ort", "int8, ort"))
    assert (reference["overlap"], reference["speed_ratio"], reference["depends_on_mates"]) == (1.0, 1.0, False)
    assert (fused["overlap"], fused["turns_changed"], fused["depends_on_mates"]) == (1.0, 0, False)
    assert fused["max_difference"] < 1e-3
    assert int8["depends_on_mates"] is True
    assert int8["max_difference"] > 10 * fused["max_difference"]
    assert all(way["measured"] or way["unavailable"] for way in ways.values())
    spec = compared["recommendation"]["spec"]
    replayed = cli("replay", "--last", "1", "--pool", "5", "-A", "bm25", "-B", spec, "--latency", "0", env=database)
    assert replayed.code == 0, replayed.err

    again = cli("optimize", model, "--no-compare", "--width", "80", env=database)
    assert (again.code, again.err) == (0, "")
    lines = again.out.splitlines()
    assert not UNSAFE.findall("".join(lines))
    assert max(cells(line) for line in lines) <= 80
    assert any("model.fused.onnx: current" in line for line in lines)


def test_only_written(cli: Cli, tmp_path: Path) -> None:
    """Without a database, into a directory of its own, as plain text in a pipe."""
    save_bag_of_tokens(tmp_path / "bag")
    finished = cli("optimize", "bag", "--output", "fast", "--no-compare")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.splitlines()[0] == "variants in fast"
    assert (tmp_path / "fast" / "model.fused.onnx").is_file()
    assert not (tmp_path / "bag" / "variants.json").exists()


def test_nothing_to_compare_on(cli: Cli, empty_url: str, tmp_path: Path) -> None:
    """Exit 2 without sessions, 3 without a database; in one line, before anything is written."""
    save_bag_of_tokens(tmp_path / "bag")
    empty = cli("optimize", "bag", env={"SHADOWDIFF_DATABASE_URL": empty_url})
    assert (empty.code, empty.out) == (2, "")
    assert empty.err.startswith("shadowdiff: error: no sessions are stored; nothing to compare on")
    assert len(empty.err.splitlines()) == 1
    gone = cli("optimize", "bag", env={"SHADOWDIFF_DATABASE_URL": "postgresql://me@127.0.0.1:1/rag"})
    assert (gone.code, gone.out) == (3, "")
    assert not (tmp_path / "bag" / "variants.json").exists()


def test_a_directory_without_a_model(cli: Cli, tmp_path: Path) -> None:
    """Exit 2, and no database is asked for."""
    finished = cli("optimize", tmp_path, env={"SHADOWDIFF_DATABASE_URL": "postgresql://me@127.0.0.1:1/rag"})
    assert (finished.code, finished.out) == (2, "")
    assert "holds no model.onnx" in finished.err


def test_where_nothing_can_be_written(cli: Cli, tmp_path: Path) -> None:
    """One line that names --output, and nothing left behind."""
    save_bag_of_tokens(tmp_path / "bag")
    (tmp_path / "file").write_text("")
    finished = cli("optimize", "bag", "--output", "file/fast", "--no-compare")
    assert (finished.code, finished.out) == (2, "")
    assert "cannot write to file/fast" in finished.err
    assert "--output DIR" in finished.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_model(cli: Cli, tmp_path: Path) -> None:
    """The directory's own permissions are respected."""
    directory = save_bag_of_tokens(tmp_path / "bag")
    directory.chmod(0o555)
    finished = cli("optimize", "bag", "--no-compare")
    directory.chmod(0o755)
    assert finished.code == 2
    assert "--output DIR" in finished.err


def test_the_missing_extra_is_named(cli: Cli, tmp_path: Path) -> None:
    """Where onnx cannot be imported: one line that says what to install. What is written already needs none."""
    save_bag_of_tokens(tmp_path / "bag")
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "onnx.py").write_text("raise ImportError('no onnx here')")
    without = {"PYTHONPATH": f"{blocked}{os.pathsep}{ROOT}"}
    finished = cli("optimize", "bag", "--no-compare", env=without)
    assert (finished.code, finished.out) == (2, "")
    assert finished.err.strip().endswith("pip install 'shadowdiff[optimize]'")
    assert cli("optimize", "bag", "--no-compare").code == 0
    assert cli("optimize", "bag", "--no-compare", env=without).code == 0
