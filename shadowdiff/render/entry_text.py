"""An entry's text, whole, as lines of a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from shadowdiff.records import Entry
from shadowdiff.render.lines import DIM, PLAIN, Line, Span
from shadowdiff.render.matches import Words, matches
from shadowdiff.render.sessions import MISSING
from shadowdiff.render.text import visible, wrap

MATCH = "bold underline"
BODY_CHARACTERS = 200_000
"""Of an entry's text; nobody reads on after that many."""
PIECE = 4_000
"""Characters that are wrapped at once, so that one endless line takes no endless time."""
NO_WORDS: Words = frozenset()


def body_lines(entry: Entry, width: int, words: Words = NO_WORDS) -> Iterator[Line]:
    """The entry's text, paragraph by paragraph, or why it is not here; the words stand out."""
    if entry.missing_text is not None:
        yield [Span(MISSING[entry.missing_text], DIM)]
    for paragraph in entry.body[:BODY_CHARACTERS].splitlines():
        for piece in _pieces(visible(paragraph)):
            yield from (highlighted(line, words) for line in wrap(piece, width, PIECE))
    if len(entry.body) > BODY_CHARACTERS:
        yield [Span(f"… {len(entry.body) - BODY_CHARACTERS:,} more characters", DIM)]


def _pieces(paragraph: str) -> Iterator[str]:
    """The paragraph in pieces that are cut at spaces where there are any."""
    while len(paragraph) > PIECE:
        space = paragraph.rfind(" ", PIECE // 2, PIECE)
        end = PIECE if space < 0 else space
        yield paragraph[:end]
        paragraph = paragraph[end:].lstrip()
    yield paragraph


def highlighted(text: str, words: Words, style: str = PLAIN) -> Line:
    """A `visible` text, with the query's words marked."""
    line: Line = []
    at = 0
    for start, end in matches(text, words):
        line += [Span(text[at:start], style), Span(text[start:end], MATCH)]
        at = end
    return [span for span in [*line, Span(text[at:], style)] if span.text]
