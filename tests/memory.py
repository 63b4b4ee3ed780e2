"""A score cache without a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shadowdiff.records import TurnAsked
from shadowdiff.replay.score import NoCache
from shadowdiff.store.runs import CachedScore


class Memory(NoCache):
    """A cache in memory and a log of what asking took."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[bytes, CachedScore]] = {}
        self.asks: list[TurnAsked] = []

    def cached_scores(self, fingerprint: str, pairs: Sequence[bytes]) -> dict[bytes, CachedScore]:
        """What it was told of these."""
        kept = self.kept.get(fingerprint, {})
        return {pair: kept[pair] for pair in pairs if pair in kept}

    def keep(self, scores: Mapping[str, Mapping[bytes, CachedScore]], asks: Sequence[TurnAsked]) -> None:
        """Keep these."""
        for fingerprint, found in scores.items():
            self.kept.setdefault(fingerprint, {}).update(found)
        self.asks += asks
