"""From session outcomes to what a person pastes into a pull request. Pure; sessions stream through."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shadowdiff.distinct import DistinctPairs
from shadowdiff.fidelity import FidelityTally
from shadowdiff.records import NOISE_SIDE, Outcome, PoolOrigin, ReplayedTurn, SessionDiff, SessionOutcome, TurnDiff
from shadowdiff.runs import Estimate, PairSummary, RunConfig, RunSummary, Side, SideSummary
from shadowdiff.stats import bootstrap_ratios

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


MONTH = timedelta(days=30)
LEAST_SPAN = timedelta(hours=1)
"""Between the first and the last turn, for a rate."""


def turns_per_month(turns: float, first: datetime, last: datetime) -> float | None:
    """How often is asked, from so many turns between two of them; None where they lie too close together to say."""
    return turns * (MONTH / (last - first)) if last - first >= LEAST_SPAN else None


class SummaryBuilder:
    """Adds sessions up, one at a time and in any order.

    Keeps six numbers per session and pair, two more for what was served, and the
    distinct (org, entry) pairs that each side surfaced; never an outcome.
    """

    def __init__(self, config: RunConfig, sides: Sequence[Side]) -> None:
        self._labels = frozenset(side.label for side in sides)
        self._pairs = {side.label: _PairTally() for side in sides[1:]}
        self._noise = {NOISE_SIDE: _PairTally()} if config.noise else {}
        self._tallies = self._pairs | self._noise
        self._fidelity = FidelityTally(config)
        self._sessions = 0
        self._turns = 0
        self._failed_turns = 0
        self._pools: Counter[PoolOrigin] = Counter()

    def add(self, outcome: SessionOutcome) -> None:
        """Count one session of the run; each session once."""
        self._sessions += 1
        self._fidelity.add(outcome)
        for turn in outcome.turns:
            self._add_turn(turn.replayed)
        for label, tally in self._tallies.items():
            diffs = [turn.diffs[label] for turn in outcome.turns]
            tally.add(outcome.session.org_id, outcome.diffs[label], diffs)

    def finish(
        self,
        side_summaries: Mapping[str, SideSummary],
        *,
        unpooled_turns: int,
        missing_entries: int,
    ) -> RunSummary:
        """Summarise what was added so far; the arguments are what replay counted, taken over as they are."""
        return RunSummary(
            sessions=self._sessions,
            turns=self._turns,
            failed_turns=self._failed_turns,
            pools={origin: self._pools[origin] for origin in PoolOrigin if self._pools[origin]},
            unpooled_turns=unpooled_turns,
            missing_entries=missing_entries,
            pairs={label: tally.summary() for label, tally in self._pairs.items()},
            sides=dict(side_summaries),
            noise=self._noise[NOISE_SIDE].summary() if self._noise else None,
            fidelity=self._fidelity.summary(),
        )

    def _add_turn(self, turn: ReplayedTurn) -> None:
        self._turns += 1
        self._failed_turns += not self._labels <= turn.rankings.keys()
        # A turn without a recorded pool that got no other pool has an empty one, of no origin.
        if not (turn.unpooled and turn.pool.origin is PoolOrigin.RECORDED):
            self._pools[turn.pool.origin] += 1


def percent_change(a: int, b: int) -> float | None:
    """Change from `a` to `b` in per cent of `a`: 34.3 for 35 and 47. None when `a` is 0."""
    return 100 * (b - a) / a if a else None


@dataclass(slots=True)
class _PerSession:
    """One number per session with a completed turn: eight bytes each."""

    only_in_a: array[float] = field(default_factory=lambda: array("d"))
    only_in_b: array[float] = field(default_factory=lambda: array("d"))
    overlap: array[float] = field(default_factory=lambda: array("d"))
    """Sum over the session's completed turns, as the next two."""
    rbo: array[float] = field(default_factory=lambda: array("d"))
    same_top1: array[float] = field(default_factory=lambda: array("d"))
    completed_turns: array[float] = field(default_factory=lambda: array("d"))

    def add(self, session: SessionDiff, completed: Sequence[TurnDiff]) -> None:
        self.only_in_a.append(len(session.only_in_a))
        self.only_in_b.append(len(session.only_in_b))
        self.overlap.append(sum(diff.overlap for diff in completed))
        self.rbo.append(sum(diff.rbo for diff in completed))
        self.same_top1.append(sum(diff.same_top1 for diff in completed))
        self.completed_turns.append(len(completed))

    def estimates(self) -> dict[str, Estimate]:
        """By field of PairSummary."""
        per_session = array("d", [1.0]) * len(self.completed_turns)
        ratios = {
            "only_in_a_per_session": (self.only_in_a, per_session),
            "only_in_b_per_session": (self.only_in_b, per_session),
            "overlap": (self.overlap, self.completed_turns),
            "rbo": (self.rbo, self.completed_turns),
            "same_top1": (self.same_top1, self.completed_turns),
        }
        numerators, denominators = zip(*ratios.values(), strict=True)
        intervals = bootstrap_ratios(numerators, denominators)
        return {name: Estimate(*interval) for name, interval in zip(ratios, intervals, strict=True)}


@dataclass(slots=True)
class _PairTally:
    """Running counts of one pair of sides."""

    turns: Counter[Outcome] = field(default_factory=Counter)
    sessions_changed: int = 0
    sessions_where_b_adds: int = 0
    only_in_a: int = 0
    only_in_b: int = 0
    both: int = 0
    turn_only_in_a: int = 0
    turn_only_in_b: int = 0
    near_tie_entries: int = 0
    distinct_a: DistinctPairs = field(default_factory=DistinctPairs)
    distinct_b: DistinctPairs = field(default_factory=DistinctPairs)
    per_session: _PerSession = field(default_factory=_PerSession)

    def add(self, org_id: str, session: SessionDiff, diffs: Sequence[TurnDiff | None]) -> None:
        completed = [diff for diff in diffs if diff is not None]
        self.turns[Outcome.FAILED] += len(diffs) - len(completed)
        if completed:
            self._add_session(org_id, session)
            self._add_turns(completed)
            self.per_session.add(session, completed)

    def _add_session(self, org_id: str, session: SessionDiff) -> None:
        self.sessions_changed += bool(session.only_in_a or session.only_in_b)
        self.sessions_where_b_adds += bool(session.only_in_b)
        self.only_in_a += len(session.only_in_a)
        self.only_in_b += len(session.only_in_b)
        self.both += len(session.both)
        self.distinct_a.update(org_id, session.both + session.only_in_a)
        self.distinct_b.update(org_id, session.both + session.only_in_b)

    def _add_turns(self, completed: Iterable[TurnDiff]) -> None:
        for diff in completed:
            self.turns[diff.outcome] += 1
            differing = diff.only_in_a + diff.only_in_b
            if differing:
                self.turn_only_in_a += len(diff.only_in_a)
                self.turn_only_in_b += len(diff.only_in_b)
                self.near_tie_entries += len((diff.near_ties_a | diff.near_ties_b).intersection(differing))

    def summary(self) -> PairSummary:
        return PairSummary(
            turns={outcome: self.turns[outcome] for outcome in Outcome},
            sessions=len(self.per_session.completed_turns),
            sessions_changed=self.sessions_changed,
            sessions_where_b_adds=self.sessions_where_b_adds,
            only_in_a=self.only_in_a,
            only_in_b=self.only_in_b,
            both=self.both,
            distinct_a=len(self.distinct_a),
            distinct_b=len(self.distinct_b),
            near_tie_entries=self.near_tie_entries,
            turn_only_in_a=self.turn_only_in_a,
            turn_only_in_b=self.turn_only_in_b,
            **self.per_session.estimates(),
        )
