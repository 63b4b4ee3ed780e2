"""A series in one line of small bars, for the eye alone: wherever it stands, its numbers stand beside it."""

from __future__ import annotations

from collections.abc import Sequence

from shadowdiff.render.bars import BLOCKS

ASCII_BLOCKS = "_.:-=+*#"
"""What stands for BLOCKS where there are none, lowest first."""
_IN_ASCII = str.maketrans(
    dict(zip(BLOCKS, ASCII_BLOCKS, strict=True))
    | {"▲": "^", "▼": "v", "–": "-", "·": "|", "±": "+/-", "×": "x", "→": "->", "…": "...", "“": '"', "”": '"'}
)


def sparkline(values: Sequence[float | None], least_span: float = 0.0) -> str:
    """One block per value, from the lowest to the highest; a blank where there is none.

    `least_span` is the smallest difference that takes the whole height: noise is
    not drawn as large as news. A constant series lies in the middle.
    """
    known = [value for value in values if value is not None]
    if not known:
        return " " * len(values)
    middle = (min(known) + max(known)) / 2
    span = max(max(known) - min(known), least_span)
    return "".join(" " if value is None else BLOCKS[_height(value, middle, span)] for value in values)


def _height(value: float, middle: float, span: float) -> int:
    """Place in BLOCKS."""
    share = 0.5 + (value - middle) / span if span else 0.5
    return min(max(int(share * len(BLOCKS)), 0), len(BLOCKS) - 1)


def in_ascii(text: str) -> str:
    """The text with the signs that we draw with in ASCII; what is not ours stays as it is."""
    return text.translate(_IN_ASCII)
