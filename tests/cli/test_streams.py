"""Standard streams as cron, containers and full disks leave them: a line at most, and never the code of a gate."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.test_errors import refused
from tests.conftest import Cli, clean_environment

Environment = dict[str, str]
FULL = Path("/dev/full")


def through_a_shell(home: Path, env: Environment, arguments: Sequence[str], streams: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command with its streams redirected so."""
    script = f'exec "$@" {streams}'
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "shadowdiff", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=clean_environment(home) | env, cwd=home, timeout=120, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("buffering", ["", "1"])
@pytest.mark.parametrize("arguments", [["rerankers"], ["replay", "--help"], ["nightly", "--print-cron"]])
def test_a_full_disk_behind_stdout_is_told(arguments: list[str], buffering: str, tmp_path: Path) -> None:
    """Exit 2 and one line: 1 would tell CI of a gate, and a traceback would tell nobody anything."""
    code, _, err = through_a_shell(tmp_path, {"PYTHONUNBUFFERED": buffering}, arguments, ">/dev/full")
    assert code == 2
    assert err.splitlines() == [err.strip()]
    assert err.startswith("shadowdiff: error: cannot write")
    assert os.strerror(errno.ENOSPC) in err


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_leads_nowhere(streams: str, tmp_path: Path) -> None:
    """As if it were /dev/null: cron and daemons start commands like that."""
    code, out, err = through_a_shell(tmp_path, {}, ["rerankers"], streams)
    assert (code, err) == (0, "")
    assert ("cosine" in out) == (streams == "2>&-")


def test_an_error_does_not_move_to_stdout_where_stderr_is_closed(tmp_path: Path) -> None:
    """What reads stdout reads results."""
    assert through_a_shell(tmp_path, {}, ["replay", "--bogus"], "2>&-") == (2, "", "")


@pytest.mark.parametrize("arguments", [[], ["db"]])
def test_a_group_without_a_command_shows_its_page(cli: Cli, arguments: list[str]) -> None:
    """As a page, on stderr, and not as one line of two thousand characters."""
    finished = cli(*arguments)
    assert (finished.code, finished.out) == (2, "")
    assert finished.err.startswith(f"Usage: {' '.join(['shadowdiff', *arguments])} [OPTIONS] COMMAND [ARGS]...\n\n")


def test_a_usage_error_is_one_sentence(cli: Cli) -> None:
    """Click ends its own with a full stop, and lists choices with line breaks and tabs."""
    assert refused(cli("replay", "--last", "0"), 2).endswith("in the range x>=1; see: shadowdiff replay --help")
    assert "Choose from: trec, bundle, csv; see:" in refused(cli("export", "latest"), 2)
