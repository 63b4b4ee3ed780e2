"""SVG of small charts, made by an XML library that escapes: columns, lines and their axes, without a chart library.

Colours are classes, so that a theme or a printer decides them. Numbers are in
the units of a view box `WIDTH` wide; the page scales it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

WIDTH = 380.0
HEIGHT = 190.0
LEFT, RIGHT, TOP, BOTTOM = 47.0, 10.0, 12.0, 38.0
TICK_CHARS = 6.2
"""Width of a character of a tick's text."""

Format = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing, and the same in words and in a table."""

    title: str
    summary: str
    """What the drawing shows, in a sentence or two, for those who do not see it, and those who do."""
    svg: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    legend: tuple[tuple[str, str], ...] = ()
    """Class and name of each series, where there are several."""


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers of one kind, and the class that colours them. None is a gap."""

    name: str
    css: str
    values: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    """Ends of 95% intervals, where there are any."""


class Canvas:
    """A chart's frame: y grows upwards from 0 to a round number at or above `most`."""

    def __init__(self, most: float, *, height: float = HEIGHT, form: Format = lambda value: f"{value:,g}") -> None:
        self.height = height
        self.top = _round_up(most)
        self.root = Element(
            "svg", {"viewBox": f"0 0 {WIDTH:g} {height:g}", "aria-hidden": "true", "focusable": "false"}
        )
        for share in (0.0, 0.5, 1.0):
            y = self.y(self.top * share)
            self.line(LEFT, y, WIDTH - RIGHT, y, "axis" if share == 0 else "grid")
            self.text(LEFT - 5, y + 4, form(self.top * share), "tick end")

    def y(self, value: float) -> float:
        """Where a value lies."""
        floor = self.height - BOTTOM
        return floor - (floor - TOP) * (min(value / self.top, 1.0) if self.top else 0.0)

    def box(self, x: float, low: float, width: float, high: float, css: str, tip: str = "") -> None:
        """A rectangle between two values, with what it says when pointed at."""
        top, bottom = self.y(high), self.y(low)
        made = self._add("rect", css, x=x, y=top, width=max(width, 0.5), height=max(bottom - top, 0.0))
        if tip:
            SubElement(made, "title").text = tip

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        """A straight line."""
        self._add("line", css, x1=x1, y1=y1, x2=x2, y2=y2)

    def text(self, x: float, y: float, words: str, css: str) -> None:
        """A text that starts, ends (`end`) or centres (`middle`) at a point."""
        self._add("text", css, x=x, y=y).text = words

    def path(self, points: Sequence[tuple[float, float]], css: str) -> None:
        """A line through points."""
        made = self._add("polyline", css)
        made.set("points", " ".join(f"{x:.1f},{y:.1f}" for x, y in points))

    def dot(self, x: float, y: float, radius: float, css: str, tip: str = "") -> None:
        """A point."""
        made = self._add("circle", css, cx=x, cy=y, r=radius)
        if tip:
            SubElement(made, "title").text = tip

    def labels(self, texts: Sequence[str], unit: str) -> None:
        """A text under each of as many columns, as many of them as have room, and what they are of below."""
        step = (WIDTH - LEFT - RIGHT) / max(len(texts), 1)
        widest = TICK_CHARS * (max(map(len, texts), default=1) + 1)
        every = max(1, math.ceil(widest / step))
        for at in range(0, len(texts), every):
            self.text(LEFT + step * (at + 0.5), self.height - BOTTOM + 14, texts[at], "tick middle")
        self.text((LEFT + WIDTH - RIGHT) / 2, self.height - 6, unit, "unit middle")

    def svg(self) -> str:
        """The drawing as markup."""
        return tostring(self.root, encoding="unicode")

    def _add(self, tag: str, css: str, **numbers: float) -> Element:
        return SubElement(self.root, tag, {"class": css, **{name: f"{value:.1f}" for name, value in numbers.items()}})


def columns(canvas: Canvas, labels: Sequence[str], series: Sequence[Series], *, stacked: bool, unit: str) -> None:
    """A column per label and series: on top of each other, or side by side. `unit` is what the labels are of."""
    step = (WIDTH - LEFT - RIGHT) / max(len(labels), 1)
    gap = min(step * 0.18, 6.0)
    for at, label in enumerate(labels):
        x, base = LEFT + step * at + gap / 2, 0.0
        width = (step - gap) / (1 if stacked else len(series))
        for place, each in enumerate(series):
            value = each.values[at] or 0.0
            if value:
                tip = f"{label}: {value:,g} {each.name}".strip()
                canvas.box(x + (0 if stacked else width * place), base, width, base + value, each.css, tip)
            base += value if stacked else 0.0


def lines(canvas: Canvas, series: Sequence[Series], form: Format, nights: Sequence[str], starts: Sequence[int]) -> None:
    """A line per series over the nights, with its intervals.

    It is broken before every night in `starts`; a night without the figure is passed over.
    """
    for each in series:
        for first, end in zip(starts, [*starts[1:], len(nights)], strict=True):
            known = [(at, value) for at, value in enumerate(each.values[:end]) if value is not None and at >= first]
            canvas.path([(night_x(at, len(nights)), canvas.y(value)) for at, value in known], f"line {each.css}")
        for at, value in enumerate(each.values):
            if value is not None:
                _point(canvas, each, at, value, form, nights)


def _point(canvas: Canvas, series: Series, at: int, value: float, form: Format, nights: Sequence[str]) -> None:
    x = night_x(at, len(nights))
    low, high = (ends[at] if ends else None for ends in (series.low, series.high))
    if low is not None and high is not None:
        canvas.line(x, canvas.y(low), x, canvas.y(high), f"whisker {series.css}")
    canvas.dot(x, canvas.y(value), 2.6, f"point {series.css}", f"{nights[at]}: {series.name} {form(value)}")


def night_x(at: float, nights: int) -> float:
    """Where a night stands on the axis, or what lies between two."""
    room = WIDTH - LEFT - RIGHT - 12
    return LEFT + 6 + (room * at / (nights - 1) if nights > 1 else room / 2)


def _round_up(most: float) -> float:
    """The next number whose half is round too; 1 where nothing is above 0, or worth the name."""
    if most < 1e-12 or not math.isfinite(most):
        return 1.0
    unit = 10.0 ** math.floor(math.log10(most))
    return next(unit * step for step in (1, 1.2, 1.6, 2, 4, 6, 8, 10) if unit * step >= most * (1 - 1e-9))
