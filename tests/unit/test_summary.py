"""A run's figures, checked against ones worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from shadowdiff.diff import diff_session
from shadowdiff.records import (
    NOISE_SIDE,
    Outcome,
    Pool,
    PoolOrigin,
    Ranking,
    ReplayedSession,
    ReplayedTurn,
    Session,
    Turn,
)
from shadowdiff.runs import Estimate, PairSummary, RunConfig, RunSummary, Side, SideSummary
from shadowdiff.summary import SummaryBuilder, percent_change

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOW = datetime(2026, 11, 19, 14, 2, tzinfo=UTC)
A, B, C = (Side(label, label.lower(), label.lower(), "0") for label in "ABC")
TOP_2 = RunConfig(top_k=2, rbo_p=0.5)

TEN_SESSIONS = [
    ("acme", ["ab|ab"]),
    ("acme", ["ab|ba"]),
    ("acme", ["ab|ac"]),
    ("acme", ["ab|ac", "ac|ab"]),
    ("acme", ["ab|ad", "ef|"]),
    ("acme", ["ab|cd", "ab|ab"]),
    ("birch", ["ab|cd"]),
    ("birch", ["ab|ac", "de|de"]),
    ("birch", ["ab|ab", "cd|ab"]),
    ("birch", ["ab|ae", "ab|af"]),
]
"""Org, and per turn the top 2 of A and of B; B failed where it has none."""


def ranked(top: str) -> Ranking:
    """The given letters, then the rest of a to f; scores 6 … 1."""
    order = top + "".join(sorted(set("abcdef") - set(top)))
    return Ranking(tuple(order), tuple(float(n) for n in range(6, 0, -1)))


def replayed_turn(rankings: Mapping[str, Ranking], origin: PoolOrigin = PoolOrigin.RECORDED) -> ReplayedTurn:
    """A turn of which only the rankings matter."""
    return ReplayedTurn(Turn("t", 1, "?", NOW), Pool((), origin), rankings)


def session(org_id: str, turns: Iterable[str], labels: str = "AB") -> ReplayedSession:
    """A session from the tops of each turn's sides, separated by bars; an empty top is a failure."""
    rankings = [
        {label: ranked(top) for label, top in zip(labels, turn.split("|"), strict=True) if top} for turn in turns
    ]
    return ReplayedSession(Session("s", org_id, NOW), tuple(replayed_turn(by_label) for by_label in rankings))


def summarised(
    sessions: Iterable[ReplayedSession], sides: tuple[Side, ...] = (A, B), config: RunConfig = TOP_2
) -> RunSummary:
    """What a run over the sessions comes to."""
    builder = SummaryBuilder(config, sides)
    for each in sessions:
        builder.add(diff_session(each, sides, config))
    return builder.finish({}, unpooled_turns=0, missing_entries=0)


def pair_of(*sessions: ReplayedSession) -> PairSummary:
    """Summary of (A, B) over the sessions."""
    return summarised(sessions).pairs["B"]


@pytest.fixture(scope="module")
def ten() -> RunSummary:
    """The ten sessions, summarised."""
    return summarised(session(org_id, turns) for org_id, turns in TEN_SESSIONS)


def test_seven_of_ten_sessions_surfaced_different_entries(ten: RunSummary) -> None:
    """Sessions 3 and 5 to 10 changed; in session 9 only A has entries of its own, so B adds in six.

    Session 4 did not change: B showed on its first turn what A showed on its second.
    """
    pair = ten.pairs["B"]
    assert (pair.sessions_changed, ten.sessions) == (7, 10)
    assert pair.sessions == 10
    assert pair.sessions_where_b_adds == 6


def test_every_turn_of_the_ten_sessions_is_counted_once(ten: RunSummary) -> None:
    """Of 16 turns 4 are the same (in 1, 6, 8, 9), one is reordered (2), one failed (5) and the other 10 differ."""
    assert ten.pairs["B"].turns == {
        Outcome.SAME: 4,
        Outcome.REORDERED: 1,
        Outcome.DIFFERENT: 10,
        Outcome.FAILED: 1,
    }
    assert (ten.turns, ten.failed_turns) == (16, 1)


def test_entries_of_the_ten_sessions_are_counted_per_session(ten: RunSummary) -> None:
    """Sessions 1 to 10 in turn: only A 0 0 1 0 1 0 2 1 2 1, only B 0 0 1 0 1 2 2 1 0 2, both 2 2 1 3 1 2 0 3 2 1."""
    pair = ten.pairs["B"]
    assert (pair.only_in_a, pair.only_in_b, pair.both) == (8, 9, 17)
    assert pair.only_in_a_per_session.value == pytest.approx(0.8)
    assert pair.only_in_b_per_session.value == pytest.approx(0.9)


def test_entries_of_the_ten_sessions_are_distinct_within_their_org(ten: RunSummary) -> None:
    """A showed acme abc and birch abcde, B acme abcd and birch abcdef: 8 and 10, or +25%.

    acme's e and f, which A showed on the failed turn of session 5, do not count.
    """
    pair = ten.pairs["B"]
    assert (pair.distinct_a, pair.distinct_b) == (8, 10)
    assert percent_change(pair.distinct_a, pair.distinct_b) == 25.0


def test_entries_of_the_ten_sessions_are_counted_per_turn(ten: RunSummary) -> None:
    """Seven of the ten different turns exchange one entry, three exchange both: 13 on either side."""
    assert (ten.pairs["B"].turn_only_in_a, ten.pairs["B"].turn_only_in_b) == (13, 13)


def test_means_of_the_ten_sessions_are_over_completed_turns(ten: RunSummary) -> None:
    """15 completed turns: 4 same, 1 swapped, 7 that share the first of two, 3 that share nothing.

    Overlap (4 + 1 + 7/2) / 15. RBO at p = 0.5 is X1/2 + X2/4 for two lists of
    two: 1, 1/2, 3/4 and 0, hence (4 + 1/2 + 21/4) / 15. Top 1 (4 + 7) / 15.
    """
    pair = ten.pairs["B"]
    assert pair.overlap.value == pytest.approx(8.5 / 15)
    assert pair.rbo.value == pytest.approx(0.65)
    assert pair.same_top1.value == pytest.approx(11 / 15)


def test_every_mean_of_the_ten_sessions_has_its_interval(ten: RunSummary) -> None:
    """Sessions 1 to 10 show B's entries 0 0 1 0 1 2 2 1 0 2 times: mean 0.9, standard error 0.26."""
    pair = ten.pairs["B"]
    assert pair.only_in_b_per_session.low == pytest.approx(0.4, abs=0.11)
    assert pair.only_in_b_per_session.high == pytest.approx(1.4, abs=0.11)
    for estimate in (pair.only_in_a_per_session, pair.overlap, pair.rbo, pair.same_top1):
        assert estimate.value is not None
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < estimate.value < estimate.high


def test_an_empty_run_has_counts_of_zero_and_no_means() -> None:
    """No sessions: nothing is averaged, and every outcome is still listed."""
    summary = summarised([])
    pair = summary.pairs["B"]
    assert (summary.sessions, summary.turns, summary.pools, summary.noise) == (0, 0, {}, None)
    assert pair.turns == dict.fromkeys(Outcome, 0)
    assert pair.overlap == pair.only_in_b_per_session == Estimate(None)


def test_a_session_whose_turns_all_failed_counts_in_no_mean() -> None:
    """It is one of the run's sessions, and its turns failed; the means per session divide by the others."""
    failed = session("acme", ["ab|", "ab|"])
    summary = summarised([failed, session("acme", ["ab|cd"])])
    pair = summary.pairs["B"]
    assert (summary.sessions, pair.sessions, pair.turns[Outcome.FAILED]) == (2, 1, 2)
    assert pair.only_in_b_per_session == Estimate(2.0)
    assert pair_of(failed).only_in_b_per_session == Estimate(None)


def test_one_session_has_no_interval() -> None:
    """The value stands alone: one session says nothing of how sessions vary."""
    assert pair_of(session("acme", ["ab|ac"])).overlap == Estimate(0.5)


def test_the_same_id_in_two_orgs_is_two_entries() -> None:
    """Entry ids are unique within their org only."""
    pair = pair_of(session("acme", ["ab|ab"]), session("birch", ["ab|ac"]), session("birch", ["ab|ab"]))
    assert (pair.distinct_a, pair.distinct_b) == (4, 5)


def test_near_ties_count_where_they_decided_what_is_surfaced() -> None:
    """What A and B exchange, b for c, hangs on 0.01 of A's spread 5; d is as near but surfaced by neither side."""
    close = Ranking(tuple("abcdef"), (6.0, 4.01, 4.0, 4.0, 2.0, 1.0))
    turn = replayed_turn({"A": close, "B": ranked("ac")})
    same = replayed_turn({"A": close, "B": close})
    assert pair_of(ReplayedSession(Session("s", "acme", NOW), (turn, same))).near_tie_entries == 2


def test_each_pair_has_its_own_figures_and_the_run_its_failed_turns() -> None:
    """B failed on turn 1 and C on turn 2: two failed turns, one per pair."""
    summary = summarised([session("acme", ["ab||ab", "ab|ac|", "ab|ab|cd"], "ABC")], (A, B, C))
    assert list(summary.pairs) == ["B", "C"]
    assert summary.failed_turns == 2
    assert [pair.turns[Outcome.FAILED] for pair in summary.pairs.values()] == [1, 1]
    assert [pair.only_in_b for pair in summary.pairs.values()] == [1, 2]


def test_the_noise_pass_has_the_same_figures_apart() -> None:
    """It stands under `noise`, not among the pairs, and its failures are not the run's."""
    turns = [
        replayed_turn({"A": ranked("ab"), "B": ranked("ab"), NOISE_SIDE: ranked("ac")}),
        replayed_turn({"A": ranked("ab"), "B": ranked("ab")}),
    ]
    summary = summarised(
        [ReplayedSession(Session("s", "acme", NOW), tuple(turns))], config=RunConfig(top_k=2, noise=True)
    )
    assert summary.noise is not None
    assert (summary.noise.only_in_b, summary.noise.turns[Outcome.FAILED]) == (1, 1)
    assert list(summary.pairs) == ["B"]
    assert (summary.pairs["B"].only_in_b, summary.failed_turns) == (0, 0)


def test_pools_are_counted_by_origin() -> None:
    """A turn without a recorded pool counts where its pool was retrieved, and nowhere when it got none."""
    turn, query = {"A": ranked("ab"), "B": ranked("ab")}, Turn("t", 1, "?", NOW)
    turns = (
        replayed_turn(turn),
        replayed_turn(turn),
        ReplayedTurn(query, Pool((), PoolOrigin.COSINE), turn, unpooled=True),
        ReplayedTurn(query, Pool((), PoolOrigin.RECORDED), {}, unpooled=True),
    )
    summary = summarised([ReplayedSession(Session("s", "acme", NOW), turns)])
    assert summary.pools == {PoolOrigin.RECORDED: 2, PoolOrigin.COSINE: 1}
    assert summary.turns == 4


def test_what_replay_counted_is_taken_over() -> None:
    """Unpooled turns, missing entries and the sides' own figures are replay's to count."""
    side = SideSummary(3, 1, 150, 50, 7, 0)
    summary = SummaryBuilder(TOP_2, (A, B)).finish({"A": side}, unpooled_turns=2, missing_entries=5)
    assert (summary.unpooled_turns, summary.missing_entries, summary.sides) == (2, 5, {"A": side})


def test_a_summary_can_be_taken_before_the_end() -> None:
    """An interrupted run summarises what it has; adding more afterwards goes on from there."""
    first, second = session("acme", ["ab|ac"]), session("birch", ["ab|cd"])
    builder = SummaryBuilder(TOP_2, (A, B))
    builder.add(diff_session(first, (A, B), TOP_2))
    assert builder.finish({}, unpooled_turns=0, missing_entries=0) == summarised([first])
    builder.add(diff_session(second, (A, B), TOP_2))
    assert builder.finish({}, unpooled_turns=0, missing_entries=0) == summarised([first, second])


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(35, 47, 34.2857), (4, 1, -75.0), (3, 3, 0.0), (5, 0, -100.0), (0, 3, None), (0, 0, None)]
)
def test_percent_change_is_of_the_baseline(a: int, b: int, expected: float | None) -> None:
    """47 distinct entries against 35 is +34%; against none there is no per cent."""
    assert percent_change(a, b) == (None if expected is None else pytest.approx(expected, abs=1e-4))
