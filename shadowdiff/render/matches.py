"""Where the words of a query stand in a text, so that a reader sees at once why an entry was found. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts that put no space between words: Thai, Lao, Burmese, Khmer, kana, Han."""
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}](?:[^\W{_UNSPACED}]|[\u0300-\u036f])+")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")

# fmt: off
STOP_WORDS = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no",
    "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to",
    "was", "will", "with",
))
# fmt: on
"""Lucene's English ones, as BM25 leaves them out too."""

Words = frozenset[str]
"""Words as they are compared: case folded, stemmed, without stop words."""


@lru_cache(maxsize=256)
def words_of(text: str) -> Words:
    """What of a query is looked for: words of two or more characters that are no stop words.

    Scripts without spaces between words are looked for by pairs of characters.
    """
    return frozenset(word for _, _, word in _words(text) if word not in STOP_WORDS)


def matches(text: str, words: Words) -> list[tuple[int, int]]:
    """Start and end of each stretch of `text` that is one of `words`: in order, none touching the next."""
    if not words:
        return []
    found = ((start, end) for start, end, word in _words(text) if word in words)
    return list(_joined(found))


def _words(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _WORD.finditer(text):
        if not _IS_UNSPACED.match(match.group()):
            yield match.start(), match.end(), _compared(match.group())
        else:
            places = range(match.start(), match.end())
            yield from ((at, after + 1, text[at : after + 1]) for at, after in pairwise(places))


def _joined(stretches: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Stretches, which come in order of their starts, with those that touch made one."""
    held: tuple[int, int] | None = None
    for start, end in stretches:
        if held is not None and start <= held[1]:
            held = held[0], max(end, held[1])
            continue
        if held is not None:
            yield held
        held = start, end
    if held is not None:
        yield held


@lru_cache(maxsize=1 << 14)
def _compared(word: str) -> str:
    """A word as it is compared; a stop word as it is in the list, not its stem."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", word).casefold())
    return folded if folded in STOP_WORDS else _stem(folded)


def _stem(word: str) -> str:
    # Surrogates are no word characters, so whatever comes here is valid Unicode.
    stemmed: str = _stemmer().stemWord(word)
    return stemmed


@cache
def _stemmer() -> Any:
    """Snowball's English one, as BM25 uses; it leaves other languages' words as they are, or nearly."""
    import Stemmer

    return Stemmer.Stemmer("english")
