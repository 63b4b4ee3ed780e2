"""Rules over measures from labels: `ndcg@5.B >= ndcg@5.A - 0.01`, `map.B >= 0.6`. Read by a small parser. Pure.

A rule with both sides is judged on their difference over the same turns, by its
95% interval over whole sessions: that B is not worse than A by more than the
margin is shown only once the whole interval says so (non-inferiority).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite

from shadowdiff.evaluation.results import Evaluation, Kind, Measure, MeasureResult
from shadowdiff.gates.judge import bad_end
from shadowdiff.gates.reader import Comparison, RuleReader, problem
from shadowdiff.nightly.settings import Strict
from shadowdiff.nights import GateOutcome
from shadowdiff.runs import Estimate

KINDS = {kind.value.lower(): kind for kind in Kind}
NO_INTERVAL = "judged by the figure itself: no interval, as too few sessions have labels"
NOTHING_SHOWN = (
    "no interval, as one session alone has labels: no difference is shown; label more sessions, or let the figure "
    "itself be judged with --strict point"
)
NOTHING_RELEVANT = "no labelled entry is relevant: no label has a grade of {least} or more"
NOTHING_POOLED = "no labelled entry stands in its turn's pool: are the labels' ids those of the entries?"
TURNED = {
    Comparison.AT_MOST: Comparison.AT_LEAST,
    Comparison.AT_LEAST: Comparison.AT_MOST,
    Comparison.BELOW: Comparison.ABOVE,
    Comparison.ABOVE: Comparison.BELOW,
}
ORIGIN = "--rule"
_NAME = re.compile(r"[A-Za-z]+")
_DEPTH = re.compile(r"@([1-9][0-9]{0,5})")
_SIDE = re.compile(r"\.([A-Za-z])\b")
_SHIFT = re.compile(r"[+-]")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")


@dataclass(frozen=True, slots=True)
class Term:
    """A measure of one side: `ndcg@5.B`."""

    measure: Measure
    side: str

    @property
    def name(self) -> str:
        """As a rule may write it."""
        return f"{self.measure.name.lower()}.{self.side}"


@dataclass(frozen=True, slots=True)
class LabelRule:
    """One rule, of which every word has been understood."""

    text: str
    term: Term
    comparison: Comparison
    limit: float
    """Of the term; where it is held against another, of the term less that one."""
    against: Term | None = None
    """The same measure of another side."""


def parse_label_rule(text: str) -> LabelRule:
    """Read `MEASURE.SIDE OP NUMBER`, or `MEASURE.SIDE OP MEASURE.SIDE [+|- NUMBER]`.

    Raises ConfigError, which says what was expected where.
    """
    reader = RuleReader(text, ORIGIN)
    term = _term(reader, "a measure of a side, such as ndcg@10.B")
    comparison = reader.comparison()
    if reader.sees(_NUMBER):
        rule = LabelRule(text.strip(), term, comparison, _number(reader))
    else:
        against = _against(reader, term)
        shift = reader.take(_SHIFT, "+ or -") if reader.sees(_SHIFT) else ""
        limit = _number(reader) if shift else 0.0
        rule = LabelRule(text.strip(), term, comparison, -limit if shift == "-" else limit, against)
    reader.end()
    return rule


def parse_label_rules(texts: Iterable[str]) -> tuple[LabelRule, ...]:
    """Read rules, in the order given. Raises ConfigError on the first that cannot be read."""
    return tuple(parse_label_rule(text) for text in texts)


def depths(rules: Iterable[LabelRule]) -> tuple[int, ...]:
    """The depths that must be measured, each once; 10 where no rule has one."""
    found = [rule.term.measure.depth for rule in rules]
    return tuple(dict.fromkeys(depth for depth in found if depth is not None)) or (10,)


def label_outcomes(
    rules: Sequence[LabelRule], evaluation: Evaluation, strict: Strict = Strict.BOUND
) -> tuple[GateOutcome, ...]:
    """Hold every rule against what was measured. Raises ConfigError on a side that was not."""
    results = {result.measure: result for result in evaluation.measures}
    return tuple(_outcome(rule, results[rule.term.measure], evaluation, strict) for rule in rules)


def _outcome(rule: LabelRule, result: MeasureResult, evaluation: Evaluation, strict: Strict) -> GateOutcome:
    name, estimate, comparison, limit = _subject(rule, result, evaluation)
    bound = bad_end(estimate, comparison) if strict is Strict.BOUND else None
    if unknown := _unknown(rule, evaluation, strict, bound):
        return GateOutcome(rule.text, name, value=None, bound=None, limit=limit, passed=False, note=unknown)
    judged = estimate.value if bound is None else bound
    return GateOutcome(
        rule=rule.text,
        figure=name,
        value=estimate.value,
        bound=bound,
        limit=limit,
        passed=judged is not None and comparison.holds(judged, limit),
        note=NO_INTERVAL if strict is Strict.BOUND and bound is None else "",
    )


def _unknown(rule: LabelRule, evaluation: Evaluation, strict: Strict, bound: float | None) -> str:
    """Why there is no figure to judge, which keeps to no rule; empty where there is one.

    A number is held against the figure itself where there is no interval. A difference is
    not: that it is above a margin would pass as shown with nothing to show it.
    """
    if not evaluation.pooled_labels:
        return NOTHING_POOLED
    if _needs_relevant(rule.term.measure.kind, evaluation) and evaluation.is_nothing_relevant:
        return NOTHING_RELEVANT.format(least=evaluation.min_grade)
    return NOTHING_SHOWN if rule.against and strict is Strict.BOUND and bound is None else ""


def _needs_relevant(kind: Kind, evaluation: Evaluation) -> bool:
    """Whether the measure is 0 for every side where no entry is relevant; nDCG's gain is any grade above 0."""
    return kind is not Kind.JUDGED and (kind is not Kind.NDCG or evaluation.min_grade == 1)


def _subject(rule: LabelRule, result: MeasureResult, evaluation: Evaluation) -> tuple[str, Estimate, Comparison, float]:
    """What is judged, how, and against what: differences are to the baseline, so the other side stands first."""
    if rule.against is None:
        return rule.term.name, _mean(rule, rule.term, result), rule.comparison, rule.limit
    terms = {rule.term.side: rule.term, rule.against.side: rule.against}
    if evaluation.baseline not in terms:
        raise problem(ORIGIN, rule.text, f"differences are to the baseline: name {evaluation.baseline} on one side")
    is_turned = rule.term.side == evaluation.baseline
    first, second = (rule.against, rule.term) if is_turned else (rule.term, rule.against)
    _mean(rule, first, result)
    estimate = result.differences[first.side].mean
    name = f"{first.measure.name.lower()} {first.side} - {second.side}"
    if is_turned:
        return name, estimate, TURNED[rule.comparison], -rule.limit
    return name, estimate, rule.comparison, rule.limit


def _mean(rule: LabelRule, term: Term, result: MeasureResult) -> Estimate:
    if term.side not in result.means:
        known = ", ".join(result.means)
        raise problem(ORIGIN, rule.text, f"side {term.side} has no measured turns; measured: {known}")
    return result.means[term.side]


def _term(reader: RuleReader, wanted: str) -> Term:
    """A measure, its depth where it has one, and a side."""
    name = reader.take(_NAME, wanted)
    kind = KINDS.get(name.lower())
    if kind is None:
        near = get_close_matches(name.lower(), KINDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"measures: {', '.join(KINDS)}"
        raise reader.problem(f"no measure {name!r}; {hint}", reader.at)
    depth = None if kind is Kind.MAP else int(reader.take(_DEPTH, "a depth such as @10"))
    return Term(Measure(kind, depth), reader.take(_SIDE, "a side such as .B").upper())


def _against(reader: RuleReader, term: Term) -> Term:
    """The same measure of another side."""
    before = reader.place
    found = _term(reader, "a number, or the same measure of another side")
    if found.measure != term.measure or found.side == term.side:
        raise reader.problem(f"expected {term.measure.name.lower()} of another side, found {found.name}", before)
    return found


def _number(reader: RuleReader) -> float:
    """A number from 0 to 1: all measures are."""
    number = float(reader.take(_NUMBER, "a number"))
    if not isfinite(number) or number > 1:
        raise reader.problem(f"measures are from 0 to 1, found {number:g}", reader.at)
    return number
