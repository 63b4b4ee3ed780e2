"""Two rankings of one pool, and what of them a user would have seen differently."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shadowdiff.diff import contrast, diff_session, diff_turn, near_ties, only_changed, rbo_ext
from shadowdiff.records import (
    NOISE_SIDE,
    Outcome,
    Pool,
    PoolOrigin,
    Ranking,
    ReplayedSession,
    ReplayedTurn,
    Session,
    SessionOutcome,
    Turn,
    TurnFailure,
)
from shadowdiff.runs import RunConfig, Side

NOW = datetime(2026, 11, 19, 14, 2, tzinfo=UTC)
TOP_2 = RunConfig(top_k=2)
TEN = "abcdefghij"
A, B, C = (Side(label, label.lower(), label.lower(), "0") for label in "ABC")


def ranked(entry_ids: str, *scores: float | None) -> Ranking:
    """One letter per entry, best first; scores n … 1 unless given."""
    return Ranking(tuple(entry_ids), scores or tuple(float(n) for n in range(len(entry_ids), 0, -1)))


def replayed(*turns: dict[str, Ranking], session_id: str = "s") -> ReplayedSession:
    """A session from each turn's rankings by side label."""
    return ReplayedSession(
        Session(session_id, "acme", NOW),
        tuple(
            ReplayedTurn(Turn(f"{session_id}-{n}", n, "?", NOW), Pool((), PoolOrigin.RECORDED), rankings)
            for n, rankings in enumerate(turns, start=1)
        ),
    )


def against_b(*turns: tuple[str, str], session_id: str = "s") -> SessionOutcome:
    """Top-2 outcome of a session from the orders of A and B per turn; an empty order is a failure."""
    rankings = [{label: ranked(ids) for label, ids in zip("AB", turn, strict=True) if ids} for turn in turns]
    return diff_session(replayed(*rankings, session_id=session_id), (A, B), TOP_2)


@pytest.mark.parametrize(
    ("b", "outcome"),
    [("abc", Outcome.SAME), ("bac", Outcome.REORDERED), ("acb", Outcome.DIFFERENT), ("cba", Outcome.DIFFERENT)],
)
def test_a_turn_ends_by_what_is_surfaced(b: str, outcome: Outcome) -> None:
    """Same, reordered or different is decided inside the top K."""
    assert diff_turn(ranked("abc"), ranked(b), TOP_2).outcome is outcome


def test_changes_below_the_cut_do_not_count() -> None:
    """Two rankings that differ only beyond K are the same to the user."""
    assert diff_turn(ranked("abcd"), ranked("abdc"), TOP_2).outcome is Outcome.SAME


def test_each_entry_is_only_in_a_only_in_b_or_in_both() -> None:
    """The page of the design: Encryption moves from 3 to 1, History leaves, SOC 2 enters.

    g governance, f FAQ, e encryption, h history, s SOC 2. Agreement at depths
    1 to 4 is 0, 1/2, 2/3, 3/4, so RBO at p = 0.9 is
    0.1 (0 + 0.9/2 + 0.81 2/3 + 0.729 3/4) + 0.6561 3/4 = 0.64575.
    """
    diff = diff_turn(ranked("gfehs"), ranked("efsgh"), RunConfig(top_k=4))
    assert (diff.surfaced_a, diff.surfaced_b) == (tuple("gfeh"), tuple("efsg"))
    assert (diff.only_in_a, diff.only_in_b, diff.both) == (("h",), ("s",), ("g", "f", "e"))
    assert diff.overlap == 0.75
    assert diff.rbo == pytest.approx(0.64575)
    assert not diff.same_top1


def test_thresholds_hold_for_their_own_side() -> None:
    """`min_score` of A shortens A's list and leaves B's alone; overlap divides by the longer list."""
    diff = diff_turn(ranked("abc", 0.9, 0.2, 0.1), ranked("abc", 0.9, 0.2, 0.1), TOP_2, min_score_a=0.5)
    assert (diff.surfaced_a, diff.surfaced_b) == (("a",), ("a", "b"))
    assert (diff.only_in_a, diff.only_in_b, diff.overlap) == ((), ("b",), 0.5)
    assert diff.same_top1


def test_sides_that_surface_nothing_agree() -> None:
    """Two empty lists are the same, with full overlap."""
    diff = diff_turn(ranked(""), ranked(""), TOP_2)
    assert (diff.outcome, diff.overlap, diff.rbo, diff.same_top1) == (Outcome.SAME, 1.0, 1.0, True)


def test_an_empty_list_shares_nothing_with_a_full_one() -> None:
    """One side under its threshold throughout: overlap and RBO are 0, the top entry is not shared."""
    diff = diff_turn(ranked("ab"), ranked("ab"), TOP_2, min_score_b=100)
    assert (diff.only_in_a, diff.overlap, diff.rbo, diff.same_top1) == (("a", "b"), 0.0, 0.0, False)


def test_unranked_entries_are_not_surfaced() -> None:
    """What a side does not rank is not shown, even when its list is shorter than K."""
    diff = diff_turn(ranked("abc", 1.0, None, None), ranked("bac"), TOP_2)
    assert (diff.surfaced_a, diff.only_in_b) == (("a",), ("b",))


def test_near_ties_stand_on_both_sides_of_the_cut() -> None:
    """Spread 100, share 1%: less than 1.0 from the score across the cut is a near-tie, 1.0 is not."""
    ranking = ranked("abcdef", 100.0, 50.9, 50.4, 50.0, 49.4, 0.0)
    assert near_ties(ranking, 3, 0.01) == {"b", "c", "d"}
    assert near_ties(ranked("abcd", 100.0, 51.0, 50.0, 0.0), 2, 0.01) == frozenset()


def test_equal_scores_across_the_cut_are_near_ties_without_spread() -> None:
    """A ranking that scores everything alike is one large near-tie."""
    assert near_ties(ranked("abc", 7.0, 7.0, 7.0), 1, 0.01) == {"a", "b", "c"}


@pytest.mark.parametrize("top_k", [3, 4])
def test_without_a_cut_there_is_no_near_tie(top_k: int) -> None:
    """Entries that a side does not score are not cut off, so K at or beyond the scored ones cuts nothing."""
    assert near_ties(ranked("abcde", 1.0, 1.0, 1.0, None, None), top_k, 0.01) == frozenset()


def test_unranked_entries_do_not_widen_the_spread() -> None:
    """A gap of 0.25 is within 2% of the spread once a fourth entry is scored 0, not while it is unranked."""
    assert near_ties(ranked("abcd", 20.0, 10.25, 10.0, None), 2, 0.02) == frozenset()
    assert near_ties(ranked("abcd", 20.0, 10.25, 10.0, 0.0), 2, 0.02) == {"b", "c"}


def test_a_share_of_zero_marks_nothing() -> None:
    """Near-ties can be switched off, exact ties included."""
    assert near_ties(ranked("ab", 1.0, 1.0), 1, 0.0) == frozenset()


def test_near_ties_ignore_the_threshold() -> None:
    """The K cut makes near-ties; `min_score` neither adds nor removes one."""
    ranking = ranked("abc", 1.0, 0.5, 0.5)
    diff = diff_turn(ranking, ranked("abc"), TOP_2, min_score_a=0.9)
    assert diff.near_ties_a == {"b", "c"}
    assert diff.near_ties_b == frozenset()


@pytest.mark.parametrize(
    ("b", "expected"),
    [(TEN, 1.0), ("bacdefghij", 0.9), ("abcdefghji", 0.995), ("klmnopqrst", 0.0)],
)
def test_rbo_weighs_the_top_most(b: str, expected: float) -> None:
    """A swap at ranks 1 and 2 costs 0.1, one at 9 and 10 a twentieth of that (p = 0.9)."""
    assert rbo_ext(TEN, b, 0.9) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(("b", "expected"), [("", 0.0), ("a", 1.0), ("abcdefghijklm", 1.0), ("j", 0.0)])
def test_rbo_extrapolates_uneven_lists(b: str, expected: float) -> None:
    """A prefix agrees as far as it goes; an empty list agrees with nothing; 'j' is met too late to count for 'abc'."""
    assert rbo_ext("abc" if b == "j" else TEN, b, 0.9) == pytest.approx(expected)


def test_rbo_of_two_empty_lists_is_one() -> None:
    """Nothing against nothing is agreement."""
    assert rbo_ext((), [], 0.9) == 1.0


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_rbo_refuses_a_p_outside_its_range(p: float) -> None:
    """The weights only add up to 1 for p strictly between 0 and 1."""
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        rbo_ext("ab", "ab", p)


def test_a_session_counts_distinct_entries_over_its_turns() -> None:
    """What A shows on one turn and B on another is in both; each set stands in order of first appearance."""
    outcome = against_b(("abcdef", "acbdef"), ("caedbf", "fedcba"))
    diff = outcome.diffs["B"]
    assert (diff.both, diff.only_in_a, diff.only_in_b) == (("a", "c"), ("b",), ("f", "e"))
    assert (diff.completed_turns, diff.failed_turns) == (2, 0)
    assert [turn.outcome("B") for turn in outcome.turns] == [Outcome.DIFFERENT, Outcome.DIFFERENT]


@pytest.mark.parametrize("failed", [("", "abc"), ("cba", ""), ("", "")])
def test_a_turn_without_both_rankings_failed(failed: tuple[str, str]) -> None:
    """Whichever side is missing, the turn has no diff and adds nothing to the session's sets."""
    outcome = against_b(("abc", "bac"), failed)
    assert [turn.outcome("B") for turn in outcome.turns] == [Outcome.REORDERED, Outcome.FAILED]
    assert outcome.turns[1].diffs == {"B": None}
    assert (outcome.diffs["B"].both, outcome.diffs["B"].only_in_a) == (("a", "b"), ())
    assert (outcome.diffs["B"].completed_turns, outcome.diffs["B"].failed_turns) == (1, 1)


def test_every_other_side_is_compared_with_the_baseline() -> None:
    """One side's failure leaves the other pairs alone."""
    session = replayed({"A": ranked("abc"), "B": ranked("abc")}, {"A": ranked("abc"), "C": ranked("cba")})
    outcome = diff_session(session, (A, B, C), TOP_2)
    assert [[turn.outcome(label) for label in "BC"] for turn in outcome.turns] == [
        [Outcome.SAME, Outcome.FAILED],
        [Outcome.FAILED, Outcome.DIFFERENT],
    ]
    assert outcome.session is session.session
    assert [turn.replayed for turn in outcome.turns] == list(session.turns)


def test_the_noise_pass_is_held_to_the_baselines_threshold() -> None:
    """The second pass of A is another side under NOISE_SIDE, with A's own `min_score`."""
    baseline = Side("A", "a", "a", "0", min_score=2.5)
    session = replayed({"A": ranked("abc"), "B": ranked("abc"), NOISE_SIDE: ranked("acb")})
    outcome = diff_session(session, (baseline, B), RunConfig(top_k=2, noise=True))
    assert list(outcome.diffs) == list(outcome.turns[0].diffs) == ["B", NOISE_SIDE]
    assert outcome.turns[0].outcome(NOISE_SIDE) is Outcome.SAME
    assert outcome.turns[0].outcome("B") is Outcome.DIFFERENT


def test_without_noise_a_stored_second_pass_is_ignored() -> None:
    """Only the configuration decides whether the noise floor is part of the outcome."""
    outcome = diff_session(replayed({"A": ranked("ab"), "B": ranked("ab"), NOISE_SIDE: ranked("ba")}), (A, B), TOP_2)
    assert list(outcome.diffs) == ["B"]


def test_a_session_without_turns_has_empty_sets() -> None:
    """Nothing was asked, so nothing differs."""
    diff = against_b().diffs["B"]
    assert (diff.only_in_a, diff.only_in_b, diff.both, diff.completed_turns, diff.failed_turns) == ((), (), (), 0, 0)


def test_contrast_puts_the_most_different_session_first() -> None:
    """More distinct entries first, then the lower RBO; sessions without a completed turn last, with the same ones."""
    same = against_b(("abcd", "abcd"), session_id="same")
    swapped = against_b(("abcd", "bacd"), session_id="swapped")
    one = against_b(("abcd", "acbd"), session_id="one")
    one_at_top = against_b(("abcd", "cbad"), session_id="one at top")
    two = against_b(("abcd", "cdab"), session_id="two")
    failed = against_b(("abcd", ""), session_id="failed")
    ordered = sorted([same, swapped, one, one_at_top, two, failed], key=contrast)
    assert [outcome.session.session_id for outcome in ordered] == [
        "two",
        "one at top",
        "one",
        "swapped",
        "same",
        "failed",
    ]
    assert contrast(failed) == contrast(same) == (0, 1.0)


def test_contrast_adds_pairs_and_leaves_the_noise_out() -> None:
    """Two entries differ against B and four against C; what the noise pass moved adds none."""
    rankings = {"A": ranked("abcd"), "B": ranked("acbd"), "C": ranked("cdab"), NOISE_SIDE: ranked("dcba")}
    outcome = diff_session(replayed(rankings), (A, B, C), RunConfig(top_k=2, noise=True))
    distinct, mean_rbo = contrast(outcome)
    assert distinct == -6
    assert mean_rbo == pytest.approx((rbo_ext("ab", "ac", 0.9) + 0.0) / 2)


def test_only_changed_keeps_different_and_failed_turns() -> None:
    """Same and reordered turns go; the session's own sets stay those of all turns."""
    outcome = against_b(("abc", "abc"), ("abc", "cab"), ("abc", "bac"), ("abc", ""))
    changed = only_changed(outcome)
    assert changed is not None
    assert [turn.replayed.turn.position for turn in changed.turns] == [2, 4]
    assert (changed.session, changed.diffs) == (outcome.session, outcome.diffs)


def test_only_changed_drops_sessions_without_a_change() -> None:
    """Nothing different and nothing failed leaves nothing to show."""
    assert only_changed(against_b(("abc", "abc"), ("abc", "bac"))) is None


def test_only_changed_keeps_a_turn_that_changed_for_one_pair() -> None:
    """One differing pair is enough."""
    session = replayed({"A": ranked("abc"), "B": ranked("abc"), "C": ranked("cba")})
    outcome = diff_session(session, (A, B, C), TOP_2)
    assert only_changed(outcome) == outcome


@pytest.mark.parametrize("noise", [{NOISE_SIDE: ranked("cba")}, {}])
def test_only_changed_does_not_heed_the_noise_pass(noise: dict[str, Ranking]) -> None:
    """A turn on which only the baseline's second pass differed or failed is not a change."""
    session = replayed({"A": ranked("abc"), "B": ranked("abc"), **noise})
    assert only_changed(diff_session(session, (A, B), RunConfig(top_k=2, noise=True))) is None


def test_failures_recorded_with_a_turn_do_not_change_its_diff() -> None:
    """What decides is whether both rankings are there; the reasons are for the reader."""
    turn = ReplayedTurn(
        Turn("t", 1, "?", NOW),
        Pool((), PoolOrigin.RECORDED),
        {"A": ranked("abc"), "B": ranked("abc")},
        failures=(TurnFailure("C", "timed out"),),
    )
    outcome = diff_session(ReplayedSession(Session("s", "acme", NOW), (turn,)), (A, B), TOP_2)
    assert outcome.turns[0].outcome("B") is Outcome.SAME
