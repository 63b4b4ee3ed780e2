"""Which entries are labelled, how a person walks through them, and what the report counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.labelling.pooled import Choice, TurnToLabel, turns_to_label
from shadowdiff.labelling.report import Rater, labelling_report
from shadowdiff.labelling.sitting import Place, Sitting
from shadowdiff.ranking import surfaced
from shadowdiff.records import NOISE_SIDE, Label, ReplayedSession
from tests.evaluation_cases import OTHER_ORG, labelled_run
from tests.render_cases import BM25, COSINE, MINILM, hard_run

RUN, SESSIONS, _ = labelled_run()
TURNS = (
    TurnToLabel("s-1", "acme", "t-1", ("b", "a", "c")),
    TurnToLabel("s-1", "acme", "t-2", ("a",)),
    TurnToLabel("s-2", "other", "t-1", ("d", "a")),
)
KEYS = [key for turn in TURNS for key in turn.keys]


def test_the_union_of_what_sides_surfaced() -> None:
    """Below a side's threshold nothing counts, nor what the noise pass ranks; failed sides add none."""
    run, outcomes = hard_run(others=2, noise=True)
    replayed = [turn.replayed for outcome in outcomes for turn in outcome.turns]
    sessions = [ReplayedSession(item.session, tuple(turn.replayed for turn in item.turns)) for item in outcomes]
    turns = {turn.turn_id: turn for turn in turns_to_label(run.sides, sessions, Choice(5))}
    for turn in replayed:
        pooled = {
            name
            for side in (COSINE, MINILM, BM25)
            if side.label in turn.rankings
            for name in surfaced(turn.rankings[side.label], 5, side.min_score)
        }
        assert NOISE_SIDE in turn.rankings
        assert set(turns[turn.turn.turn_id].entry_ids if turn.turn.turn_id in turns else ()) == pooled
    failed = [turn for turn in replayed if turn.failures and turn.pool.entries]
    assert failed
    assert all(turn.turn.turn_id in turns for turn in failed)
    assert not any(turn.entry_ids == () for turn in turns.values())


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 5))
def test_a_greater_depth_keeps_entries_and_their_order(depth: int, more: int, seed: int) -> None:
    """So that what was labelled stays, and stands where it stood among the others."""
    few = turns_to_label(RUN.sides, SESSIONS, Choice(depth, seed))
    many = {turn.keys[0][:2]: turn for turn in turns_to_label(RUN.sides, SESSIONS, Choice(depth + more, seed))}
    for turn in few:
        deeper = many[turn.org_id, turn.turn_id].entry_ids
        assert [name for name in deeper if name in turn.entry_ids] == list(turn.entry_ids)


@given(st.integers(1, 60), st.integers(0, 3), st.booleans())
def test_more_queries_hold_fewer(queries: int, seed: int, is_stratified: bool) -> None:
    """In the order of the run; of every org, where that is asked for."""
    every = turns_to_label(RUN.sides, SESSIONS, Choice(3, seed))
    some, more = (
        turns_to_label(RUN.sides, SESSIONS, Choice(3, seed, number, is_stratified)) for number in (queries, queries + 1)
    )
    assert len(some) == min(queries, len(every))
    assert set(some) <= set(more) <= set(every)
    assert [turn for turn in every if turn in some] == list(some)
    if is_stratified and queries > 1:
        assert len({turn.org_id for turn in some}) == 2


def test_orders_hang_on_the_seed_and_orgs_can_be_chosen() -> None:
    """Nothing else orders entries: the sides may change places."""
    one, other = (turns_to_label(RUN.sides, SESSIONS, Choice(3, seed)) for seed in (0, 1))
    assert {turn.entry_ids for turn in one} != {turn.entry_ids for turn in other}
    assert turns_to_label(RUN.sides[::-1], SESSIONS, Choice(3)) == one
    of_org = turns_to_label(RUN.sides, SESSIONS, Choice(3, org_ids=(OTHER_ORG,)))
    assert {turn.org_id for turn in of_org} == {OTHER_ORG}
    assert turns_to_label(RUN.sides, SESSIONS, Choice(3, org_ids=("nobody",))) == ()


def test_a_way_through() -> None:
    """What is labelled is not asked again, can be gone back to, and afterwards it goes on where it was."""
    sitting = Sitting(TURNS, {KEYS[1]: 3, ("acme", "t-9", "x"): 1}, others=[KEYS[2], KEYS[1]])
    assert (sitting.place, sitting.done, sitting.total) == (Place(0, 0), 2, 6)
    assert not sitting.back()
    sitting.grade(0)
    assert (sitting.place, sitting.key) == (Place(1, 0), KEYS[3])
    sitting.skip()
    assert sitting.place == Place(2, 0)
    assert sitting.back()
    assert (sitting.place, sitting.grade_at_hand) == (Place(1, 0), None)
    assert sitting.back()
    assert (sitting.place, sitting.grade_at_hand) == (Place(0, 1), 3)
    sitting.skip()
    assert sitting.place == Place(2, 0)
    sitting.grade(1)
    sitting.grade(2)
    assert (sitting.done, sitting.skipped, sitting.labelled_now) == (5, 1, 3)
    assert [sitting.place] == [None]
    assert sitting.back()
    assert sitting.grade_at_hand == 2


@given(st.lists(st.sampled_from("0123sb"), max_size=60), st.sets(st.sampled_from(KEYS)), st.sets(st.sampled_from(KEYS)))
def test_stopped_anywhere_it_goes_on_there(
    keys: list[str], before: set[tuple[str, str, str]], others: set[tuple[str, str, str]]
) -> None:
    """A sitting that begins with what another one labelled asks what that one would have, and what it skipped."""
    mine = dict.fromkeys(before, 1)
    sitting, said = Sitting(TURNS, mine, others), dict(mine)
    for key in keys:
        if sitting.place is None or key == "b":
            sitting.back()
        elif key == "s":
            sitting.skip()
        else:
            said[sitting.key] = int(key)
            sitting.grade(int(key))
    again = Sitting(TURNS, said, others)
    left = [key for key in KEYS if key not in said and key not in others]
    assert again.done == sitting.done == len(KEYS) - len(left)
    assert (again.key if again.place else None) == (left[0] if left else None)


def _said(author: str, *grades: int | None, source: str = "label") -> list[Label]:
    return [Label(*key, grade, source, author) for key, grade in zip(KEYS, grades, strict=True) if grade is not None]


def test_progress_is_counted_per_rater() -> None:
    """A person counts once, by the newest label, through whatever source; a file without an author is its own."""
    labels = [
        *_said("ann", 3, 0, None, 1, None, None),
        *_said("ann", 0, None, 2, None, None, None, source="review"),
        *_said("", None, None, None, 1, 1, None, source="qrels"),
        Label("acme", "t-1", "not asked", 1, "label", "ann"),
        Label("acme", "elsewhere", "a", 1, "label", "zoe"),
    ]
    report = labelling_report(TURNS, labels)
    ann, file = report.by_rater[Rater("ann")], report.by_rater[Rater("", "qrels")]
    assert list(report.by_rater) == [Rater("ann"), Rater("", "qrels")]
    assert (ann.entries, ann.turns_begun, ann.turns_complete) == (4, 2, 2)
    assert (file.entries, file.turns_begun, file.turns_complete) == (2, 2, 1)
    assert (report.by_anyone.entries, report.entries, report.turns) == (5, 6, 3)
    (pair,) = report.pairs
    assert (pair.grades.items, pair.sessions, pair.table) == (1, 1, {(1, 1): 1})
    assert report.disputed == ()


def test_agreement_worked_by_hand() -> None:
    """Grades: 3 of 5 alike, by chance 8/25, so kappa is 7/17; relevant from 2 on or not: 3 of 5, by chance 13/25."""
    labels = [
        *_said("ann", 3, 0, 2, 1, 0, None),
        *_said("bob", 3, 0, 0, 2, 0, 1),
        *_said("zoe", None, None, None, None, None, 0),
    ]
    report = labelling_report(TURNS, labels, min_grade=2)
    pair = next(pair for pair in report.pairs if {pair.first.author, pair.second.author} == {"ann", "bob"})
    assert (pair.first.author, pair.grades.items, pair.sessions) == ("bob", 5, 2)
    assert pair.grades.agreed == 3
    assert pair.relevance.agreed == 3
    assert pair.table == {(3, 3): 1, (0, 0): 2, (0, 2): 1, (2, 1): 1}
    assert pair.grades.kappa.value == pytest.approx(7 / 17)
    assert pair.relevance.kappa.value == pytest.approx(1 / 6)
    assert [(item.entry_id, [grade for _, grade in item.grades]) for item in report.disputed] == [
        ("c", [2, 0]),
        ("a", [2, 1]),
        ("a", [1, 0]),
    ]
    assert report.disputed_in_all == 3
