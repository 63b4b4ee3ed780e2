"""The nights of a configuration for programs, oldest first: one JSON document, or CSV with a row per night and side.

JSON (`shadowdiff.history/1`) is one object: `schema`, `configuration`, `rule` (how
the bands are drawn, in a sentence), `band_nights` (how many make the newest
night's; 0: too few) and `nights`, a list of objects: `night`, `run_id` (null
where there was no session), `until`, `status`, `cut_short`, `sides` (`side`, `name`,
`fingerprint`), `setting`, `restarts_band`, `sessions`, `turns`, `failed_turns`,
`failed_share`, `pairs` (by label of the side compared with A), `noise_overlap`,
`p95_seconds` (by label), `cost_usd`, `gates_crossed`, and `outliers` (`figure`,
`value`, `low`, `high` and `nights` of its band). Means and intervals are named as
in `shadowdiff.run/1`. Everything but ASCII is escaped. Fields are added, never
renamed, within `/1`; columns of the CSV likewise.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC
from typing import Any, TextIO

from shadowdiff.nights import History, NightFigures, Outlier, PairFigures
from shadowdiff.render.spreadsheet import cell
from shadowdiff.render.structured import PLACES
from shadowdiff.runs import Estimate

SCHEMA = "shadowdiff.history/1"
COLUMNS = (
    "night",
    "until",
    "status",
    "cut_short",
    "run_id",
    "restarts_band",
    "sessions",
    "turns",
    "failed_turns",
    "side",
    "name",
    "fingerprint",
    "changed_share",
    "mean_only_in_a_per_session",
    "mean_only_in_a_low",
    "mean_only_in_a_high",
    "mean_only_in_b_per_session",
    "mean_only_in_b_low",
    "mean_only_in_b_high",
    "mean_overlap",
    "mean_overlap_low",
    "mean_overlap_high",
    "noise_overlap",
    "p95_seconds_a",
    "p95_seconds",
    "cost_usd",
    "gates_crossed",
    "outliers",
)
"""A night without figures is one row without a side; `side` is the one compared with A; `outliers` are its own."""
MEANS = (("mean_only_in_a", "only_in_a_per_session"), ("mean_only_in_b", "only_in_b_per_session"))

Json = dict[str, Any]


def history_json(history: History) -> str:
    """The document, with a line end."""
    document = {
        "schema": SCHEMA,
        "configuration": history.configuration,
        "rule": history.rule,
        "band_nights": history.band_nights,
        "nights": [_night(history, night) for night in history.nights],
    }
    return json.dumps(document, indent=1) + "\n"


def write_history_csv(history: History, out: TextIO) -> None:
    """Write a header and the rows."""
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for night in history.nights:
        writer.writerows(_rows(history, night))


def _night(history: History, night: NightFigures) -> Json:
    return {
        "night": night.night,
        "run_id": night.run_id,
        "until": _time(night),
        "status": night.status.value,
        "cut_short": night.cut_short,
        "sides": [{"side": label, "name": name, "fingerprint": print_} for label, name, print_ in night.sides],
        "setting": night.setting,
        "restarts_band": night.night in history.restarts,
        "sessions": night.sessions,
        "turns": night.turns,
        "failed_turns": night.failed_turns,
        "failed_share": _rounded(night.failed_share),
        "pairs": {label: _pair(pair) for label, pair in night.pairs.items()},
        "noise_overlap": _rounded(night.noise_overlap),
        "p95_seconds": {label: _rounded(seconds) for label, seconds in night.p95_seconds.items()},
        "cost_usd": _rounded(night.cost_usd),
        "gates_crossed": night.gates_crossed,
        "outliers": [_outlier(item) for item in history.outliers if item.night == night.night],
    }


def _outlier(item: Outlier) -> Json:
    ends = {"value": item.value, "low": item.low, "high": item.high}
    return {"figure": item.figure, **{name: _rounded(end) for name, end in ends.items()}, "nights": item.nights}


def _pair(pair: PairFigures) -> Json:
    found: Json = {"sessions": pair.sessions, "changed_share": _rounded(pair.changed_share)}
    for name, field in MEANS:
        estimate = getattr(pair, field)
        found |= {f"{name}_per_session": _rounded(estimate.value), f"{name}_ci95": _interval(estimate)}
    return found | {"mean_overlap": _rounded(pair.overlap.value), "mean_overlap_ci95": _interval(pair.overlap)}


def _interval(estimate: Estimate) -> list[float | None] | None:
    ends = [_rounded(estimate.low), _rounded(estimate.high)]
    return None if None in ends else ends


def _time(night: NightFigures) -> str:
    return night.until.astimezone(UTC).isoformat()


def _rows(history: History, night: NightFigures) -> Iterator[Json]:
    head = {
        "night": cell(night.night),
        "until": _time(night),
        "status": night.status.value,
        "cut_short": _flag(night.cut_short),
        "run_id": cell(night.run_id or ""),
        "restarts_band": _flag(night.night in history.restarts),
        "sessions": night.sessions,
        "turns": night.turns,
        "failed_turns": night.failed_turns,
        "noise_overlap": _or_empty(night.noise_overlap),
        "cost_usd": _or_empty(night.cost_usd),
        "gates_crossed": _or_empty(night.gates_crossed),
    }
    if not night.pairs:
        yield head
    for label in night.pairs:
        yield head | _of_side(history, night, label)


def _of_side(history: History, night: NightFigures, label: str) -> Json:
    pair, baseline = night.pairs[label], night.sides[0][0]
    _, name, fingerprint = next(side for side in night.sides if side[0] == label)
    of_others = {f".{other}" for other in night.pairs if other != label}
    left = [item.figure for item in history.outliers if item.night == night.night]
    return {
        "side": label,
        "name": cell(name),
        "fingerprint": cell(fingerprint),
        "changed_share": _or_empty(pair.changed_share),
        **_spread("mean_only_in_a", "_per_session", pair.only_in_a_per_session),
        **_spread("mean_only_in_b", "_per_session", pair.only_in_b_per_session),
        **_spread("mean_overlap", "", pair.overlap),
        "p95_seconds_a": _or_empty(night.p95_seconds.get(baseline)),
        "p95_seconds": _or_empty(night.p95_seconds.get(label)),
        "outliers": " ".join(figure for figure in left if not figure.endswith(tuple(of_others))),
    }


def _spread(name: str, unit: str, estimate: Estimate) -> Json:
    ends = {f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return {key: _or_empty(value) for key, value in {f"{name}{unit}": estimate.value, **ends}.items()}


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _or_empty(value: float | None) -> float | str:
    return "" if value is None else round(value, PLACES)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, PLACES)
