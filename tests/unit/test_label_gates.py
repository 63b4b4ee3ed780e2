"""Rules over labels: read without eval, and judged on the bad end of the interval of what they are about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shadowdiff.errors import ConfigError
from shadowdiff.evaluation.results import Evaluation, Kind, Measure, MeasureResult
from shadowdiff.gates.labelled import depths, label_outcomes, parse_label_rule, parse_label_rules
from shadowdiff.gates.reader import Comparison
from shadowdiff.nightly.settings import Strict
from shadowdiff.nights import GateOutcome
from shadowdiff.runs import Estimate
from tests.evaluation_cases import evaluated

NDCG = Measure(Kind.NDCG, 5)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Three sides; B is better than A on the whole."""
    return evaluated()[0]


def with_difference(evaluation: Evaluation, estimate: Estimate) -> Evaluation:
    """The same with another difference of B to A in nDCG@5."""

    def changed(result: MeasureResult) -> MeasureResult:
        if result.measure != NDCG:
            return result
        return replace(result, differences={**result.differences, "B": replace(result.differences["B"], mean=estimate)})

    return replace(evaluation, measures=tuple(map(changed, evaluation.measures)))


def judged(evaluation: Evaluation, rule: str, strict: Strict = Strict.BOUND) -> GateOutcome:
    """What the rule makes of it."""
    (outcome,) = label_outcomes(parse_label_rules([rule]), evaluation, strict)
    return outcome


def test_rules_are_read_as_people_write_them() -> None:
    """Capitals and spaces do not matter; MAP has no depth."""
    rule = parse_label_rule(" nDCG@5.b>=ndcg@5.A-0.01 ")
    assert (rule.term.name, rule.comparison, rule.limit) == ("ndcg@5.B", Comparison.AT_LEAST, -0.01)
    assert rule.against is not None
    assert rule.against.name == "ndcg@5.A"
    assert parse_label_rule("map.C > .25").limit == 0.25
    assert parse_label_rule("recall@20.B >= recall@20.A + 0.02").limit == 0.02
    assert depths(parse_label_rules(["ndcg@5.B >= 0", "map.B >= 0", "p@20.B >= 0", "mrr@5.B >= 0"])) == (5, 20)
    assert depths(parse_label_rules(["map.B >= 0"])) == (10,)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected a measure of a side, such as ndcg@10.B (at 0)"),
        ("ndgc@5.B >= 1", "no measure 'ndgc'; did you mean 'ndcg'?"),
        ("ndcg.B >= 1", "expected a depth such as @10 after 'ndcg', found '.B' (at 5)"),
        ("ndcg@0.B >= 1", "expected a depth"),
        ("ndcg@5 >= 1", "expected a side such as .B after '@5', found '>=' (at 8)"),
        ("ndcg@5.B = 1", "expected <=, <, >= or > after '.B', found '=' (at 10)"),
        ("ndcg@5.B >=", "expected a number, or the same measure of another side after '>=' (at 11)"),
        ("ndcg@5.B >= 1.5", "measures are from 0 to 1, found 1.5"),
        ("ndcg@5.B >= -0.1", "expected a number, or the same measure of another side after '>=', found '-0.1' (at 13)"),
        ("ndcg@5.B >= ndcg@10.A", "expected ndcg@5 of another side, found ndcg@10.A"),
        ("ndcg@5.B >= ndcg@5.B", "expected ndcg@5 of another side, found ndcg@5.B"),
        ("ndcg@5.B >= ndcg@5.A -", "expected a number after '-' (at 22)"),
        ("ndcg@5.B >= 0.5 or 1", "expected nothing more after '0.5', found 'or' (at 17)"),
        ("__import__('os').B >= 1", "expected a measure of a side"),
    ],
)
def test_what_cannot_be_read_is_pointed_at(text: str, problem: str) -> None:
    """The rule, what was expected, and where."""
    with pytest.raises(ConfigError) as refused:
        parse_label_rule(text)
    assert str(refused.value).startswith(f"--rule {text.strip()!r}: ")
    assert problem in str(refused.value)


def test_a_difference_is_judged_by_its_whole_interval(evaluation: Evaluation) -> None:
    """Not worse by more than the margin: shown only where the low end says so, whatever the mean is."""
    unsure = with_difference(evaluation, Estimate(0.02, -0.015, 0.05))
    assert not judged(unsure, "ndcg@5.B >= ndcg@5.A - 0.01").passed
    assert judged(unsure, "ndcg@5.B >= ndcg@5.A - 0.02").passed
    assert judged(unsure, "ndcg@5.B >= ndcg@5.A - 0.01", Strict.POINT).passed
    outcome = judged(unsure, "ndcg@5.B >= ndcg@5.A - 0.01")
    assert (outcome.figure, outcome.value, outcome.bound, outcome.limit) == ("ndcg@5 B - A", 0.02, -0.015, -0.01)


@pytest.mark.parametrize("low", [-0.03, -0.02, -0.01, 0.0, 0.01])
def test_a_rule_says_the_same_from_either_side(evaluation: Evaluation, low: float) -> None:
    """`A <= B + x` is `B >= A - x`."""
    changed = with_difference(evaluation, Estimate(0.02, low, 0.05))
    one, other = (judged(changed, rule) for rule in ("ndcg@5.B >= ndcg@5.A - 0.02", "ndcg@5.A <= ndcg@5.B + 0.02"))
    assert one.passed == other.passed == (low >= -0.02)
    assert (one.figure, one.bound, one.limit) == (other.figure, other.bound, other.limit)


def test_measures_are_held_against_numbers(evaluation: Evaluation) -> None:
    """By the low end for at least, by the high end for at most; the figures are the evaluation's own."""
    (result,) = (item for item in evaluation.measures if item.measure == NDCG)
    mean = result.means["B"]
    assert mean.value is not None
    at_least = judged(evaluation, f"ndcg@5.B >= {mean.value:.6f}")
    assert (at_least.value, at_least.bound, at_least.passed) == (mean.value, mean.low, False)
    at_most = judged(evaluation, f"ndcg@5.B <= {mean.value + 0.000001:.6f}")
    assert (at_most.bound, at_most.passed) == (mean.high, False)
    assert judged(evaluation, f"ndcg@5.B >= {mean.value - 0.000001:.6f}", Strict.POINT).passed


def test_without_an_interval_a_figure_is_judged_and_that_is_said(evaluation: Evaluation) -> None:
    """But only where it is held against a number, or where that was asked for."""
    (result,) = (item for item in evaluation.measures if item.measure == NDCG)
    changed = replace(result, means={**result.means, "B": Estimate(0.7)})
    few = judged(replace(evaluation, measures=(changed,)), "ndcg@5.B >= 0.6")
    assert (few.passed, few.value, few.bound) == (True, 0.7, None)
    assert "no interval" in few.note
    assert judged(with_difference(evaluation, Estimate(0.02)), "ndcg@5.B >= ndcg@5.A", Strict.POINT).passed


def test_a_difference_without_an_interval_is_not_shown(evaluation: Evaluation) -> None:
    """One labelled session must not let a side through that is better there, nor anything without a figure."""
    few = judged(with_difference(evaluation, Estimate(0.02)), "ndcg@5.B >= ndcg@5.A")
    assert (few.passed, few.value) == (False, None)
    assert "--strict point" in few.note
    assert not judged(with_difference(evaluation, Estimate(None)), "ndcg@5.B >= ndcg@5.A - 1").passed


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("ndcg@5.B >= ndcg@5.C", "differences are to the baseline: name A on one side"),
        ("ndcg@5.D >= ndcg@5.A", "side D has no measured turns; measured: A, B, C"),
        ("ndcg@5.D >= 0.5", "side D has no measured turns"),
    ],
)
def test_sides_that_were_not_measured(evaluation: Evaluation, rule: str, problem: str) -> None:
    """Said with those that were."""
    with pytest.raises(ConfigError) as refused:
        judged(evaluation, rule)
    assert problem in str(refused.value)


@pytest.mark.parametrize("rule", ["ndcg@5.B >= 0", "ndcg@5.B >= ndcg@5.A - 0.5"])
@pytest.mark.parametrize("strict", Strict)
def test_labels_of_entries_that_no_pool_holds_keep_to_no_rule(
    evaluation: Evaluation, rule: str, strict: Strict
) -> None:
    """With the ids of other entries every side has 0, and the difference none: that must not pass for equal sides."""
    outcome = judged(replace(evaluation, pooled_labels=0), rule, strict)
    assert (outcome.passed, outcome.value) == (False, None)
    assert "no labelled entry stands in its turn's pool" in outcome.note


def test_labels_of_which_none_is_relevant_keep_to_no_rule(evaluation: Evaluation) -> None:
    """Every side has 0 there; but nDCG has the grades below the threshold, and a judged share needs none."""
    none = replace(evaluation, irrelevant_turns=evaluation.turns, min_grade=4)
    missed = judged(none, "recall@5.B >= recall@5.A - 0.5")
    assert (missed.passed, missed.value) == (False, None)
    assert missed.note == "no labelled entry is relevant: no label has a grade of 4 or more"
    assert judged(none, "ndcg@5.B >= 0").passed
    assert judged(none, "judged@5.B >= 0").passed
    assert not judged(replace(none, min_grade=1), "ndcg@5.B >= 0").passed
