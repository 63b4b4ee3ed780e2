"""Lines of styled text, and the one place where a style becomes a terminal's colours.

Styles are Rich style definitions. Text is never read as Rich markup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from shadowdiff.render.text import cells, wrap

PLAIN = ""
DIM = "dim"
BOLD = "bold"
ONLY_A = "red"
ONLY_B = "green"
MOVED = "cyan"
FAILED = "bold red"

SEPARATOR = " · "
PART_LINES = 4


class Span(NamedTuple):
    """A stretch of `visible` text in one style."""

    text: str
    style: str = PLAIN


Line = list[Span]
Paint = Callable[[Line], str]
"""A line as it is written, without trailing spaces and line end."""


def painter(*, color: bool) -> Paint:
    """How lines become text: with ANSI colours, or as they are."""
    return _coloured if color else plain


def width_of(line: Sequence[Span]) -> int:
    """Cells that the line takes."""
    return sum(cells(span.text) for span in line)


def plain(line: Sequence[Span]) -> str:
    """The line's text, without style and without spaces at its end."""
    return "".join(span.text for span in line).rstrip(" ")


def padded(line: Line, width: int) -> Line:
    """The line with spaces up to `width` cells; as it is when it takes as many already."""
    return [*line, Span(" " * (width - width_of(line)))]


def ruled(left: Line, right: Line, width: int, rule: str) -> Line:
    """`left` and `right` at the ends of `width` cells, `rule` drawn between; without `right` if there is no room."""
    room = width - width_of(left) - width_of(right)
    if right and room >= 3:
        return [*left, Span(f" {rule * (room - 2)} ", DIM), *right]
    room = width - width_of(left) - 1
    return [*left, Span(f" {rule * room}", DIM)] if room > 0 else left


def flowed(parts: Sequence[Span], width: int, indent: str, separator: str = SEPARATOR) -> list[Line]:
    """Parts joined by `separator` into as few lines as fit `width`, each after `indent`.

    A line breaks inside a part only where the part alone is too long for it.
    """
    lines: list[Line] = []
    room = width - cells(indent)
    for part in (Span(text, style) for whole, style in parts for text in wrap(whole, room, PART_LINES)):
        if lines and width_of(lines[-1]) + cells(separator) + cells(part.text) <= width:
            lines[-1] += [Span(separator, DIM), part]
        else:
            lines.append([Span(indent), part])
    return lines


def _coloured(line: Line) -> str:
    kept = list(line)
    while kept and not kept[-1].text.rstrip(" "):
        kept.pop()
    if kept:
        kept[-1] = Span(kept[-1].text.rstrip(" "), kept[-1].style)
    return "".join(
        _styled("".join(span.text for span in spans), style) for style, spans in groupby(kept, key=attrgetter("style"))
    )


def _styled(text: str, style: str) -> str:
    if not style or not text:
        return text
    start, end = _ansi(style)
    return f"{start}{text}{end}"


@lru_cache
def _ansi(style: str) -> tuple[str, str]:
    """What switches a style on and off, in the 16 colours that every terminal's own theme defines."""
    from rich.color import ColorSystem
    from rich.style import Style

    on, _, off = Style.parse(style).render("\0", color_system=ColorSystem.STANDARD).partition("\0")
    return on, off
