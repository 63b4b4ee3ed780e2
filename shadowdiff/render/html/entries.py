"""The entries that a page names, each once, and their texts, each once by content."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shadowdiff.records import Entry
from shadowdiff.render.html.spool import Spool
from shadowdiff.render.sessions import MISSING
from shadowdiff.render.text import clip, one_line, visible

TITLE_CELLS = 300
"""Of a title in a list; the entry's own panel has all of it."""
BODY_CHARACTERS = 6_000
"""Kept of a body: what a reranker reads of it is less."""
TEXT_BYTES = 7_000_000
"""Compressed bytes of texts that a page carries; about 9.3 MB of it as base64."""
_LINE_END = re.compile("\r\n|\r|\n")


class Entries:
    """Gives entries their places in the page, and writes them and their texts when they are first met."""

    def __init__(self, lines: Spool, texts: Spool, text_bytes: int = TEXT_BYTES) -> None:
        """`lines` gets a line per entry, `texts` one per text, until it holds about `text_bytes`."""
        self._lines = lines
        self._texts = texts
        self._text_bytes = text_bytes
        self._places: dict[tuple[str, str], int] = {}
        self._text_places: dict[str, int] = {}
        self.left_out = 0
        """Entries whose texts the page has no room for."""

    def place(self, entry_id: str, entry: Entry | None) -> int:
        """Number of the entry, counted from 0 in order of appearance; `entry` is None where the pool lacks it.

        Orgs with the same id for the same text share one: whose it is, the session says.
        """
        key = (entry_id, entry.content_hash if entry else "")
        found = self._places.get(key)
        if found is None:
            found = self._places[key] = len(self._places)
            self._lines.add(self._line(entry_id, entry))
        return found

    def _line(self, entry_id: str, entry: Entry | None) -> list[object]:
        """Id, title, place of the text or why there is none; the id as shown where that is not the id."""
        shown = one_line(entry_id)
        title = clip(one_line(entry.title), TITLE_CELLS) if entry else ""
        return [entry_id, title, self._text(entry), *([] if shown == entry_id else [shown])]

    def _text(self, entry: Entry | None) -> int | str:
        if entry is None:
            return "not in the turn's pool, so that the run has no text of it"
        if entry.missing_text is not None:
            return MISSING[entry.missing_text]
        place = self._text_places.get(entry.content_hash)
        if place is None and self._texts.size < self._text_bytes:
            place = self._text_places[entry.content_hash] = self._texts.add(list(_text_of(entry)))
        if place is None:
            self.left_out += 1
            return "left out of this page to keep it small; `shadowdiff show` and `shadowdiff review` have it"
        return place


def _text_of(entry: Entry) -> Iterator[str | int]:
    """Title, body, and the number of the body's characters that are cut."""
    yield one_line(entry.title)
    yield "\n".join(visible(line) for line in _LINE_END.split(entry.body[:BODY_CHARACTERS]))
    yield max(0, len(entry.body) - BODY_CHARACTERS)
