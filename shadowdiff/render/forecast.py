"""What a replay would do, as lines for people or as JSON: `shadowdiff replay --dry-run`.

JSON (`shadowdiff.forecast/1`) is one object: `schema`, `sessions`, `turns`,
`unpooled_turns`, `noise`, `usd` (of all sides that have a price), `max_usd` (as
it was asked for, or null) and `sides`, a list of `side`, `name`, `spec`,
`turns`, `new_turns`, `pairs`, `new_pairs`, `at_most`, and `calls`,
`search_units`, `input_tokens`, `output_tokens` and `usd`, which are null where
nobody is asked, `usd` also where there is no price. All of it is ASCII,
everything else escaped. Fields are added, never renamed, within `/1`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from shadowdiff.records import Usage
from shadowdiff.render.amounts import NOT_KNOWN, number, usd
from shadowdiff.render.lines import BOLD, DIM, FAILED, Line, Span
from shadowdiff.render.sessions import INDENT, counted
from shadowdiff.render.sides import NO_PRICE, no_price_note, prices_note
from shadowdiff.render.tables import Figure, TableRow, sentence, table
from shadowdiff.render.text import one_line, wrap
from shadowdiff.runs import Forecast, SideForecast

SCHEMA = "shadowdiff.forecast/1"
NOBODY = dict.fromkeys(asdict(Usage()), None)


def forecast_lines(forecast: Forecast, width: int, max_usd: float | None = None) -> Iterator[Line]:
    """What would be replayed, a table of sides, and what it would cost; each line within `width` cells."""
    yield [Span("dry run: nothing was sent, and nothing is stored", BOLD)]
    replayed = f"{counted(forecast.sessions, 'session')}, {counted(forecast.turns, 'turn')}"
    without = f"; {forecast.unpooled_turns:,} without a pool, which would fail" if forecast.unpooled_turns else ""
    yield from sentence(replayed + without, width)
    for side in forecast.sides:
        yield from _named(side, width)
    if not forecast.turns:
        return
    yield []
    rows = [
        TableRow(r.label, [r.figure(side) for side in forecast.sides]) for r in ROWS if any(map(r.says, forecast.sides))
    ]
    yield from table([side.side.label for side in forecast.sides], rows, width)
    for note in _notes(forecast):
        yield from sentence(note, width, DIM)
    yield []
    yield from sentence(verdict(forecast), width, BOLD)
    if max_usd is not None and forecast.usd > max_usd:
        yield from sentence(f"--max-usd {max_usd:g} would stop it before the end.", width, FAILED)


def forecast_json(forecast: Forecast, max_usd: float | None = None) -> str:
    """The document, with a line end."""
    document = {
        "schema": SCHEMA,
        "sessions": forecast.sessions,
        "turns": forecast.turns,
        "unpooled_turns": forecast.unpooled_turns,
        "noise": forecast.has_noise,
        "usd": forecast.usd,
        "max_usd": max_usd,
        "sides": [_side(side) for side in forecast.sides],
    }
    return json.dumps(document, indent=1) + "\n"


def verdict(forecast: Forecast) -> str:
    """The one sentence that a dry run comes down to."""
    asking = [side for side in forecast.sides if side.usage is not None]
    if not any(side.usage != Usage() for side in asking):
        return "No provider would be asked anything."
    unpriced = [side.side.label for side in asking if side.price is None]
    beside = f", beside what {' and '.join(unpriced)} costs" if unpriced else ""
    if len(unpriced) == len(asking):
        return "Providers would be asked, and nobody said what they charge."
    at_most = "at most " if any(side.is_at_most for side in asking) else ""
    return f"Providers would cost {at_most}about {usd(forecast.usd)}{beside}."


def _side(side: SideForecast) -> dict[str, Any]:
    return {
        "side": side.side.label,
        "name": side.side.name,
        "spec": side.side.spec,
        "turns": side.turns,
        "new_turns": side.new_turns,
        "pairs": side.pairs,
        "new_pairs": side.new_pairs,
        "at_most": side.is_at_most,
        **(NOBODY if side.usage is None else asdict(side.usage)),
        "usd": side.usd,
    }


def _named(side: SideForecast, width: int) -> Iterator[Line]:
    name, spec = one_line(side.side.name), one_line(side.side.spec)
    text = f"{side.side.label}  {name}" + ("" if name == spec else f"  {spec}")
    return ([Span(INDENT), Span(line)] for line in wrap(text, width - len(INDENT), 4))


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table, and whether it has something to say of a side: it is shown where it has of any."""

    label: str
    figure: Callable[[SideForecast], Figure]
    says: Callable[[SideForecast], object] = lambda side: True


def _turns(of: Callable[[SideForecast], int]) -> Callable[[SideForecast], Figure]:
    return lambda side: Figure(NOT_KNOWN if side.usage is None else f"{of(side):,}")


def _used(of: Callable[[Usage], float]) -> Callable[[SideForecast], Figure]:
    return lambda side: Figure(NOT_KNOWN if side.usage is None else number(of(side.usage)))


def _uses(of: Callable[[Usage], float]) -> Callable[[SideForecast], object]:
    return lambda side: side.usage is not None and of(side.usage)


def _cost(side: SideForecast) -> Figure:
    if side.usage is None:
        return Figure(NOT_KNOWN)
    return Figure(NO_PRICE if side.usd is None else usd(side.usd))


ROWS = (
    Row("turns to be ranked", lambda side: Figure(f"{side.turns:,}")),
    Row("  from the cache", _turns(lambda side: side.turns - side.new_turns), lambda side: side.usage is not None),
    Row("  to be asked for", _turns(lambda side: side.new_turns), lambda side: side.usage is not None),
    Row("pairs to be ranked", lambda side: Figure(f"{side.pairs:,}")),
    Row("  to be scored", lambda side: Figure(f"{side.new_pairs:,}")),
    Row("calls", _used(lambda usage: usage.calls), lambda side: side.usage is not None),
    Row("  search units", _used(lambda usage: usage.search_units), _uses(lambda usage: usage.search_units)),
    Row("  tokens in, about", _used(lambda usage: usage.input_tokens), _uses(lambda usage: usage.input_tokens)),
    Row("  tokens out, about", _used(lambda usage: usage.output_tokens), _uses(lambda usage: usage.output_tokens)),
    Row("cost, about", _cost, lambda side: side.usage is not None),
)
"""Top to bottom."""


def _notes(forecast: Forecast) -> Iterator[str]:
    """What is behind the figures."""
    if any(side.new_turns < side.turns for side in forecast.sides if side.usage is not None):
        yield "from the cache: as it is now, or will be when an equal turn or side has been asked for"
    if forecast.has_noise:
        yield f"figures of {forecast.sides[0].side.label} hold its second, uncached pass (--noise)"
    for side in forecast.sides:
        if side.is_at_most:
            yield f"{side.side.label}: at most; how much of it is asked for shows only while it is scored"
    priced = [(side.side.label, side.price) for side in forecast.sides if side.usage is not None and side.price]
    if priced:
        yield prices_note(priced)
    for side in forecast.sides:
        if side.usage is not None and side.usage != Usage() and side.price is None:
            yield no_price_note(side.side.label, side.side.name)
