"""Which side to take: a stated rule over what the sides are worth, cost and take. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shadowdiff.paired import ALPHA
from shadowdiff.pilot.results import Bill, Cost, PilotSide, Recommendation, Why
from shadowdiff.runs import Estimate

FASTER = 1.1
"""Times the median latency from which a side is called faster."""
ORDER = (Bill.OWN, Bill.PROVIDER, Bill.UNKNOWN)
RULE = (
    "a side is better than A where the whole interval of the difference is above 0 and p, corrected over the sides "
    f"(Holm), is at most {ALPHA}; the best has the highest mean of those; where none is, A is kept; else, of those "
    "whose whole interval says that they are not worse than the best by more than {margin:g}, the cheapest per month, "
    "then the fastest; a machine of your own stands before a provider's bill, and a cost that is not known comes last"
)


def recommend(sides: Sequence[PilotSide], margin: float) -> Recommendation:
    """The side to take, of the baseline (first) and the others.

    Raises ValueError where the baseline was not measured.
    """
    baseline, *others = sides
    if baseline.quality is None:
        raise ValueError("a baseline that was not measured can be neither kept nor left")
    better = [side for side in others if side.is_better]
    if not better:
        return Recommendation(baseline.label, Why.NONE_BETTER, alternative=_instead(baseline, others, margin))
    best = max(better, key=_mean)
    as_good = [side for side in better if side is best or not_worse(side.behind_best, margin)]
    take = min(as_good, key=_thrift)
    return Recommendation(
        take=take.label,
        why=Why.BEST if take is best else Why.AS_GOOD,
        best=best.label,
        alternative=_part_of_the_way(take, [side for side in better if side is not best]),
        unless_dearer=_bought(take, as_good),
        unpriced=tuple(side.label for side in as_good if side is not take and side.cost.bill is Bill.UNKNOWN),
    )


def not_worse(difference: Estimate | None, margin: float) -> bool:
    """Whether the whole interval of a difference says that a side is not worse by more than the margin."""
    return difference is not None and difference.low is not None and difference.low >= -margin


def is_cheaper(cost: Cost, than: Cost) -> bool:
    """Whether it is known to be: a machine of one's own sends no bill, and costs that are not known do not compare."""
    if cost.bill is Bill.OWN:
        return than.bill is Bill.PROVIDER
    if cost.usd_per_turn is None or than.usd_per_turn is None:
        return False
    return cost.usd_per_turn < than.usd_per_turn


def times_faster(side: PilotSide, than: PilotSide) -> float | None:
    """How many times the side's median latency the other's is; None where that is not known, or not worth a word."""
    if not side.p50_seconds or than.p50_seconds is None:
        return None
    times = than.p50_seconds / side.p50_seconds
    return times if times >= FASTER else None


def _mean(side: PilotSide) -> float:
    return -math.inf if side.quality is None or side.quality.mean.value is None else side.quality.mean.value


def _thrift(side: PilotSide) -> tuple[int, float, float, str]:
    """The least is the thriftiest: who is paid, how much, how long it takes, and its place."""
    usd = 0.0 if side.cost.usd_per_turn is None else side.cost.usd_per_turn
    seconds = math.inf if side.p50_seconds is None else side.p50_seconds
    return ORDER.index(side.cost.bill), usd, seconds, side.label


def _spares(side: PilotSide, than: PilotSide) -> bool:
    """Whether it is cheaper or faster."""
    return is_cheaper(side.cost, than.cost) or times_faster(side, than) is not None


def _instead(baseline: PilotSide, others: Sequence[PilotSide], margin: float) -> str | None:
    """The thriftiest side that does as well as the baseline for less."""
    found = [side for side in others if not_worse(side.difference, margin) and _spares(side, baseline)]
    return min(found, key=_thrift).label if found else None


def _part_of_the_way(take: PilotSide, better: Sequence[PilotSide]) -> str | None:
    """Of the sides that are cheaper or faster than the one taken, the one that closes most of the gap."""
    found = [side for side in better if side is not take and _spares(side, take)]
    return max(found, key=_mean).label if found else None


def _bought(take: PilotSide, as_good: Sequence[PilotSide]) -> str | None:
    """The cheapest provider's side that is as good as one on a machine of one's own."""
    found = [side for side in as_good if side.cost.bill is Bill.PROVIDER]
    return min(found, key=_thrift).label if found and take.cost.bill is Bill.OWN else None
