"""The charts of the history: a line per figure over the nights, and what leaves the band of those before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shadowdiff.history import named_figures
from shadowdiff.nights import History, NightFigures, Outlier
from shadowdiff.render.figures import in_words, writer, written
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
COST = "cost_usd"


@dataclass(frozen=True, slots=True)
class Line:
    """A figure of every night."""

    key: str
    """As the history names it: `overlap.B`."""
    name: str
    css: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A chart to be: figures of one unit."""

    title: str
    unit: str
    lines: tuple[Line, ...]

    @property
    def form(self) -> Format:
        """How its values are written."""
        return writer(self.lines[0].key)


def trend_charts(history: History) -> list[Chart]:
    """A chart per kind of figure that at least one night has; none for fewer than two nights."""
    nights = [night for night in history.nights if night.pairs]
    if len(nights) < LEAST_NIGHTS:
        return []
    drawn = (_chart(kind, nights, history) for kind in _kinds(nights) if kind.lines)
    return [chart for chart in drawn if chart is not None]


def restart_lines(history: History) -> list[str]:
    """Where the lines begin anew."""
    by_name = {night.night: night for night in history.nights}
    return [
        f"{one_line(name)}: other sides or another setting than the night before ({_sides(by_name[name])})"
        for name in history.restarts
        if name in by_name
    ]


def outlier_lines(history: History) -> list[str]:
    """What left its band, night by night, in words."""
    a, of_several = _baseline(history.nights), len(_labels(history.nights)) > 1
    return [
        f"{one_line(each.night)}: {in_words(each.figure, a, of_several=of_several)} "
        f"{written(each.figure, each.value)}, {_expected(each)}"
        for each in history.outliers
    ]


def _sides(night: NightFigures) -> str:
    named = [f"{label} {one_line(name)}" for label, name, _ in night.sides]
    return ", ".join([*named, one_line(night.setting)] if night.setting else named)


def _baseline(nights: Sequence[NightFigures]) -> str:
    return next((night.sides[0][0] for night in nights if night.sides), "A")


def _labels(nights: Sequence[NightFigures]) -> list[str]:
    return list(dict.fromkeys(label for night in nights for label in night.pairs))


def _kinds(nights: Sequence[NightFigures]) -> Iterator[Kind]:
    """Of all that a history knows, whether these nights have it or not."""
    a, labels = _baseline(nights), _labels(nights)
    sides = dict.fromkeys(label for night in nights for label in night.p95_seconds)
    yield Kind("Sessions that differ", "share of sessions", _each("changed_share", labels, 1))
    for label in labels:
        one_sided = Line(f"only_in_a_per_session.{label}", f"only in {a}", KINDS[0])
        other = Line(f"only_in_b_per_session.{label}", f"only in {label}", KINDS[1])
        yield Kind(f"Entries only in {a} and only in {label}", "per session", (one_sided, other))
    noise = Line("noise_overlap", f"noise floor, {a} against itself", "noise")
    yield Kind("Overlap", "mean over turns", (*_each("overlap", labels, 1), noise))
    yield Kind("Latency, p95", "per turn", _each("p95_seconds", list(sides), 0))
    yield Kind("Failed turns", "share of turns", (Line("failed_share", "failed", "outcome-failed"),))
    yield Kind("Cost", "per night, all sides", (Line(COST, "cost", "plain"),))


def _each(kind: str, labels: Sequence[str], first: int) -> tuple[Line, ...]:
    return tuple(
        Line(f"{kind}.{label}", label, KINDS[min(at, len(KINDS) - 1)]) for at, label in enumerate(labels, first)
    )


def _chart(kind: Kind, nights: Sequence[NightFigures], history: History) -> Chart | None:
    names, form = [one_line(night.night) for night in nights], kind.form
    every = (_series(line, nights) for line in kind.lines)
    series = [each for each in every if any(value is not None for value in each.values)]
    if not series:
        return None
    keys = {line.key for line in kind.lines}
    outliers = [outlier for outlier in history.outliers if outlier.figure in keys]
    return Chart(
        kind.title,
        "; ".join(_first_and_last(each, form) for each in series) + _flagged(outliers),
        _drawn(kind, series, outliers, nights, history),
        ("night", *(each.name for each in series)),
        tuple((name, *(_cell(each, at, form) for each in series)) for at, name in enumerate(names)),
        tuple((each.css, each.name) for each in series),
    )


def _drawn(
    kind: Kind, series: Sequence[Series], outliers: Sequence[Outlier], nights: Sequence[NightFigures], history: History
) -> str:
    known = [value for each in series for value in (*each.values, *each.high) if value is not None]
    canvas = Canvas(max([*known, *(outlier.high for outlier in outliers)]), form=kind.form)
    for outlier in outliers:
        _mark(canvas, outlier, [night.night for night in nights])
    starts = [at for at, night in enumerate(nights) if night.night in history.restarts]
    for at in starts:
        x = night_x(at - 0.5, len(nights))
        canvas.line(x, TOP, x, canvas.height - BOTTOM, "restart")
    names = [one_line(night.night) for night in nights]
    lines(canvas, series, kind.form, names, [0, *starts])
    _axis(canvas, names, kind.unit)
    return canvas.svg()


def _series(line: Line, nights: Sequence[NightFigures]) -> Series:
    found = [_figure(night, line.key) for night in nights]
    return Series(
        line.name,
        line.css,
        tuple(each.value for each in found),
        tuple(each.low for each in found),
        tuple(each.high for each in found),
    )


def _figure(night: NightFigures, key: str) -> Estimate:
    return Estimate(night.cost_usd) if key == COST else named_figures(night).get(key, Estimate(None))


def _mark(canvas: Canvas, outlier: Outlier, nights: Sequence[str]) -> None:
    """The band that a night was held against, and a ring around what left it."""
    if outlier.night not in nights:
        return
    x = night_x(nights.index(outlier.night), len(nights))
    canvas.box(x - 6, max(outlier.low, 0.0), 12, outlier.high, "band", _expected(outlier))
    canvas.dot(
        x, canvas.y(outlier.value), 6.5, "flag", f"{written(outlier.figure, outlier.value)}, {_expected(outlier)}"
    )


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


def _expected(outlier: Outlier) -> str:
    low, high = (written(outlier.figure, bound) for bound in (outlier.low, outlier.high))
    return f"expected {low} to {high} by the {outlier.nights} nights before"
