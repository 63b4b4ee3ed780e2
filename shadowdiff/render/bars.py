"""Latencies as small bars over one axis for all sides, each with its bounds in words: no bar has to be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shadowdiff.latencies import BOUNDS, Bins, lower_bound
from shadowdiff.render.amounts import bound
from shadowdiff.render.lines import DIM, Line, Span
from shadowdiff.render.sessions import INDENT
from shadowdiff.render.tables import sentence
from shadowdiff.render.text import cells, wrap

BLOCKS = "▁▂▃▄▅▆▇█"
EXPLAINED = "turns by latency, slower to the right, each side by its own highest bar"


def latency_bars(bins: Mapping[str, Bins], width: int) -> Iterator[Line]:
    """A heading and a line or two per side that has bins, by label; nothing where none has."""
    known = {label: tuple(held) for label, held in bins.items() if held}
    if not known:
        return
    first, last = _axis(known)
    yield from sentence(EXPLAINED, width, DIM)
    for label, held in known.items():
        yield from _side(label, _bars(held, first, last), _in_words(held), width)


def _axis(known: Mapping[str, Bins]) -> tuple[int, int]:
    """Places in BOUNDS of the first and the last bin of any side."""
    places = [BOUNDS.index(upper) for held in known.values() for upper, _ in held if upper in BOUNDS]
    return min(places, default=0), max(places, default=0)


def _bars(held: Bins, first: int, last: int) -> str:
    """One block per bin of the axis: any turn shows, and only none is blank."""
    counts, most = dict(held), max(turns for _, turns in held)
    shown = (counts.get(upper, 0) for upper in BOUNDS[first : last + 1])
    return "".join(BLOCKS[(turns * len(BLOCKS) - 1) // most] if turns else " " for turns in shown)


def _in_words(held: Bins) -> str:
    fullest, turns = max(held, key=lambda item: item[1])
    total = sum(turns for _, turns in held)
    spread = f"{bound(lower_bound(held[0][0]))} to {bound(held[-1][0])}"
    if len(held) == 1:
        return spread
    return f"{spread}; {turns:,} of {total:,} turns {bound(lower_bound(fullest))} to {bound(fullest)}"


def _side(label: str, bars: str, words: str, width: int) -> Iterator[Line]:
    """Bars and words on one line, or one after the other; the words alone where not even the bars fit."""
    head = f"{INDENT}  {label}  "
    if cells(head) + len(bars) + 3 + len(words) <= width:
        yield [Span(head), Span(bars), Span(f"   {words}")]
        return
    if cells(head) + len(bars) <= width:
        yield [Span(head), Span(bars)]
        head = " " * cells(head)
    for line in wrap(words, width - cells(head), 3):
        yield [Span(head), Span(line)]
        head = " " * cells(head)
