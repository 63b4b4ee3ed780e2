"""A pilot as one page for people: every side in a row, which one to take and why, and what that rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shadowdiff.evaluation.results import Evaluation
from shadowdiff.pilot.results import Bill, Pilot, PilotSide, Quality
from shadowdiff.render.amounts import NOT_KNOWN, duration, usd
from shadowdiff.render.closing import cut_short
from shadowdiff.render.columns import heading_of
from shadowdiff.render.evaluation import PLACES, number, signed, warnings
from shadowdiff.render.lines import BOLD, DIM, FAILED, Line, Span, flowed
from shadowdiff.render.pilot_words import (
    conclusion,
    grounds,
    next_commands,
    notes,
    sample_facts,
)
from shadowdiff.render.sessions import INDENT
from shadowdiff.render.sides import failure_notes, side_notes
from shadowdiff.render.tables import Figure, TableRow, mean, sentence, table
from shadowdiff.render.text import clip, one_line
from shadowdiff.runs import Estimate, Run

ROW_CELLS = 24
OVERLAP_PLACES = 2
LONG = 8
"""Lines that a sentence of the page may take: none is cut at 80 columns."""


def pilot_lines(pilot: Pilot, run: Run, width: int) -> Iterator[Line]:
    """The whole, each line but the commands to be copied within `width` cells; the run has a summary."""
    yield [Span(clip(f"pilot: run {one_line(run.run_id)}", width), BOLD)]
    yield from flowed([Span(fact) for fact in sample_facts(pilot, run)], width, INDENT)
    if cut := cut_short(run):
        yield from sentence(cut, width, FAILED)
    for text in side_texts(run):
        yield from sentence(text, width)
    yield []
    yield from table(*pilot_table(pilot, run), width)
    yield []
    yield from _conclusion(pilot, run, width)
    yield []
    yield from _grounds(pilot, run, width)


def side_texts(run: Run) -> list[str]:
    """Label, name and threshold, and the spec where that is another."""
    specs = (one_line(side.spec) for side in run.sides)
    return [
        heading_of(side) + ("" if one_line(side.name) == spec else f"  {spec}")
        for side, spec in zip(run.sides, specs, strict=True)
    ]


def pilot_table(pilot: Pilot, run: Run) -> tuple[list[str], list[TableRow]]:
    """Headings and a row per side."""
    columns = _columns(pilot, run)
    rows = [
        TableRow(clip(f"{side.label} {one_line(side.name)}", ROW_CELLS), [figure(side) for _, figure in columns])
        for side in pilot.sides
    ]
    return [heading for heading, _ in columns], rows


def page_warnings(pilot: Pilot) -> Iterator[str]:
    """What speaks against taking the measures as they are; nothing where none is shown."""
    evaluation: Evaluation | None = pilot.evaluation if pilot.recommendation is not None else None
    if evaluation is not None:
        yield from warnings(evaluation)


Column = tuple[str, Callable[[PilotSide], Figure]]


def _columns(pilot: Pilot, run: Run) -> list[Column]:
    a = run.baseline.label
    latency: list[Column] = [
        ("p50", lambda side: _seconds(side.p50_seconds)),
        ("p95", lambda side: _seconds(side.p95_seconds)),
        ("cost a month", _per_month),
        ("per 1,000", _per_thousand),
    ]
    if pilot.recommendation is None:
        return [(f"overlap@{run.config.top_k} with {a}", _overlap), *latency]
    quality: list[Column] = [
        (pilot.measure.name, _of(lambda found: mean(found.mean, PLACES))),
        (
            f"less {a}",
            _of(lambda found: Figure(NOT_KNOWN) if found.difference is None else signed(found.difference.mean)),
        ),
        (pilot.recall.name, _of(lambda found: Figure(number(found.recall.value)))),
    ]
    closed: list[Column] = [("gap closed", _of(_closed))] if pilot.recommendation.best is not None else []
    return [*quality, *closed, *latency]


def _of(figure: Callable[[Quality], Figure]) -> Callable[[PilotSide], Figure]:
    return lambda side: Figure(NOT_KNOWN) if side.quality is None else figure(side.quality)


def _closed(quality: Quality) -> Figure:
    """The best closes all of it, and the baseline none: neither is an estimate."""
    closed: Estimate | None = quality.closed
    if closed is None or closed.value is None or quality.difference is None:
        return Figure(NOT_KNOWN)
    if closed.low is None or closed.high is None or closed.low == closed.high:
        return Figure(f"{closed.value:.0%}")
    return Figure(f"{closed.value:.0%}", f"[{100 * closed.low:.0f}, {100 * closed.high:.0f}]")


def _overlap(side: PilotSide) -> Figure:
    return Figure(NOT_KNOWN) if side.overlap is None else mean(side.overlap, OVERLAP_PLACES)


def _seconds(seconds: float | None) -> Figure:
    return Figure(NOT_KNOWN if seconds is None else duration(seconds))


def _per_month(side: PilotSide) -> Figure:
    cost = side.cost
    if cost.bill is Bill.PROVIDER:
        return Figure(NOT_KNOWN if cost.usd_per_month is None else usd(cost.usd_per_month))
    return Figure("own machine" if cost.bill is Bill.OWN else "not known")


def _per_thousand(side: PilotSide) -> Figure:
    each = side.cost.usd_per_turn
    return Figure(NOT_KNOWN if each is None else usd(1000 * each))


def _conclusion(pilot: Pilot, run: Run, width: int) -> Iterator[Line]:
    first, *rest = conclusion(pilot)
    yield from sentence(first, width, BOLD, lines=LONG)
    for text in rest:
        yield from sentence(text, width, lines=LONG)
    commands = next_commands(pilot, run)
    if commands:
        yield from sentence("Next:", width)
    # Never cut: they are there to be copied.
    yield from ([Span(f"{INDENT}  {command}", BOLD)] for command in commands)


def _grounds(pilot: Pilot, run: Run, width: int) -> Iterator[Line]:
    for text in page_warnings(pilot):
        yield from sentence(text, width, FAILED, lines=LONG)
    for text in grounds(pilot):
        yield from sentence(text, width, lines=LONG)
    if run.summary is None:
        return
    for text in (*notes(pilot, run), *side_notes(run, run.summary)):
        yield from sentence(text, width, DIM, lines=LONG)
    for text in failure_notes(run, run.summary):
        yield from sentence(text, width, FAILED)
