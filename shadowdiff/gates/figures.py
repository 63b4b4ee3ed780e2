"""The figures that a rule can name, in one table. Named as in the JSON's `summary` wherever they stand there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from shadowdiff.gates.readings import (
    NOTHING_COMPARED,
    OfPair,
    OfRun,
    OfSide,
    above_noise,
    below_noise,
    cost_per_1000,
    cost_per_month,
    distinct_change,
    escalated,
    estimate,
    fidelity,
    fidelity_identical,
    fidelity_overlap,
    latency,
    near_tie_share,
    pair_count,
    run_cost,
    run_count,
    run_share,
    share_of_sessions,
    share_of_turns,
    side_cost,
    side_count,
    side_share,
    turns_that,
)
from shadowdiff.records import Outcome


class Unit(StrEnum):
    """What a figure is given in, which decides what its limit may be."""

    COUNT = "count"
    MEAN = "entries per session"
    SHARE = "share"
    """From 0 to 1; its limit may be written in per cent."""
    DIFFERENCE = "difference"
    """Of two shares, from -1 to 1; its limit may be written in per cent."""
    PERCENT = "per cent"
    """Given in per cent already: 5 and 5% are one limit."""
    SECONDS = "seconds"
    USD = "US dollars"


LEAST = {Unit.DIFFERENCE: -1.0, Unit.PERCENT: -100.0}
"""What no figure of a unit can be below; 0 where nothing is said."""
MOST = {Unit.SHARE: 1.0, Unit.DIFFERENCE: 1.0}
"""What no figure of a unit can be above, where there is anything."""
IN_PER_CENT = {Unit.SHARE: 100.0, Unit.DIFFERENCE: 100.0, Unit.PERCENT: 1.0}
"""Units whose limit may be written with `%`, and what one of it is then."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Of a run, of every side compared with A, of every side, or of a run and of each side as well."""

    name: str
    meaning: str
    unit: Unit
    of_run: OfRun | None = None
    of_pair: OfPair | None = None
    of_side: OfSide | None = None
    short: str = ""
    """Another name that a rule may use."""
    is_beside_noise: bool = False
    """Whether it is a distance from the noise floor, so that the floor itself has none."""

    @property
    def sides(self) -> str:
        """Which sides may stand behind the name, for people."""
        if self.of_pair is None and self.of_side is None:
            return ""
        kinds = [".B"] if self.of_side is None else [".A .B"]
        kinds += [".noise"] if self.of_pair is not None and not self.is_beside_noise else []
        return " ".join(kinds)


def figure_named(name: str) -> Figure | None:
    """By its name or its short one; None where there is none."""
    return _BY_NAME.get(name)


def figure_names() -> list[str]:
    """Every name that a rule can use, in the table's order, short ones too."""
    return list(_BY_NAME)


FIGURES = (
    Figure(
        "sessions",
        "sessions of the run; of a side: those with a turn that was compared",
        Unit.COUNT,
        run_count(lambda run: run.sessions),
        pair_count(lambda pair: pair.sessions),
    ),
    Figure("turns", "turns of the run", Unit.COUNT, run_count(lambda run: run.turns)),
    Figure(
        "failed_turns",
        "turns on which any side failed; of a side: on which it failed",
        Unit.COUNT,
        run_count(lambda run: run.failed_turns),
        of_side=side_count(lambda side: side.failed_turns),
    ),
    Figure(
        "failed_share",
        "the same, of all turns",
        Unit.SHARE,
        run_share(lambda run: run.failed_turns),
        of_side=side_share(
            lambda side: side.failed_turns, lambda side: side.failed_turns + side.ranked_turns, NOTHING_COMPARED
        ),
    ),
    Figure("unpooled_turns", "turns without a recorded pool", Unit.COUNT, run_count(lambda run: run.unpooled_turns)),
    Figure("unpooled_share", "the same, of all turns", Unit.SHARE, run_share(lambda run: run.unpooled_turns)),
    Figure(
        "missing_entries",
        "entries of recorded pools that the knowledge base no longer holds",
        Unit.COUNT,
        run_count(lambda run: run.missing_entries),
    ),
    Figure(
        "cost_usd",
        "what providers charge for the run; of a side: for that side",
        Unit.USD,
        run_cost,
        of_side=side_cost,
    ),
    Figure(
        "usd_per_1000_queries",
        "what a provider charges for 1,000 turns, had none come from the cache",
        Unit.USD,
        of_side=cost_per_1000,
    ),
    Figure(
        "usd_per_month", "the same for a month of turns, as often as these were asked", Unit.USD, of_side=cost_per_month
    ),
    Figure(
        "mean_only_in_a_per_session",
        "distinct entries that only A surfaced, per session",
        Unit.MEAN,
        of_pair=estimate(lambda pair: pair.only_in_a_per_session),
        short="only_in_a_per_session",
    ),
    Figure(
        "mean_only_in_b_per_session",
        "distinct entries that only the other side surfaced, per session",
        Unit.MEAN,
        of_pair=estimate(lambda pair: pair.only_in_b_per_session),
        short="only_in_b_per_session",
    ),
    Figure(
        "mean_overlap",
        "overlap of the surfaced entries, mean over turns",
        Unit.SHARE,
        of_pair=estimate(lambda pair: pair.overlap),
        short="overlap",
    ),
    Figure(
        "mean_rbo",
        "rank-biased overlap, mean over turns",
        Unit.SHARE,
        of_pair=estimate(lambda pair: pair.rbo),
        short="rbo",
    ),
    Figure(
        "same_top1",
        "turns with the same first entry",
        Unit.SHARE,
        of_pair=estimate(lambda pair: pair.same_top1),
    ),
    Figure(
        "overlap_below_noise",
        "how far mean_overlap lies below that of A with itself (--noise)",
        Unit.DIFFERENCE,
        of_pair=below_noise(lambda pair: pair.overlap),
        is_beside_noise=True,
    ),
    Figure(
        "rbo_below_noise",
        "how far mean_rbo lies below that of A with itself (--noise)",
        Unit.DIFFERENCE,
        of_pair=below_noise(lambda pair: pair.rbo),
        is_beside_noise=True,
    ),
    Figure(
        "sessions_changed",
        "sessions in which the distinct surfaced entries differ",
        Unit.COUNT,
        of_pair=pair_count(lambda pair: pair.sessions_changed),
    ),
    Figure(
        "sessions_changed_share",
        "the same, of the sessions compared",
        Unit.SHARE,
        of_pair=share_of_sessions(lambda pair: pair.sessions_changed),
        short="changed_share",
    ),
    Figure(
        "sessions_where_b_adds",
        "sessions in which the other side surfaced entries that A did not",
        Unit.COUNT,
        of_pair=pair_count(lambda pair: pair.sessions_where_b_adds),
    ),
    Figure(
        "sessions_where_b_adds_share",
        "the same, of the sessions compared",
        Unit.SHARE,
        of_pair=share_of_sessions(lambda pair: pair.sessions_where_b_adds),
    ),
    *(
        Figure(
            f"{outcome.value}_turns",
            f"turns whose outcome is `{outcome.value}`",
            Unit.COUNT,
            of_pair=turns_that(outcome),
        )
        for outcome in Outcome
        if outcome is not Outcome.FAILED
    ),
    *(
        Figure(
            f"{outcome.value}_share",
            f"turns whose outcome is `{outcome.value}`, of those compared",
            Unit.SHARE,
            of_pair=share_of_turns(outcome),
        )
        for outcome in Outcome
        if outcome is not Outcome.FAILED
    ),
    Figure(
        "only_in_a",
        "distinct entries that only A surfaced, summed over sessions",
        Unit.COUNT,
        of_pair=pair_count(lambda pair: pair.only_in_a),
    ),
    Figure(
        "only_in_b",
        "distinct entries that only the other side surfaced, summed over sessions",
        Unit.COUNT,
        of_pair=pair_count(lambda pair: pair.only_in_b),
    ),
    Figure(
        "only_in_a_above_noise",
        "how far mean_only_in_a_per_session lies above that of A with itself (--noise)",
        Unit.MEAN,
        of_pair=above_noise(lambda pair: pair.only_in_a_per_session),
        is_beside_noise=True,
    ),
    Figure(
        "only_in_b_above_noise",
        "how far mean_only_in_b_per_session lies above that of A with itself (--noise)",
        Unit.MEAN,
        of_pair=above_noise(lambda pair: pair.only_in_b_per_session),
        is_beside_noise=True,
    ),
    Figure(
        "distinct_a", "distinct entries that A surfaced", Unit.COUNT, of_pair=pair_count(lambda pair: pair.distinct_a)
    ),
    Figure(
        "distinct_b",
        "distinct entries that the other side surfaced",
        Unit.COUNT,
        of_pair=pair_count(lambda pair: pair.distinct_b),
    ),
    Figure("distinct_change_percent", "change from distinct_a to distinct_b", Unit.PERCENT, of_pair=distinct_change),
    Figure(
        "near_tie_share",
        "one-sided entries that are near-ties at the cut, of all one-sided ones",
        Unit.SHARE,
        of_pair=near_tie_share,
    ),
    *(
        Figure(
            f"latency_p{percent}_seconds",
            f"latency, {percent}th percentile over turns (--latency, or the calls to a provider)",
            Unit.SECONDS,
            of_side=latency(of),
            short=f"p{percent}_seconds",
        )
        for percent, of in (
            (50, lambda side: side.latency_p50_seconds),
            (95, lambda side: side.latency_p95_seconds),
            (99, lambda side: side.latency_p99_seconds),
        )
    ),
    Figure(
        "truncated_pairs",
        "pairs whose document was cut to fit the model",
        Unit.COUNT,
        of_side=side_count(lambda side: side.truncated_pairs),
    ),
    Figure(
        "truncated_share",
        "the same, of the pairs ranked",
        Unit.SHARE,
        of_side=side_share(lambda side: side.truncated_pairs, lambda side: side.pairs, "the side ranked no pair"),
    ),
    Figure(
        "outside_pool",
        "entries that a listing side named and the pool does not hold",
        Unit.COUNT,
        of_side=side_count(lambda side: side.outside_pool),
    ),
    Figure("escalated_share", "turns of which a cascade's gate was not sure", Unit.SHARE, of_side=escalated),
    Figure(
        "fidelity_overlap",
        "overlap of production's side with what was served, mean over turns",
        Unit.SHARE,
        fidelity(fidelity_overlap),
    ),
    Figure(
        "fidelity_identical_share",
        "turns on which production's side reproduces what was served",
        Unit.SHARE,
        fidelity(fidelity_identical),
    ),
)
"""In the order in which they are listed."""


def _names(figure: Figure) -> Iterator[str]:
    yield figure.name
    if figure.short:
        yield figure.short


_BY_NAME = {name: figure for figure in FIGURES for name in _names(figure)}
