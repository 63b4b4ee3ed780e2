"""A real pseudo-terminal with the real command line in it, and what a person would see there."""

from __future__ import annotations

import os
import signal
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pexpect
import pyte

SECONDS = 60
"""How long a screen may take to show something; generous, because the machine may be busy."""
ON_AND_OFF = ("1049", "2004", "1000", "1003", "1006", "1004")
"""Private modes that a full-screen program switches on, and must switch off: the other screen, pasting, the mouse."""


class Terminal:
    """Runs one command; `screen` is what stands in the terminal now."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], cwd: Path, columns: int = 80, rows: int = 24
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.sent = b""
        """All that was written to the terminal."""
        self.child: Any = pexpect.spawn(
            command[0],
            list(command[1:]),
            dimensions=(rows, columns),
            env={**environment, "TERM": "xterm-256color"},
            cwd=str(cwd),
            timeout=SECONDS,
        )
        self._before = _new_settings()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        # pexpect's own end of a command gives it tenths of a second, and then fails.
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)
            self.child.wait()
        self.child.close()

    @property
    def text(self) -> str:
        """The screen's lines."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait_for(self, text: str) -> None:
        """Until it stands on the screen."""
        end = time.monotonic() + SECONDS
        while text not in self.text:
            assert self._take(), f"the command ended before {text!r} was shown:\n{self.text}"
            assert time.monotonic() < end, f"{text!r} was never shown:\n{self.text}"

    def press(self, keys: str) -> None:
        """Type."""
        self.child.send(keys)

    def resize(self, columns: int, rows: int) -> None:
        """Make the window another size, and tell the command."""
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def hang_up(self) -> None:
        """Be gone, as when a window is closed or a line is lost."""
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, self.child.child_fd)
        os.close(nothing)

    def wait(self) -> int:
        """Until the command has ended; its exit code, or the negative number of the signal that ended it."""
        while self._take():
            pass
        self.child.wait()
        code: int = self.child.exitstatus if self.child.signalstatus is None else -self.child.signalstatus
        return code

    def is_restored(self) -> bool:
        """Whether the terminal is as it was: its settings, its screen, its cursor, its line breaks, no mouse."""
        if termios.tcgetattr(self.child.child_fd) != self._before:
            return False
        modes = (*((mode, "l") for mode in ON_AND_OFF), ("25", "h"), ("7", "h"))
        return all(self._last(mode) in ("", as_it_was) for mode, as_it_was in modes)

    def _last(self, mode: str) -> str:
        """The last letter by which the mode was switched; empty where it never was."""
        on, off = (self.sent.rfind(f"\x1b[?{mode}{letter}".encode()) for letter in "hl")
        return "" if on == off == -1 else "h" if on > off else "l"

    def _take(self) -> bool:
        """Whatever is written meanwhile; False at the end."""
        try:
            part = self.child.read_nonblocking(1 << 16, timeout=0.2)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.sent += part
        self._stream.feed(part)
        return True


def _new_settings() -> list[Any]:
    """Of any new terminal: whoever asks a command's own may come after the command has changed them."""
    ours, theirs = os.openpty()
    try:
        return termios.tcgetattr(theirs)
    finally:
        os.close(ours)
        os.close(theirs)


def python(*arguments: str) -> list[str]:
    """This Python, with these arguments."""
    return [sys.executable, *arguments]


def environment_of(clean: Mapping[str, str], root: Path) -> dict[str, str]:
    """A clean environment in which this checkout is imported from anywhere."""
    return {**clean, "PYTHONPATH": os.pathsep.join(filter(None, [str(root), clean.get("PYTHONPATH", "")]))}
