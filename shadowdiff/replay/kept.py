"""One run's scores and asks, on their way into the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shadowdiff.records import TurnAsked
from shadowdiff.store.runs import CachedScore, RunStore


class RunScores:
    """The ScoreCache of a run that is stored."""

    def __init__(self, store: RunStore, run_id: str) -> None:
        self._store = store
        self._run_id = run_id

    def cached_scores(self, fingerprint: str, pairs: Sequence[bytes]) -> dict[bytes, CachedScore]:
        """What any run left there. Raises StoreError."""
        return self._store.cached_scores(fingerprint, pairs)

    def keep(self, scores: Mapping[str, Mapping[bytes, CachedScore]], asks: Sequence[TurnAsked]) -> None:
        """Store both or neither. Raises StoreError."""
        self._store.keep(self._run_id, scores, asks)
