"""What holds for every two rankings of a pool."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowdiff.diff import diff_turn, near_ties, rbo_ext
from shadowdiff.records import Outcome, Ranking, TurnDiff
from shadowdiff.runs import RunConfig

UNHURRIED = settings(deadline=None)
POOL = "abcdefgh"
SCORES = st.integers(-3, 3).map(float)
"""Few enough that ties are common."""
LISTS = st.lists(st.sampled_from("abcdefghijkl"), unique=True)
CONFIGS = st.builds(
    RunConfig,
    top_k=st.integers(1, len(POOL) + 1),
    rbo_p=st.sampled_from([0.5, 0.9, 0.98]),
    near_tie_share=st.sampled_from([0.0, 0.01, 0.3]),
)


@st.composite
def rankings(draw: st.DrawFn, complete: bool = False) -> Ranking:
    """An order over the pool; unless complete, some entries at its end are unranked."""
    order = draw(st.permutations(POOL))
    scored = len(POOL) if complete else draw(st.integers(0, len(POOL)))
    scores = sorted(draw(st.lists(SCORES, min_size=scored, max_size=scored)), reverse=True)
    return Ranking(tuple(order), (*scores, *[None] * (len(POOL) - scored)))


def swapped(diff: TurnDiff) -> TurnDiff:
    """The diff with its sides exchanged; `both` takes the order of the other side."""
    return replace(
        diff,
        surfaced_a=diff.surfaced_b,
        surfaced_b=diff.surfaced_a,
        only_in_a=diff.only_in_b,
        only_in_b=diff.only_in_a,
        both=tuple(entry_id for entry_id in diff.surfaced_b if entry_id in diff.both),
        near_ties_a=diff.near_ties_b,
        near_ties_b=diff.near_ties_a,
    )


def rbo_by_definition(a: list[str], b: list[str], p: float) -> float:
    """The infinite sum (1 - p) Σ p^(d-1) A_d of section 3.3, with agreement A_d extrapolated as section 4.3 says.

    Beyond the shorter list its overlap goes on at the rate that it had; beyond
    the longer one agreement stays what it was.
    """
    if not a or not b:
        return float(not a and not b)
    short, long = min(len(a), len(b)), max(len(a), len(b))
    at_short = len(set(a[:short]) & set(b[:short]))
    total, agreement = 0.0, 0.0
    for depth in range(1, 3000):
        if depth <= long:
            seen = len(set(a[:depth]) & set(b[:depth]))
            agreement = (seen + at_short * max(depth - short, 0) / short) / depth
        total += (1 - p) * p ** (depth - 1) * agreement
    return total


@UNHURRIED
@given(rankings(), rankings(), CONFIGS, st.none() | SCORES, st.none() | SCORES)
def test_swapping_the_sides_swaps_the_diff(
    a: Ranking, b: Ranking, config: RunConfig, min_a: float | None, min_b: float | None
) -> None:
    """Only-in-A and only-in-B change places; overlap, RBO, top 1 and outcome stay."""
    diff, other = diff_turn(a, b, config, min_a, min_b), diff_turn(b, a, config, min_b, min_a)
    assert other == swapped(diff)
    assert other.outcome is diff.outcome


@UNHURRIED
@given(rankings(), CONFIGS, st.none() | SCORES)
def test_a_ranking_is_the_same_as_itself(ranking: Ranking, config: RunConfig, min_score: float | None) -> None:
    """Nothing is only in one side, and every measure of agreement is exactly 1."""
    diff = diff_turn(ranking, ranking, config, min_score, min_score)
    assert diff.outcome is Outcome.SAME
    assert (diff.overlap, diff.rbo, diff.same_top1) == (1.0, 1.0, True)


@UNHURRIED
@given(rankings(), rankings(), CONFIGS, st.none() | SCORES)
def test_every_surfaced_entry_stands_in_one_place(
    a: Ranking, b: Ranking, config: RunConfig, min_a: float | None
) -> None:
    """`both` and only-in-A split what A surfaced, `both` and only-in-B what B surfaced, each in its side's order."""
    diff = diff_turn(a, b, config, min_a)
    shown_a, shown_b = set(diff.surfaced_a), set(diff.surfaced_b)
    assert diff.both == tuple(entry_id for entry_id in diff.surfaced_a if entry_id in shown_b)
    assert diff.only_in_a == tuple(entry_id for entry_id in diff.surfaced_a if entry_id not in shown_b)
    assert diff.only_in_b == tuple(entry_id for entry_id in diff.surfaced_b if entry_id not in shown_a)
    assert {*diff.both, *diff.only_in_a} == shown_a
    assert {*diff.both, *diff.only_in_b} == shown_b


@UNHURRIED
@given(rankings(complete=True), rankings(complete=True), CONFIGS)
def test_one_pool_one_k_and_no_threshold_exchange_entries_one_for_one(
    a: Ranking, b: Ranking, config: RunConfig
) -> None:
    """Two complete rankings surface equally many entries, so what one adds the other lost."""
    diff = diff_turn(a, b, config)
    assert len(diff.only_in_a) == len(diff.only_in_b)


@UNHURRIED
@given(rankings(), rankings(), CONFIGS, st.none() | SCORES)
def test_agreement_measures_agree_with_the_outcome(
    a: Ranking, b: Ranking, config: RunConfig, min_b: float | None
) -> None:
    """Measures lie in [0, 1]; full overlap is the absence of a difference, none that of a shared entry."""
    diff = diff_turn(a, b, config, min_score_b=min_b)
    assert 0.0 <= diff.rbo <= 1.0
    assert 0.0 <= diff.overlap <= 1.0
    assert (diff.overlap == 1.0) == (diff.outcome is not Outcome.DIFFERENT)
    assert (diff.overlap == 0.0) == (not diff.both and diff.outcome is Outcome.DIFFERENT)


@UNHURRIED
@given(rankings(), st.integers(1, len(POOL)), st.sampled_from([0.0, 0.01, 0.5, 1.0]))
def test_near_ties_include_both_neighbours_of_the_cut_or_none(ranking: Ranking, top_k: int, share: float) -> None:
    """Near-ties are a run of ranks around the cut: if any entry is near it, so are the two that meet there."""
    near = near_ties(ranking, top_k, share)
    ranks = sorted(rank for entry_id, rank in ranking.ranks().items() if entry_id in near)
    assert len(ranks) == len(near)
    if near:
        assert ranks == list(range(ranks[0], ranks[-1] + 1))
        assert {top_k, top_k + 1} <= set(ranks)


@UNHURRIED
@given(rankings(), st.integers(1, len(POOL)))
def test_a_larger_share_only_adds_near_ties(ranking: Ranking, top_k: int) -> None:
    """Widening the margin takes no mark away."""
    assert near_ties(ranking, top_k, 0.0) <= near_ties(ranking, top_k, 0.01) <= near_ties(ranking, top_k, 0.5)


@UNHURRIED
@given(rankings(), st.integers(1, len(POOL) + 1), st.sampled_from([0.0, 0.01, 0.2, 0.5, 1.0]))
def test_near_ties_are_what_every_entry_says_of_itself(ranking: Ranking, top_k: int, share: float) -> None:
    """Entry by entry, held against the one that it would change places with."""
    scored = {e: s for e, s in zip(ranking.entry_ids, ranking.scores, strict=True) if s is not None}
    order = list(scored)
    expected = set()
    if share and top_k < len(order):
        margin = share * (max(scored.values()) - min(scored.values()))
        for entry_id, score in scored.items():
            is_inside = entry_id in order[:top_k]
            gap = score - scored[order[top_k]] if is_inside else scored[order[top_k - 1]] - score
            if gap < margin or gap == 0:
                expected.add(entry_id)
    assert near_ties(ranking, top_k, share) == expected


@UNHURRIED
@given(LISTS, LISTS, st.sampled_from([0.1, 0.5, 0.9, 0.98]))
def test_rbo_is_the_sum_that_defines_it(a: list[str], b: list[str], p: float) -> None:
    """The closed form of eq. 32 equals the infinite sum of extrapolated agreements, for uneven lists too."""
    assert rbo_ext(a, b, p) == pytest.approx(rbo_by_definition(a, b, p), abs=1e-9)


@UNHURRIED
@given(LISTS, LISTS, st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_rbo_is_symmetric_and_bounded(a: list[str], b: list[str], p: float) -> None:
    """In [0, 1] for every p, whichever list comes first."""
    assert 0.0 <= rbo_ext(a, b, p) <= 1.0
    assert rbo_ext(a, b, p) == rbo_ext(b, a, p)
