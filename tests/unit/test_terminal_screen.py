"""The screen in a real pseudo-terminal: keys one by one, and every way out of it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, clean_environment
from tests.terminals import Terminal, environment_of, python

ECHO = """
import fcntl, os, struct, termios, time
from shadowdiff.terminal_screen import RESIZED, Screen
print("before")
with Screen() as screen:
    keys = []
    while True:
        size = screen.size
        screen.show([f"{size.columns}x{size.lines} keys {' '.join(keys)}", "x" * 300, *map(str, range(100)), "last"])
        key = screen.read()
        if key == "f":
            while len(screen._sent) + struct.unpack("i", fcntl.ioctl(0, termios.FIONREAD, bytes(4)))[0] < 2:
                time.sleep(0.01)
            screen.forget()
        elif key == "w":
            os.write(1, b"at work")
            while screen._ended is None:
                time.sleep(0.01)
            os.write(1, b"heard")
            time.sleep(240)
            print('slept')
        elif key == "b":
            raise RuntimeError("a mistake of ours")
        elif key == "q":
            break
        if key != RESIZED:
            keys.append(key)
print("after", keys)
"""


def started(home: Path) -> Terminal:
    """The script above; `f` forgets two keys, as soon as they have come."""
    return Terminal(python("-c", ECHO), environment_of(clean_environment(home), ROOT), home)


def test_keys_come_one_by_one_and_the_screen_is_left(tmp_path: Path) -> None:
    """Several sent at once are several; an arrow is one; nothing is echoed; long lines and too many do no harm."""
    with started(tmp_path) as terminal:
        terminal.wait_for("80x24 keys")
        terminal.press("12é\x1b[A\r\x1b")
        terminal.wait_for("keys 1 2 é up enter escape")
        assert terminal.text.splitlines()[1] == "x" * 80
        assert len(terminal.text.splitlines()) == 24
        assert "last" not in terminal.text
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.is_restored()
        assert "after ['1', '2', 'é', 'up', 'enter', 'escape']" in terminal.text


def test_a_resized_terminal_is_drawn_again(tmp_path: Path) -> None:
    """With its new size."""
    with started(tmp_path) as terminal:
        terminal.wait_for("80x24 keys")
        terminal.resize(100, 30)
        terminal.wait_for("100x30 keys")


def test_what_was_typed_before_is_forgotten(tmp_path: Path) -> None:
    """By whoever asks for that, and by nobody else."""
    with started(tmp_path) as terminal:
        terminal.wait_for("80x24 keys")
        terminal.press("f1")
        terminal.press("2")
        terminal.wait_for("keys f")
        terminal.press("3")
        terminal.wait_for("keys f 3")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, -15), (signal.SIGHUP, -1), (signal.SIGINT, 1), (None, 1)]
)
def test_every_end_leaves_the_terminal_as_it_was(tmp_path: Path, number: signal.Signals | None, code: int) -> None:
    """Signals, Ctrl-D and a mistake; the process ends as one that was ended so."""
    with started(tmp_path) as terminal:
        terminal.wait_for("80x24 keys")
        if number is None:
            terminal.press("b")
        else:
            os.kill(terminal.child.pid, number)
        ended = terminal.wait()
        assert ended == code or (number is signal.SIGINT and ended in (-2, 130))
        assert terminal.is_restored()


def test_a_terminal_that_is_gone_ends_it(tmp_path: Path) -> None:
    """As it ends any command: nobody is asked any more, and no process is left behind."""
    with started(tmp_path) as terminal:
        terminal.wait_for("80x24 keys")
        terminal.hang_up()
        terminal.child.wait()
        assert terminal.child.signalstatus == signal.SIGHUP


def test_ctrl_z_suspends_and_the_screen_is_taken_again(tmp_path: Path) -> None:
    """In a shell that has jobs: its terminal is its own meanwhile, and `fg` goes on with the same screen."""
    environment = environment_of(clean_environment(tmp_path), ROOT) | {"PS1": "ready> "}
    (tmp_path / "echo.py").write_text(ECHO)
    with Terminal(["bash", "--norc", "-i"], environment, tmp_path) as terminal:
        terminal.wait_for("ready>")
        terminal.press(f"{sys.executable} echo.py\r")
        terminal.wait_for("80x24 keys")
        terminal.press("1")
        terminal.wait_for("80x24 keys 1")
        terminal.press("\x1a")
        terminal.wait_for("Stopped")
        terminal.press("stty -a | grep -wo -e -icanon -e icanon; fg\r")
        terminal.wait_for("80x24 keys 1")
        assert b"\ricanon" in terminal.sent
        terminal.press("2")
        terminal.wait_for("80x24 keys 1 2")
        terminal.press("q")
        terminal.wait_for("after ['1', '2']")


def test_ctrl_c_waits_for_what_is_under_way_and_a_second_does_not(tmp_path: Path) -> None:
    """Nothing is cut short in the middle unless the user insists."""
    with started(tmp_path) as terminal:
        terminal.wait_for("80x24 keys")
        terminal.press("w")
        terminal.wait_for("at work")
        terminal.press("\x03")
        terminal.wait_for("heard")
        terminal.press("\x03")
        terminal.wait()
        assert terminal.is_restored()
        assert b"slept" not in terminal.sent


def test_the_end_of_input_is_one(tmp_path: Path) -> None:
    """Ctrl-D."""
    with started(tmp_path) as terminal:
        terminal.wait_for("80x24 keys")
        terminal.press("\x04")
        assert terminal.wait() == 1
        assert terminal.is_restored()
        assert "EOFError" in terminal.text
