"""One side over many turns: scores from the cache or the reranker, rankings or failures out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from shadowdiff.errors import PlainRerankerError, RerankerError
from shadowdiff.protocols import (
    ListingReranker,
    PairScores,
    PooledTurn,
    PoolReranker,
    Reranker,
    ScoreRequest,
)
from shadowdiff.ranking import rank_pool
from shadowdiff.records import Ranking, ScoreCounts
from shadowdiff.rerankers.scoring import request_of, score_requests
from shadowdiff.store.runs import CachedScore

TURNS_PER_CALL = 4
"""Turns scored in one call: enough to sort by length over, few enough for a progress bar to move."""

NO_TEXT = "no entry of this turn's pool has a text, which this side reads; load their texts, or compare served and run:"


class ScoreCache(Protocol):
    """Where scores of (query, document) pairs are kept between runs."""

    def cached_scores(self, fingerprint: str, pairs: Sequence[bytes]) -> dict[bytes, CachedScore]:
        """The scores it has."""
        ...

    def cache_scores(self, fingerprint: str, scores: Mapping[bytes, CachedScore]) -> None:
        """Keep these."""
        ...


class NoCache:
    """Keeps nothing: for `--no-cache` and the noise pass."""

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


def rank_turns(
    reranker: Reranker | PoolReranker,
    turns: Sequence[PooledTurn],
    cache: ScoreCache,
    on_ranked: Callable[[int, int], None] = lambda turns, pairs: None,
    turns_per_call: int = TURNS_PER_CALL,
) -> list[RankResult]:
    """Rank every turn's pool, in order. `on_ranked(turns, pairs)` is called as they are done.

    Whatever a reranker raises fails its own turn only: plugins are strangers'
    code, and one bad turn must not cost the others their rankings.
    """
    results: list[RankResult] = []
    for start in range(0, len(turns), turns_per_call):
        batch = turns[start : start + turns_per_call]
        unreadable = [_reads_text(reranker) and _has_no_text(turn) for turn in batch]
        readable = [turn for turn, cannot in zip(batch, unreadable, strict=True) if not cannot]
        if isinstance(reranker, PoolReranker):
            ranked = iter(_rank_by_pool(reranker, readable))
        else:
            ranked = iter(_rank_by_text(reranker, readable, cache))
        results += [RerankerError(NO_TEXT) if cannot else next(ranked) for cannot in unreadable]
        on_ranked(len(batch), sum(len(turn.pool.entries) for turn in batch))
    return results


def _reads_text(reranker: Reranker | PoolReranker) -> bool:
    return not isinstance(reranker, PoolReranker) or "lexical" in reranker.needs


def _has_no_text(turn: PooledTurn) -> bool:
    """Whether there are entries and all are without title and body: scores would be made of nothing."""
    texts = [item.entry.title or item.entry.body for item in turn.pool.entries]
    return bool(texts) and not any(texts)


def _rank_by_pool(reranker: PoolReranker, turns: Sequence[PooledTurn]) -> list[RankResult]:
    return [_guarded(partial(_rank_one_pool, reranker, turn)) for turn in turns]


def _rank_one_pool(reranker: PoolReranker, turn: PooledTurn) -> RankedTurn:
    ranking = rank_pool(turn.pool, reranker.score_pool(turn))
    held = set(turn.pool.entry_ids)
    listed = reranker.listed(turn.turn) if isinstance(reranker, ListingReranker) else ()
    outside = sum(entry_id not in held for entry_id in listed)
    return RankedTurn(ranking, ScoreCounts(pairs=len(turn.pool.entries), outside_pool=outside))


def _rank_by_text(reranker: Reranker, turns: Sequence[PooledTurn], cache: ScoreCache) -> list[RankResult]:
    """Score together what the cache lacks; if that fails, turn by turn, so that only the bad turn fails."""
    requests = [request_of(reranker, turn) for turn in turns]
    keys = [_pair_keys(request) for request in requests]
    known = cache.cached_scores(reranker.fingerprint, sorted({key for row in keys for key in row}))
    fresh = _guarded(lambda: _score_missing(reranker, requests, keys, known))
    if isinstance(fresh, RerankerError):
        if len(turns) == 1:
            return [fresh]
        return [result for turn in turns for result in _rank_by_text(reranker, [turn], cache)]
    cache.cache_scores(reranker.fingerprint, fresh)
    return [_ranked(turn, row, known, fresh) for turn, row in zip(turns, keys, strict=True)]


def _ranked(
    turn: PooledTurn, keys: Sequence[bytes], known: Mapping[bytes, CachedScore], fresh: Mapping[bytes, CachedScore]
) -> RankResult:
    found = [known.get(key) or fresh[key] for key in keys]
    counts = ScoreCounts(
        pairs=len(keys), cached=sum(key in known for key in keys), truncated=sum(item.truncated for item in found)
    )
    return _guarded(lambda: RankedTurn(rank_pool(turn.pool, [item.score for item in found]), counts))


def _guarded(work: Callable[[], R]) -> R | RerankerError:
    try:
        return work()
    except RerankerError as error:
        return error
    except Exception as error:
        failure = RerankerError(f"{type(error).__name__}: {error}")
        failure.__cause__ = error
        return failure


def _pair_keys(request: ScoreRequest) -> list[bytes]:
    """128 bits of SHA-256 over both texts, the query's length first so that no two pairs run together."""
    query = request.query.encode("utf-8", "surrogatepass")
    head = hashlib.sha256(len(query).to_bytes(8, "big") + query)
    keys = []
    for document in request.documents:
        digest = head.copy()
        digest.update(document.encode("utf-8", "surrogatepass"))
        keys.append(digest.digest()[:16])
    return keys


def _score_missing(
    reranker: Reranker,
    requests: Sequence[ScoreRequest],
    keys: Sequence[Sequence[bytes]],
    known: Mapping[bytes, CachedScore],
) -> dict[bytes, CachedScore]:
    """Scores of the pairs that the cache lacks, each sent once. Raises what the reranker raises."""
    taken = set(known)
    asked, wanted = [], []
    for request, row in zip(requests, keys, strict=True):
        missing = {key: document for key, document in zip(row, request.documents, strict=True) if key not in taken}
        taken |= missing.keys()
        asked.append(ScoreRequest(request.query, tuple(missing.values())))
        wanted.append(list(missing))
    scored: dict[bytes, CachedScore] = {}
    for row, pairs in zip(wanted, score_requests(reranker, asked), strict=True):
        _check_finite(pairs)
        scored |= {
            key: CachedScore(float(score), truncated)
            for key, score, truncated in zip(row, pairs.scores, pairs.truncated, strict=True)
        }
    return scored


def _check_finite(pairs: PairScores) -> None:
    """Refuse before anything reaches the cache: a NaN would be served again and again."""
    if not all(math.isfinite(score) for score in pairs.scores):
        raise PlainRerankerError("returned a score that is not a finite number")
