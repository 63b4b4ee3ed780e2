"""How well production's side reproduces what production served. Pure.

A replay that does not reproduce production compares with something that no user
saw. So this is counted apart from what the sides differ in, and has a verdict of
its own: the side reproduces production where at least REPRODUCED_SHARE of the
turns are identical or differ by near-ties alone, and the overlap is at least
REPRODUCED_OVERLAP on average. The second half is there because a side that tells
hardly any entries apart has near-ties everywhere.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from itertools import filterfalse, zip_longest
from statistics import median
from typing import TYPE_CHECKING, cast

from shadowdiff.ranking import surfaced
from shadowdiff.records import Ranking, ReplayedTurn, SessionOutcome, TurnFidelity, TurnOutcome
from shadowdiff.runs import Estimate, Fidelity, RunConfig
from shadowdiff.stats import bootstrap_ratios

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REPRODUCED_SHARE = 0.95
"""Of the turns compared, those that must be identical but for near-ties."""
REPRODUCED_OVERLAP = 0.98
"""What the mean overlap must reach: with ten entries served, one of them exchanged on a fifth of the turns."""
NAMES_KEPT = 10
"""Rerankers that production says it used; a column mapped by mistake could hold one per turn."""


def turn_fidelity(replayed: ReplayedTurn, config: RunConfig) -> TurnFidelity | None:
    """Hold production's side against what was served.

    None where no side is production's, the side failed, or nothing was served.
    """
    ranking = replayed.rankings.get(config.production) if config.production else None
    if ranking is None or not replayed.turn.served:
        return None
    return held_against(ranking, replayed.turn.served, config.near_tie_share)


def held_against(ranking: Ranking, served: Sequence[str], near_tie_share: float) -> TurnFidelity:
    """Hold a ranking against one or more served entries, best first; one served twice counts where it stood first.

    The ranking is cut where the served list ends: how many entries production
    shows is its own affair, so neither the run's top K nor a `min_score` matters.
    Entries that the side does not rank, or the pool does not hold, are not
    reproduced.
    """
    wanted = tuple(dict.fromkeys(served))
    shown = surfaced(ranking, len(wanted))
    if shown == wanted:
        return TurnFidelity(len(wanted), outside_pool=0, overlap=1.0, first_divergence=None)
    held = set(wanted)
    return TurnFidelity(
        served=len(wanted),
        outside_pool=len(held.difference(ranking.entry_ids)),
        overlap=len(held.intersection(shown)) / len(wanted),
        first_divergence=_first_divergence(wanted, shown),
        by_near_ties=_apart_by_near_ties(wanted, ranking, near_tie_share),
    )


def most_first(turns: Mapping[str, int]) -> dict[str, int]:
    """Names by number of turns, most first, then by name."""
    return dict(sorted(turns.items(), key=lambda item: (-item[1], item[0])))


class FidelityTally:
    """Adds sessions up, one at a time and in any order; keeps two numbers per session."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._counts: Counter[str] = Counter()
        self._divergences: Counter[int] = Counter()
        self._served_by: Counter[str] = Counter()
        self._overlap = array("d")
        """Sum over a session's compared turns, as many as `_turns` says."""
        self._turns = array("d")

    def add(self, outcome: SessionOutcome) -> None:
        """Count one session of the run; each session once."""
        found = [self._added(turn) for turn in outcome.turns]
        overlaps = [fidelity.overlap for fidelity in found if fidelity is not None]
        if overlaps:
            self._overlap.append(math.fsum(overlaps))
            self._turns.append(len(overlaps))

    def summary(self) -> Fidelity | None:
        """What was added so far; None where it would say nothing that anybody asked for."""
        label, counts = self._config.production, self._counts
        if label is None or (self._config.production_assumed and not counts["turns"] + counts["failed"]):
            return None
        overlap = Estimate(*bootstrap_ratios([self._overlap], [self._turns])[0])
        return Fidelity(
            side=label,
            turns=counts["turns"],
            identical=counts["turns"] - self._divergences.total(),
            reordered=counts["reordered"],
            near_ties=counts["near_ties"],
            overlap=overlap,
            first_divergence=median(self._divergences.elements()) if self._divergences else None,
            diverging_at_first=self._divergences[1],
            unserved_turns=counts["unserved"],
            failed_turns=counts["failed"],
            served_outside_pool=counts["outside_pool"],
            reproduces=self._reproduces(overlap),
            served_by=dict(list(most_first(self._served_by).items())[:NAMES_KEPT]),
        )

    def _added(self, outcome: TurnOutcome) -> TurnFidelity | None:
        turn, fidelity = outcome.replayed.turn, outcome.fidelity
        if fidelity is None:
            self._counts["failed" if turn.served else "unserved"] += 1
            return None
        self._counts["turns"] += 1
        self._counts["outside_pool"] += fidelity.outside_pool
        if turn.served_by is not None:
            self._served_by[turn.served_by] += 1
        if fidelity.first_divergence is not None:
            self._divergences[fidelity.first_divergence] += 1
            self._counts["reordered"] += fidelity.overlap == 1
            self._counts["near_ties"] += fidelity.by_near_ties
        return fidelity

    def _reproduces(self, overlap: Estimate) -> bool | None:
        if overlap.value is None:
            return None
        turns = self._counts["turns"]
        reproduced = turns - self._divergences.total() + self._counts["near_ties"]
        # Rounded, because a sum of fractions that makes 0.98 may end a hair below it.
        return reproduced / turns >= REPRODUCED_SHARE and round(overlap.value, 9) >= REPRODUCED_OVERLAP


def _first_divergence(served: Sequence[str], shown: Sequence[str]) -> int | None:
    for rank, (was, now) in enumerate(zip_longest(served, shown), start=1):
        if was != now:
            return rank
    return None


def _apart_by_near_ties(served: Sequence[str], ranking: Ranking, share: float) -> bool:
    """Whether no entry scores `share` of the spread or more above one that it was served behind, or not served for."""
    score_of = dict(zip(ranking.entry_ids, ranking.scores, strict=True))
    order = [score_of.get(entry_id) for entry_id in served]
    if None in order:
        return False
    # Unranked entries stand last: the first that was not served is the best of them.
    left_out = next(filterfalse(set(served).__contains__, ranking.entry_ids), None)
    if left_out is not None and score_of[left_out] is not None:
        order.append(score_of[left_out])
    best, *others = cast("list[float]", order)
    margin, lowest = share * _spread(ranking.scores), best
    for score in others:
        if score - lowest >= margin:
            return False
        lowest = score if score < lowest else lowest
    return True


def _spread(scores: Sequence[float | None]) -> float:
    """The best score less the worst, where anything was scored."""
    known = cast("Sequence[float]", scores)
    worst = known[-1] if scores[-1] is not None else known[scores.index(None) - 1]
    return known[0] - worst
