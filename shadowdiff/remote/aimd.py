"""How much may be asked, as numbers: cut by a share when the provider throttles, regained bit by bit.

Additive increase, multiplicative decrease: how TCP finds out what a line
carries. Pure: time is an argument, in seconds.
"""

from __future__ import annotations

LESS_OFTEN = 0.7
LEAST_SHARE = 0.05
"""Of the configured rate: what is left of it at least."""
REGAINED_IN = 60.0
"""Seconds in which a whole configured rate would be regained: providers count by the minute."""
NEXT_TO_NOTHING = 1e-6
"""Share of a bucket that rounding may miss."""


class Window:
    """Calls under way at a time."""

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._size = self._most

    @property
    def size(self) -> int:
        """From 1 to as many as are configured."""
        return int(self._size)

    def throttled(self) -> None:
        """Half of it."""
        self._size = max(1.0, self._size / 2)

    def answered(self) -> None:
        """One more for each window of answers."""
        self._size = min(self._most, self._size + 1 / self._size)


class Bucket:
    """Requests, or tokens, per minute: what a second yields may be used at once, and nothing older is kept.

    In any time t, at most rate × t + `burst` is taken, and by the last call what
    it alone needs beyond `burst`: a call that needs more than there ever is
    waits until the bucket is full, and leaves it in debt.
    """

    def __init__(self, per_minute: float, now: float) -> None:
        self._configured = per_minute / 60
        self.burst = max(1.0, self._configured)
        self.rate = self._configured
        """Per second, now."""
        self._held = self.burst
        self._filled_at = now

    def delay(self, amount: float, now: float) -> float:
        """Seconds until so much may be taken; 0.0: now."""
        self._fill(now)
        missing = min(amount, self.burst) - self._held
        return missing / self.rate if missing > NEXT_TO_NOTHING * self.burst else 0.0

    def take(self, amount: float, now: float) -> None:
        """Use it; a negative amount was used less than taken."""
        self._fill(now)
        self._held = min(self.burst, self._held - amount)

    def throttled(self, now: float) -> None:
        """Fill more slowly."""
        self._fill(now)
        self.rate = max(self.rate * LESS_OFTEN, self._configured * LEAST_SHARE)

    def _fill(self, now: float) -> None:
        """At the rate so far; then regain some of the rate."""
        seconds = max(0.0, now - self._filled_at)
        self._held = min(self.burst, self._held + self.rate * seconds)
        self.rate = min(self._configured, self.rate + self._configured * seconds / REGAINED_IN)
        self._filled_at = max(self._filled_at, now)
