"""Text that reads like an instruction to whoever judges it. Pure.

Nothing finds all of it: what is found is set aside and shown, and what is not
still stands between lines that it cannot forge, under a system prompt that says
what it is. Patterns are those that collections of injected prompts have in common
(OWASP LLM01), in eleven languages, and marks of chat formats.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from shadowdiff.judging.phrases import ENGLISH, OTHERS

QUOTED = 160
"""Characters of a quote."""
_AROUND = 30
"""Characters shown before what was found."""

_MARKS = (
    # how chat formats mark who speaks
    r"<\|?\s*(?:im_start|im_end|endoftext|eot_id|start_header_id)\s*\|?>",
    r"\[/?INST\]|<</?SYS>>",
)
_HIDDEN = re.compile("[\U000e0020-\U000e007e]{3,}")
"""Tag characters: ASCII that no screen shows and a model may read."""


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


_ANYWHERE = _any_of((*ENGLISH, *_MARKS))
_WORDINGS = tuple((wording.stems, _any_of(wording.patterns)) for wording in OTHERS)
_UNSEEN = re.compile(
    "[\u00ad\u034f\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]"
)
"""What may stand inside a word and is not seen: soft hyphen, joiners, marks of direction, variation selectors."""


def instruction_in(text: str) -> str | None:
    """The first piece of the text that reads like an instruction, with a little before it; None: there is none.

    Read as a person would see it: full-width and other compatibility letters are the plain ones, and what is not seen
    does not part a word. The quote is of the text so read, but for what is hidden.
    """
    read = text if text.isascii() else _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
    found = _HIDDEN.search(read) or _ANYWHERE.search(read) or _worded(read)
    if found is None:
        return None
    start = max(0, found.start() - _AROUND)
    return read[start : max(found.end(), start + QUOTED)][:QUOTED]


def _worded(read: str) -> re.Match[str] | None:
    small = read.lower()
    searched = (pattern.search(read) for stems, pattern in _WORDINGS if any(stem in small for stem in stems))
    return next(filter(None, searched), None)
