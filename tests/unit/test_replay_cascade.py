"""A cascade among other sides: its second part scores what it must, together with the others, and nothing twice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shadowdiff.errors import RemoteError, RerankerError, UnaffordableError
from shadowdiff.protocols import PooledTurn, PoolReranker, Reranker
from shadowdiff.ranking import rank_pool
from shadowdiff.remote.budget import Budget
from shadowdiff.replay.plan import SideTurns, WindowPlan, rank_anew, rank_turns
from shadowdiff.replay.score import NoCache, RankedTurn, RankResult
from shadowdiff.rerankers.cascade import Cascade
from shadowdiff.rerankers.rrf import ReciprocalRankFusion
from shadowdiff.rerankers.scoring import score_turn
from shadowdiff.rerankers.spec import Spec, parse
from shadowdiff.runs import Price
from shadowdiff.testing import AskingReranker, FailingReranker, KeywordReranker, make_turn
from tests.memory import Memory
from tests.unit.test_replay_plan import Encoding, WordEngine

SURE, UNSURE = "one two three", "one"
"""Keywords rank TEXTS by thirds of the query, or three of them alike."""
TEXTS = ("nothing", "one two", "one", "one two three")


class Lengths(KeywordReranker):
    """Ranks longer documents higher, and writes down what it scored."""

    def __init__(self) -> None:
        super().__init__(Spec("lengths"))
        self.scored: list[tuple[str, str]] = []

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """Lengths, in input order."""
        self.scored += [(query, document) for document in documents]
        return [float(len(document)) for document in documents]


class Words(KeywordReranker):
    """KeywordReranker, writing down what it scored."""

    def __init__(self) -> None:
        super().__init__()
        self.scored: list[tuple[str, str]] = []

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """Shares, in input order."""
        self.scored += [(query, document) for document in documents]
        return super().score(query, documents)


def turns(*queries: str) -> list[PooledTurn]:
    """One turn per query, all over the same pool."""
    return [make_turn(TEXTS, query, turn_id=f"t{place}") for place, query in enumerate(queries, start=1)]


def cascade(gate: Reranker | PoolReranker, then: Reranker | PoolReranker, margin: float = 0.3) -> Cascade:
    """The two under short names."""
    return Cascade(Spec("cascade"), ("gate", gate), ("then", then), margin, 1)


def ranked(result: RankResult) -> RankedTurn:
    """A ranking, not a failure."""
    assert isinstance(result, RankedTurn), result
    return result


def test_only_unsure_turns_are_reranked() -> None:
    """What comes then scores one turn of two; counts say which, and whether its top was another."""
    then = Lengths()
    sure, unsure = map(ranked, rank_turns(cascade(KeywordReranker(), then), turns(SURE, UNSURE)))
    assert then.scored == [(UNSURE, text) for text in TEXTS]
    assert sure.ranking.entry_ids == ("e4", "e2", "e3", "e1")
    assert (sure.counts.escalated, sure.counts.altered, sure.counts.pairs) == (False, False, 4)
    assert unsure.ranking.entry_ids == ("e4", "e1", "e2", "e3")
    assert unsure.counts.escalated is True


@pytest.mark.parametrize(("top_k", "altered"), [(1, True), (2, True), (3, True), (4, False)])
def test_altered_is_said_of_what_is_shown(top_k: int, altered: bool) -> None:
    """Keywords show e2, e3, e4 first, lengths e4, e1, e2: other entries but for all four."""
    side = SideTurns(cascade(KeywordReranker(), Lengths()), turns(UNSURE), "B", top_k)
    assert ranked(WindowPlan([side], NoCache()).rank()[0][0]).counts.altered is altered


def test_margins_at_both_ends() -> None:
    """Margin 0 is the gate and above 1 what comes then, rankings and all; planned and alone are the same."""
    asked = turns(SURE, UNSURE, "two", "nothing of the kind")
    for margin, part in ((0.0, KeywordReranker()), (1.1, Lengths())):
        made = cascade(KeywordReranker(), Lengths(), margin)
        planned = [ranked(result).ranking for result in rank_turns(made, asked)]
        assert planned == [ranked(result).ranking for result in rank_turns(part, asked)]
        assert planned == [rank_pool(turn.pool, score_turn(made, turn).scores) for turn in asked]


def test_no_pair_is_scored_twice_beside_other_sides() -> None:
    """The gate is side A's reranker and what comes then is side C's: the cascade costs nothing more."""
    side_a, gate, then, side_c = Lengths(), Lengths(), Words(), Words()
    sides: list[Reranker | PoolReranker] = [side_a, cascade(gate, then, 0.6), side_c]
    plan = WindowPlan([SideTurns(side, turns(SURE, UNSURE)) for side in sides], Memory())
    results = [ranked(result) for side in plan.rank() for result in side]
    every_pair = sorted((query, text) for query in (SURE, UNSURE) for text in TEXTS)
    assert sorted(gate.scored + side_a.scored) == every_pair
    assert sorted(then.scored + side_c.scored) == every_pair
    assert [turn.counts.cached for turn in results] == [0] * 6


def test_the_cache_answers_for_both_parts() -> None:
    """The second night scores nothing; counts say where scores came from, and the same of the gate."""
    cache = Memory()
    first = [ranked(result) for result in rank_turns(cascade(Lengths(), Lengths(), 0.6), turns(SURE, UNSURE), cache)]
    gate, then = Lengths(), Lengths()
    again = [ranked(result) for result in rank_turns(cascade(gate, then, 0.6), turns(SURE, UNSURE), cache)]
    assert gate.scored == then.scored == []
    assert [turn.ranking for turn in again] == [turn.ranking for turn in first]
    assert [turn.counts.escalated for turn in again] == [turn.counts.escalated for turn in first]
    assert [turn.counts.cached for turn in again] == [4, 4]


def test_parts_with_one_engine_share_its_batches() -> None:
    """What comes then is scored in one call of the engine with every other side on it."""
    engine = WordEngine()
    beside = Encoding(engine, 5)
    plan = WindowPlan(
        [SideTurns(cascade(KeywordReranker(), Encoding(engine)), turns(UNSURE)), SideTurns(beside, turns(UNSURE))],
        NoCache(),
    )
    assert all(isinstance(result, RankedTurn) for results in plan.rank() for result in results)
    assert len(engine.calls) == 1


def test_a_provider_is_asked_about_unsure_turns_alone() -> None:
    """One call, whose cost is the side's; what a whole side would feel is not measured by it."""
    then, cache = AskingReranker(), Memory()
    results = WindowPlan([SideTurns(cascade(Lengths(), then, 0.45), turns(SURE, UNSURE), "B")], cache).rank()[0]
    escalated = [
        turn.turn.search_text
        for turn, result in zip(turns(SURE, UNSURE), results, strict=True)
        if ranked(result).counts.escalated
    ]
    assert [request.query for request in then.requests] == escalated
    assert [(asked.side, asked.asked.seconds) for asked in cache.asks] == [("B", None)] * len(escalated)
    sure = AskingReranker()
    rank_turns(cascade(KeywordReranker(), sure, 0.0), turns(SURE, UNSURE))
    assert sure.requests == []


def test_what_cannot_be_afforded_is_not_failed() -> None:
    """A turn beyond --max-usd stays to be done; one on which the gate is sure needs no money."""
    then = AskingReranker()
    budget = Budget({"B": Price(search_unit=1.0)}, 0.5)
    side = SideTurns(cascade(KeywordReranker(), then), turns(SURE, UNSURE), "B")
    sure, unsure = WindowPlan([side], NoCache(), budget=budget).rank()[0]
    assert isinstance(sure, RankedTurn)
    assert isinstance(unsure, UnaffordableError)
    assert then.requests == []


def test_a_part_that_fails_fails_its_turns_by_name() -> None:
    """The gate's turn fails even where what comes then would rank it; and the other way round."""
    gate = FailingReranker(lambda query: query == SURE)
    failed, unsure = rank_turns(cascade(gate, Lengths()), turns(SURE, UNSURE))
    assert isinstance(failed, RerankerError)
    assert str(failed) == "part 'gate': made to fail"
    assert ranked(unsure).counts.escalated is True
    error = RemoteError("quoting you", "HTTP 400")
    then = AskingReranker(fails_on=lambda query: error)
    sure, failed = rank_turns(cascade(KeywordReranker(), then), turns(SURE, UNSURE))
    assert ranked(sure).counts.escalated is False
    assert isinstance(failed, RerankerError)
    assert failed.textless == "part 'then': HTTP 400"


def test_a_pool_without_text_fails_where_text_is_needed() -> None:
    """The gate by embeddings is sure or not; what comes then has nothing to read."""
    from shadowdiff.rerankers.registry import build

    turn = make_turn(["", "", ""], "one")
    for margin, fails in ((0.0, False), (1.1, True)):
        (result,) = rank_turns(cascade(build(parse("cosine")), Lengths(), margin), [turn])
        assert isinstance(result, RerankerError) is fails


def test_fusions_may_be_parts() -> None:
    """A gate that fuses two is planned like any fusion; its parts are scored once."""
    words, lengths, then = KeywordReranker(), Lengths(), FailingReranker(lambda query: False)
    fused = ReciprocalRankFusion(Spec("rrf"), [("a", words), ("b", lengths)], 60)
    results = rank_turns(cascade(fused, then, 1.1), turns(SURE, UNSURE))
    assert [ranked(result).counts.escalated for result in results] == [True, True]
    assert len(lengths.scored) == 8


def test_only_what_scores_is_loaded() -> None:
    """Where the gate is sure of everything, the second model is not loaded."""
    loaded: list[Reranker] = []
    gate, then = KeywordReranker(), Lengths()
    WindowPlan([SideTurns(cascade(gate, then), turns(SURE))], NoCache(), load=loaded.append).rank()
    assert loaded == [gate]
    WindowPlan([SideTurns(cascade(gate, then), turns(UNSURE))], NoCache(), load=loaded.append).rank()
    assert loaded == [gate, gate, then]


def test_progress_counts_what_was_spared() -> None:
    """A turn that needs no second part is done as far as progress goes."""
    from shadowdiff.rerankers.registry import build

    told: list[int] = []
    asked = turns(SURE, UNSURE)
    side = SideTurns(cascade(build(parse("cosine")), Lengths(), 0.0), asked)
    WindowPlan([side], NoCache(), told.append).rank()
    assert sum(told) == 8


def test_scored_anew_it_decides_the_same() -> None:
    """The noise pass and a window agree on a deterministic cascade."""
    side = SideTurns(cascade(KeywordReranker(), Lengths()), turns(SURE, UNSURE))
    anew = [ranked(result) for result in rank_anew(side, NoCache(), lambda pairs: None)]
    assert anew == [ranked(result) for result in WindowPlan([side], NoCache()).rank()[0]]
