"""The charts of the history: a line per figure over the nights, and what leaves the band of those before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shadowdiff.nights import History, NightFigures, Outlier
from shadowdiff.render.amounts import duration, usd
from shadowdiff.render.html.drawing import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Canvas,
    Chart,
    Format,
    Series,
    lines,
    night_x,
)
from shadowdiff.render.text import one_line
from shadowdiff.runs import Estimate

LEAST_NIGHTS = 2
KINDS = ("side-a", "side-b", "side-c", "side-d")
"""Classes of lines, in the order of a run's sides; further sides repeat the last."""

Figure = Callable[[NightFigures], Estimate | float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """A figure of every night, as the history names it."""

    key: str
    """`overlap.B`, as an outlier names it."""
    name: str
    css: str
    figure: Figure


def trend_charts(history: History) -> list[Chart]:
    """A chart per kind of figure that at least one night has; none for fewer than two nights."""
    nights = [night for night in history.nights if night.pairs]
    if len(nights) < LEAST_NIGHTS:
        return []
    drawn = (_chart(title, unit, form, lines_of, nights, history) for title, unit, form, lines_of in _kinds(nights))
    return [chart for chart in drawn if chart is not None]


def restart_lines(history: History) -> list[str]:
    """Where the lines begin anew."""
    by_name = {night.night: night for night in history.nights}
    return [
        f"{one_line(name)}: other sides or another setting than the night before ({_sides(by_name[name])})"
        for name in history.restarts
        if name in by_name
    ]


def _sides(night: NightFigures) -> str:
    named = [f"{label} {one_line(name)}" for label, name, _ in night.sides]
    return ", ".join([*named, one_line(night.setting)] if night.setting else named)


def outlier_lines(history: History) -> list[str]:
    """What left its band, night by night, in words."""
    forms = {line.key: form for _, _, form, found in _kinds(history.nights) for line in found}
    return [_in_words(outlier, forms.get(outlier.figure, _plain)) for outlier in history.outliers]


def _kinds(nights: Sequence[NightFigures]) -> Iterator[tuple[str, str, Format, list[Line]]]:
    """Title, unit, how a value is written, and lines of each chart."""
    pairs = list(dict.fromkeys(label for night in nights for label in night.pairs))
    sides = list(dict.fromkeys(label for night in nights for label in night.p95_seconds))
    a = next((night.sides[0][0] for night in nights if night.sides), "A")
    yield "Sessions that differ", "share of sessions", _percent, [_changed(label, at) for at, label in enumerate(pairs)]
    for label in pairs:
        yield f"Entries only in {a} and only in {label}", "per session", _plain, _one_sided(a, label)
    overlaps = [_overlap(label, at) for at, label in enumerate(pairs)]
    noise = Line("noise_overlap", f"noise floor, {a} against itself", "noise", lambda night: night.noise_overlap)
    yield "Overlap", "mean over turns", _plain, [*overlaps, noise]
    yield "Latency, p95", "per turn", duration, [_p95(label, at) for at, label in enumerate(sides)]
    yield "Failed turns", "share of turns", _percent, [Line("failed_share", "failed", "outcome-failed", _failed)]
    yield "Cost", "per night, all sides", usd, [Line("cost_usd", "cost", "plain", lambda night: night.cost_usd)]


def _changed(label: str, at: int) -> Line:
    return Line(
        f"changed_share.{label}",
        label,
        _css(at + 1),
        lambda night: night.pairs[label].changed_share if label in night.pairs else None,
    )


def _one_sided(a: str, label: str) -> list[Line]:
    return [
        Line(
            f"only_in_a_per_session.{label}",
            f"only in {a}",
            "side-a",
            lambda night: night.pairs[label].only_in_a_per_session if label in night.pairs else None,
        ),
        Line(
            f"only_in_b_per_session.{label}",
            f"only in {label}",
            "side-b",
            lambda night: night.pairs[label].only_in_b_per_session if label in night.pairs else None,
        ),
    ]


def _overlap(label: str, at: int) -> Line:
    return Line(
        f"overlap.{label}",
        label,
        _css(at + 1),
        lambda night: night.pairs[label].overlap if label in night.pairs else None,
    )


def _p95(label: str, at: int) -> Line:
    return Line(f"p95_seconds.{label}", label, _css(at), lambda night: night.p95_seconds.get(label))


def _failed(night: NightFigures) -> float | None:
    return night.failed_share


def _css(at: int) -> str:
    return KINDS[min(at, len(KINDS) - 1)]


def _chart(
    title: str, unit: str, form: Format, found: Sequence[Line], nights: Sequence[NightFigures], history: History
) -> Chart | None:
    names = [one_line(night.night) for night in nights]
    series = [
        each
        for line in found
        if any((each := _series(line, nights)).values[at] is not None for at in range(len(nights)))
    ]
    if not series:
        return None
    outliers = [outlier for outlier in history.outliers if outlier.figure in {line.key for line in found}]
    known = [value for each in series for value in (*each.values, *each.high) if value is not None]
    canvas = Canvas(max([*known, *(outlier.high for outlier in outliers)]), form=form)
    for outlier in outliers:
        _mark(canvas, outlier, [night.night for night in nights], form)
    for at, night in enumerate(nights):
        if night.night in history.restarts:
            x = night_x(at - 0.5, len(nights))
            canvas.line(x, TOP, x, canvas.height - BOTTOM, "restart")
    starts = [0, *(at for at, night in enumerate(nights) if night.night in history.restarts)]
    lines(canvas, series, form, names, starts)
    _axis(canvas, names, unit)
    return Chart(
        title,
        "; ".join(_first_and_last(each, form) for each in series) + _flagged(outliers),
        canvas.svg(),
        ("night", *(each.name for each in series)),
        tuple((name, *(_cell(each, at, form) for each in series)) for at, name in enumerate(names)),
        tuple((each.css, each.name) for each in series),
    )


def _series(line: Line, nights: Sequence[NightFigures]) -> Series:
    found = [line.figure(night) for night in nights]
    estimates = [each if isinstance(each, Estimate) else Estimate(each) for each in found]
    return Series(
        line.name,
        line.css,
        tuple(each.value for each in estimates),
        tuple(each.low for each in estimates),
        tuple(each.high for each in estimates),
    )


def _mark(canvas: Canvas, outlier: Outlier, nights: Sequence[str], form: Format) -> None:
    """The band that a night was held against, and a ring around what left it."""
    if outlier.night not in nights:
        return
    x = night_x(nights.index(outlier.night), len(nights))
    canvas.box(x - 6, max(outlier.low, 0.0), 12, outlier.high, "band", f"expected {_band(outlier, form)}")
    canvas.dot(x, canvas.y(outlier.value), 6.5, "flag", _in_words(outlier, form))


def _axis(canvas: Canvas, names: Sequence[str], unit: str) -> None:
    y = canvas.height - BOTTOM + 14
    canvas.text(LEFT, y, names[0], "tick")
    canvas.text(WIDTH - RIGHT, y, names[-1], "tick end")
    canvas.text((LEFT + WIDTH - RIGHT) / 2, canvas.height - 6, unit, "unit middle")


def _first_and_last(series: Series, form: Format) -> str:
    known = [value for value in series.values if value is not None]
    return f"{series.name}: {form(known[-1])} last, {form(min(known))} to {form(max(known))} over {len(known)} nights"


def _flagged(outliers: Sequence[Outlier]) -> str:
    return f". Ringed: {len(outliers)} outside the band of the nights before." if outliers else "."


def _cell(series: Series, at: int, form: Format) -> str:
    value = series.values[at]
    if value is None:
        return "–"
    low, high = series.low[at], series.high[at]
    return form(value) + (f" [{form(low)}, {form(high)}]" if low is not None and high is not None else "")


def _in_words(outlier: Outlier, form: Format) -> str:
    return (
        f"{one_line(outlier.night)}: {outlier.figure} is {form(outlier.value)}; "
        f"expected {_band(outlier, form)} by the {outlier.nights} nights before"
    )


def _band(outlier: Outlier, form: Format) -> str:
    return f"{form(outlier.low)} to {form(outlier.high)}"


def _plain(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def _percent(share: float) -> str:
    return f"{share:.1%}".replace(".0%", "%")
