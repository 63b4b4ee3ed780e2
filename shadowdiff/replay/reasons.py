"""Why turns failed, counted: the few reasons that a summary has room for."""

from __future__ import annotations

from collections import Counter, defaultdict

from shadowdiff.records import TurnFailure
from shadowdiff.remote.texts import without_attempts

COUNTED = 1_000
"""Different reasons of one side; more are not looked at, as they quote their turns and each stands for one."""
KEPT = 3


class FailureReasons:
    """Reasons by side, in memory that does not grow with the turns."""

    def __init__(self) -> None:
        self._turns: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, failure: TurnFailure) -> None:
        """Count one turn's."""
        reasons = self._turns[failure.side]
        reason = without_attempts(failure.reason)
        if reason in reasons or len(reasons) < COUNTED:
            reasons[reason] += 1

    def most_frequent(self, side: str) -> tuple[tuple[str, int], ...]:
        """A few reasons and how many turns failed for each: most turns first, equal ones by their words."""
        return tuple(sorted(self._turns[side].items(), key=lambda item: (-item[1], item[0]))[:KEPT])
