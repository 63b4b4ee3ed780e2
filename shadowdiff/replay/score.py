"""One text side's share of a window of turns: its pairs, what is known of them, and the rankings that come of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from shadowdiff.errors import PlainRerankerError, RerankerError
from shadowdiff.protocols import PairScores, PooledTurn, PoolReranker, Reranker, ScoreRequest
from shadowdiff.ranking import rank_pool
from shadowdiff.records import Ranking, ScoreCounts
from shadowdiff.rerankers.scoring import request_of, score_requests
from shadowdiff.store.runs import CachedScore

NO_TEXT = "no entry of this turn's pool has a text, which this side reads; load their texts, or compare served and run:"

Scores = dict[bytes, CachedScore]
"""Scores under one fingerprint, by pair key."""


class ScoreCache(Protocol):
    """Where scores of (query, document) pairs are kept between runs."""

    def cached_scores(self, fingerprint: str, pairs: Sequence[bytes]) -> dict[bytes, CachedScore]:
        """The scores it has."""
        ...

    def cache_scores(self, fingerprint: str, scores: Mapping[bytes, CachedScore]) -> None:
        """Keep these."""
        ...


class NoCache:
    """Keeps nothing: for `--no-cache`, timing and the noise pass."""

    def cached_scores(self, fingerprint: str, pairs: Sequence[bytes]) -> dict[bytes, CachedScore]:
        """Nothing."""
        return {}

    def cache_scores(self, fingerprint: str, scores: Mapping[bytes, CachedScore]) -> None:
        """Forget."""


@dataclass(frozen=True, slots=True)
class RankedTurn:
    """A side's ranking of one turn, and what it took."""

    ranking: Ranking
    counts: ScoreCounts


R = TypeVar("R")
RankResult = RankedTurn | RerankerError
"""What a side makes of a turn: a failure is a value here, because the run goes on."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Pairs of one turn that have no score yet."""

    request: ScoreRequest
    keys: tuple[bytes, ...]
    """One per document."""


class SideWork:
    """What one text reranker has to do for a window of turns."""

    def __init__(self, reranker: Reranker, turns: Sequence[PooledTurn]) -> None:
        self.reranker = reranker
        self._turns = turns
        self._unreadable = [has_no_text(turn) for turn in turns]
        readable = zip(turns, self._unreadable, strict=True)
        self._requests = [ScoreRequest("", ()) if cannot else request_of(reranker, turn) for turn, cannot in readable]
        self._keys = [pair_keys(request) for request in self._requests]
        self.pair_keys = frozenset(key for row in self._keys for key in row)
        """Every distinct pair of the window."""

    def missing(self, known: Mapping[bytes, object]) -> list[Missing]:
        """What has no score yet, turn by turn, each pair at its first turn only."""
        taken: set[bytes] = set()
        rows = []
        for request, row in zip(self._requests, self._keys, strict=True):
            wanted = {
                key: document
                for key, document in zip(row, request.documents, strict=True)
                if key not in known and key not in taken
            }
            taken |= wanted.keys()
            if wanted:
                rows.append(Missing(ScoreRequest(request.query, tuple(wanted.values())), tuple(wanted)))
        return rows

    def lacking(self, place: int, *known: Mapping[bytes, object]) -> Missing:
        """The pairs of one turn that none of these has."""
        request = self._requests[place]
        wanted = {
            key: document
            for key, document in zip(self._keys[place], request.documents, strict=True)
            if not any(key in scores for scores in known)
        }
        return Missing(ScoreRequest(request.query, tuple(wanted.values())), tuple(wanted))

    def is_unreadable(self, place: int) -> bool:
        """Whether the turn's pool has entries and no text at all."""
        return self._unreadable[place]

    def scores(self, place: int, known: Scores, fresh: Scores) -> list[CachedScore]:
        """The scores of one turn's pool, in pool order; each is in one of the two."""
        return [known.get(key) or fresh[key] for key in self._keys[place]]

    def ranked(self, place: int, known: Scores, fresh: Scores) -> RankResult:
        """The side's ranking of one turn out of scores that are all there."""
        found, row = self.scores(place, known, fresh), self._keys[place]
        truncated = sum(item.truncated for item in found)
        counts = ScoreCounts(pairs=len(row), cached=sum(key in known for key in row), truncated=truncated)
        scores = [item.score for item in found]
        return guarded(lambda: RankedTurn(rank_pool(self._turns[place].pool, scores), counts))


def has_no_text(turn: PooledTurn) -> bool:
    """Whether there are entries and all are without title and body: scores would be made of nothing."""
    texts = [item.entry.title or item.entry.body for item in turn.pool.entries]
    return bool(texts) and not any(texts)


def guarded(work: Callable[[], R]) -> R | RerankerError:
    """What `work` gives, or what it raised: plugins are strangers' code, and one bad turn must not cost the others."""
    try:
        return work()
    except RerankerError as error:
        return error
    except Exception as error:
        failure = RerankerError(f"{type(error).__name__}: {error}")
        failure.__cause__ = error
        return failure


def score_missing(reranker: Reranker, rows: Sequence[Missing]) -> Scores:
    """Scores of these pairs in one call. Raises what the reranker raises, and RerankerError on a NaN."""
    scored: Scores = {}
    for row, pairs in zip(rows, score_requests(reranker, [row.request for row in rows]), strict=True):
        _check_finite(pairs)
        scored |= {
            key: CachedScore(float(score), truncated)
            for key, score, truncated in zip(row.keys, pairs.scores, pairs.truncated, strict=True)
        }
    return scored


def pair_keys(request: ScoreRequest) -> list[bytes]:
    """128 bits of SHA-256 over both texts, the query's length first so that no two pairs run together."""
    query = request.query.encode("utf-8", "surrogatepass")
    head = hashlib.sha256(len(query).to_bytes(8, "big") + query)
    keys = []
    for document in request.documents:
        digest = head.copy()
        digest.update(document.encode("utf-8", "surrogatepass"))
        keys.append(digest.digest()[:16])
    return keys


def _check_finite(pairs: PairScores) -> None:
    """Refuse before anything reaches the cache: a NaN would be served again and again."""
    if not all(math.isfinite(score) for score in pairs.scores):
        raise PlainRerankerError("returned a score that is not a finite number")


def reads_text(reranker: Reranker | PoolReranker) -> bool:
    """Whether a pool without any text says nothing to it."""
    return not isinstance(reranker, PoolReranker) or "lexical" in reranker.needs
