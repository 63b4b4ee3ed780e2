"""What an evaluation counts, finds and refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.errors import ConfigError
from shadowdiff.evaluation.evaluate import evaluate
from shadowdiff.evaluation.results import Evaluation, Kind
from shadowdiff.evaluation.retrieval import knee
from shadowdiff.records import Label, ReplayedSession
from shadowdiff.render.evaluation import ceiling_sentence, conclusion, warnings
from shadowdiff.runs import Run, RunConfig
from tests.evaluation_cases import OTHER_ORG, evaluated, labelled_run
from tests.render_cases import COSINE, MINILM, SECURITY, Asked, descending, entries, run_of, session_of

POOL = entries(SECURITY, "kb")
WHOLE = evaluated()[0]


def small(grades: dict[str, int], order: list[int], b: list[float] | str | None = None, depth: int = 2) -> Evaluation:
    """Three sessions of one turn each with the same labels; A as retrieved, B in this order of the pool's places."""
    asked = Asked("?", POOL, {"A": descending(range(1, 9)), "B": descending(order) if b is None else b})
    sessions = [session_of(f"s{at}", "acme", [asked], "AB") for at in range(3)]
    run, _ = run_of(sessions, (COSINE, MINILM), RunConfig(top_k=depth))
    labels = [Label("acme", f"s{at}-t1", name, grade, "qrels") for at in range(3) for name, grade in grades.items()]
    return evaluate(run, sessions, labels, (depth,))


def test_what_counts_and_what_is_left_out() -> None:
    """Every turn of the run is in one of three heaps, each counted by itself here."""
    _, sessions, labels = labelled_run()
    labelled = {(label.org_id, label.turn_id) for label in labels}
    turns = [(session.session.org_id, turn) for session in sessions for turn in session.turns]
    with_labels = [turn for org, turn in turns if (org, turn.turn.turn_id) in labelled]
    finished = [turn for turn in with_labels if len(turn.rankings) == 3]
    assert WHOLE.turns == len(finished)
    assert WHOLE.left_out.unlabelled_turns == len(turns) - len(with_labels) > 0
    assert WHOLE.left_out.unfinished_turns == len(with_labels) - len(finished) > 0
    assert WHOLE.left_out.failed == {"C": len(with_labels) - len(finished)}


def test_labels_are_of_their_own_org_only() -> None:
    """Another org's label of the same turn and entry ids says nothing."""
    run, sessions, labels = labelled_run()
    elsewhere = [replace(label, org_id="nobody", grade=3) for label in labels]
    assert evaluate(run, sessions, [*elsewhere, *labels], (3, 5)) == WHOLE


def test_a_side_that_ranked_nothing_is_left_out_and_the_others_are_measured() -> None:
    """And not with 0, and not without a word."""
    run, sessions, labels = labelled_run()
    without = [_without(session, "C") for session in sessions]
    found = evaluate(run, without, labels, (3,))
    assert (found.baseline, found.others, found.left_out.sides) == ("A", ("B",), ("C",))
    assert found.left_out.unfinished_turns == 0
    assert found.turns > WHOLE.turns


def _without(session: ReplayedSession, side: str) -> ReplayedSession:
    turns = (replace(t, rankings={k: v for k, v in t.rankings.items() if k != side}) for t in session.turns)
    return replace(session, turns=tuple(turns))


def _refused(run: Run, sessions: list[ReplayedSession], labels: list[Label]) -> str:
    with pytest.raises(ConfigError) as error:
        evaluate(run, sessions, labels, (3,))
    return str(error.value)


def test_what_cannot_be_evaluated_is_refused_with_a_way_out() -> None:
    """No label; no baseline; nobody to compare with; no turn that all ranked."""
    run, sessions, labels = labelled_run()
    assert "no label on any of the 51 turns of run" in _refused(run, sessions, [])
    assert "side A ranked none" in _refused(run, [_without(session, "A") for session in sessions], labels)
    alone = [_without(_without(session, "B"), "C") for session in sessions]
    assert "side B ranked none" in _refused(run, alone, labels)
    odd = [_without(session, "BC"[at % 2]) for at, session in enumerate(sessions)]
    assert "--retry-failed" in _refused(run, odd, labels)


def test_differences_by_hand() -> None:
    """The relevant entry goes from rank 3 to 1 in three sessions: one of 8 signs is as far, on either side of 0."""
    found = small({"kb-3": 1}, [3, 1, 2, 4, 5, 6, 7, 8]).headline
    difference = found.differences["B"]
    assert (found.measure.name, found.means["A"].value, found.means["B"].value) == ("nDCG@2", 0.0, 1.0)
    assert (difference.mean.value, difference.test) == (1.0, (2 / 8, True))
    assert (difference.turns, difference.sessions) == ((3, 0, 0), (3, 0, 0))
    assert difference.p_holm == pytest.approx(1.0)
    assert difference.detectable is None


def test_judged_share_is_not_tested_and_warned_of() -> None:
    """Labels that were given to what A shows cannot favour B."""
    found = small({"kb-1": 1, "kb-2": 0}, [3, 4, 1, 2, 5, 6, 7, 8])
    judged = next(item for item in found.measures if item.measure.kind is Kind.JUDGED)
    assert judged.differences["B"].test is None
    assert judged.differences["B"].mean.value == -1.0
    assert found.unequally_judged == ("B",)
    assert small({"kb-1": 1, "kb-2": 0}, [2, 1, 3, 4, 5, 6, 7, 8]).unequally_judged == ()


def test_entries_whose_labels_would_say_most_stand_first() -> None:
    """B puts kb-3 first and kb-2 second; A shows kb-1 first: the two without a label, by how far their gains differ."""
    found = small({"kb-1": 1}, [3, 2, 1, 4, 5, 6, 7, 8]).unjudged
    assert [(item.entry_id, dict(item.ranks)) for item in found[:3]] == [("kb-3", {"A": 3, "B": 1})] * 3
    assert [item.stake for item in found[:3]] == [1.0] * 3
    assert {(item.entry_id, item.stake, item.title) for item in found[3:]} == {("kb-2", 0.0, "Security FAQ")}
    assert small({"kb-1": 1}, [1, 3, 2, 4, 5, 6, 7, 8]).unjudged[0].stake == pytest.approx(1 / math.log2(3))


def test_losses_by_hand() -> None:
    """Of four relevant entries k = 2 holds two, the pool has three, and B shows one."""
    grades = {"kb-1": 1, "kb-5": 1, "kb-8": 2, "elsewhere": 1, "kb-2": 0}
    found = small(grades, [2, 8, 1, 3, 4, 5, 6, 7]).ceiling
    assert found is not None
    assert found.recall == pytest.approx((1 / 4, 1 / 4, 1 / 4, 1 / 4, 2 / 4, 2 / 4, 2 / 4, 3 / 4))
    loss = found.losses["B"]
    assert (loss.recall, loss.to_depth, loss.to_retrieval, loss.to_reranker) == pytest.approx((1 / 4, 2 / 4, 0, 1 / 4))
    missing = small({"elsewhere": 1, "kb-1": 1}, [2, 8, 1, 3, 4, 5, 6, 7]).ceiling
    assert missing is not None
    assert missing.losses["B"].to_retrieval == pytest.approx(1 / 2)


def test_losses_add_up() -> None:
    """For every side of the whole case."""
    assert WHOLE.ceiling is not None
    for loss in WHOLE.ceiling.losses.values():
        assert loss.recall + loss.to_depth + loss.to_retrieval + loss.to_reranker == pytest.approx(1.0)
        assert min(loss.to_depth, loss.to_retrieval, loss.to_reranker) >= 0


def test_turns_without_a_relevant_entry_are_counted_and_have_no_ceiling() -> None:
    """Labels say that nothing fits."""
    found = small({"kb-1": 0}, [3, 2, 1, 4, 5, 6, 7, 8])
    assert (found.irrelevant_turns, found.turns, found.ceiling) == (3, 3, None)


def test_a_side_that_ranks_nothing_on_a_turn_has_zero() -> None:
    """It gave a ranking, of no entry."""
    found = small({"kb-1": 1}, [], [float("-inf")] * 8)
    assert found.headline.means["B"].value == 0.0
    assert found.turns == 3


def test_a_threshold_cuts_what_is_measured() -> None:
    """What a side would not have shown is no merit of it."""
    asked = Asked("?", POOL, {"A": descending(range(1, 9)), "B": descending(range(1, 9))})
    sessions = [session_of("s", "acme", [asked], "AB")]
    run, _ = run_of(sessions, (COSINE, replace(MINILM, min_score=0.8)), RunConfig(top_k=5))
    found = evaluate(run, sessions, [Label("acme", "s-t1", "kb-3", 1, "qrels")], (5,))
    assert (found.headline.means["A"].value, found.headline.means["B"].value) == (0.5, 0.0)


def test_a_segment_that_gets_worse_stands_first() -> None:
    """B gains on the whole and loses in one org, interval and all; a ticket number makes no segment."""
    whole = WHOLE.headline.differences["B"].mean
    assert whole.value is not None
    assert whole.value > 0
    first = WHOLE.segments[0]
    assert (first.dimension, first.value, first.worse) == ("org", OTHER_ORG, ("B",))
    high = first.differences["B"].high
    assert high is not None
    assert high < 0
    assert WHOLE.skipped_dimensions == ("tag ticket",)
    assert {part.value for part in WHOLE.segments if part.dimension == "language"} == {"de", "en"}


def test_a_side_that_is_worse_everywhere_hides_nothing_in_a_segment() -> None:
    """The whole says it already: no segment is marked, however clear it is."""
    run, sessions, labels = labelled_run()
    worse = [session for session in sessions if session.session.org_id == OTHER_ORG]
    found = evaluate(run, worse, labels, (3,))
    assert found.headline.differences["B"].mean.value == pytest.approx(-0.306, abs=0.001)
    assert any((part.differences["B"].high or 0) < 0 for part in found.segments)
    assert not any(part.worse for part in found.segments)


def test_wins_and_losses_are_counted_by_turn_and_by_session() -> None:
    """A session counts once, by its mean, however many turns it has."""
    difference = WHOLE.headline.differences["B"]
    assert sum(difference.turns) == WHOLE.turns > WHOLE.sessions == sum(difference.sessions)
    assert all(difference.sessions)


def test_segments_of_a_dimension_hold_every_turn_once() -> None:
    """Unless a tag has several values."""
    for dimension in ("org", "turn", "query length"):
        assert sum(part.turns for part in WHOLE.segments if part.dimension == dimension) == WHOLE.turns


def test_knees_by_hand() -> None:
    """A curve that is flat from its third point on bends there; a straight, a flat and a short one do not."""
    assert knee([0.2, 0.5, 0.9, 0.9, 0.95]) == 3
    assert knee([0.1, 0.2, 0.3, 0.4]) is None
    assert knee([0.5, 0.5, 0.5]) is None
    assert knee([0.5, 0.9]) is None
    assert knee([]) is None


@given(st.lists(st.floats(0, 1), min_size=3, max_size=30).map(sorted))
def test_a_knee_lies_between_the_ends(curve: list[float]) -> None:
    """Neither the first nor the last depth is one."""
    found = knee(curve)
    assert found is None or 1 < found < len(curve)


def test_labels_that_no_pool_holds_are_warned_of() -> None:
    """Ids of another knowledge base make every side equal, at 0."""
    found = small({"else-1": 1, "else-2": 0}, [2, 1, 3, 4, 5, 6, 7, 8])
    assert (found.labels, found.pooled_labels) == (6, 0)
    assert next(warnings(found)).startswith("No labelled entry (6 labels) stands in its turn's pool")
    some = small({"else-1": 1, POOL[0].entry_id: 1}, [2, 1, 3, 4, 5, 6, 7, 8])
    assert (some.labels, some.pooled_labels) == (6, 3)
    assert not any("labelled entry" in text for text in warnings(some))


def test_one_session_is_told_that_it_says_nothing_of_others() -> None:
    """It has no interval that could be too narrow."""
    one = replace(small({POOL[0].entry_id: 1}, [2, 1, 3, 4, 5, 6, 7, 8]), session_turns=(3,))
    assert next(warnings(one)).startswith("One session gives no interval")
    assert "You have 1 session, which says nothing" in conclusion(one, "B")


@pytest.mark.parametrize("grades", [{POOL[0].entry_id: 1}, {POOL[0].entry_id: 1, "elsewhere": 1}, {"elsewhere": 1}])
def test_a_flat_recall_does_not_grow(grades: dict[str, int]) -> None:
    """Where all that the pool holds stands first, or nothing is in it."""
    ceiling = small(grades, [2, 1, 3, 4, 5, 6, 7, 8]).ceiling
    assert ceiling is not None
    assert "adds nothing" in ceiling_sentence(ceiling)


@pytest.mark.parametrize(("least", "what"), [(1, "relevance is 0"), (2, "relevance but nDCG is 0")])
def test_labels_of_which_none_is_relevant_are_warned_of(least: int, what: str) -> None:
    """A threshold above every grade makes every side equal."""
    found = replace(small({POOL[0].entry_id: 0}, [2, 1, 3, 4, 5, 6, 7, 8]), min_grade=least)
    assert what in next(warnings(found))


def test_failures_of_a_side_that_narrow_all_are_warned_of() -> None:
    """More than a tenth of the labelled turns: who failed on how many, and what to do."""
    for failed, is_warned in ((WHOLE.turns // 9, False), (WHOLE.turns // 9 + 1, True)):
        left_out = replace(WHOLE.left_out, unfinished_turns=failed, failed={"C": failed})
        found = [text for text in warnings(replace(WHOLE, left_out=left_out)) if "is measured on" in text]
        assert bool(found) == is_warned
        assert all(f"(C on {failed:,})" in text and "--retry-failed" in text for text in found)


def test_a_segment_that_gets_worse_stands_first_where_the_mean_says_nothing() -> None:
    """A collapse in one org, which gains in the others just about make good, is as hidden as behind a gain."""
    run, sessions, labels = labelled_run()
    bad = [session for session in sessions if session.session.org_id == OTHER_ORG]
    good = [session for session in sessions if session.session.org_id != OTHER_ORG]
    by_mean = (evaluate(run, [*bad, *good[:number]], labels, (3,)) for number in range(1, len(good)))
    found = next(item for item in by_mean if (item.headline.differences["B"].mean.high or 0.0) > 0)
    whole = found.headline.differences["B"].mean
    assert whole.value is not None
    assert whole.low is not None
    assert whole.low < whole.value <= 0
    assert (found.segments[0].value, found.segments[0].worse) == (OTHER_ORG, ("B",))
    assert any("which the whole does not show" in text for text in warnings(found))
