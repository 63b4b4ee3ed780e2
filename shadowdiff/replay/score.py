"""One text side's share of a window of turns: its pairs, what is known of them, and the rankings that come of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from shadowdiff.errors import PlainRerankerError, RerankerError
from shadowdiff.protocols import Listwise, PairScores, PooledTurn, PoolReranker, Repeatable, Reranker, ScoreRequest
from shadowdiff.ranking import rank_pool
from shadowdiff.records import Ranking, ScoreCounts, TurnAsked
from shadowdiff.rerankers.scoring import counted, request_of, score_requests
from shadowdiff.store.runs import CachedScore

NO_TEXT = "no entry of this turn's pool has a text, which this side reads; load their texts, or compare served and run:"

Scores = dict[bytes, CachedScore]
"""Scores under one fingerprint, by pair key."""


class ScoreCache(Protocol):
    """Where scores of (query, document) pairs are kept between runs."""

    def cached_scores(self, fingerprint: str, pairs: Sequence[bytes]) -> dict[bytes, CachedScore]:
        """The scores it has."""
        ...

    def keep(self, scores: Mapping[str, Mapping[bytes, CachedScore]], asks: Sequence[TurnAsked]) -> None:
        """Keep scores by fingerprint, and what asking for them took: both or neither."""
        ...


class NoCache:
    """Keeps nothing: for timing, and where there is no run."""

    def cached_scores(self, fingerprint: str, pairs: Sequence[bytes]) -> dict[bytes, CachedScore]:
        """Nothing."""
        return {}

    def keep(self, scores: Mapping[str, Mapping[bytes, CachedScore]], asks: Sequence[TurnAsked]) -> None:
        """Forget."""


class Uncached:
    """Remembers what asking took and no score: for `--no-cache` and the noise pass, which are paid for all the same."""

    def __init__(self, cache: ScoreCache) -> None:
        self._cache = cache

    def cached_scores(self, fingerprint: str, pairs: Sequence[bytes]) -> dict[bytes, CachedScore]:
        """Nothing."""
        return {}

    def keep(self, scores: Mapping[str, Mapping[bytes, CachedScore]], asks: Sequence[TurnAsked]) -> None:
        """Keep the second of the two."""
        if asks:
            self._cache.keep({}, asks)


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

    place: int
    """Of the turn, among the side's."""
    request: ScoreRequest
    keys: tuple[bytes, ...]
    """One per document."""


class SideWork:
    """What one text reranker has to do for a window of turns."""

    def __init__(
        self, reranker: Reranker, turns: Sequence[PooledTurn], label: str = "", *, is_side: bool = True
    ) -> None:
        """`label` of the side that the reranker plays, or only plays a part in where it is not `is_side`."""
        self.reranker = reranker
        self.label = label
        self.is_side = is_side
        self.is_cached = not isinstance(reranker, Repeatable) or reranker.repeatable
        self._turns = turns
        self._unreadable = [has_no_text(turn) for turn in turns]
        readable = zip(turns, self._unreadable, strict=True)
        self._requests = [ScoreRequest("", ()) if cannot else request_of(reranker, turn) for turn, cannot in readable]
        self._by_list = isinstance(reranker, Listwise) and reranker.listwise
        self._keys = [list_keys(each) if self._by_list else pair_keys(each) for each in self._requests]
        self.pair_keys = frozenset(key for row in self._keys for key in row)
        """Every distinct pair of the window."""

    def missing(self, known: Mapping[bytes, object]) -> list[Missing]:
        """What has no score yet, turn by turn, each pair at its first turn only."""
        taken: set[bytes] = set()
        rows = []
        for place in range(len(self._turns)):
            row = self._lacking(place, lambda key: key in known or key in taken)
            taken.update(row.keys)
            if row.keys:
                rows.append(row)
        return rows

    def lacking(self, place: int, *known: Mapping[bytes, object]) -> Missing:
        """The pairs of one turn that none of these has."""
        return self._lacking(place, lambda key: any(key in scores for scores in known))

    def _lacking(self, place: int, is_known: Callable[[bytes], bool]) -> Missing:
        request, row = self._requests[place], self._keys[place]
        wanted = {key: document for key, document in zip(row, request.documents, strict=True) if not is_known(key)}
        if self._by_list and wanted:
            return Missing(place, request, tuple(row))
        return Missing(place, ScoreRequest(request.query, tuple(wanted.values())), tuple(wanted))

    def is_whole(self, row: Missing) -> bool:
        """Whether these are all pairs of the turn."""
        return len(row.keys) == len(set(self._keys[row.place]))

    def turn_id(self, row: Missing) -> str:
        """The turn that these are of."""
        return self._turns[row.place].turn.turn_id

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
        scored |= scores_of(row, pairs)
    return scored


def scores_of(row: Missing, pairs: PairScores) -> Scores:
    """The scores of these pairs by key. Raises RerankerError on a wrong count and on a NaN."""
    counted(pairs, len(row.keys))
    _check_finite(pairs)
    return {
        key: CachedScore(float(score), truncated)
        for key, score, truncated in zip(row.keys, pairs.scores, pairs.truncated, strict=True)
    }


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


def list_keys(request: ScoreRequest) -> list[bytes]:
    """128 bits per document over its place and the whole request: for scores that hang on all of that."""
    digest = hashlib.sha256(b"list")
    for text in (request.query, *request.documents):
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    head = digest.digest()
    return [hashlib.sha256(head + place.to_bytes(8, "big")).digest()[:16] for place in range(len(request.documents))]


def _check_finite(pairs: PairScores) -> None:
    """Refuse before anything reaches the cache: a NaN would be served again and again."""
    if not all(math.isfinite(score) for score in pairs.scores):
        raise PlainRerankerError("returned a score that is not a finite number")


def reads_text(reranker: Reranker | PoolReranker) -> bool:
    """Whether a pool without any text says nothing to it."""
    return not isinstance(reranker, PoolReranker) or "lexical" in reranker.needs
