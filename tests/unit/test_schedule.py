"""Lines for cron and systemd: run by a real shell, and quoted as systemd reads them."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from shadowdiff.nightly.schedule import Schedule, cron, systemd

AWKWARD = "it's 100% $HOME; rm -rf"


def schedule(program: tuple[str, ...], directory: Path, config: Path | None = None) -> Schedule:
    """One with a home of its own."""
    return Schedule(program, directory, config, "my night", str(directory / AWKWARD))


def test_cron_runs_the_command_where_the_configuration_is(tmp_path: Path) -> None:
    """As cron does it: `%` is a line break unless it is quoted, and the rest is for the shell."""
    folder = tmp_path / AWKWARD
    folder.mkdir()
    program = folder / "shadow diff"
    program.write_text('#!/bin/sh\npwd; printf "%s\\n" "$SHADOWDIFF_HOME" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    text = cron(schedule((str(program),), folder, folder / "other.toml"))
    (line,) = [line for line in text.splitlines() if not line.startswith("#")]
    when, command = line[: len("30 2 * * *")], line[len("30 2 * * *") :]
    assert when == "30 2 * * *"
    assert "%" not in command.replace(r"\%", "")
    done = subprocess.run(["sh", "-c", command.replace(r"\%", "%")], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        str(folder),
        str(folder / AWKWARD),
        "--config",
        str(folder / "other.toml"),
        "nightly",
    ]


def test_systemd_gets_a_service_and_a_timer(tmp_path: Path) -> None:
    """Percent and dollar signs are doubled, and a word with a space is quoted."""
    text = systemd(schedule(("/opt/100%/shadow diff",), tmp_path))
    assert "# ~/.config/systemd/user/shadowdiff-my-night.service" in text
    (start,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    assert shlex.split(start.removeprefix("ExecStart=")) == ["/opt/100%%/shadow diff", "nightly"]
    (home,) = [line for line in text.splitlines() if line.startswith("Environment=")]
    assert "100%% $$HOME" in home
    assert f"WorkingDirectory={tmp_path}" in text
    assert "OnCalendar=*-*-* 02:30:00" in text


@pytest.mark.parametrize("name", ["nightly", "v4 against v3"])
def test_units_are_named_after_the_configuration(tmp_path: Path, name: str) -> None:
    """Two configurations are two timers."""
    text = systemd(Schedule(("shadowdiff",), tmp_path, None, name))
    assert f"shadowdiff-{name.replace(' ', '-')}.timer" in text
