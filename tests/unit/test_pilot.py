"""Which side a pilot recommends and in which words, what a side costs, and how much of the gap it closes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shadowdiff.evaluation.results import Kind, Measure
from shadowdiff.pilot.recommend import not_worse, recommend
from shadowdiff.pilot.report import cost_of, pilot_of
from shadowdiff.pilot.results import Bill, Cost, Lack, Pilot, PilotSide, Quality, Why
from shadowdiff.records import Usage
from shadowdiff.render.pilot import pilot_table
from shadowdiff.render.pilot_words import conclusion, next_commands, times
from shadowdiff.runs import Estimate
from tests.cost_cases import DID
from tests.evaluation_cases import evaluated
from tests.pilot_cases import hardly_labelled, pilot_run, piloted, unlabelled

OWN, UNPRICED = Cost(Bill.OWN), Cost(Bill.UNKNOWN)


def dollars(per_month: float) -> Cost:
    """A provider's, for ten thousand turns a month."""
    return Cost(Bill.PROVIDER, per_month / 10_000, per_month, has_price=True)


def around(value: float, reach: float) -> Estimate:
    """A value with its interval."""
    return Estimate(value, value - reach, value + reach)


TEMPLATE, _ = piloted()
DIFFERENCE = next(side.quality.difference for side in TEMPLATE.sides if side.quality and side.quality.difference)


def side(
    label: str,
    more: float,
    cost: Cost = OWN,
    seconds: float | None = 0.1,
    *,
    reach: float = 0.02,
    p: float = 0.001,
    behind: Estimate | None = None,
    closed: Estimate | None = None,
) -> PilotSide:
    """A side that has so much more than A's 0.5; better where its interval and its p say so."""
    name = {"A": "cosine", "B": "managed", "C": "ours", "D": "other"}[label]
    change = around(more, reach)
    quality = Quality(
        mean=around(0.5 + more, 0.05),
        recall=around(0.4 + more, 0.05),
        judged=0.9,
        difference=None if label == "A" else replace(DIFFERENCE, mean=change),
        p=None if label == "A" else p,
        is_better=label != "A" and more - reach > 0 and p <= 0.05,
        behind_best=behind,
        closed=closed,
    )
    return PilotSide(label, name, cost, seconds, seconds and 2 * seconds, around(0.5, 0.1), quality)


A = side("A", 0.0, seconds=0.001)
BEST = side("B", 0.10, dollars(82.60), 0.187, behind=Estimate(0.0, 0.0, 0.0), closed=Estimate(1.0, 1.0, 1.0))


def told(*sides: PilotSide, margin: float = 0.01) -> tuple[str, str]:
    """The side to take, and why in words."""
    found = recommend(sides, margin)
    pilot = Pilot(Measure(Kind.NDCG, 10), Measure(Kind.RECALL, 5), margin, sides, 100, None, None, found)
    return found.take, " ".join(conclusion(pilot))


def test_nothing_better_keeps_the_baseline() -> None:
    """However cheap the others are; the nearest is named with its interval."""
    assert told(A, side("B", 0.01, dollars(1), 0.187), side("C", -0.05)) == (
        "A",
        (
            "Keep A cosine: no side is shown to be better on nDCG@10, so there is no gap to be closed. "
            "Nearest comes B managed, +0.010 [-0.010, +0.030]."
        ),
    )


def test_an_interval_above_zero_that_several_sides_make_likely_is_chance() -> None:
    """Both the interval and the corrected p must say so."""
    taken, words = told(A, side("B", 0.03, p=0.08))
    assert taken == "A"
    assert words.endswith(
        "Nearest comes B managed, +0.030 [+0.010, +0.050], which may be chance (p 0.080, corrected over the sides)."
    )


def test_the_nearest_may_be_worse_and_that_is_said() -> None:
    """A reader must not have to see it in the sign of the interval's end."""
    assert told(A, side("B", -0.18))[1].endswith("Nearest comes B managed, -0.180 [-0.200, -0.160], which is worse.")


def test_a_dear_baseline_that_could_be_replaced_is_kept_with_the_hint() -> None:
    """Not worse by more than the margin, and cheaper or faster: the thriftiest of those is named."""
    dear = replace(side("A", 0.0, dollars(82.60)), p50_seconds=0.187)
    spare = side("C", 0.002, OWN, 0.0201, reach=0.005)
    taken, words = told(dear, side("B", -0.001, dollars(5), 0.1, reach=0.005), spare)
    assert taken == "A"
    assert words.endswith(
        "C ours is shown not to be worse by more than 0.01 (C less A: +0.002 [-0.003, +0.007]), at 9× lower "
        "latency (p50 20.1 ms instead of 187 ms) and on your own machine instead of $82.60 a month: it could take its "
        "place."
    )


def test_the_best_is_taken_and_what_another_closes_of_the_gap_is_named() -> None:
    """The one that closes most of those that are cheaper or faster; one that is neither is not named."""
    ours = side("C", 0.081, OWN, 0.0208, behind=around(-0.019, 0.01), closed=Estimate(0.81, 0.68, 0.92))
    slow = side("D", 0.09, UNPRICED, 0.9, behind=around(-0.01, 0.01), closed=Estimate(0.9, 0.8, 1.0))
    assert told(A, BEST, ours, slow) == (
        "B",
        (
            "Take B managed: the best of those that are shown to be better than A on nDCG@10, by +0.100 [+0.080, "
            "+0.120], for $82.60 a month at 187 ms a turn (p50). C ours closes 81% of the gap [68, 92], at 9× lower "
            "latency (p50 20.8 ms instead of 187 ms) and on your own machine instead of $82.60 a month."
        ),
    )


def test_the_only_better_side() -> None:
    """Nothing beside it, and a cost that nobody knows is said to be one; so is a latency that was not measured."""
    taken, words = told(A, side("B", 0.10, UNPRICED, None))
    assert (taken, words) == (
        "B",
        (
            "Take B managed: the only side that is shown to be better than A on nDCG@10, by +0.100 [+0.080, +0.120], "
            "at a cost that is not known."
        ),
    )


def test_a_cheaper_side_that_is_as_good_is_taken() -> None:
    """Shown not to be worse than the best by more than the margin, interval and all."""
    cheap = side("C", 0.098, dollars(5.10), 0.3, behind=around(-0.002, 0.006), closed=Estimate(0.98, 0.9, 1.05))
    assert told(A, BEST, cheap) == (
        "C",
        (
            "Take C ours: it closes 98% of the gap [90, 105], at 1.6× the latency (p50 300 ms instead of 187 ms) and "
            "for $5.10 a month instead of $82.60, and is shown not to be worse than the best, B managed, by more than "
            "0.01 on nDCG@10: -0.002 [-0.008, +0.004]."
        ),
    )
    assert told(A, BEST, cheap, margin=0.005)[0] == "B"
    assert recommend((A, BEST, cheap), 0.005).alternative == "C"


def test_ones_own_machine_stands_before_a_bill_and_the_bill_is_named() -> None:
    """Whoever knows what the machine costs can decide: nobody takes it for nothing."""
    ours = side("C", 0.099, OWN, 0.18, behind=around(-0.001, 0.004), closed=Estimate(0.99, 0.95, 1.03))
    taken, words = told(A, BEST, ours)
    assert taken == "C"
    assert "on your own machine instead of $82.60 a month, and is shown not to be worse" in words
    assert words.endswith("If that machine costs more, B managed is as good for $82.60 a month.")


def test_the_fastest_of_equally_cheap_ones() -> None:
    """Two models of one's own: no bill tells them apart."""
    best = side("B", 0.10, OWN, 0.9, behind=Estimate(0.0, 0.0, 0.0))
    quick = side("C", 0.099, OWN, 0.09, behind=around(-0.001, 0.004), closed=Estimate(0.99, 0.95, 1.03))
    taken, words = told(A, best, quick)
    assert taken == "C"
    assert "at 10× lower latency (p50 90 ms instead of 900 ms), and is shown" in words


def test_a_cost_that_is_not_known_is_never_the_least() -> None:
    """As good a side without a price is named, and not preferred."""
    other = side("D", 0.099, UNPRICED, 0.01, behind=around(-0.001, 0.004), closed=Estimate(0.99, 0.95, 1.03))
    taken, words = told(A, BEST, other)
    assert taken == "B"
    assert words.endswith("What D costs is not known, so that it could not be preferred: it is as good.")


def test_without_a_rate_a_cost_is_of_a_thousand_turns() -> None:
    """Nothing is said of a month."""
    cost = Cost(Bill.PROVIDER, 0.002, None, has_price=True)
    assert ", for $2.00 per 1,000 turns at 187 ms" in told(A, side("B", 0.10, cost, 0.187))[1]


def test_the_margin_is_included() -> None:
    """The whole interval must say so; without one nothing is shown."""
    assert not_worse(Estimate(0.0, -0.01, 0.01), 0.01)
    assert not not_worse(Estimate(0.0, -0.011, 0.01), 0.01)
    assert not not_worse(Estimate(0.0), 0.01)
    assert not not_worse(None, 0.01)
    with pytest.raises(ValueError, match="can be neither kept nor left"):
        recommend([replace(A, quality=None), BEST], 0.01)


def test_what_a_side_costs() -> None:
    """Ten cents for forty turns; nothing is free because the cache had it, or because nobody said a price."""
    managed = DID["B"]
    found = cost_of(managed, asks=True, has_price=True, turns_per_month=41_300.0)
    assert (found.bill, found.usd_per_turn) == (Bill.PROVIDER, 0.002)
    assert found.usd_per_month == pytest.approx(82.6)
    assert cost_of(managed, asks=True, has_price=True, turns_per_month=None).usd_per_month is None
    assert cost_of(managed, asks=True, has_price=False, turns_per_month=1.0) == UNPRICED
    cached = replace(managed, asked_turns=0, attempts=0, usage=Usage(), cost_usd=0.0)
    assert cost_of(cached, asks=True, has_price=True, turns_per_month=1.0) == Cost(Bill.UNKNOWN, has_price=True)
    assert cost_of(DID["A"], asks=False, has_price=False, turns_per_month=1.0) == OWN


@pytest.mark.parametrize(("ratio", "words"), [(1.1, "1.1×"), (1.94, "1.9×"), (1.96, "2×"), (8.6, "9×"), (40.2, "40×")])
def test_how_many_times(ratio: float, words: str) -> None:
    """No more digits than mean something."""
    assert times(ratio) == words


def test_the_gap_is_that_of_the_two_differences() -> None:
    """The share is C's change over B's, and its interval that of a bootstrap in plain numpy over the same sessions."""
    pilot, _ = piloted()
    evaluation = pilot.evaluation
    assert evaluation is not None
    decisive = next(found for found in evaluation.measures if found.measure == pilot.measure)
    b, c = (decisive.differences[label] for label in "BC")
    by_label = {side.label: side for side in pilot.sides}
    closed = by_label["C"].closed
    assert closed is not None
    assert closed.low is not None
    assert closed.high is not None
    assert closed.value == pytest.approx((c.mean.value or 0) / (b.mean.value or 1))
    dice = np.random.default_rng(1)
    drawn = dice.integers(evaluation.sessions, size=(20_000, evaluation.sessions))
    shares = np.array(c.totals)[drawn].sum(axis=1) / np.array(b.totals)[drawn].sum(axis=1)
    assert (closed.low, closed.high) == pytest.approx(tuple(np.quantile(shares, [0.025, 0.975])), abs=0.005)
    assert by_label["B"].closed == Estimate(1.0, 1.0, 1.0)
    behind = by_label["C"].behind_best
    assert behind is not None
    assert behind.value == pytest.approx((c.mean.value or 0) - (b.mean.value or 0))
    assert pilot.recommendation is not None
    assert (pilot.recommendation.take, pilot.recommendation.why, pilot.recommendation.alternative) == (
        "B",
        Why.BEST,
        "C",
    )


def test_totals_are_sums_over_the_sessions() -> None:
    """Over their turns they are the mean that was always there."""
    evaluation, _ = evaluated()
    assert (sum(evaluation.session_turns), evaluation.sessions) == (evaluation.turns, 24)
    for found in evaluation.measures:
        for difference in found.differences.values():
            assert len(difference.totals) == evaluation.sessions
            assert sum(difference.totals) / evaluation.turns == pytest.approx(difference.mean.value)


def test_too_few_labels_say_nothing_of_quality() -> None:
    """No mean, no recommendation: the commands that help, or why the run itself is the trouble."""
    pilot, run = hardly_labelled()
    assert pilot.recommendation is None
    assert all(side.quality is None for side in pilot.sides)
    assert "18 turns in 9 sessions have labels, which is too few." in " ".join(conclusion(pilot))
    assert next_commands(pilot, run)[1] == f"shadowdiff pilot --run {run.run_id}"
    assert "no turn has a label" in " ".join(conclusion(unlabelled()[0]))
    run, _, _ = pilot_run()
    failed = pilot_of(run, None, ndcg_at=5, recall_at=3, margin=0.01, labelled_turns=120, why_not="side B ranked none")
    assert conclusion(failed)[0] == "Which side is better cannot be said: side B ranked none."
    assert next_commands(failed, run) == []


def test_without_a_gap_there_is_no_column_for_it() -> None:
    """A share of nothing is never shown."""
    pilot, run = piloted()
    kept = replace(pilot, recommendation=recommend((A, side("B", 0.0)), 0.01))
    assert "gap closed" in pilot_table(pilot, run)[0]
    assert "gap closed" not in pilot_table(kept, run)[0]


def test_where_a_side_failed_it_is_no_labels_that_are_lacking() -> None:
    """Neither the sentence nor the commands send anybody to label, or to pay for turns that would fail as well."""
    pilot, run = hardly_labelled()
    assert pilot.evaluation is not None
    left_out = replace(pilot.evaluation.left_out, unfinished_turns=102, failed={"D": 102})
    evaluation = replace(pilot.evaluation, turns=1, session_turns=(1,), left_out=left_out)
    pilot = replace(pilot, evaluation=evaluation, labelled_turns=120)
    assert pilot.lacks(120, 60) is Lack.RANKINGS
    assert conclusion(pilot)[0].startswith(
        "Which side is better cannot be said: 1 turn in 1 session has labels and a ranking by every side "
        "(a side failed on 102 others: D 102), which is too few."
    )
    assert next_commands(pilot, run)[0] == f"shadowdiff replay --resume {run.run_id} --retry-failed"


def test_what_is_lacking() -> None:
    """Labels while a turn has none, but for a sample that would be too small with all labels; then turns."""
    pilot, _ = hardly_labelled()
    assert pilot.lacks(120, 60) is Lack.LABELS
    assert pilot.lacks(pilot.labelled_turns, 60) is Lack.TURNS
    assert pilot.lacks(29, 25) is pilot.lacks(120, 19) is Lack.TURNS
    assert piloted()[0].lacks(120, 60) is None


def test_a_side_that_was_not_measured_is_named() -> None:
    """It is not among those that are not shown to be better."""
    unmeasured = replace(side("B", 0.0), quality=None)
    for taken, other in (("A", side("C", 0.0)), ("C", side("C", 0.2))):
        found, words = told(A, unmeasured, other)
        assert found == taken
        assert words.endswith("B managed was not measured, as it ranked no labelled turn: it may be better or worse.")


def test_an_unknown_cost_reads_well_behind_instead_of() -> None:
    """Not `instead of at a cost`."""
    best = side("B", 0.10, UNPRICED, 0.187, behind=Estimate(0.0, 0.0, 0.0), closed=Estimate(1.0, 1.0, 1.0))
    priced = side("C", 0.099, dollars(5), None, behind=around(-0.001, 0.004), closed=Estimate(0.99, 0.95, 1.03))
    assert "for $5.00 a month instead of a cost that is not known" in told(A, best, priced)[1]
