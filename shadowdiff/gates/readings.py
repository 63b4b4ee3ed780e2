"""How a figure is read off a run's summary: its value and interval, or why it has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shadowdiff.records import Outcome, Usage
from shadowdiff.runs import Estimate, Fidelity, PairSummary, RunSummary, SideSummary
from shadowdiff.stats import wilson_interval
from shadowdiff.summary import percent_change

TURNS_CLUSTER = "judged by the figure itself: turns of one session are not independent, and no interval is kept"
NO_INTERVAL = "judged by the figure itself: no interval is kept"
FEW_SESSIONS = "judged by the figure itself: an interval takes two sessions"
NOTHING_COMPARED = "no turn was compared; select more sessions, or see why turns failed"
NO_TURNS = "the run has no turn; select more sessions"
NO_NOISE = "the noise floor was not measured; replay with --noise"
NO_LATENCY = "no latency was measured; replay with --latency 20 or more"
NO_PRICE = "no price is given; write one into [prices] of shadowdiff.toml and replay"
ALL_CACHED = "no turn was asked for, all came from the cache; replay with --no-cache to know"
NO_PRODUCTION = "no side is production's; name it with --production"
NOTHING_SERVED = "no turn has a record of what was served"
NO_CASCADE = "the side is no cascade"


@dataclass(frozen=True, slots=True)
class Reading:
    """A figure as a run has it."""

    value: float | None
    low: float | None = None
    high: float | None = None
    """Ends of the 95% interval; None where there is none."""
    note: str = ""
    """Why there is no value; or, of an estimate, why there is no interval."""


OfRun = Callable[[RunSummary], Reading]
OfPair = Callable[[PairSummary, RunSummary], Reading]
OfSide = Callable[[SideSummary, RunSummary], Reading]


def run_count(count: Callable[[RunSummary], int]) -> OfRun:
    """A count over the run, which is exact."""
    return lambda run: Reading(count(run))


def run_share(count: Callable[[RunSummary], int]) -> OfRun:
    """Of the run's turns."""
    return lambda run: _part(count(run), run.turns, NO_TURNS)


def run_cost(run: RunSummary) -> Reading:
    """Of all sides; none where one has no price, as the sum would be too low."""
    costs = {label: side_cost(side, run) for label, side in run.sides.items()}
    unknown = [f"side {label}: {cost.note}" for label, cost in costs.items() if cost.value is None]
    return Reading(None, note=unknown[0]) if unknown else Reading(sum(cost.value or 0.0 for cost in costs.values()))


def fidelity(of: Callable[[Fidelity], Reading]) -> OfRun:
    """A figure of production's side against what was served."""
    return lambda run: Reading(None, note=NO_PRODUCTION) if run.fidelity is None else of(run.fidelity)


def fidelity_overlap(found: Fidelity) -> Reading:
    """Mean over the turns compared."""
    return _of_estimate(found.overlap, NOTHING_SERVED)


def fidelity_identical(found: Fidelity) -> Reading:
    """Of the turns compared."""
    return _part(found.identical, found.turns, NOTHING_SERVED)


def pair_count(count: Callable[[PairSummary], int]) -> OfPair:
    """A count over a pair, which is exact."""
    return lambda pair, _: Reading(count(pair))


def estimate(of: Callable[[PairSummary], Estimate]) -> OfPair:
    """A mean with the interval that the summary has."""
    return lambda pair, _: _of_estimate(of(pair), NOTHING_COMPARED)


def share_of_sessions(count: Callable[[PairSummary], int]) -> OfPair:
    """Of the sessions compared, which are independent of each other as far as anything here is."""

    def reading(pair: PairSummary, _: RunSummary) -> Reading:
        return Reading(*wilson_interval(count(pair), pair.sessions), note="" if pair.sessions else NOTHING_COMPARED)

    return reading


def turns_that(outcome: Outcome) -> OfPair:
    """Turns with this outcome."""
    return lambda pair, _: Reading(pair.turns.get(outcome, 0))


def share_of_turns(outcome: Outcome) -> OfPair:
    """Of the completed turns."""

    def reading(pair: PairSummary, _: RunSummary) -> Reading:
        completed = sum(turns for kind, turns in pair.turns.items() if kind is not Outcome.FAILED)
        return _part(pair.turns.get(outcome, 0), completed, NOTHING_COMPARED)

    return reading


def near_tie_share(pair: PairSummary, _: RunSummary) -> Reading:
    """Of the one-sided entries, counted once per turn."""
    return _part(pair.near_tie_entries, pair.turn_only_in_a + pair.turn_only_in_b, "no entry is one-sided")


def distinct_change(pair: PairSummary, _: RunSummary) -> Reading:
    """From the distinct entries that A surfaced to those of the other side, in per cent."""
    change = percent_change(pair.distinct_a, pair.distinct_b)
    return Reading(None, note="A surfaced nothing to change from") if change is None else Reading(change)


def below_noise(of: Callable[[PairSummary], Estimate]) -> OfPair:
    """How far a measure of likeness lies below that of the baseline with itself."""
    return _beside_noise(of, lambda ours, noise: noise - ours)


def above_noise(of: Callable[[PairSummary], Estimate]) -> OfPair:
    """How far a measure of difference lies above that of the baseline with itself."""
    return _beside_noise(of, lambda ours, noise: ours - noise)


def side_count(count: Callable[[SideSummary], int]) -> OfSide:
    """A count over a side, which is exact."""
    return lambda side, _: Reading(count(side))


def side_share(part: Callable[[SideSummary], int], whole: Callable[[SideSummary], int], missing: str) -> OfSide:
    """A share of a side's turns or pairs."""
    return lambda side, _: _part(part(side), whole(side), missing)


def escalated(side: SideSummary, _: RunSummary) -> Reading:
    """Of a cascade's turns, those of which its gate was not sure."""
    if side.escalated_turns is None:
        return Reading(None, note=NO_CASCADE)
    return _part(side.escalated_turns, side.ranked_turns, NOTHING_COMPARED)


def latency(of: Callable[[SideSummary], float | None]) -> OfSide:
    """A percentile, in seconds."""

    def reading(side: SideSummary, _: RunSummary) -> Reading:
        seconds = of(side)
        if seconds is not None:
            return Reading(seconds, note=NO_INTERVAL)
        if not side.latency_turns:
            return Reading(None, note=NO_LATENCY)
        timed = f"{side.latency_turns:,} timed turns are too few for it (p95 takes 20, p99 100)"
        return Reading(None, note=f"{timed}; replay with a larger --latency")

    return reading


def side_cost(side: SideSummary, _: RunSummary) -> Reading:
    """A side that asked nobody cost nothing; one that was asked without a price cost nobody knows what."""
    if side.cost_usd is None and side.usage != Usage():
        return Reading(None, note=NO_PRICE)
    return Reading(side.cost_usd or 0.0)


def cost_per_1000(side: SideSummary, run: RunSummary) -> Reading:
    """Had none of the turns come from the cache."""
    each = side.usd_per_turn
    if each is not None:
        return Reading(1000 * each)
    free = side_cost(side, run)
    return Reading(None, note=ALL_CACHED) if side.cost_usd is not None else free


def cost_per_month(side: SideSummary, run: RunSummary) -> Reading:
    """If every turn of a month were asked for, as often as those of the run were."""
    each = cost_per_1000(side, run)
    if each.value is None:
        return each
    if run.turns_per_month is None:
        return Reading(None, note="the selected turns say nothing of how many a month has; select by time")
    return Reading(each.value / 1000 * run.turns_per_month)


def _of_estimate(found: Estimate, missing: str) -> Reading:
    if found.value is None:
        return Reading(None, note=missing)
    if found.low is None or found.high is None:
        return Reading(found.value, note=FEW_SESSIONS)
    return Reading(found.value, found.low, found.high)


def _part(part: int, whole: int, missing: str) -> Reading:
    """A share of turns or pairs."""
    return Reading(part / whole, note=TURNS_CLUSTER) if whole else Reading(None, note=missing)


def _beside_noise(of: Callable[[PairSummary], Estimate], worse: Callable[[float, float], float]) -> OfPair:
    """How much worse than the baseline against itself.

    Both intervals are over the same sessions, and how they hang together is not
    kept: so an end of the difference is taken from the two ends that lie farthest
    apart. Each of these is missed with at most 2.5%, hence one of them with at most
    5% (Bonferroni's inequality), whatever hangs together.
    """

    def reading(pair: PairSummary, run: RunSummary) -> Reading:
        if run.noise is None:
            return Reading(None, note=NO_NOISE)
        ours, noise = of(pair), of(run.noise)
        if ours.value is None or noise.value is None:
            return Reading(None, note=NOTHING_COMPARED)
        value = worse(ours.value, noise.value)
        if ours.low is None or ours.high is None or noise.low is None or noise.high is None:
            return Reading(value, note=FEW_SESSIONS)
        low, high = sorted((worse(ours.low, noise.high), worse(ours.high, noise.low)))
        return Reading(value, low, high)

    return reading
