"""The progress bar: on a terminal's stderr only, and never among the results."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

from tests.conftest import MODEL, Cli, clean_environment

ARGUMENTS = ("replay", "--last", "2", "--pool", "4", "--top-k", "2", "--latency", "0", "--no-cache", "-A", "cosine")


def watched(command: list[str], env: dict[str, str], cwd: Path) -> tuple[str, str]:
    """What went to stdout, a pipe, and what a terminal on stderr was sent."""
    master, slave = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:
                return
            if not part:
                return
            seen.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    finished = subprocess.run(command, stdout=subprocess.PIPE, stderr=slave, env=env, cwd=cwd, check=True)
    os.close(slave)
    reader.join(20)
    os.close(master)
    return finished.stdout.decode(), b"".join(seen).decode()


def test_a_terminal_sees_turns_rate_and_time_left(database: dict[str, str], tmp_path: Path) -> None:
    """Somebody who watches sees how far it is; the results stay clean."""
    command = [sys.executable, "-m", "shadowdiff", *ARGUMENTS, "-B", f"onnx:{MODEL}"]
    env = clean_environment(tmp_path) | database | {"TERM": "xterm", "COLUMNS": "100"}
    out, err = watched(command, env, tmp_path)
    assert "replaying" in err
    assert "turns ·" in err
    assert "pairs/s" in err
    assert "left" in err
    assert "pairs/s" not in out
    assert "summary of run" in out


def test_a_pipe_sees_nothing(cli: Cli, database: dict[str, str]) -> None:
    """Cron mails what stderr says, so a good run says nothing."""
    finished = cli(*ARGUMENTS, "-B", "bm25", env=database)
    assert (finished.code, finished.err) == (0, "")
