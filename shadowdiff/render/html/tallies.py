"""What the charts are drawn from, added up while sessions stream by: a few numbers per session and pair."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from shadowdiff.diff import contrast
from shadowdiff.records import Outcome, SessionOutcome, TurnDiff
from shadowdiff.render.html.payload import only
from shadowdiff.runs import Run, Side

Counts = tuple[int, int, int, int]
"""Turns by outcome, in the order of `Outcome`."""


@dataclass(slots=True)
class PairTally:
    """Spreads of one pair of sides."""

    sessions: list[tuple[tuple[float, ...], Counts]] = field(default_factory=list)
    """Contrast and turns by outcome of every session with a turn."""
    only_in_a: Counter[int] = field(default_factory=Counter)
    """Sessions with a completed turn, by the number of distinct entries that only A surfaced."""
    only_in_b: Counter[int] = field(default_factory=Counter)
    overlap: Counter[int] = field(default_factory=Counter)
    """Completed turns by tenths of overlap, rounded down: 10 is the same entries, 9 is from 0.9 to less than 1."""
    moves: Counter[int] = field(default_factory=Counter)
    """Entries that both sides surfaced, over turns, by the side's rank less A's: negative is nearer the top."""

    def add(self, outcome: SessionOutcome, side: Side) -> None:
        """Count one session."""
        turns = Counter(turn.outcome(side.label) for turn in outcome.turns)
        if outcome.turns:
            same, reordered, different, failed = (turns[kind] for kind in Outcome)
            self.sessions.append((contrast(only(outcome, [side])), (same, reordered, different, failed)))
        session = outcome.diffs[side.label]
        if session.completed_turns:
            self.only_in_a[len(session.only_in_a)] += 1
            self.only_in_b[len(session.only_in_b)] += 1
        for turn in outcome.turns:
            diff = turn.diffs[side.label]
            if diff is not None:
                self._add_turn(diff)

    def _add_turn(self, diff: TurnDiff) -> None:
        # 0.3 * 10 is less than 3 in binary; a share of at most 1,000 entries is never this near below a tenth.
        self.overlap[int(diff.overlap * 10 + 1e-9)] += 1
        ranks = {entry_id: rank for rank, entry_id in enumerate(diff.surfaced_a)}
        for rank, entry_id in enumerate(diff.surfaced_b):
            if entry_id in ranks:
                self.moves[rank - ranks[entry_id]] += 1


class Tallies:
    """One tally per side that is compared with the baseline, by label."""

    def __init__(self, run: Run) -> None:
        self._sides = {side.label: side for side in run.others}
        self.pairs = {label: PairTally() for label in self._sides}
        self.sessions = 0

    def add(self, outcome: SessionOutcome) -> None:
        """Count one session; each once."""
        self.sessions += 1
        for label, tally in self.pairs.items():
            tally.add(outcome, self._sides[label])
