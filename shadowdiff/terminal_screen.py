"""The terminal as one screen that is drawn whole and answers with single keys, and that is left as it was found."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, NoReturn, TextIO

from shadowdiff.errors import ConfigError
from shadowdiff.terminal_keys import CTRL_D, UNKNOWN, first_key

RESIZED = "resized"
"""No key: what is on the screen must be drawn again."""

UNTOLD_SIZE = os.terminal_size((80, 24))
"""Of a terminal that does not say how large it is."""
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SECONDS_OF_A_SEQUENCE = 0.05
"""Within which the rest of what one key sends comes, over ssh too."""
_ON = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The other screen, no cursor, and no line goes on in the next, whatever width a terminal gives an emoji."""
_OFF = "\x1b[H\x1b[J\x1b[?7h\x1b[?25h\x1b[?1049l"
"""Cleared too, for terminals that have no other screen."""
Handler = Callable[[int, FrameType | None], None]


class Terminated(BaseException):
    """SIGTERM or SIGHUP has come. Like KeyboardInterrupt, no `except Exception` holds it up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Screen:
    """While it is entered, the terminal is ours: its other screen, keys one by one, nothing echoed.

    In the main thread only. Ctrl-C, SIGTERM and SIGHUP are heard while a key is waited for, so that
    whatever is under way is done first; the second Ctrl-C ends even that. Then the
    terminal is as it was, and the process ends as any that was ended so. Ctrl-Z suspends.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        """`out`: what to draw on; default: stdout."""
        self._in, self._out = sys.stdin.fileno(), (sys.stdout if out is None else out).fileno()
        self._before: list[Any] = []
        self._handlers: dict[int, Any] = {}
        self._sent = b""
        self._is_over = False
        self._ended: int | None = None
        self._woken: tuple[int, int] = (-1, -1)

    def __enter__(self) -> Screen:
        self._before = termios.tcgetattr(self._in)
        self._woken = os.pipe()
        handlers: list[tuple[int, Handler]] = [(number, self._end) for number in ENDS]
        handlers += [(signal.SIGWINCH, self._wake), (signal.SIGCONT, self._wake), (signal.SIGTSTP, self._suspend)]
        sys.stdout.flush()
        self._handlers = {number: signal.signal(number, handler) for number, handler in handlers}
        self._take()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._leave()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for end in self._woken:
            os.close(end)
        if isinstance(error, Terminated):
            end_as(error.number)

    @property
    def size(self) -> os.terminal_size:
        """Columns and lines, now."""
        with suppress(OSError):
            size = os.get_terminal_size(self._out)
            if min(size) > 0:
                return size
        return UNTOLD_SIZE

    def show(self, lines: Sequence[str]) -> None:
        """Draw these lines, and nothing else; what does not fit the screen's height is left out.

        Each must fit the width, and hold nothing that acts on a terminal but colours. Raises EOFError where the
        terminal is gone.
        """
        drawn = "\n".join(f"{line}\x1b[K" for line in lines[: self.size.lines])
        try:
            self._write(f"\x1b[H{drawn}\x1b[J")
        except OSError as error:
            self._require_going_on()
            raise EOFError from error

    def read(self) -> str:
        """The next key (see terminal_keys), or RESIZED.

        Raises KeyboardInterrupt and Terminated where the end was asked for; EOFError on
        Ctrl-D, and where the terminal is gone.
        """
        while True:
            self._require_going_on()
            taken = first_key(self._sent, is_all=self._is_over) if self._sent else None
            if taken is not None:
                self._sent = self._sent[taken.size :]
                if taken.key == CTRL_D:
                    raise EOFError
                if taken.key != UNKNOWN:
                    return taken.key
            elif self._is_woken():
                return RESIZED

    def forget(self) -> None:
        """Take no notice of what was typed so far: it was not meant for what is about to be drawn."""
        self._sent = b""
        with suppress(termios.error):
            termios.tcflush(self._in, termios.TCIFLUSH)

    def _require_going_on(self) -> None:
        if self._ended is not None:
            raise KeyboardInterrupt if self._ended == signal.SIGINT else Terminated(self._ended)

    def _is_woken(self) -> bool:
        """Wait for more of what is typed; True where the screen must be drawn again instead."""
        waiting = SECONDS_OF_A_SEQUENCE if self._sent else None
        ready, _, _ = select.select([self._in, self._woken[0]], [], [], waiting)
        self._is_over = not ready
        if self._woken[0] in ready:
            os.read(self._woken[0], 1 << 10)
            return self._ended is None
        if ready:
            self._sent += self._typed()
        return False

    def _typed(self) -> bytes:
        with suppress(OSError):
            if sent := os.read(self._in, 1 << 10):
                return sent
        if self._ended is None:
            raise EOFError
        return b""

    def _end(self, number: int, _frame: FrameType | None) -> None:
        if self._ended is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._ended = self._ended or number
        self._wake(number, None)

    def _wake(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGCONT:
            # It also comes with SIGHUP, from a terminal that is gone.
            with suppress(OSError, termios.error):
                self._take()
        os.write(self._woken[1], b"\0")

    def _suspend(self, number: int, _frame: FrameType | None) -> None:
        self._leave()
        ours = signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, ours)
        self._wake(signal.SIGCONT, None)

    def _take(self) -> None:
        settings = termios.tcgetattr(self._in)
        settings[3] &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
        settings[6][termios.VMIN], settings[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._in, termios.TCSADRAIN, settings)
        self._write(_ON)

    def _leave(self) -> None:
        # A terminal that is gone cannot be left as it was, and wants nothing.
        with suppress(OSError):
            self._write(_OFF)
        with suppress(termios.error):
            termios.tcsetattr(self._in, termios.TCSADRAIN, self._before)

    def _write(self, text: str) -> None:
        left = text.encode("utf-8", "replace")
        while left:
            left = left[os.write(self._out, left) :]


def end_as(number: int) -> NoReturn:
    """End this process as one that the signal ends; for Ctrl-C's, raise KeyboardInterrupt."""
    if number != signal.SIGINT:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    raise KeyboardInterrupt


def require_terminal(command: str, instead: str, *, writes_results: bool = False) -> None:
    """Raise ConfigError where nobody sits at a terminal that can be drawn on; `instead`: what to use there.

    With `writes_results`, stdout may be a file or a pipe, and stderr is drawn on.
    """
    needed = (sys.stdin, sys.stderr) if writes_results else (sys.stdin, sys.stdout, sys.stderr)
    if os.environ.get("TERM") == "dumb" or not all(stream.isatty() for stream in needed):
        raise ConfigError(f"{command} needs a terminal to draw on; in a pipe, use: {instead}")
