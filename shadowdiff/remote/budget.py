"""What a run may spend: known before each call, so that the cap is not found out about afterwards."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from shadowdiff.records import Usage
from shadowdiff.runs import Price


class Budget:
    """Dollars of one run, of all its sides; may be used by several threads."""

    def __init__(self, prices: Mapping[str, Price], cap_usd: float | None = None, spent_usd: float = 0.0) -> None:
        """`prices` by label; no cap: anything is allowed. `spent_usd`: by the run's earlier invocations."""
        self._prices = prices
        self._cap = cap_usd
        self._spent = spent_usd
        self._reserved = 0.0
        self._lock = threading.Lock()
        self.is_exhausted = False
        """Whether anything was refused."""

    @property
    def spent_usd(self) -> float:
        """So far, by the run's prices."""
        return self._spent

    def reserve(self, label: str, expected: Usage) -> float | None:
        """Set aside what a call is expected to cost, in dollars; None where that would go beyond the cap."""
        usd = self._usd(label, expected)
        with self._lock:
            # A side that costs nothing goes on: the cap is no reason to stop it.
            if usd and self._cap is not None and self._spent + self._reserved + usd > self._cap:
                self.is_exhausted = True
                return None
            self._reserved += usd
            return usd

    def settle(self, label: str, reserved_usd: float, used: Usage) -> None:
        """Count what a call really used, in place of what was set aside for it."""
        with self._lock:
            self._reserved -= reserved_usd
            self._spent += self._usd(label, used)

    def _usd(self, label: str, usage: Usage) -> float:
        price = self._prices.get(label)
        return price.usd(usage) if price else 0.0


UNLIMITED = Budget({})
