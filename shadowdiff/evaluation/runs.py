"""Which runs an evaluation is of: one, or all since a time that have the same sides and setting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shadowdiff.history import setting_of
from shadowdiff.runs import Run, Side


@dataclass(frozen=True, slots=True)
class OtherRuns:
    """Runs with the same sides and setting as each other, and not those of the evaluation."""

    run_ids: tuple[str, ...]
    sides: tuple[Side, ...]
    setting: str
    """As `setting_of` says it."""


@dataclass(frozen=True, slots=True)
class EvaluatedRuns:
    """What an evaluation is of, and which runs of the same time it is not of. Ids of runs stand oldest first."""

    run: Run
    """Whose sides and setting they all have."""
    sessions: Mapping[str, Sequence[str]]
    """By run id: ids of the sessions that count from this run. A session counts from the newest run that has it."""
    since: datetime | None = None
    """None: the evaluation is of `run` alone."""
    repeated: tuple[str, ...] = ()
    """Runs of which nothing counts: newer ones have replayed all of their sessions."""
    pruned: tuple[str, ...] = ()
    """Runs of which nothing counts: sessions are gone."""
    others: tuple[OtherRuns, ...] = ()
    unfinished: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By run id, of those that count: sessions replayed so far, and sessions planned."""

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Runs from which sessions count."""
        return tuple(self.sessions)


def alike(runs: Iterable[Run], run: Run) -> tuple[list[Run], tuple[OtherRuns, ...]]:
    """Those that have the sides (label, spec, fingerprint, threshold) and the setting of `run`, and the others."""
    found: list[Run] = []
    others: dict[tuple[object, ...], list[Run]] = defaultdict(list)
    for each in runs:
        (found if _kind(each) == _kind(run) else others[_kind(each)]).append(each)
    groups = (([each.run_id for each in group], group[0]) for group in others.values())
    return found, tuple(OtherRuns(tuple(ids), first.sides, setting_of(first)) for ids, first in groups)


def _kind(run: Run) -> tuple[object, ...]:
    return tuple((side.label, side.spec, side.fingerprint, side.min_score) for side in run.sides), setting_of(run)
