"""The end of a command that stays: asked for once, it comes when what is under way is done; twice, at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SECONDS_PER_GLANCE = 0.1


class Ending:
    """While it is entered, Ctrl-C and SIGTERM ask for the end; a second one raises KeyboardInterrupt."""

    def __init__(self, on_asked: Callable[[], None] = lambda: None) -> None:
        """`on_asked` is called in a signal handler."""
        self._on_asked = on_asked
        self._is_asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Ending:
        self._before = {number: signal.signal(number, self._signalled) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def ask(self) -> None:
        """Ask for the end."""
        self._is_asked = True
        self._on_asked()

    def is_asked(self) -> bool:
        """Whether it has been asked for."""
        return self._is_asked

    def pause(self, seconds: float) -> None:
        """Sleep, but not on once the end is asked for. Without locks, which a signal handler might wait for."""
        until = time.monotonic() + seconds
        while not self._is_asked and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, SECONDS_PER_GLANCE))

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_asked:
            raise KeyboardInterrupt
        self.ask()
