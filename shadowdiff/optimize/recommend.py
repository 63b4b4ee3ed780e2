"""Which way of scoring to use: a stated rule. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from shadowdiff.optimize.report import Measured, Recommendation, Way

LEAST_OVERLAP = 0.98
MOST_CHANGED = 0.05
LEAST_GAIN = 1.10
MOST_SHIFT = 0.01
"""Of the spread of a turn's scores: what is a near-tie in a diff. Rounding stays far below, dynamic int8 does not."""
FEW_TURNS = 20

RULE = (
    f"the fastest whose mean overlap is at least {LEAST_OVERLAP}, whose surfaced set changes on at most "
    f"{MOST_CHANGED:.0%} of turns, whose scores batch mates move by at most {MOST_SHIFT:.0%} of a turn's spread, "
    f"and that is at least {LEAST_GAIN - 1:.0%} faster than what stands, and faster in every round"
)


def ranks_alike(measured: Measured) -> bool:
    """Whether a way of scoring may stand in for the reference."""
    likeness = measured.likeness
    return (
        likeness.overlap >= LEAST_OVERLAP
        and likeness.share_changed <= MOST_CHANGED
        and measured.mates.shift <= MOST_SHIFT * measured.mates.spread
    )


def recommend(ways: Sequence[Way]) -> Recommendation:
    """The way to use, of the reference (first) and the others."""
    reference, others = ways[0], [(way, way.measured) for way in ways[1:] if way.measured is not None]
    alike = [(way, measured) for way, measured in others if ranks_alike(measured)]
    fastest = max(alike, key=lambda pair: pair[1].speed.ratio, default=None)
    if fastest is None:
        why = "none of them could be measured" if not others else "no other way ranks alike"
        return Recommendation(reference.spec, f"Nothing is worth changing to: {why}.", changes=False)
    way, measured = fastest
    if measured.speed.ratio < LEAST_GAIN:
        reason = (
            f"Nothing is worth changing to: {way.name}, the fastest that ranks alike, is "
            f"{measured.speed.ratio:.2f}× the speed of {reference.name}."
        )
        return Recommendation(reference.spec, reason, changes=False)
    if measured.speed.least < 1:
        reason = (
            f"Nothing is worth changing to yet: {way.name} was {measured.speed.ratio:.2f}× as fast, but slower in one "
            "of the rounds; time it again on a quiet machine."
        )
        return Recommendation(reference.spec, reason, changes=False)
    return Recommendation(way.spec, f"{_gain(way, measured)}{_caution(measured)}.", changes=True)


def _gain(way: Way, measured: Measured) -> str:
    likeness, speed = measured.likeness, measured.speed
    return (
        f"{way.name} is {speed.ratio:.2f}× as fast and ranks alike: mean overlap {likeness.overlap:.3f}, another "
        f"surfaced set on {likeness.turns_changed} of {likeness.turns} turns"
    )


def _caution(measured: Measured) -> str:
    few = measured.likeness.turns < FEW_TURNS
    return f"; {measured.likeness.turns} turns are few to go by, so compare on more" if few else ""
