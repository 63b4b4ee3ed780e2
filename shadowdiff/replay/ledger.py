"""What is known of a window's pairs: what the cache had, what was computed since, and what of that is not kept yet."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shadowdiff.errors import RerankerError
from shadowdiff.records import Asked, TurnAsked
from shadowdiff.replay.score import Missing, ScoreCache, Scores, SideWork

SECONDS_PER_KEEP = 5.0
"""How often fresh scores reach the cache: at most so much is computed anew after a kill."""
SECONDS_PER_PAID_KEEP = 0.5
"""The same for scores that a provider was asked for: they cost more than time."""


@dataclass(slots=True)
class Account:
    """Scores of one reranker."""

    known: Scores
    """From earlier runs, or from earlier windows of this one."""
    fresh: Scores = field(default_factory=dict)
    unkept: Scores = field(default_factory=dict)
    failed: dict[bytes, RerankerError] = field(default_factory=dict)
    """Pairs that a provider was asked for in vain: they are not asked for again."""


class Ledger:
    """Scores by fingerprint, for all sides of a window; may be written to from several threads."""

    def __init__(self, cache: ScoreCache, on_scored: Callable[[int], None]) -> None:
        self._cache = cache
        self._on_scored = on_scored
        self._accounts: dict[str, Account] = {}
        self._asks: list[TurnAsked] = []
        self._lock = threading.Lock()
        self._keeping = threading.Lock()
        self._kept_at = time.monotonic()

    def look_up(self, works: Sequence[SideWork]) -> None:
        """Ask the cache once per fingerprint, for what is not known yet. Raises StoreError."""
        wanted: dict[str, set[bytes]] = defaultdict(set)
        for work in works:
            wanted[work.reranker.fingerprint].update(work.pair_keys if work.is_cached else ())
        for fingerprint, keys in wanted.items():
            account = self._accounts.setdefault(fingerprint, Account({}))
            unknown = keys - account.known.keys() - account.fresh.keys()
            account.known |= self._cache.cached_scores(fingerprint, sorted(unknown)) if unknown else {}
        self._on_scored(sum(self._has(work, key) for work in works for key in work.pair_keys))

    def of(self, work: SideWork) -> Account:
        """The scores of the side's reranker."""
        return self._accounts[work.reranker.fingerprint]

    def missing(self, work: SideWork) -> list[Missing]:
        """The side's pairs that have no score yet."""
        account = self.of(work)
        return work.missing(account.known | account.fresh if account.fresh else account.known)

    def lacks(self, work: SideWork) -> bool:
        """Whether there are any."""
        return not all(self._has(work, key) for key in work.pair_keys)

    def add(self, work: SideWork, scores: Scores) -> None:
        """Take fresh scores in, and pass them on to the cache every few seconds. Raises StoreError."""
        with self._lock:
            self._add(work, scores)
        self._on_scored(len(scores))
        self._keep_after(SECONDS_PER_KEEP)

    def answered(self, work: SideWork, row: Missing, found: Scores | RerankerError, asked: Asked) -> None:
        """Take in what a provider made of one turn: scores or a failure, and what it took. Raises StoreError."""
        with self._lock:
            if asked.attempts:
                self._asks.append(TurnAsked(work.turn_id(row), work.label, asked))
            if isinstance(found, RerankerError):
                self.of(work).failed |= dict.fromkeys(row.keys, found)
            else:
                self._add(work, found)
        self._on_scored(len(row.keys))
        self._keep_after(SECONDS_PER_PAID_KEEP)

    def failure(self, work: SideWork, row: Missing) -> RerankerError:
        """Why these pairs of a provider's have no score."""
        failed = self.of(work).failed
        return next((failed[key] for key in row.keys if key in failed), RerankerError("was not asked: the run stopped"))

    def keep(self) -> None:
        """Pass on to the cache whatever it does not have. Raises StoreError."""
        with self._keeping:
            with self._lock:
                self._kept_at = time.monotonic()
                unkept = {name: account.unkept for name, account in self._accounts.items() if account.unkept}
                for account in self._accounts.values():
                    account.unkept = {}
                asks, self._asks = self._asks, []
            if unkept or asks:
                self._cache.keep(unkept, asks)

    def _has(self, work: SideWork, key: bytes) -> bool:
        account = self.of(work)
        return key in account.known or key in account.fresh

    def _add(self, work: SideWork, scores: Scores) -> None:
        account = self.of(work)
        account.fresh |= scores
        if work.is_cached:
            account.unkept |= scores

    def _keep_after(self, seconds: float) -> None:
        if time.monotonic() - self._kept_at >= seconds and not self._keeping.locked():
            self.keep()
