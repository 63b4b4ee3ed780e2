"""What a side makes of what production served, checked against lists worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pytest

from shadowdiff.diff import diff_session
from shadowdiff.fidelity import NAMES_KEPT, held_against
from shadowdiff.records import Pool, PoolOrigin, Ranking, ReplayedSession, ReplayedTurn, Session, Turn, TurnFidelity
from shadowdiff.runs import Estimate, Fidelity, RunConfig, Side
from shadowdiff.summary import SummaryBuilder

NOW = datetime(2026, 11, 19, 14, 2, tzinfo=UTC)
A, B = Side("A", "a", "a", "0"), Side("B", "b", "b", "1", min_score=99.0)
SCORES = (10.0, 9.0, 8.0, 7.0, 0.0)
"""Far apart but for nothing: 1% of the spread is 0.1."""


def ranked(order: str = "abcde", scores: Sequence[float | None] = SCORES) -> Ranking:
    """The letters, best first."""
    return Ranking(tuple(order), tuple(scores))


def held(served: str, order: str = "abcde", scores: Sequence[float | None] = SCORES) -> TurnFidelity:
    """A ranking held against the letters served."""
    return held_against(ranked(order, scores), served, 0.01)


def test_the_ranking_is_cut_where_the_served_list_ends() -> None:
    """Production showed three of five; what the side ranks below does not matter."""
    assert held("abc") == TurnFidelity(served=3, outside_pool=0, overlap=1.0, first_divergence=None)


@pytest.mark.parametrize(
    ("served", "overlap", "first"),
    [("bac", 1.0, 1), ("acb", 1.0, 2), ("abd", 2 / 3, 3), ("cde", 1 / 3, 1), ("e", 0.0, 1), ("abced", 1.0, 4)],
)
def test_overlap_and_the_first_divergence(served: str, overlap: float, first: int) -> None:
    """The share of what was served, in any order; the rank of the first difference, from 1."""
    found = held(served)
    assert found.overlap == pytest.approx(overlap)
    assert (found.first_divergence, found.by_near_ties) == (first, False)


def test_an_entry_outside_the_pool_is_counted_and_not_reproduced() -> None:
    """It keeps its place in what was served: the side ranks other entries there."""
    assert held("axb") == TurnFidelity(served=3, outside_pool=1, overlap=2 / 3, first_divergence=2)


def test_an_entry_served_twice_counts_where_it_stood_first() -> None:
    """A list with a repeated entry is as long as its distinct entries."""
    assert held("aab") == held("ab") == TurnFidelity(served=2, outside_pool=0, overlap=1.0, first_divergence=None)


def test_a_side_that_ranks_fewer_entries_diverges_where_its_list_ends() -> None:
    """Entries that it does not rank stand last in its ranking, and are not reproduced."""
    found = held("abc", scores=(2.0, 1.0, None, None, None))
    assert found.overlap == pytest.approx(2 / 3)
    assert (found.first_divergence, found.by_near_ties) == (3, False)


@pytest.mark.parametrize(
    ("served", "scores", "by_near_ties"),
    [
        ("bac", (10.0, 9.95, 8.0, 7.0, 0.0), True),  # two entries change places within 0.1
        ("bac", (100.0, 99.0, 50.0, 40.0, 0.0), False),  # within 1% means less than 1%
        ("bac", (10.0, 10.0, 8.0, 7.0, 0.0), True),  # equal scores, ties broken otherwise
        ("abd", (10.0, 9.0, 8.0, 7.95, 0.0), True),  # the cut falls between near-ties
        ("abe", (10.0, 9.0, 8.0, 7.95, 0.0), False),
        ("cab", (10.0, 9.95, 9.85, 7.0, 0.0), False),  # near each other in steps, but not the first and the last
        ("bca", (10.0, 9.95, 9.85, 7.0, 0.0), False),
        ("ba", (1.0, 1.0, 1.0, 1.0, 1.0), False),  # a side that tells no entries apart reproduces nothing
    ],
)
def test_differences_by_near_ties_alone(served: str, scores: Sequence[float], by_near_ties: bool) -> None:
    """No entry may be 1% of the spread better than one served before it, or left out for it."""
    assert held(served, scores=scores).by_near_ties is by_near_ties


def test_an_identical_list_is_no_near_tie() -> None:
    """There is nothing to excuse."""
    assert held("ab", scores=(5.0, 5.0, 5.0, 5.0, 0.0)).by_near_ties is False


def turn(
    served: Iterable[str] | None, by: str | None = None, ranking: Ranking | None = None, *, failed: bool = False
) -> ReplayedTurn:
    """A turn that B ranks a to e (or as given), or fails on; A always ranks it."""
    asked = Turn("t", 1, "?", NOW, served=None if served is None else tuple(served), served_by=by)
    rankings = {"A": ranked("edcba")} | ({} if failed else {"B": ranking or ranked()})
    return ReplayedTurn(asked, Pool((), PoolOrigin.RECORDED), rankings)


def fidelity(*sessions: Sequence[ReplayedTurn], production: str | None = "B", assumed: bool = False) -> Fidelity | None:
    """What a run over the sessions says of production's side."""
    config = RunConfig(top_k=1, production=production, production_assumed=assumed)
    builder = SummaryBuilder(config, (A, B))
    for turns in sessions:
        builder.add(diff_session(ReplayedSession(Session("s", "acme", NOW), tuple(turns)), (A, B), config))
    return builder.finish({}, unpooled_turns=0, missing_entries=0).fidelity


def found(*sessions: Sequence[ReplayedTurn]) -> Fidelity:
    """The same, where there must be one."""
    summed = fidelity(*sessions)
    assert summed is not None
    return summed


def test_a_run_adds_its_turns_up() -> None:
    """Neither top K 1 nor B's min_score of 99 matters: what production served is compared whole."""
    summed = found(
        [turn("ab", "v3"), turn("ba", "v3"), turn("abd"), turn(None), turn(())],
        [turn("xyz", "v2"), turn("ab", failed=True), turn("ab", ranking=ranked(scores=(10, 9.99, 9.98, 1, 0)))],
        [turn("ba", "v2", ranking=ranked(scores=(10, 9.99, 9.98, 1, 0))), turn("ab", "v2")],
    )
    assert summed == Fidelity(
        side="B",
        turns=7,
        identical=3,
        reordered=2,
        near_ties=1,
        overlap=summed.overlap,
        first_divergence=1.0,
        diverging_at_first=3,
        unserved_turns=2,
        failed_turns=1,
        served_outside_pool=3,
        reproduces=False,
        served_by={"v2": 3, "v3": 2},
    )
    assert list(summed.served_by) == ["v2", "v3"]
    value, low, high = summed.overlap.value, summed.overlap.low, summed.overlap.high
    assert value == pytest.approx((1 + 1 + 2 / 3 + 0 + 1 + 1 + 1) / 7)
    assert None not in {low, high}
    assert sorted([low or 0, value or 0, high or 0]) == [low, value, high]
    assert low != high


def test_the_median_of_an_even_number_of_divergences_lies_between() -> None:
    """Ranks 1 and 2: 1.5."""
    assert found([turn("ba"), turn("ac"), turn("ab")]).first_divergence == 1.5


def test_a_side_that_is_not_production_s_is_held_against_nothing() -> None:
    """Without production's side there is no fidelity, whatever was served."""
    assert fidelity([turn("ab")], production=None) is None


def test_a_run_without_anything_served_says_so_only_when_asked() -> None:
    """Named, the side has a fidelity of nothing; assumed, there is nothing to say."""
    said = fidelity([turn(None)])
    assert said is not None
    assert (said.turns, said.unserved_turns, said.reproduces, said.overlap) == (0, 1, None, Estimate(None))
    assert fidelity([turn(None), turn(())], assumed=True) is None


def test_a_side_that_failed_throughout_is_not_doubtful_but_unknown() -> None:
    """Nothing was compared: the verdict is open, and the failures are counted."""
    summed = fidelity([turn("ab", failed=True)], assumed=True)
    assert summed is not None
    assert (summed.turns, summed.failed_turns, summed.reproduces, summed.first_divergence) == (0, 1, None, None)


@pytest.mark.parametrize(("identical", "reproduces"), [(19, True), (18, False)])
def test_nineteen_identical_turns_of_twenty_reproduce_production(identical: int, reproduces: bool) -> None:
    """95% is enough, with an overlap that stays high enough."""
    turns = [turn("abc")] * identical + [turn("acb")] * (20 - identical)
    assert found(turns).reproduces is reproduces


@pytest.mark.parametrize(("wrong", "reproduces"), [(1, True), (2, False)])
def test_an_overlap_below_98_percent_is_doubtful(wrong: int, reproduces: bool) -> None:
    """50 turns, 1 or 2 of them with no entry in common: overlap 0.98 or 0.96, identical 98% or 96%."""
    turns = [turn("ab")] * (50 - wrong) + [turn("de")] * wrong
    assert found(turns).reproduces is reproduces


def test_near_ties_are_no_reason_for_doubt() -> None:
    """Every turn differs, and every difference is one that the side's scores leave open."""
    close = ranked(scores=(10.0, 9.99, 8.0, 7.0, 0.0))
    summed = found([turn("bac", ranking=close)] * 5)
    assert (summed.identical, summed.near_ties, summed.reproduces) == (0, 5, True)


def test_only_the_most_frequent_names_are_kept() -> None:
    """A column mapped by mistake may hold another name on every turn."""
    names = [f"model-{number:02}" for number in range(NAMES_KEPT + 5)]
    summed = found([turn("ab", name) for name in [*names, names[-1]]])
    assert list(summed.served_by) == [names[-1], *names[: NAMES_KEPT - 1]]
