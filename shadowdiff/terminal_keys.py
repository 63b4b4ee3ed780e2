"""What a terminal sends, as keys: a character stands for itself, and every other key has a name."""

from __future__ import annotations

import re
from typing import NamedTuple

UNKNOWN = ""
"""Something was sent that is no key we know."""
CTRL_D = "ctrl+d"
ESCAPE = "escape"

_ESC = 0x1B
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~])")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O)?")
_NAMED = {0x09: "tab", 0x0A: "enter", 0x0D: "enter", 0x08: "backspace", 0x7F: "backspace"}
_MOVES = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}
_TILDES = {"1": "home", "2": "insert", "3": "delete", "4": "end", "5": "page up", "6": "page down"}
_SEQUENCES = {f"\x1b{lead}{letter}": name for lead in "[O" for letter, name in _MOVES.items()} | {
    f"\x1b[{number}~": name for number, name in _TILDES.items()
}


class Taken(NamedTuple):
    """A key, and how many bytes it took."""

    key: str
    size: int


def first_key(sent: bytes, *, is_all: bool) -> Taken | None:
    """The first key of what was sent; None where more must come before it can be told.

    `is_all` says that no more comes: a lone ESC is then the key of that name. Takes
    at least one byte. Raises ValueError where nothing was sent.
    """
    if not sent:
        raise ValueError("nothing was sent")
    if sent[0] == _ESC:
        return _escaped(sent, is_all=is_all)
    if sent[0] in _NAMED:
        return Taken(_NAMED[sent[0]], 1)
    if sent[0] < 0x20:
        return Taken(f"ctrl+{chr(sent[0] | 0x60)}", 1)
    return _character(sent, is_all=is_all)


def _escaped(sent: bytes, *, is_all: bool) -> Taken | None:
    """An arrow and the like whole, so that no part of it is taken for a key; with a character after ESC, unknown."""
    if found := _SEQUENCE.match(sent):
        return Taken(_SEQUENCES.get(found.group().decode("ascii"), UNKNOWN), found.end())
    unfinished = _UNFINISHED.match(sent)
    end = unfinished.end() if unfinished else 1
    if end == len(sent):
        return Taken(ESCAPE if end == 1 else UNKNOWN, end) if is_all else None
    if end > 1:
        return Taken(UNKNOWN, end)
    after = first_key(sent[1:], is_all=is_all)
    return after and Taken(UNKNOWN, 1 + after.size)


def _character(sent: bytes, *, is_all: bool) -> Taken | None:
    """One character of UTF-8."""
    size = _utf8_size(sent[0])
    if len(sent) < size and not is_all:
        return None
    try:
        return Taken(sent[:size].decode(), size)
    except UnicodeDecodeError:
        return Taken(UNKNOWN, 1)


def _utf8_size(lead: int) -> int:
    """Bytes of a character that begins so; 1 for a byte that begins none."""
    if lead >= 0xF8:
        return 1
    return 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC0 else 1
