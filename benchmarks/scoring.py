"""Pairs per second, text in, scores out, tokenising included: shadowdiff's backends and their peers, same pairs.

Every variant runs in its own process, one at a time, in interleaved rounds; a ratio is the median over rounds of
the baseline's time over the variant's in the same round. Asserts nothing about speed; a float32 variant whose scores
are not the baseline's is not timed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.closeness import Closeness, closeness
from benchmarks.material import Material, load_material
from benchmarks.options import Options, read_options
from benchmarks.peak import measured_peaks, operations, pair_tokens
from benchmarks.race import Lane, Spread, baseline_of, disturbance, paired, race, spread, start
from benchmarks.results import publish, show
from benchmarks.variants import prepare_places

TOLERANCE = 1e-4
SIGMOIDS = frozenset({"flashrank"})
"""Variants that give the sigmoid of the logit."""
COLUMNS = ("variant", "file", "pairs/s", "× st", "quartiles", "× CPU", "limit", "top 10", "ρ", "changed")


@dataclass(frozen=True, slots=True)
class Scored:
    """A variant's figures."""

    pairs_per_second: float
    ratio: Spread
    cpu_ratio: Spread
    """Of processor seconds: what is left of the ratio when others disturb the clock."""
    closeness: Closeness
    limit_share: float | None


def main(arguments: list[str] | None = None) -> None:
    """Race, print the table, write the JSON."""
    options = read_options(__doc__ or "", turns=16, rounds=5, arguments=arguments)
    material = load_material(options.setting.turns, characters=options.setting.characters)
    prepare_places(material.model, options.setting.home)
    tokens = pair_tokens(material)
    peaks = measured_peaks(options.setting.threads)
    lanes = start(options.variants, options.setting)
    scores = _verified(lanes)
    race(lanes, "all", options.rounds)
    figures = _figures(
        lanes, scores, material, operations(tokens), _best(peaks, measured_peaks(options.setting.threads))
    )
    for lane in lanes:
        lane.stop()
    _report(options, material, lanes, figures, tokens, peaks)


def _best(*measured: Mapping[str, float]) -> dict[str, float]:
    """The best of the peaks before and after the race."""
    return {key: max(found.get(key, 0.0) for found in measured) for key in measured[0]}


def _verified(lanes: Sequence[Lane]) -> dict[str, list[list[float]]]:
    """Scores by variant; one that claims float32 and gives other scores is taken out of the race."""
    scores = {lane.variant.key: lane.ask("scores")["scores"] for lane in lanes if lane.unavailable is None}
    base = baseline_of(lanes)
    for lane in lanes:
        if base is None or lane.unavailable is not None or lane.variant.precision != "fp32":
            continue
        worst = _difference(scores[base.variant.key], scores[lane.variant.key], lane.variant.key in SIGMOIDS)
        if worst > TOLERANCE:
            lane.unavailable = f"not float32: a score differs by {worst:.2g} from the baseline's"
    return scores


def _difference(reference: list[list[float]], other: list[list[float]], sigmoid: bool) -> float:
    logits, found = (np.concatenate([np.asarray(row) for row in rows]) for rows in (reference, other))
    return float(np.abs((1 / (1 + np.exp(-logits)) if sigmoid else logits) - found).max())


def _figures(
    lanes: Sequence[Lane], scores: Mapping[str, Any], material: Material, work: float, peaks: Mapping[str, float]
) -> dict[str, Scored]:
    base = baseline_of(lanes)
    if base is None:
        return {}
    found = {}
    for lane in lanes:
        if lane.unavailable is None:
            rate = material.pairs / spread(lane.walls).median
            peak = peaks.get(lane.variant.precision)
            found[lane.variant.key] = Scored(
                pairs_per_second=rate,
                ratio=paired(base.walls, lane.walls),
                cpu_ratio=paired(base.cpus, lane.cpus),
                closeness=closeness(scores[base.variant.key], scores[lane.variant.key]),
                limit_share=rate / material.pairs * work / 1e9 / peak if peak else None,
            )
    return found


def _report(
    options: Options,
    material: Material,
    lanes: Sequence[Lane],
    figures: Mapping[str, Scored],
    tokens: Sequence[int],
    peaks: Mapping[str, float],
) -> None:
    quiet = disturbance(lanes)
    setting: dict[str, Any] = {
        "material": material.name,
        "pairs": material.pairs,
        "tokens": round(float(np.mean(tokens)), 1),
    }
    setting |= {"threads": options.setting.threads, "characters": options.setting.characters}
    title = (
        f"{material.pairs:,} pairs of {setting['tokens']} tokens ({material.name}), {options.setting.threads} threads"
    )
    rows = [_row(lane, figures[lane.variant.key]) for lane in lanes if lane.variant.key in figures]
    missing = [f"{lane.variant.label}: not available: {lane.unavailable}" for lane in lanes if lane.unavailable]
    limits = ", ".join(f"{key} {value:,.0f}" for key, value in peaks.items()) or "not measured"
    noise = (
        f"Matrix limit, GFLOP/s: {limits}. Others used {quiet['others']:.0%} of the machine in the median; "
        f"{quiet['disturbed']:.0%} of measurements were disturbed; {quiet['stolen']:.0f} s were stolen."
    )
    warning = ["DISTURBED: believe the ratios of processor time, not of the clock."] if quiet["disturbed"] else []
    show(title, COLUMNS, rows, [*missing, noise, *warning])
    ratios = {f"{key} × st": scored.ratio.median for key, scored in figures.items()}
    ratios |= {f"{key} × st, CPU": scored.cpu_ratio.median for key, scored in figures.items()}
    details = {key: asdict(scored) for key, scored in figures.items()}
    unavailable = {lane.variant.key: lane.unavailable for lane in lanes if lane.unavailable}
    publish(_name(options), setting, {"variants": details, "unavailable": unavailable, "peaks": peaks, **quiet}, ratios)


def _name(options: Options) -> str:
    return "scoring" if options.setting.characters else "scoring-full"


def _row(lane: Lane, scored: Scored) -> tuple[str, ...]:
    near, share = scored.closeness, scored.limit_share
    return (
        lane.variant.label,
        lane.variant.reads,
        f"{scored.pairs_per_second:.1f}",
        f"{scored.ratio.median:.2f}",
        f"{scored.ratio.low:.2f}–{scored.ratio.high:.2f}",
        f"{scored.cpu_ratio.median:.2f}",
        "–" if share is None else f"{share:.0%}",
        f"{near.overlap:.3f}",
        f"{near.spearman:.3f}",
        f"{near.changed:.0%}",
    )


if __name__ == "__main__":
    main()
