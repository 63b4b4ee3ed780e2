"""A clock that a test turns: no waiting, and the same figures every time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from shadowdiff.remote import asker
from shadowdiff.remote.clock import Clock

if TYPE_CHECKING:
    import pytest


class TurnedClock(Clock):
    """Time passes only while somebody waits, and then at once. For one thread."""

    def __init__(self) -> None:
        self.time = 1_000.0
        self.waits: list[float] = []

    def now(self) -> float:
        """The time so far."""
        return self.time

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        """All of it, undisturbed."""
        assert seconds > 0, "waiting for nothing would never end"
        self.waits.append(seconds)
        self.time += seconds


def long_pauses(patch: pytest.MonkeyPatch) -> None:
    """Between attempts: no deadline leaves time for a second, and the first may take all of it."""
    patch.setattr(asker, "FIRST_PAUSE_SECONDS", 1e12)
    patch.setattr(asker, "LONGEST_PAUSE_SECONDS", 1e12)
