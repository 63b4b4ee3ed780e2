"""A run's rankings, measured against labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shadowdiff.errors import NothingToMeasureError
from shadowdiff.evaluation.differences import Grouping, compared
from shadowdiff.evaluation.measures import chosen_measures, measured
from shadowdiff.evaluation.results import Evaluation, Kind, MeasureResult
from shadowdiff.evaluation.retrieval import ceiling, relevant_entries
from shadowdiff.evaluation.segments import segments
from shadowdiff.evaluation.turns import CountedTurns, counted_turns
from shadowdiff.evaluation.unjudged import unjudged
from shadowdiff.records import Label, ReplayedSession
from shadowdiff.runs import Run

JUDGED_GAP = 0.05
"""By more than this the share of judged entries of two sides differs so much that measures favour one of them."""


def evaluate(
    run: Run,
    sessions: Iterable[ReplayedSession],
    labels: Iterable[Label],
    depths: Sequence[int],
    *,
    min_grade: int = 1,
    wanted: float = 0.01,
    named: str = "",
) -> Evaluation:
    """Measure every side at these depths, of which the first is the one that segments and losses are told at.

    `wanted`: the difference for which to say how many sessions would show it.
    `named`: what errors call the runs, where the sessions are of several with the sides of `run`.

    Raises NothingToMeasureError, with what to do.
    """
    counted = counted_turns(run.sides, sessions, labels)
    _require(run, counted, named)
    turns, sides = counted.turns, counted.sides
    grades = [turn.grades for turn in turns]
    measures = chosen_measures(depths)
    values = {side: measured([turn.listed[side] for turn in turns], grades, measures, min_grade) for side in sides}
    grouping = Grouping(turn.session.session_id for turn in turns)
    results = compared(grouping, values, wanted)
    whole = {side: found.mean for side, found in results[0].differences.items()}
    parts, skipped = segments(turns, {side: found[measures[0]] for side, found in values.items()}, whole)
    return Evaluation(
        depths=tuple(depths),
        min_grade=min_grade,
        wanted=wanted,
        baseline=sides[0],
        others=tuple(sides[1:]),
        labels=sum(map(len, grades)),
        pooled_labels=sum(len(turn.grades.keys() & set(turn.pool)) for turn in turns),
        turns=len(turns),
        session_turns=tuple(map(int, grouping.turns)),
        irrelevant_turns=sum(not relevant_entries(turn, min_grade) for turn in turns),
        left_out=counted.left_out,
        measures=results,
        unequally_judged=_unequally_judged(results),
        segments=parts,
        skipped_dimensions=skipped,
        ceiling=ceiling(turns, sides, depths[0], min_grade),
        unjudged=unjudged(turns, sides, depths[0]),
    )


def _require(run: Run, counted: CountedTurns, named: str) -> None:
    """Raise NothingToMeasureError unless some turn can be measured, of the baseline and of another side."""
    left_out, what, name = counted.left_out, named or f"run {run.run_id}", "RUN" if named else run.run_id
    if not (counted.turns or left_out.unfinished_turns):
        raise NothingToMeasureError(
            f"no label on any of the {left_out.unlabelled_turns:,} turns of {what}; label some in "
            "`shadowdiff review`, or load them with a bundle's qrels.txt"
        )
    if run.baseline.label in left_out.sides or len(counted.sides) < 2:
        raise NothingToMeasureError(
            f"nothing to compare in {what}: side {left_out.sides[0]} ranked none of the labelled turns; "
            f"for the reason, see: shadowdiff show {name}"
        )
    if not counted.turns:
        raise NothingToMeasureError(
            f"no labelled turn of {what} that every side ranked: on each of {left_out.unfinished_turns:,} "
            f"some side failed; ask again with: shadowdiff replay --resume {name} --retry-failed"
        )


def _unequally_judged(results: Sequence[MeasureResult]) -> tuple[str, ...]:
    """Sides whose judged share is another than the baseline's, at any depth."""
    gaps = [found.differences for found in results if found.measure.kind is Kind.JUDGED]
    labels = gaps[0] if gaps else {}
    return tuple(label for label in labels if any(abs(gap[label].mean.value or 0.0) > JUDGED_GAP for gap in gaps))
