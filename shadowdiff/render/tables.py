"""Aligned tables of figures, and wrapped sentences beside them: what the closing blocks are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from shadowdiff.render.lines import DIM, Line, Span
from shadowdiff.render.sessions import INDENT
from shadowdiff.render.text import cells, fit, wrap
from shadowdiff.runs import Estimate

GAP = 3


class Figure(NamedTuple):
    """A table cell: a number, right-aligned in its column, and what qualifies it."""

    number: str
    note: str = ""


class TableRow(NamedTuple):
    """A label and one figure per column."""

    label: str
    figures: list[Figure]


def sentence(text: str, width: int, style: str = "", lines: int = 4) -> Iterator[Line]:
    """The text within `width` cells, in a few lines at most."""
    return ([Span(INDENT), Span(line, style)] for line in wrap(text, width - len(INDENT), lines))


def share_of(part: int, whole: int) -> Figure:
    """A count of so many."""
    return Figure(f"{part:,}", f"of {whole:,}")


def mean(estimate: Estimate, places: int) -> Figure:
    """A mean with its interval."""
    if estimate.value is None:
        return Figure("–")
    if estimate.low is None or estimate.high is None:
        return Figure(f"{estimate.value:.{places}f}")
    return Figure(f"{estimate.value:.{places}f}", f"[{estimate.low:.{places}f}, {estimate.high:.{places}f}]")


def table(
    headings: Sequence[str], rows: Sequence[TableRow], width: int, together: Sequence[int] = ()
) -> Iterator[Line]:
    """An aligned table; columns that do not fit beside the others follow below, under the same labels.

    `together`: sizes of runs of columns that are parted only where they do not even fit by themselves.
    """
    columns = [_column(heading, [row.figures[at] for row in rows]) for at, heading in enumerate(headings)]
    widths = [cells(column[0]) + GAP for column in columns]
    label_cells = min(max(cells(row.label) for row in rows) + len(INDENT), width - max(widths))
    labels = [fit(label, label_cells) for label in ["", *(INDENT + row.label for row in rows)]]
    for number, group in enumerate(_groups(widths, width - label_cells, together)):
        yield from [[]] if number else []
        for line, label in enumerate(labels):
            texts = (" " * GAP + columns[at][line] for at in group)
            yield [Span(label), Span("".join(texts), "" if line else DIM)]


def _groups(widths: Sequence[int], room: int, together: Sequence[int]) -> list[list[int]]:
    """Indexes of columns that stand side by side."""
    groups: list[list[int]] = [[]]
    for run in _runs(widths, room, together):
        if groups[-1] and sum(widths[at] for at in [*groups[-1], *run]) > room:
            groups.append([])
        groups[-1] += run
    return groups


def _runs(widths: Sequence[int], room: int, together: Sequence[int]) -> Iterator[list[int]]:
    """Indexes of columns that are not parted."""
    start = 0
    for size in [*together, *[1] * (len(widths) - sum(together))]:
        run = list(range(start, start + size))
        yield from [run] if sum(widths[at] for at in run) <= room else ([at] for at in run)
        start += size


def _column(heading: str, figures: Sequence[Figure]) -> list[str]:
    """Heading and figures, all of one width: numbers end, and notes start, at one place."""
    number_cells = max(cells(figure.number) for figure in figures)
    texts = [f"{figure.number:>{number_cells}} {figure.note}" for figure in figures]
    width = max(cells(text) for text in [heading, *texts])
    return [fit(text, width) for text in [heading, *texts]]
