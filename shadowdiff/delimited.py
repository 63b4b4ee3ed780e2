"""Strangers' texts in a prompt, each between lines that it cannot forge. Pure.

The lines bear a tag made of the hash of all texts: none can hold the hash of
itself, and so none can end early or pass for another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

TAG_CHARACTERS = 12


def tag_of(*texts: str | Sequence[str]) -> str:
    """The beginning of the hash of all texts."""
    digest = hashlib.sha256(repr(texts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:TAG_CHARACTERS]


def between(name: str, tag: str, text: str) -> str:
    """The text between a line that opens and one that closes it."""
    return f"<{name} {tag}>\n{text}\n</{name} {tag}>"
