"""The nights of a configuration for people: a table per trend, newest night last, then what leaves its band and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from statistics import median
from typing import NamedTuple

from shadowdiff.history import FLOOR_OF_P95, FLOORS, LEAST_NIGHTS, LEAST_SESSIONS, basis, kind_of, named_figures
from shadowdiff.nights import History, NightFigures, NightStatus, Outlier
from shadowdiff.render.amounts import NOT_KNOWN, usd
from shadowdiff.render.figures import heading, is_of_pair, writer, written
from shadowdiff.render.lines import BOLD, DIM, FAILED, Line, Span, flowed
from shadowdiff.render.sessions import INDENT, counted
from shadowdiff.render.sparkline import sparkline
from shadowdiff.render.tables import Figure, TableRow, sentence, table
from shadowdiff.render.text import clip, one_line

ABOVE, BELOW = "▲", "▼"
TREND_NIGHTS = 30
"""Bars of a trend, at most."""
BESIDE_BARS = 50
"""Cells of a trend's row that are not bars."""
NOTE_LINES = 8
"""Nights that a note names one by one, at most."""
RULE_LINES = 8


class Column(NamedTuple):
    """A figure of every night."""

    name: str
    """As outliers call it."""
    heading: str
    value: Callable[[NightFigures], float | None]
    written: Callable[[float], str]


def history_lines(history: History, width: int) -> Iterator[Line]:
    """The whole history, each line within `width` cells."""
    nights = history.nights
    name = one_line(history.configuration)
    if not nights:
        yield from sentence(f"No night of {name} is stored yet; begin one with: shadowdiff nightly", width)
        return
    head = f"{counted(len(nights), 'night')} of {name}, newest last"
    yield [Span(clip(head, width), BOLD)]
    for section in _sections(nights):
        yield []
        yield from _section(history, section, width)
    yield []
    yield from _trend(history, width)
    yield from _marked(history, width)
    yield from sentence(in_short(history), width, BOLD)


def _sections(nights: Sequence[NightFigures]) -> Iterator[list[NightFigures]]:
    """Nights of one trend; those without figures stand with the night before them, the first ones with the next."""
    current: object = next((basis(night) for night in nights if night.pairs), None)

    def of(night: NightFigures) -> object:
        nonlocal current
        current = basis(night) if night.pairs else current
        return current

    for _, section in groupby([(of(night), night) for night in nights], key=lambda item: item[0]):
        yield [night for _, night in section]


def _section(history: History, nights: Sequence[NightFigures], width: int) -> Iterator[Line]:
    yield from _sides(nights, width)
    marks = _marks(history)
    groups = _columns(nights)
    columns = [column for group in groups for column in group]
    rows = [TableRow(one_line(night.night), [_cell(column, night, marks) for column in columns]) for night in nights]
    yield from table([column.heading for column in columns], rows, width, [len(group) for group in groups])
    yield from _notes(nights, width)


def _sides(nights: Sequence[NightFigures], width: int) -> Iterator[Line]:
    night = next((night for night in reversed(nights) if night.sides), None)
    if night is None:
        return
    (a, name, _), *others = night.sides
    parts = [f"{a} {one_line(name)}  against  {', '.join(f'{label} {one_line(name)}' for label, name, _ in others)}"]
    yield from flowed([Span(part) for part in [*parts, night.setting]], width, INDENT)


def _columns(nights: Sequence[NightFigures]) -> list[list[Column]]:
    """Figures that some night has, in groups that belong together: whole nights', each pair's, and the others."""
    known = _known(nights)
    labels, a = _labels(nights), _baseline(nights)
    of_pairs = [
        [
            _column(name, a, of_several=len(labels) > 1)
            for name in known
            if name.endswith(f".{label}") and is_of_pair(name)
        ]
        for label in labels
    ]
    others = [name for name in known if not is_of_pair(name) and name != "failed_share"]
    whole = [
        Column("sessions", "sessions", _sessions, "{:,.0f}".format),
        Column("failed_share", "failed", lambda night: night.failed_share, writer("failed_share")),
        Column("gates_crossed", "crossed", lambda night: night.gates_crossed, "{:.0f}".format),
    ]
    cost = Column("cost_usd", "cost", lambda night: night.cost_usd, usd)
    groups = [whole, *of_pairs, [*(_column(name, a, of_several=False) for name in others), cost]]
    return [kept for group in groups if (kept := [each for each in group if _is_known(each, nights)])]


def _labels(nights: Sequence[NightFigures]) -> list[str]:
    """Of the sides compared with A."""
    return list(dict.fromkeys(label for night in nights for label in night.pairs))


def _baseline(nights: Sequence[NightFigures]) -> str:
    return next((night.sides[0][0] for night in nights if night.sides), "A")


def _known(nights: Sequence[NightFigures]) -> list[str]:
    """Names of figures that some night has."""
    named = [named_figures(night) for night in nights]
    names = dict.fromkeys(name for figures in named for name in figures)
    return [name for name in names if any(name in each and each[name].value is not None for each in named)]


def _is_known(column: Column, nights: Sequence[NightFigures]) -> bool:
    return column.name == "sessions" or any(column.value(night) is not None for night in nights)


def _sessions(night: NightFigures) -> float | None:
    return None if night.status is NightStatus.RUNNING and not night.pairs else night.sessions


def _column(name: str, a: str, *, of_several: bool) -> Column:
    return Column(name, heading(name, a, of_several=of_several), _value_of(name), writer(name))


def _value_of(name: str) -> Callable[[NightFigures], float | None]:
    def value(night: NightFigures) -> float | None:
        figure = named_figures(night).get(name)
        return None if figure is None else figure.value

    return value


def _cell(column: Column, night: NightFigures, marks: dict[tuple[str, str], str]) -> Figure:
    value = column.value(night)
    if value is None:
        return Figure(NOT_KNOWN)
    return Figure(column.written(value), marks.get((night.night, column.name), ""))


def _marks(history: History) -> dict[tuple[str, str], str]:
    """Signs of the figures that leave their band, by night and name."""
    return {(item.night, item.figure): _sign(item) for item in history.outliers}


def _sign(outlier: Outlier) -> str:
    return ABOVE if outlier.value > outlier.high else BELOW


def _notes(nights: Sequence[NightFigures], width: int) -> Iterator[Line]:
    """Why some nights have no figures, or not those of all their sessions."""
    whys = [(night.night, why) for night in nights if (why := _why(night))]
    for why in dict.fromkeys(why for _, why in whys):
        named = [one_line(night) for night, other in whys if other == why]
        more = f" and {len(named) - NOTE_LINES} more" if len(named) > NOTE_LINES else ""
        yield from sentence(f"{', '.join(named[:NOTE_LINES])}{more}: {why}.", width, DIM)


def _why(night: NightFigures) -> str:
    if night.status is NightStatus.RUNNING:
        return "not finished; the next call of shadowdiff nightly goes on with it"
    if night.run_id is None:
        return "no session to replay" if night.gates_crossed is None else "its run is no longer stored"
    if night.turns and night.failed_turns == night.turns:
        return "every turn failed"
    if night.cut_short:
        return "stopped before the end; its figures are of the sessions that it got to"
    return "" if night.turns else "no turns"


def _trend(history: History, width: int) -> Iterator[Line]:
    """The newest trend, a row per figure: bars, and the numbers that they are drawn of."""
    nights = list(_sections(history.nights))[-1]
    if sum(bool(night.pairs) for night in nights) < 2:
        return
    shown = nights[-min(TREND_NIGHTS, max(width - BESIDE_BARS, 1)) :]
    newest = next(night for night in reversed(nights) if night.pairs)
    marks = _marks(history)
    rows = [
        TableRow(column.heading, [Figure(_bars(column, shown)), _cell(column, newest, marks), _range(column, shown)])
        for group in _columns(shown)
        for column in group
    ]
    yield from table([counted(len(shown), "night"), "newest", "lowest to highest"], rows, width)
    yield []


def _bars(column: Column, nights: Sequence[NightFigures]) -> str:
    values = [column.value(night) for night in nights]
    kind = kind_of(column.name)
    known = [value for value in values if value is not None]
    floor = FLOOR_OF_P95 * median(known) if kind == "p95_seconds" else FLOORS.get(kind, 0.0)
    return sparkline(values, 2 * floor)


def _range(column: Column, nights: Sequence[NightFigures]) -> Figure:
    known = [value for night in nights if (value := column.value(night)) is not None]
    low, high = column.written(min(known)), column.written(max(known))
    return Figure("", low if low == high else f"{low} to {high}")


def _marked(history: History, width: int) -> Iterator[Line]:
    """What left its band, a night at a time, and how bands are drawn."""
    for night, items in groupby(history.outliers, key=lambda item: item.night):
        head = f"{INDENT}{one_line(night)}"
        for at, line in enumerate(
            flowed([Span(part, FAILED) for part in outside_band(list(items), history.nights)], width, INDENT * 2)
        ):
            yield from [] if at else [[Span(head), Span(" is outside its band:")]]
            yield line
    yield from sentence(history.rule, width, DIM, RULE_LINES)
    yield []


def outside_band(items: Sequence[Outlier], nights: Sequence[NightFigures]) -> Iterator[str]:
    """Each figure that left its band, with the band."""
    of_several = len(_labels(nights)) > 1
    a = _baseline(nights)
    for item in items:
        words = heading(item.figure, a, of_several=of_several)
        low, high = (written(item.figure, end) for end in (item.low, item.high))
        yield f"{_sign(item)} {words} {written(item.figure, item.value)} ({low} to {high})"


def in_short(history: History) -> str:
    """Where the newest night stands."""
    newest = history.nights[-1]
    night = one_line(newest.night)
    why = _why(newest)
    if why:
        return f"{night}: {why}."
    left = sum(item.night == newest.night for item in history.outliers)
    crossed = f"; {counted(newest.gates_crossed, 'gate')} crossed" if newest.gates_crossed else ""
    if left:
        return f"{night}: {counted(left, 'figure')} outside the band{crossed}."
    if newest.sessions < LEAST_SESSIONS:
        return f"{night}: too few sessions to be held against the nights before it{crossed}."
    if not history.band_nights:
        return f"{night}: no band yet, which takes {LEAST_NIGHTS} nights of the same sides before it{crossed}."
    return f"{night}: every figure lies within the band of {counted(history.band_nights, 'night')} before it{crossed}."
