"""`shadowdiff init` on a terminal: it asks, each answer narrows the next question, and nonsense is asked again."""

from __future__ import annotations

import codecs
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from shadowdiff.config import load_settings
from tests.cli.test_replay import hear_ctrl_c
from tests.conftest import MakeDatabase, clean_environment
from tests.postgres.test_survey import SCHEMAS
from tests.servers import run_sql

SECONDS = 120
INIT = (sys.executable, "-m", "shadowdiff", "init")
SPEC = "onnx:models/v3"


class Terminal:
    """A pseudo-terminal on stdin and stderr of a command; its stdout is a pipe."""

    def __init__(self, arguments: Sequence[str], cwd: Path) -> None:
        self._master, slave = pty.openpty()
        command = [*INIT, *arguments]
        env = clean_environment(cwd) | {"TERM": "dumb", "COLUMNS": "100"}
        self._process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=slave,
            cwd=cwd,
            env=env,
            start_new_session=True,
            preexec_fn=hear_ctrl_c,  # noqa: PLW1509 its reader is not started yet
        )
        os.close(slave)
        self.seen = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        text = codecs.getincrementaldecoder("utf-8")()  # a part may end within a character
        while True:
            try:
                part = os.read(self._master, 65536)
            except OSError:
                return
            if not part:
                return
            self.seen += text.decode(part)

    def answer(self, question: str, text: str) -> str:
        """Wait for the question, answer it, and return what was shown up to it."""
        shown = self._awaited(question)
        os.write(self._master, text.encode() + b"\n")
        return shown

    def interrupt(self, question: str) -> None:
        """Wait for the question, and press Ctrl-C."""
        self._awaited(question)
        self._process.send_signal(signal.SIGINT)

    def _awaited(self, question: str) -> str:
        until = time.monotonic() + SECONDS
        while not self.seen.rstrip().endswith(question):
            assert time.monotonic() < until, self.seen
            assert self._process.poll() is None, self.seen
            time.sleep(0.02)
        shown, self.seen = self.seen, ""
        return shown

    def finish(self) -> tuple[int, str]:
        """Exit code, and what was written to stdout."""
        out, _ = self._process.communicate(timeout=SECONDS)
        self._reader.join(SECONDS)
        os.close(self._master)
        return self._process.returncode, out.decode()


@pytest.fixture
def url(make_database: MakeDatabase) -> str:
    """Searches of two tenants, times without zone, and a second table that could hold turns."""
    made = make_database(None)
    run_sql(made, (SCHEMAS / "searches.sql").read_text(encoding="utf-8"))
    run_sql(
        made,
        "CREATE TABLE questions (id bigserial PRIMARY KEY, session_id bigint REFERENCES sessions, question text, "
        "created_at timestamp); INSERT INTO questions (session_id, question, created_at) "
        "SELECT id, 'what about keys', started_at FROM sessions",
    )
    return made


def test_the_likeliest_answer_is_the_default(url: str, tmp_path: Path) -> None:
    """Return, again and again, gives what --yes gives; but for the zone, which only a person knows."""
    terminal = Terminal(["--database", url], tmp_path)
    shown = terminal.answer("Number, or a name [1]:", "")
    assert "Which table holds what users asked (turns)?" in shown
    assert "  1  public.queries\r\n  2  public.questions" in shown
    for default in ("1", "1", "1", "1", "1"):
        terminal.answer(f"[{default}]:", "")
    assert "zone" in terminal.answer("Zone [Etc/UTC]:", "Europe/Berlin")
    assert "production" in terminal.answer("Reranker:", SPEC)
    code, out = terminal.finish()
    assert code == 0
    assert "mapping\n" in out, "nothing was taken without asking"
    settings = load_settings(tmp_path / "shadowdiff.toml", {})
    assert set(settings.source.parts) == {"sessions", "turns", "pool", "served", "entries"}
    assert settings.source.timezone == "Europe/Berlin"
    assert settings.production == SPEC
    subprocess.run(
        [*INIT, "--database", url, "--yes", "--timezone", "Europe/Berlin", "--production", SPEC, "-o", "yes.toml"],
        check=True,
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        stdout=subprocess.DEVNULL,
    )
    assert (tmp_path / "yes.toml").read_text(encoding="utf-8") == (tmp_path / "shadowdiff.toml").read_text(
        encoding="utf-8"
    )


def test_other_answers_are_taken_and_nonsense_is_asked_again(url: str, tmp_path: Path) -> None:
    """A number of the list, a name that is not in it, none; and what cannot be is said at once."""
    terminal = Terminal(["--database", url, "--sessions", "sessions", "--org", "none"], tmp_path)
    terminal.answer("Number, or a name [1]:", "17")
    assert "17 is not in the list" in terminal.answer("Number, or a name [1]:", "tenants")
    assert "public.tenants cannot be it: turns need an id" in terminal.answer("Number, or a name [1]:", "2")
    shown = terminal.answer("Number, or a name [1]:", "0")
    assert "knowledge base" in shown, "questions lead to no pool: that is not asked"
    terminal.answer("Zone [Etc/UTC]:", "Berlin")
    assert "'Berlin' is no zone" in terminal.answer("Zone [Etc/UTC]:", "")
    terminal.answer("Reranker:", "???")
    assert "'???' is no scheme" in terminal.answer("Reranker:", "")
    code, _ = terminal.finish()
    assert code == 0
    settings = load_settings(tmp_path / "shadowdiff.toml", {})
    assert set(settings.source.parts) == {"sessions", "turns"}
    assert "public.questions" in settings.source.parts["turns"]
    assert "org_id" not in settings.source.parts["sessions"]
    assert settings.production is None


def test_who_gives_up_in_the_middle_leaves_no_file(url: str, tmp_path: Path) -> None:
    """Ctrl-C at a question is exit 130, and nothing was written."""
    terminal = Terminal(["--database", url], tmp_path)
    terminal.answer("Number, or a name [1]:", "1")
    terminal.interrupt("Number, or a name [1]:")
    code, out = terminal.finish()
    assert (code, out) == (130, "")
    assert list(tmp_path.iterdir()) == []
