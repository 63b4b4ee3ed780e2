"""The wheel as a user gets it: migrations, schema and sample inside, and working without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, MakeDatabase, clean_environment


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout and unpacked as an installer would."""
    built = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w"]
    subprocess.run([*build, str(built), str(ROOT)], check=True, capture_output=True)
    (wheel,) = built.glob("shadowdiff-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(built / "site")
    return built / "site"


def run(unpacked: Path, tmp_path: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the unpacked wheel's command line, far from the checkout."""
    environment = clean_environment(tmp_path) | {"PYTHONPATH": str(unpacked)} | env
    command = [sys.executable, "-m", "shadowdiff", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)


def test_the_wheel_migrates_loads_and_replays(unpacked: Path, tmp_path: Path, make_database: MakeDatabase) -> None:
    """From an empty database to a diff, with nothing but what the wheel holds."""
    url = make_database(None)
    where = "import shadowdiff; print(shadowdiff.__file__)"
    environment = dict(os.environ) | {"PYTHONPATH": str(unpacked)}
    command = [sys.executable, "-c", where]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
    assert found.stdout.startswith(str(unpacked))
    for arguments in (
        ("db", "upgrade"),
        ("load", str(unpacked / "shadowdiff" / "_sample_sessions")),
        ("replay", "--last", "2", "--latency", "0"),
        ("show", "latest", "--format", "json"),
        ("show", "latest", "--format", "html"),
    ):
        finished = run(unpacked, tmp_path, *arguments, SHADOWDIFF_DATABASE_URL=url)
        assert (finished.returncode, finished.stderr) == (0, "")


def test_nothing_that_does_not_belong_is_shipped(unpacked: Path) -> None:
    """No tests, no caches, and the type marker."""
    shipped = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert "shadowdiff/py.typed" in shipped
    assert "shadowdiff/render/run-1.schema.json" in shipped
    assert "shadowdiff/_migrations/env.py" in shipped
    assert not [name for name in shipped if "tests/" in name or "__pycache__" in name]
    assert {name.split("/")[0] for name in shipped} == {"shadowdiff", "shadowdiff-0.1.0.dist-info"}
