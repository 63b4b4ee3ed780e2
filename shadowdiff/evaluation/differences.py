"""From one number per turn to means and differences with their uncertainty, by session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from shadowdiff.evaluation.measures import Values
from shadowdiff.evaluation.results import Difference, Kind, Measure, MeasureResult
from shadowdiff.paired import Flipped, balance, detectable, holm, sessions_needed, sign_flip_test
from shadowdiff.runs import Estimate
from shadowdiff.stats import bootstrap_ratios

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Grouping:
    """Which turns are of one session."""

    def __init__(self, session_ids: Iterable[str]) -> None:
        """One id per turn, in the order of the turns."""
        places: dict[str, int] = {}
        self._of_turn = np.array([places.setdefault(session_id, len(places)) for session_id in session_ids], np.intp)
        self.turns = np.bincount(self._of_turn, minlength=len(places)).astype(np.float64)
        """Turns per session."""

    @property
    def sessions(self) -> int:
        """How many there are."""
        return len(self.turns)

    def totals(self, values: ArrayLike) -> NDArray[np.float64]:
        """Sum over each session's turns."""
        found: NDArray[np.float64] = np.zeros(self.sessions)
        np.add.at(found, self._of_turn, np.asarray(values, np.float64))
        return found

    def estimates(self, rows: Sequence[ArrayLike]) -> list[Estimate]:
        """The mean over turns of each row, with its interval over sessions."""
        totals = np.array([self.totals(row) for row in rows]).reshape(len(rows), self.sessions)
        intervals = bootstrap_ratios(totals, np.tile(self.turns, (len(rows), 1)))
        return [Estimate(*interval) for interval in intervals]


def compared(grouping: Grouping, by_side: Mapping[str, Values], wanted: float) -> tuple[MeasureResult, ...]:
    """Every measure over all sides, the baseline first among them; `wanted` is the difference one would see."""
    baseline, *others = by_side
    measures = list(by_side[baseline])
    changes = {label: _changes(by_side[baseline], by_side[label]) for label in others}
    columns = [*by_side.values(), *changes.values()]
    estimates = iter(grouping.estimates([values[measure] for measure in measures for values in columns]))
    tests = {label: _tests(grouping, changes[label]) for label in others}
    results = []
    for measure in measures:
        means = {label: next(estimates) for label in by_side}
        differences = {
            label: _difference(grouping, changes[label][measure], next(estimates), tests[label].get(measure), wanted)
            for label in others
        }
        results.append(MeasureResult(measure, means, differences))
    return tuple(results)


def _changes(before: Values, after: Values) -> Values:
    return {measure: [b - a for a, b in zip(values, after[measure], strict=True)] for measure, values in before.items()}


def _tests(grouping: Grouping, changes: Values) -> dict[Measure, tuple[Flipped, float]]:
    """Every quality measure's test, and its p corrected over them."""
    tested = {m: sign_flip_test(grouping.totals(row)) for m, row in changes.items() if m.kind is not Kind.JUDGED}
    corrected = holm([test.p for test in tested.values()])
    return {measure: (test, p) for (measure, test), p in zip(tested.items(), corrected, strict=True)}


def _difference(
    grouping: Grouping, row: Sequence[float], mean: Estimate, tested: tuple[Flipped, float] | None, wanted: float
) -> Difference:
    totals = grouping.totals(row)
    test, p_holm = tested or (None, None)
    smallest = detectable(totals, grouping.turns)
    return Difference(
        mean=mean,
        test=test,
        p_holm=p_holm,
        turns=balance(row),
        sessions=balance(totals / grouping.turns),
        detectable=smallest,
        sessions_needed=None if smallest is None else sessions_needed(grouping.sessions, smallest, wanted),
        totals=tuple(totals.tolist()),
    )
