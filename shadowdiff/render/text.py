"""Text from a database, made safe to show and cut to cells. Nothing reaches a terminal without passing `visible`.

A cell is one column of a terminal: 2 for a CJK character or an emoji, 0 for a combining mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import get_character_cell_size

ELLIPSIS = "…"

_ZWNJ, _ZWJ, _EMOJI_STYLE = "\u200c", "\u200d", "\ufe0f"
_CLUSTER_LIMIT = 16
"""Code points kept of one cluster: the longest emoji sequences have 11, piled-up accents have any number."""

_PLANES = range(0, 0x110000, 0x10000)
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(chr(plane + last) for plane in _PLANES for last in (0xFFFE, 0xFFFF))
_INVISIBLE = (
    "\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
_UNSAFE = "\x00-\x1f\x7f-\x9f\ud800-\udfff" + _INVISIBLE + _NONCHARACTERS
"""Controls, lone surrogates, bidi controls, separators, tags and other format characters, noncharacters."""
_PRIVATE = "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"

UNSAFE = re.compile(f"[{_UNSAFE}]")
"""One character that no output format may carry raw."""
_SHOWN_OTHERWISE = re.compile(f"\r\n|[{_UNSAFE}{_PRIVATE}{_SPACES}{_ZWNJ}{_ZWJ}]")
_SPACE = re.compile(f"\r\n|[\n\t{_SPACES}]")

_NARROW = re.compile("[ -~\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u2190-\u2193\u2500-\u257f\u25b8]*")
"""Characters of one cell that join with nothing: Latin, and the signs that we draw with. All else is measured."""


def visible(text: str) -> str:
    """The text with every character that would act on a terminal, or hide in it, spelled out.

    C0 controls become control pictures (`␛`), line breaks, tabs and special
    spaces one space, everything else unsafe `<U+202E>`. Soft hyphens go. Joiners
    stay between two characters that a script or an emoji may join.
    """
    return _SHOWN_OTHERWISE.sub(_shown, text)


def one_line(text: str) -> str:
    """`visible`, with every run of white space as one space and none at the ends."""
    return " ".join(visible(text).split())


def cells(text: str) -> int:
    """Width of a `visible` text."""
    if text.isascii() or _NARROW.fullmatch(text):
        return len(text)
    return sum(width for _, _, width in _clusters(text))


def clip(text: str, limit: int) -> str:
    """The text if it fits `limit` cells, else as much of it as leaves room for `…`."""
    kept, end = _head(text, limit)
    if end == len(text):
        return kept
    return _head(text, limit - 1)[0].rstrip() + ELLIPSIS if limit > 0 else ""


def fit(text: str, width: int) -> str:
    """`clip`, then padded with spaces to exactly `width` cells."""
    clipped = clip(text, width)
    return clipped + " " * (width - cells(clipped))


def wrap(text: str, width: int, lines: int) -> list[str]:
    """At most `lines` lines of at most `width` cells, broken at spaces where there are any; `…` where it is cut.

    Never empty: an empty text is one empty line.
    """
    wrapped: list[str] = []
    rest = text
    while len(wrapped) < lines - 1 and rest:
        line, rest = _broken(rest, width)
        wrapped.append(line)
    if rest or not wrapped:
        wrapped.append(clip(rest, width))
    return wrapped


def _shown(match: re.Match[str]) -> str:
    character = match.group()
    if _SPACE.fullmatch(character):
        return " "
    if character in (_ZWNJ, _ZWJ) and _joins(match):
        return character
    if character == "\u00ad":
        return ""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"<U+{code:04X}>"


def _joins(match: re.Match[str]) -> bool:
    """Whether both neighbours are of a kind that joiners are for: neither ASCII nor themselves unsafe."""
    text, before, after = match.string, match.start() - 1, match.end()
    if before < 0 or after == len(text):
        return False
    return all(not text[at].isascii() and not _SHOWN_OTHERWISE.match(text[at]) for at in (before, after))


def _broken(text: str, width: int) -> tuple[str, str]:
    """The first line, and what is left."""
    head, end = _head(text, width)
    if end == len(text):
        return head, ""
    if end == 0:
        return ELLIPSIS, ""
    space = text.rfind(" ", 0, end + 1)
    if space <= end // 2:
        return head, text[end:].lstrip()
    return text[:space].rstrip(), text[space:].lstrip()


def _head(text: str, limit: int) -> tuple[str, int]:
    """The longest prefix of whole clusters within `limit` cells, and where in `text` it ends."""
    if text.isascii() or _NARROW.fullmatch(text):
        kept = text[: max(limit, 0)]
        return kept, len(kept)
    parts: list[str] = []
    end = used = 0
    for start, stop, width in _clusters(text):
        if used + width > limit:
            break
        parts.append(text[start : min(stop, start + _CLUSTER_LIMIT)])
        end, used = stop, used + width
    return "".join(parts), end


def _clusters(text: str) -> Iterator[tuple[int, int, int]]:
    """Start, end and cells of each run of characters that must not be cut apart."""
    start = 0
    while start < len(text):
        stop, width = start + 1, get_character_cell_size(text[start])
        if _is_regional(text[start]) and stop < len(text) and _is_regional(text[stop]):
            stop, width = stop + 1, 2
        while stop < len(text) and _extends(text, stop):
            width = _widened(text, stop, width)
            stop += 1
        yield start, stop, width
        start = stop


def _extends(text: str, index: int) -> bool:
    """Whether the character belongs to the cluster before it."""
    character = text[index]
    if character.isascii():
        return False
    if text[index - 1] == _ZWJ and not character.isalpha():
        return True
    return _is_skin_tone(character) or get_character_cell_size(character) == 0


def _widened(text: str, index: int, width: int) -> int:
    """Cells of a cluster once `text[index]` is part of it."""
    if text[index] == _EMOJI_STYLE and not text[index - 1].isalpha():
        return max(width, 2)
    if text[index - 1] == _ZWJ:
        return max(width, get_character_cell_size(text[index]))
    return width


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_skin_tone(character: str) -> bool:
    return "\U0001f3fb" <= character <= "\U0001f3ff"
