"""Text from a database as GitHub's Markdown: it reads as it is, and links, mentions and breaks out of nothing.

Backslashes take the meaning from what Markdown reads. What GitHub looks for in
the text that comes out of that (`@name`, `#123`, `GH-123`, `:smile:`,
addresses) is broken up by a zero-width space, as Dependabot and Renovate do it:
a backslash or an entity is gone by then. A dollar sign, which may begin a
formula, stands in a `span`, as GitHub's documentation has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from shadowdiff.render.text import clip, one_line

MOST_CHARACTERS = 65_536
"""That GitHub takes in a comment or the description of a pull request."""
LONGEST = 400
"""Cells of a text that are kept, where nothing else is said."""
BREAK = "&#8203;"
"""A zero-width space."""

_SPECIAL = re.compile(
    r"(?P<dollar>\$)"
    r"|(?P<broken>@|\#(?=\w)|:(?=//|(?:100|1234):|[\w+-]*[^\W\d][\w+-]*:|[+-]1:)|\b[wW]{3}(?=\.)|\b[gG][hH]-(?=\d))"
    r"|(?P<marked>[\\`*_\[\]<>&|~#!])"
)


def markdown(text: str, limit: int = LONGEST) -> str:
    """The text in one line of at most `limit` cells, for a paragraph or a cell of a table; never empty in a cell."""
    return _SPECIAL.sub(_plain, clip(one_line(text), limit))


def html_code(text: str, limit: int = LONGEST) -> str:
    """The same for raw HTML, as code, in which GitHub looks for nothing."""
    return f"<code>{escape(clip(one_line(text), limit))}</code>"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], left: Iterable[int] = (0,)) -> list[str]:
    """A table of cells that are Markdown already; columns in `left` are aligned left, the others right."""
    aligned = set(left)
    rule = ["---" if at in aligned else "--:" for at in range(len(headings))]
    return [_row(headings), _row(rule), *map(_row, rows)]


def length(text: str) -> int:
    """Characters as GitHub counts them, or more: those beyond the first plane count double."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(match: re.Match[str]) -> str:
    found = match.group()
    match match.lastgroup:
        case "dollar":
            return "<span>$</span>"
        case "broken":
            return f"{found}{BREAK}"
        case _:
            return f"\\{found}"
