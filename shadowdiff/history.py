"""From nights to a trend: the rows of the history, and which of them leave the band of those before. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TypeGuard

from shadowdiff.nights import History, Night, NightFigures, NightStatus, Outlier, PairFigures
from shadowdiff.runs import Estimate, PairSummary, Run, RunStatus, RunSummary, Side
from shadowdiff.stats import wilson_interval

BAND_NIGHTS = 14
LEAST_NIGHTS = 7
"""Of fewer, a steady figure leaves its band by chance on more than one night in twenty; of 14, on one in a hundred."""
DEVIATIONS = 4.0
SIGMA_PER_MAD = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation (Rousseeuw and Croux 1993, eq. 1.2)."""
FLOORS: Mapping[str, float] = {
    "changed_share": 0.02,
    "only_in_a_per_session": 0.2,
    "only_in_b_per_session": 0.2,
    "overlap": 0.02,
    "noise_overlap": 0.02,
    "failed_share": 0.02,
}
"""Half of the narrowest band, by figure: nights that are as good as equal must not flag each other's last digits."""
HIGHEST = dict.fromkeys(("changed_share", "overlap", "noise_overlap", "failed_share"), 1.0)
"""What a figure cannot be above; none is below 0."""
FLOOR_OF_P95 = 0.1
"""The same for latency, as a share of the median."""
LEAST_SESSIONS = 10
"""In a night that is held against a band: what a handful of sessions do is no trend."""
RULE = (
    f"A figure is marked where it, and all of its 95% interval if it has one, lies outside median ± {DEVIATIONS:g} × "
    f"{SIGMA_PER_MAD} × median absolute deviation of up to {BAND_NIGHTS} nights before it with the same sides and "
    f"setting (at least {LEAST_NIGHTS}). No band is narrower than ±{FLOORS['overlap']:g} for shares and overlaps, "
    f"±{FLOORS['only_in_a_per_session']:g} for entries, ±{FLOOR_OF_P95:.0%} for p95. Nights of fewer than "
    f"{LEAST_SESSIONS} sessions are not judged; nor are sessions and cost, which follow traffic."
)


@dataclass(frozen=True, slots=True)
class Band:
    """Where a figure is expected to lie, ends included."""

    low: float
    high: float

    def excludes(self, figure: Estimate) -> bool:
        """Whether the value, and the whole of its interval where it has one, lies on one side of the band."""
        if figure.value is None:
            return False
        low = figure.value if figure.low is None else min(figure.low, figure.value)
        high = figure.value if figure.high is None else max(figure.high, figure.value)
        return low > self.high or high < self.low


def band(before: Sequence[float], floor: float) -> Band:
    """Median ± DEVIATIONS scaled median absolute deviations of at least one number; never narrower than ± `floor`.

    Hampel's identifier (Hampel 1974; Davies and Gather 1993, section 2): up to
    half of the numbers may be outliers themselves and hardly move it.
    """
    middle = median(before)
    spread = SIGMA_PER_MAD * median(abs(number - middle) for number in before)
    half = max(DEVIATIONS * spread, floor)
    return Band(middle - half, middle + half)


def figures(night: Night, run: Run | None) -> NightFigures:
    """A row of the history. Without a run, or before it is summed up, no more than that there was such a night."""
    crossed = sum(not gate.passed for gate in night.gates) if night.gates else None
    found = NightFigures(night.name, None, night.until) if run is None else run_figures(run)
    return replace(found, night=night.name, until=night.until, status=night.status, gates_crossed=crossed)


def run_figures(run: Run) -> NightFigures:
    """A run's figures as if it were a night of its own, named after it."""
    sides = tuple((side.label, side.name, side.fingerprint) for side in run.sides)
    found = NightFigures(run.run_id, run.run_id, run.started_at, sides, setting=setting_of(run))
    if run.summary is None:
        return found
    return replace(_with_summary(found, run.summary), cut_short=run.status is RunStatus.INTERRUPTED)


def kind_of(name: str) -> str:
    """`overlap` for `overlap.B`."""
    return name.partition(".")[0]


def named_figures(night: NightFigures) -> dict[str, Estimate]:
    """What a night's sides did, by name (`overlap.B`, `p95_seconds.A`), in the order in which it is shown.

    A value of None is a figure that the night lacks.
    """
    found: dict[str, Estimate] = {}
    for label, pair in night.pairs.items():
        found[f"changed_share.{label}"] = _changed_share(pair)
        found[f"only_in_a_per_session.{label}"] = pair.only_in_a_per_session
        found[f"only_in_b_per_session.{label}"] = pair.only_in_b_per_session
        found[f"overlap.{label}"] = pair.overlap
    found["noise_overlap"] = Estimate(night.noise_overlap)
    found |= {f"p95_seconds.{label}": Estimate(seconds) for label, seconds in night.p95_seconds.items()}
    found["failed_share"] = Estimate(night.failed_share)
    return found


def _changed_share(pair: PairFigures) -> Estimate:
    """With its score interval over sessions."""
    if pair.changed_share is None or not pair.sessions:
        return Estimate(pair.changed_share)
    _, low, high = wilson_interval(round(pair.changed_share * pair.sessions), pair.sessions)
    return Estimate(pair.changed_share, low, high)


def trend(configuration: str, nights: Sequence[NightFigures], last: int | None = None) -> History:
    """The nights in order of their watermark, with those figures that leave the band of the nights before.

    `last` keeps only so many; those before it still make its bands. A night of
    other sides, or of another setting, than the one before it starts the band anew;
    nights without figures neither count nor interrupt it.
    """
    ordered = sorted(nights, key=lambda night: (night.until, night.night))
    kept = ordered if last is None else ordered[-last:]
    shown = {night.night for night in kept}
    outliers: list[Outlier] = []
    restarts: list[str] = []
    band_nights = 0
    for night, before, is_restart in _with_those_before(ordered):
        if night.night in shown:
            restarts += [night.night] if is_restart else []
            outliers += _outliers(night, before)
        band_nights = len(before) if len(before) >= LEAST_NIGHTS else 0
    return History(configuration, tuple(kept), tuple(outliers), RULE, tuple(restarts), band_nights)


def basis(night: NightFigures) -> tuple[object, ...]:
    """What two nights must share to be of one trend. Names do not count: the fingerprint says what a side is."""
    return (tuple((label, fingerprint) for label, _, fingerprint in night.sides), night.setting)


Figures = Mapping[str, Estimate]
"""By name, as named_figures has them."""


def _with_those_before(ordered: Sequence[NightFigures]) -> Iterator[tuple[NightFigures, list[Figures], bool]]:
    """Each night that has figures, those of the nights of its trend before it, and whether it starts another trend."""
    of: object = None
    before: list[Figures] = []
    for night in ordered:
        if night.status is NightStatus.RUNNING or not night.pairs:
            continue
        is_restart = bool(before) and basis(night) != of
        of, before = basis(night), [] if is_restart else before
        yield night, before, is_restart
        before = [*before[-BAND_NIGHTS + 1 :], named_figures(night)]


def _outliers(night: NightFigures, earlier: Sequence[Figures]) -> Iterator[Outlier]:
    if night.sessions < LEAST_SESSIONS:
        return
    for name, figure in named_figures(night).items():
        values = [value for other in earlier if name in other and _is_known(value := other[name].value)]
        if not _is_known(figure.value) or len(values) < LEAST_NIGHTS:
            continue
        expected = band(values, _floor(name, values))
        if expected.excludes(figure):
            low, high = max(expected.low, 0.0), min(expected.high, HIGHEST.get(kind_of(name), math.inf))
            yield Outlier(night.night, name, figure.value, low, high, len(values))


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _floor(name: str, values: Sequence[float]) -> float:
    kind = kind_of(name)
    return FLOOR_OF_P95 * median(values) if kind == "p95_seconds" else FLOORS[kind]


def setting_of(run: Run) -> str:
    """What a run counts: top K, the pools, and the scores that its sides must reach."""
    config = run.config
    parts = [f"top {config.top_k} of {config.pool_from.value} pools of up to {config.pool}"]
    return ", ".join([*parts, *(_threshold(side) for side in run.sides if side.min_score is not None)])


def _threshold(side: Side) -> str:
    return f"{side.label} at {side.min_score:g} or above"


def _with_summary(night: NightFigures, summary: RunSummary) -> NightFigures:
    costs = [side.cost_usd for side in summary.sides.values() if side.cost_usd is not None]
    return replace(
        night,
        sessions=summary.sessions,
        turns=summary.turns,
        failed_turns=summary.failed_turns,
        pairs={label: _pair(pair) for label, pair in summary.pairs.items()},
        noise_overlap=summary.noise.overlap.value if summary.noise else None,
        p95_seconds={label: side.latency_p95_seconds for label, side in summary.sides.items()},
        cost_usd=math.fsum(costs) if costs else None,
    )


def _pair(pair: PairSummary) -> PairFigures:
    return PairFigures(
        changed_share=pair.sessions_changed / pair.sessions if pair.sessions else None,
        only_in_a_per_session=pair.only_in_a_per_session,
        only_in_b_per_session=pair.only_in_b_per_session,
        overlap=pair.overlap,
        sessions=pair.sessions,
    )
