"""Asking providers: a turn a call, nothing twice, nothing beyond the budget, and what it took is never lost."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from shadowdiff.errors import RefusedError, RerankerError, TransientError, UnaffordableError
from shadowdiff.protocols import Answer, PooledTurn, ScoreRequest
from shadowdiff.records import NOISE_SIDE, Asked, Usage
from shadowdiff.remote.budget import Budget
from shadowdiff.replay.plan import SideTurns, WindowPlan, rank_anew
from shadowdiff.replay.score import NoCache, RankedTurn
from shadowdiff.rerankers.bm25 import build as build_bm25
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.rrf import ReciprocalRankFusion
from shadowdiff.rerankers.spec import Spec, parse
from shadowdiff.runs import Price
from shadowdiff.testing import AskingReranker, make_turn
from tests.memory import Memory

QUESTIONS = ("how is data encrypted", "what does a seat cost", "when are you closed")
TEXTS = ("data is encrypted", "a seat costs 40", "closed on sundays", "encrypted seats")
PRICE = Price(search_unit=0.002)


def turns(*queries: str, texts: Sequence[str] = TEXTS) -> list[PooledTurn]:
    """One turn per query, all over the same pool."""
    return [make_turn(texts, query, turn_id=f"t{place}") for place, query in enumerate(queries, start=1)]


def test_a_turn_is_one_call_and_what_it_took_is_kept_with_its_scores() -> None:
    """Three turns, three calls; usage, attempts and latency stand beside the scores."""
    side, cache = AskingReranker(), Memory()
    ranked = WindowPlan([SideTurns(side, turns(*QUESTIONS), "B")], cache).rank()[0]
    assert all(isinstance(result, RankedTurn) for result in ranked)
    assert sorted(request.query for request in side.requests) == sorted(QUESTIONS)
    assert all(request.documents == TEXTS for request in side.requests)
    assert sorted((each.turn_id, each.side) for each in cache.asks) == [("t1", "B"), ("t2", "B"), ("t3", "B")]
    assert all(each.asked.seconds == 0.2 and each.asked.usage.search_units == 1 for each in cache.asks)
    assert [len(scores) for scores in cache.kept.values()] == [len(QUESTIONS) * len(TEXTS)]


def test_a_second_run_asks_nothing() -> None:
    """Whatever the first one asked for comes from the cache."""
    side, cache = AskingReranker(), Memory()
    first = WindowPlan([SideTurns(side, turns(*QUESTIONS), "B")], cache).rank()[0]
    again = AskingReranker()
    second = WindowPlan([SideTurns(again, turns(*QUESTIONS), "B")], cache).rank()[0]
    assert again.requests == []
    assert len(cache.asks) == 3
    assert [one.ranking for one in first if isinstance(one, RankedTurn)] == [
        two.ranking for two in second if isinstance(two, RankedTurn)
    ]
    assert all(isinstance(two, RankedTurn) and two.counts.cached == len(TEXTS) for two in second)


def test_equal_sides_ask_once() -> None:
    """A and B that are the same reranker, and a turn that comes twice, cost one call each."""
    one, other, cache = AskingReranker(), AskingReranker(), Memory()
    asked = [*turns(*QUESTIONS), replace(make_turn(TEXTS, QUESTIONS[0], turn_id="t9"))]
    WindowPlan([SideTurns(one, asked, "A"), SideTurns(other, asked, "B")], cache).rank()
    assert len(one.requests) + len(other.requests) == len(QUESTIONS)


def test_what_is_left_of_a_pool_is_no_latency() -> None:
    """A pool of which some pairs were cached is asked for in part: it costs, but nobody would feel it."""
    cache = Memory()
    WindowPlan([SideTurns(AskingReranker(), turns(QUESTIONS[0], texts=TEXTS[:2]), "B")], cache).rank()
    side = AskingReranker()
    WindowPlan([SideTurns(side, turns(QUESTIONS[0]), "B")], cache).rank()
    assert [request.documents for request in side.requests] == [TEXTS[2:]]
    assert [each.asked.seconds for each in cache.asks] == [0.2, None]


def test_a_failure_is_its_turn_s_own_and_is_not_asked_for_again() -> None:
    """One call fails: that turn is failed, with what was sent for it; the others are ranked."""
    error = TransientError("HTTP 500 five times: out of order", "HTTP 500 five times")
    side, cache = AskingReranker(fails_on=lambda query: error if "seat" in query else None), Memory()
    ranked = WindowPlan([SideTurns(side, turns(*QUESTIONS), "B")], cache).rank()[0]
    assert [isinstance(result, RankedTurn) for result in ranked] == [True, False, True]
    assert ranked[1] is error
    assert len(side.requests) == 3
    failed = next(each.asked for each in cache.asks if each.turn_id == "t2")
    assert (failed.attempts, failed.usage, failed.seconds) == (1, Usage(), None)


def test_a_side_that_was_refused_asks_no_more() -> None:
    """After the first refusal every turn fails with its reason, and nothing is sent."""
    refused = RefusedError("HTTP 401: no such key", "HTTP 401")
    side = AskingReranker(fails_on=lambda query: refused)
    side.concurrency = 1
    ranked = WindowPlan([SideTurns(side, turns(*QUESTIONS), "B")], Memory()).rank()[0]
    assert len(side.requests) == 1
    assert all(isinstance(result, RefusedError) for result in ranked)


class ByList(AskingReranker):
    """Scores that hang on the whole list."""

    listwise = True


def test_scores_that_hang_on_the_whole_list_are_never_asked_for_in_parts() -> None:
    """Another pool with the same entries is another question; the same pool again is none."""
    cache = Memory()
    WindowPlan([SideTurns(ByList(), turns(QUESTIONS[0], texts=TEXTS[:2]), "B")], cache).rank()
    side = ByList()
    WindowPlan([SideTurns(side, turns(QUESTIONS[0]), "B")], cache).rank()
    WindowPlan([SideTurns(side, turns(QUESTIONS[0], texts=TEXTS[::-1]), "B")], cache).rank()
    assert [request.documents for request in side.requests] == [TEXTS, TEXTS[::-1]]
    WindowPlan([SideTurns(side, turns(QUESTIONS[0]), "B")], cache).rank()
    assert len(side.requests) == 2


class Moody(AskingReranker):
    """Never the same scores."""

    repeatable = False


def test_scores_that_cannot_be_had_again_are_not_cached() -> None:
    """They are asked for every time."""
    side, cache = Moody(), Memory()
    for _ in range(2):
        WindowPlan([SideTurns(side, turns(*QUESTIONS), "B")], cache).rank()
    assert len(side.requests) == 6
    assert not cache.kept


def test_a_part_of_a_fusion_is_paid_for_by_its_side_and_has_no_latency_of_its_own() -> None:
    """What production would feel is the fusion, and that was not timed."""
    side, cache = AskingReranker(), Memory()
    bm25 = build_bm25(parse("bm25"), BuildContext({}, lambda part: side))
    fusion = ReciprocalRankFusion(Spec("rrf", "asking+bm25"), [("asking", side), ("bm25", bm25)], 60)
    ranked = WindowPlan([SideTurns(fusion, turns(*QUESTIONS), "C")], cache).rank()[0]
    assert all(isinstance(result, RankedTurn) for result in ranked)
    assert {(each.side, each.asked.seconds) for each in cache.asks} == {("C", None)}


def test_the_noise_pass_asks_anew_and_is_paid_for() -> None:
    """Past the cache, whose scores it neither reads nor writes."""
    side, cache = AskingReranker(), Memory()
    asked = turns(*QUESTIONS)
    WindowPlan([SideTurns(side, asked, "A")], cache).rank()
    kept = {name: dict(scores) for name, scores in cache.kept.items()}
    rank_anew(SideTurns(side, asked, NOISE_SIDE), cache, lambda pairs: None)
    assert len(side.requests) == 6
    assert cache.kept == kept
    assert [each.side for each in cache.asks].count(NOISE_SIDE) == 3


def test_nothing_is_asked_beyond_the_budget() -> None:
    """Two calls fit; the third turn is neither ranked nor failed for good."""
    side, cache = AskingReranker(), Memory()
    budget = Budget({"B": PRICE}, cap_usd=0.005)
    ranked = WindowPlan([SideTurns(side, turns(*QUESTIONS), "B")], cache, budget=budget).rank()[0]
    assert len(side.requests) == 2
    assert sum(isinstance(result, UnaffordableError) for result in ranked) == 1
    assert budget.is_exhausted
    assert budget.spent_usd == pytest.approx(0.004)


def test_the_budget_knows_what_was_spent_before() -> None:
    """A resumed run has its earlier calls to pay for."""
    budget = Budget({"B": PRICE}, cap_usd=0.005, spent_usd=0.004)
    assert budget.reserve("B", Usage(1, 1)) is None
    assert budget.reserve("A", Usage(1, 1)) == 0, "a side without a price costs nothing"


def test_what_was_set_aside_and_not_used_can_be_spent() -> None:
    """A call that failed costs nothing."""
    budget = Budget({"B": PRICE}, cap_usd=0.002)
    reserved = budget.reserve("B", Usage(1, 1))
    assert reserved == 0.002
    budget.settle("B", reserved, Usage())
    assert budget.reserve("B", Usage(1, 1)) == 0.002


class Slow(AskingReranker):
    """Answers once as many turns have been asked for as it may be asked for at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.concurrency = len(QUESTIONS)
        self._together = threading.Barrier(len(QUESTIONS), timeout=30)

    def ask(self, request: ScoreRequest) -> Answer:
        """Wait for the others."""
        self._together.wait()
        return super().ask(request)


def test_turns_are_asked_for_at_the_same_time() -> None:
    """As many as the reranker allows."""
    ranked = WindowPlan([SideTurns(Slow(), turns(*QUESTIONS), "B")], NoCache()).rank()[0]
    assert all(isinstance(result, RankedTurn) for result in ranked)


class Broken(AskingReranker):
    """Raises what it should have returned."""

    def ask(self, request: ScoreRequest) -> Answer:
        """Raise."""
        raise ValueError(f"cannot ask for {request.query}")


def test_a_plugin_that_raises_fails_its_turns_only() -> None:
    """Strangers' code may do anything."""
    ranked = WindowPlan([SideTurns(Broken(), turns(*QUESTIONS), "B")], Memory()).rank()[0]
    assert all(isinstance(result, RerankerError) and "cannot ask for" in str(result) for result in ranked)


def test_wrong_counts_are_failures() -> None:
    """Fewer scores than documents are never filled up."""

    class Short(AskingReranker):
        def ask(self, request: ScoreRequest) -> Answer:
            return super().ask(ScoreRequest(request.query, request.documents[1:]))

    ranked = WindowPlan([SideTurns(Short(), turns(QUESTIONS[0]), "B")], Memory()).rank()[0]
    assert "returned 3 scores for 4 entries" in str(ranked[0])


def test_asks_add_up() -> None:
    """Usage, attempts and waiting are sums; the latency is the later one's."""
    first = Asked(Usage(1, 2, 3, 4), attempts=2, seconds=0.5, waited_seconds=1.0, repairs=1)
    assert first + Asked(attempts=1) == replace(first, attempts=3)
    both = first + Asked(Usage(1, 1, 1, 1), 1, 0.25, 0.5)
    assert both == Asked(Usage(2, 3, 4, 5), 3, 0.25, 1.5, 1)
