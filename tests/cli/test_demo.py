"""The demo and the embedded server, as a new user meets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT, Cli


@pytest.fixture
def home(cli: Cli, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A fresh home, its server stopped at the end."""
    env = {"SHADOWDIFF_HOME": str(tmp_path / "home")}
    yield env
    cli("db", "stop", env=env)


def servers(home: str) -> list[psutil.Process]:
    """Processes that run on this home."""
    running = psutil.process_iter(["cmdline"])
    return [process for process in running if any(home in part for part in process.info["cmdline"] or [])]


@pytest.mark.slow
def test_demo_from_nothing_and_again(cli: Cli, home: dict[str, str]) -> None:
    """Starts its own Postgres, loads the sample, diffs sessions side by side; the second time from the cache."""
    arguments = ("demo", "--last", "1")
    first = cli(*arguments, env=home | {"SHADOWDIFF_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}, cwd=ROOT)
    assert (first.code, first.err) == (0, "")
    assert first.out.startswith("A cosine  against  B minilm-l6-v3\n")
    assert first.out.count("━ session ") == 1
    assert "onnx:sample_sessions/models/minilm-l6-v3 · fingerprint" in first.out
    assert cli(*arguments, env=home, cwd=ROOT).code == 0
    listed = cli("runs", env=home).out.splitlines()
    assert len(listed) == 3
    assert cli("db", "status", env=home).out.startswith("embedded Postgres in ")
    assert cli("db", "stop", env=home).out == "stopped\n"
    assert servers(home["SHADOWDIFF_HOME"]) == []
    assert "not running" in cli("db", "status", env=home).out
    assert cli("db", "stop", env=home).code == 0


def test_loading_the_sample_tells_what_it_held(cli: Cli, home: dict[str, str]) -> None:
    """`load` sums up in one line; loading twice is harmless."""
    for _ in range(2):
        loaded = cli("load", ROOT / "sample_sessions", env=home)
        assert loaded.code == 0
        assert loaded.out == (
            "loaded 360 entries of 5 orgs, 55 sessions, 218 turns (218 with a recorded pool), "
            "760 labels, embeddings of sentence-transformers/all-MiniLM-L6-v2\n"
        )
