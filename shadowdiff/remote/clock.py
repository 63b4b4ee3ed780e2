"""The clock that waiting goes by: one that tests can turn."""

from __future__ import annotations

import threading
import time


class Clock:
    """Seconds that only go forward, and how to let them pass."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        """Let up to so many seconds pass, fewer if notified; holds `condition` before and after."""
        condition.wait(min(seconds, threading.TIMEOUT_MAX))


REAL = Clock()
