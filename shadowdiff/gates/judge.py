"""What rules make of a run: one outcome per rule and side. A figure that is not there never keeps to a rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

from shadowdiff.gates.reader import Comparison
from shadowdiff.gates.readings import NO_NOISE, Reading
from shadowdiff.gates.rules import NOISE, Rule
from shadowdiff.nightly.settings import Strict
from shadowdiff.nights import GateOutcome
from shadowdiff.runs import Estimate, Run, RunStatus

NO_NUMBER = "the run has no number for it; replay its sessions anew"
NOT_RECORDED = "the run's summary does not have the side"


def outcomes(rules: Iterable[Rule], run: Run, strict: Strict) -> tuple[GateOutcome, ...]:
    """Hold every rule against the run, in the order given; a rule without a side against each side that it is of.

    With Strict.BOUND an estimate is judged by the end of its 95% interval on the
    rule's bad side; never by a better number than the figure itself. A run that is
    not finished has no figures, and keeps to no rule. Raises ConfigError on a side that the run does
    not have.
    """
    labels = [side.label for side in run.sides]
    return tuple(_outcome(rule, side, run, strict) for rule in rules for side in rule.subjects(labels))


def crossed(found: Sequence[GateOutcome]) -> tuple[GateOutcome, ...]:
    """Those of the rules that do not hold."""
    return tuple(outcome for outcome in found if not outcome.passed)


def _outcome(rule: Rule, side: str | None, run: Run, strict: Strict) -> GateOutcome:
    reading = _reading(rule, side, run)
    if not all(number is None or isfinite(number) for number in (reading.value, reading.low, reading.high)):
        reading = Reading(None, note=NO_NUMBER)
    bound = bad_end(reading, rule.comparison) if strict is Strict.BOUND else None
    judged = reading.value if bound is None else bound
    return GateOutcome(
        rule=rule.text,
        figure=rule.name if side is None else f"{rule.name}.{side}",
        value=reading.value,
        bound=bound,
        limit=rule.limit,
        passed=judged is not None and rule.comparison.holds(judged, rule.limit),
        note=_note(reading, strict),
    )


def _reading(rule: Rule, side: str | None, run: Run) -> Reading:
    """The figure of the run, of a pair, or of a side; none of a part of a run, which may look better than the whole."""
    figure, summary = rule.figure, run.summary
    if run.status is not RunStatus.DONE or summary is None:
        return Reading(None, note=f"the run is not finished; go on with: shadowdiff replay --resume {run.run_id}")
    if side is None:
        return Reading(None, note=NOT_RECORDED) if figure.of_run is None else figure.of_run(summary)
    if figure.of_side is not None:
        did = summary.sides.get(side)
        return Reading(None, note=NOT_RECORDED) if did is None else figure.of_side(did, summary)
    pair = summary.noise if side == NOISE else summary.pairs.get(side)
    if pair is None or figure.of_pair is None:
        return Reading(None, note=NO_NOISE if side == NOISE else NOT_RECORDED)
    return figure.of_pair(pair, summary)


def bad_end(found: Reading | Estimate, comparison: Comparison) -> float | None:
    """The bad end of the interval; the figure itself where that is worse, as it can be of a skewed bootstrap."""
    if found.value is None or found.low is None or found.high is None:
        return None
    return max(found.high, found.value) if comparison.wants_little else min(found.low, found.value)


def _note(reading: Reading, strict: Strict) -> str:
    """Why there is no figure; why it has no bound only where a bound was asked for."""
    return reading.note if reading.value is None or strict is Strict.BOUND else ""
