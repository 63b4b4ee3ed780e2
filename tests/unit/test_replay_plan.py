"""The planner: every pair once, sides with one model together, failures alone, nothing lost, no model for nothing."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.errors import PlainRerankerError, RerankerError, StoreError
from shadowdiff.protocols import Network, PooledTurn, Reranker, ScoreRequest
from shadowdiff.ranking import rank_pool
from shadowdiff.records import TurnAsked
from shadowdiff.replay.ahead import Ahead
from shadowdiff.replay.plan import SideTurns, WindowPlan, rank_turns
from shadowdiff.replay.score import NoCache, RankedTurn, RankResult
from shadowdiff.rerankers.pairs import EncodedPair
from shadowdiff.rerankers.rrf import ReciprocalRankFusion
from shadowdiff.rerankers.spec import Spec, parse
from shadowdiff.store.runs import CachedScore
from shadowdiff.testing import FailingReranker, KeywordReranker, make_turn
from tests.memory import Memory

QUESTIONS = ("how is data encrypted", "what does a seat cost", "when are you closed")
TEXTS = ("data is encrypted", "a seat costs 40", "closed on sundays", "encrypted seats")


class WordEngine:
    """Scores a pair by what its bytes have in common, in two batches; fails and stops as it is told."""

    def __init__(self, stop_with: BaseException | None = None, nan_for: bytes | None = None) -> None:
        self.calls: list[set[EncodedPair]] = []
        self._stop_with = stop_with
        self._nan_for = nan_for

    def score(self, pairs: Iterable[EncodedPair]) -> Iterator[Mapping[EncodedPair, float]]:
        """Scores, half of the pairs at a time."""
        asked = set(pairs)
        self.calls.append(asked)
        ordered = sorted(asked, key=lambda pair: (pair.query, pair.document))
        half = len(ordered) // 2
        yield {pair: self._score(pair) for pair in ordered[:half]}
        if self._stop_with is not None:
            raise self._stop_with
        yield {pair: self._score(pair) for pair in ordered[half:]}

    def _score(self, pair: EncodedPair) -> float:
        common = set(pair.query.split()) & set(pair.document.split())
        return math.nan if pair.document == self._nan_for else float(len(common))


class Encoding(KeywordReranker):
    """A reranker with an engine; reads the first `length` characters of documents, refuses queries with `!`."""

    def __init__(self, engine: WordEngine, length: int = 100) -> None:
        super().__init__(Spec("encoding", str(length)))
        self.engine = engine
        self._length = length

    def encode(self, requests: Sequence[ScoreRequest]) -> list[Sequence[EncodedPair] | RerankerError]:
        """Pairs of bytes."""
        return [self._row(request) for request in requests]

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """The same, alone."""
        row = self._row(ScoreRequest(query, tuple(documents)))
        if isinstance(row, RerankerError):
            raise row
        scores: dict[EncodedPair, float] = {}
        for scored in self.engine.score(row):
            scores |= scored
        return [scores[pair] for pair in row]

    def _row(self, request: ScoreRequest) -> Sequence[EncodedPair] | RerankerError:
        if "!" in request.query:
            return PlainRerankerError("no shouting")
        query = request.query.encode()
        return [
            EncodedPair(query, text[: self._length].encode(), len(text) > self._length) for text in request.documents
        ]


class Counting(KeywordReranker):
    """Counts the pairs that it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """As the fake scores."""
        self.asked += len(documents)
        return super().score(query, documents)


def turns(*questions: str) -> list[PooledTurn]:
    """A turn per question over the same four entries."""
    return [make_turn(TEXTS, question, turn_id=f"t{place}") for place, question in enumerate(questions)]


def orders(results: Sequence[RankResult]) -> list[list[str] | str]:
    """Entry ids, best first, or why there are none."""
    return [list(r.ranking.ranks()) if isinstance(r, RankedTurn) else str(r) for r in results]


def test_sides_of_one_model_are_scored_together() -> None:
    """Two sides that read different lengths of the same documents ask the model once, for each distinct pair once."""
    engine = WordEngine()
    short, long = Encoding(engine, 10), Encoding(engine)
    asked = turns(*QUESTIONS, QUESTIONS[0])
    found = WindowPlan([SideTurns(short, asked), SideTurns(long, asked)], NoCache()).rank()
    assert len(engine.calls) == 1
    texts = {text[:10] for text in TEXTS} | set(TEXTS)
    assert len(engine.calls[0]) == len(QUESTIONS) * len(texts)
    alone = [orders(rank_turns(Encoding(WordEngine(), length), asked, NoCache())) for length in (10, 100)]
    assert [orders(side) for side in found] == alone
    truncated = [r.counts.truncated for side in found for r in side if isinstance(r, RankedTurn)]
    assert truncated == [4] * 4 + [0] * 4


def test_a_fusion_shares_its_part_s_scores() -> None:
    """A side and a fusion of that side with another ask for each pair once, and the fusion ranks as it does alone."""
    counting = Counting()
    fusion = ReciprocalRankFusion(parse("rrf:a+b"), [("a", counting), ("b", KeywordReranker(Spec("other")))], 60)
    asked = turns(*QUESTIONS)
    found = WindowPlan([SideTurns(counting, asked), SideTurns(fusion, asked)], NoCache()).rank()
    assert counting.asked == len(QUESTIONS) * len(TEXTS)
    assert [isinstance(result, RankedTurn) for side in found for result in side] == [True] * 6
    alone = [rank_pool(turn.pool, fusion.score_pool(turn)) for turn in asked]
    assert [result.ranking for result in found[1] if isinstance(result, RankedTurn)] == alone


@pytest.mark.parametrize("stop_with", [RerankerError("out of memory"), ValueError("odd")])
def test_a_model_that_fails_halfway_costs_no_turn_that_can_be_scored_alone(stop_with: Exception) -> None:
    """What was scored before stays, the rest is asked for turn by turn, and fails there by itself."""
    engine = WordEngine(stop_with)
    found = rank_turns(Encoding(engine), turns(*QUESTIONS), NoCache())
    assert len(engine.calls) > 1
    failed = [result for result in found if isinstance(result, RerankerError)]
    assert 0 < len(failed) < len(QUESTIONS)
    assert all(str(stop_with) in str(failure) for failure in failed)


def test_a_turn_that_cannot_be_encoded_fails_alone() -> None:
    """The others of its window are ranked."""
    found = rank_turns(Encoding(WordEngine()), turns(QUESTIONS[0], "LOUD!", QUESTIONS[1]), NoCache())
    assert [isinstance(result, RankedTurn) for result in found] == [True, False, True]
    assert str(found[1]) == "no shouting"


def test_a_nan_fails_its_turns_and_never_reaches_the_cache() -> None:
    """Turns that hold the entry fail, one that does not is ranked, and nothing that is kept is a NaN."""
    cache = Memory()
    engine = WordEngine(nan_for=TEXTS[0].encode())
    spared = make_turn(TEXTS[1:], QUESTIONS[0], turn_id="spared")
    found = rank_turns(Encoding(engine), [*turns(QUESTIONS[1]), spared], cache)
    assert [str(r) if isinstance(r, RerankerError) else "" for r in found] == [
        "returned a score that is not a finite number",
        "",
    ]
    kept = [item.score for scores in cache.kept.values() for item in scores.values()]
    assert kept
    assert all(math.isfinite(score) for score in kept)


def test_what_was_scored_before_ctrl_c_is_kept() -> None:
    """An interrupt comes through, and the first half is in the cache."""
    cache = Memory()
    with pytest.raises(KeyboardInterrupt):
        rank_turns(Encoding(WordEngine(KeyboardInterrupt())), turns(*QUESTIONS), cache)
    assert [len(scores) for scores in cache.kept.values()] == [len(QUESTIONS) * len(TEXTS) // 2]


def test_a_cache_that_cannot_be_written_is_no_reranker_s_failure() -> None:
    """StoreError ends the run; it is not counted against turns."""

    class Full(Memory):
        def keep(self, scores: Mapping[str, Mapping[bytes, CachedScore]], asks: Sequence[TurnAsked]) -> None:
            raise StoreError("disk full")

    with pytest.raises(StoreError, match="disk full"):
        rank_turns(Encoding(WordEngine()), turns(*QUESTIONS), Full())


def test_only_what_the_cache_lacks_is_loaded_and_scored() -> None:
    """A window that was scored before loads nothing; another turn loads the reranker and scores that turn only."""
    cache, loaded = Memory(), list[Reranker]()
    engine = WordEngine()
    side = Encoding(engine)

    def rank(asked: Sequence[PooledTurn]) -> list[RankResult]:
        return WindowPlan([SideTurns(side, asked)], cache, load=loaded.append).rank()[0]

    first = rank(turns(*QUESTIONS[:2]))
    assert (len(loaded), len(engine.calls)) == (1, 1)
    again = rank(turns(*QUESTIONS[:2]))
    assert (len(loaded), len(engine.calls)) == (1, 1)
    assert orders(again) == orders(first)
    assert [r.counts.cached for r in again if isinstance(r, RankedTurn)] == [4, 4]
    rank(turns(*QUESTIONS))
    assert (len(loaded), len(engine.calls[1])) == (2, len(TEXTS))


def test_remote_sides_wait_while_local_ones_compute() -> None:
    """Each side waits until the other has begun: one after the other they would wait for ever."""
    began = {"local": threading.Event(), "remote": threading.Event()}

    class Waiting(KeywordReranker):
        def __init__(self, own: str, other: str, network: Network | None) -> None:
            super().__init__(Spec(own))
            self.network = network
            self._own, self._other = own, other

        def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
            began[self._own].set()
            assert began[self._other].wait(30), "the other side did not begin meanwhile"
            return super().score(query, documents)

    asked = turns(*QUESTIONS)
    sides = [Waiting("local", "remote", None), Waiting("remote", "local", Network("a server"))]
    found = WindowPlan([SideTurns(side, asked) for side in sides], NoCache()).rank()
    assert [isinstance(result, RankedTurn) for side in found for result in side] == [True] * 6


def test_progress_counts_every_pair_once_it_is_known() -> None:
    """Fresh and cached pairs alike, of every text side."""
    cache, told = Memory(), list[int]()
    sides = [SideTurns(Encoding(WordEngine()), turns(*QUESTIONS)), SideTurns(KeywordReranker(), turns(*QUESTIONS))]
    for _ in range(2):
        told.clear()
        WindowPlan(sides, cache, told.append).rank()
        assert sum(told) == 2 * len(QUESTIONS) * len(TEXTS)


WORDS = st.sampled_from(["data", "seat", "closed", "encrypted", "cost", "a"])
SENTENCES = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)


@given(
    st.lists(st.tuples(SENTENCES, st.lists(SENTENCES, max_size=6)), max_size=8),
    st.randoms(use_true_random=False),
    st.integers(1, 4),
)
def test_windows_and_order_change_nothing(
    asked: list[tuple[str, list[str]]], random: Callable[[], float], size: int
) -> None:
    """Cut into windows of any size and in any order, with or without a cache, every turn is ranked as it is alone."""
    pooled = [make_turn(texts, query, turn_id=f"t{place}") for place, (query, texts) in enumerate(asked)]
    alone = {turn.turn.turn_id: orders(rank_turns(KeywordReranker(), [turn], NoCache())) for turn in pooled}
    random.shuffle(pooled)  # type: ignore[attr-defined]
    cache = Memory()
    for start in range(0, len(pooled), size):
        window = pooled[start : start + size]
        for side in (KeywordReranker(), FailingReranker(lambda query: False)):
            found = rank_turns(side, window, cache)
            assert orders(found) == [alone[turn.turn.turn_id][0] for turn in window]


def test_what_is_worked_out_ahead_raises_where_it_is_asked_for() -> None:
    """An error of the other thread is the error of whoever waits for it."""
    failing: Ahead[int] = Ahead(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failing.result()
    assert Ahead(lambda: 42).result() == 42
