"""Reports that do not arrive: the run is kept, a line and exit 5 say so, and the next call delivers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.buckets import CREDENTIALS, SECRET, s3_server
from tests.cli.test_nightly import FILES, NIGHTS, SETTINGS, Home
from tests.cli.test_replay import Environment
from tests.conftest import Cli, clean_environment
from tests.faults import Request, faulty_server
from tests.servers import nobody

SECRET_PATH = "/services/T0/planted-9d1f"  # noqa: S105 planted, to be found where it leaks


@pytest.fixture
def home(cli: Cli, database: Environment, tmp_path: Path) -> Home:
    """The sample, and no report configured yet."""
    folder = tmp_path / "here"
    folder.mkdir()
    return Home(cli, folder, database | CREDENTIALS)


def configure(home: Home, *lines: str) -> None:
    """[nightly] with these lines in place of its directory."""
    settings = SETTINGS.replace('directory = "reports"', "\n".join(lines))
    (home.folder / "shadowdiff.toml").write_text(settings, encoding="utf-8")


def undelivered(home: Home, *told: str) -> None:
    """A night that is replayed and does not arrive."""
    ended = home.nightly(NIGHTS[-1])
    assert (ended.code, ended.out) == (5, ""), ended
    (line,) = ended.err.splitlines()
    assert line.startswith("shadowdiff: error: night 2026-11-21: ")
    assert all(part in line for part in told), line
    assert "its run is stored, and the next call delivers it" in line
    assert SECRET not in line
    assert SECRET_PATH not in line


def one_run(home: Home) -> None:
    """Nothing was replayed twice."""
    runs = json.loads(home.cli("runs", "--format", "json", env=home.env).out)
    assert [run["status"] for run in runs] == ["done"]


def test_a_directory_that_cannot_be_written(home: Home) -> None:
    """A file stands in its place; once it is gone, the next call writes the night, and its own."""
    configure(home, 'directory = "reports"')
    (home.folder / "reports").write_text("in the way", encoding="utf-8")
    undelivered(home, "reports")
    (home.folder / "reports").unlink()
    assert home.nightly(NIGHTS[-1]).code == 0
    assert {path.name for path in (home.folder / "reports" / "2026-11-21").iterdir()} == FILES
    one_run(home)


def test_a_disk_without_room(home: Home) -> None:
    """Files may not grow as large as the report: nothing half-written is left."""
    configure(home, 'directory = "reports"')
    command = f'ulimit -f 16; exec "{sys.executable}" -m shadowdiff nightly --as-of {NIGHTS[-1]}'
    environment = clean_environment(home.folder) | home.env
    ended = subprocess.run(
        ["bash", "-c", command], cwd=home.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 5, ended.stderr
    assert "night 2026-11-21" in ended.stderr
    assert not (home.folder / "reports" / "2026-11-21").exists()
    assert home.nightly(NIGHTS[-1]).code == 0
    assert {path.name for path in (home.folder / "reports" / "2026-11-21").iterdir()} == FILES
    one_run(home)


def test_a_store_that_refuses_and_then_takes_it(home: Home) -> None:
    """Nobody listens at the endpoint; the next call finds a real S3 server there."""
    with nobody() as url:
        configure(home, 's3 = "s3://nights/rag"', f's3_endpoint = "{url}"', "delivery_timeout = 5")
        undelivered(home, "s3://nights/rag")
    with s3_server() as buckets:
        buckets.make("nights")
        configure(home, 's3 = "s3://nights/rag"', f's3_endpoint = "{buckets.url}"')
        later = home.nightly(NIGHTS[-1])
        assert (later.code, later.err) == (0, "")
        found = buckets.objects("nights")
    assert {f"rag/2026-11-21/{name}" for name in FILES} <= set(found)
    assert json.loads(found["rag/latest.json"]["text"])["night"] == "2026-11-21-2"
    assert json.loads(found["rag/2026-11-21/run.json"]["text"])["status"] == "done"
    one_run(home)


def test_a_webhook_that_hangs(home: Home) -> None:
    """The night ends with the time it may take; the next call posts it, once."""
    hook = home.env | {"HOOK": ""}
    posted_to = ('webhook_env = "HOOK"', 'report_url = "https://reports.example.com/{night}"')
    configure(home, *posted_to, "delivery_timeout = 2")
    with faulty_server(Request.hang) as hanging:
        home.env = hook | {"HOOK": hanging.url + SECRET_PATH}
        undelivered(home, "127.0.0.1")
    configure(home, *posted_to)
    with faulty_server(lambda request: request.answer(200, b"ok")) as answering:
        home.env = hook | {"HOOK": answering.url + SECRET_PATH}
        assert home.nightly(NIGHTS[-1]).code == 0
        assert home.nightly(NIGHTS[-1]).code == 0
    posted = [json.loads(request.body) for request in answering.got]
    assert "https://reports.example.com/2026-11-21" in json.dumps(posted[0])
    assert all(request.path == SECRET_PATH for request in answering.got)
    assert len([message for message in posted if "2026-11-21-" not in json.dumps(message)]) == 1
    one_run(home)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (['s3 = "http://bucket"'], "s3://BUCKET"),
        (['webhook_env = "NO_SUCH_HOOK"'], "NO_SUCH_HOOK"),
        (['directory = "reports"', "[gate]", 'rules = ["only_in_a_per_session <="]'], "expected a number"),
        (['directory = "reports"', "[gate]", 'rules = ["mean_overlap.D >= 0.5"]'], "D"),
        (['directory = "reports"', "[privacy]", "offline = true", "[gate]"], ""),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_replayed(home: Home, lines: list[str], told: str) -> None:
    """Exit 2 and no run; offline, a directory is still written."""
    text = SETTINGS.replace('directory = "reports"\n', "") + "\n".join(lines)
    (home.folder / "shadowdiff.toml").write_text(text, encoding="utf-8")
    ended = home.nightly(NIGHTS[-1])
    runs = json.loads(home.cli("runs", "--format", "json", env=home.env).out)
    if told:
        assert (ended.code, runs) == (2, []), ended
        assert told in ended.err
    else:
        assert (ended.code, len(runs)) == (0, 1)


def test_without_sides_there_is_no_night(home: Home) -> None:
    """A comparison nobody asked for is not made every night."""
    (home.folder / "shadowdiff.toml").write_text("[nightly]\n", encoding="utf-8")
    ended = home.nightly(NIGHTS[-1])
    assert ended.code == 2
    assert "nightly has no sides" in ended.err


def test_lines_for_schedulers(home: Home) -> None:
    """Printed without a database; the directory and the configuration stand in them."""
    configure(home, 'directory = "reports"')
    nowhere = home.env | {"SHADOWDIFF_DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    for option, expected in (("--print-cron", "30 2 * * * cd "), ("--print-systemd", "OnCalendar=")):
        printed = home.cli("nightly", option, env=nowhere, cwd=home.folder)
        assert (printed.code, printed.err) == (0, "")
        assert expected in printed.out
        assert str(home.folder) in printed.out
        assert os.environ["HOME"] not in printed.err
