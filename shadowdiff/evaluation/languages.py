"""The language that a session is asked in: its own tag's, or found in all of its queries together, offline."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Any

from shadowdiff.records import Session

TAGS = ("language", "lang")
"""Tags that say it; the first one that a session has counts."""
UNSURE = "unsure"
NONE = "zxx"
"""ISO 639 for what is no language: numbers, markup, identifiers."""
LEAST_LETTERS = 20
"""Fewer say nothing of a language; one of a wide script (Chinese, Japanese, Korean) says as much as two."""
LEAST_CONFIDENCE = 0.8
"""Of 162 texts of one to five support questions in 21 languages, 122 have as much, and all of these are right."""


def languages(sessions: Iterable[Session]) -> dict[str, tuple[str, ...]]:
    """By session id: the values of a tag of TAGS as they stand, or an ISO 639 code that was found, or UNSURE.

    Empty where no two languages are told apart.
    """
    found: dict[str, tuple[str, ...]] = {}
    for session in sessions:
        if session.session_id not in found:
            found[session.session_id] = _tagged(session) or (language_of(_typed(session)),)
    return found if len({name for names in found.values() for name in names} - {UNSURE}) > 1 else {}


def tag_values(value: object) -> tuple[str, ...]:
    """What a tag says, each once: a list says several things."""
    return tuple(dict.fromkeys(map(str, value if isinstance(value, list) else [value])))


def language_of(text: str) -> str:
    """ISO 639 code of the text's language, always the same for the same text.

    UNSURE where it has too few letters, the library is not sure or takes it for
    numbers or code, or the extra `evaluate` is not installed.
    """
    identifier = _identifier() if _letters(text) >= LEAST_LETTERS else None
    code, confidence = (NONE, 0.0) if identifier is None else identifier.classify(text)
    return UNSURE if code == NONE or confidence < LEAST_CONFIDENCE else str(code)


def _tagged(session: Session) -> tuple[str, ...]:
    return next((tag_values(session.tags[name]) for name in TAGS if session.tags.get(name)), ())


def _typed(session: Session) -> str:
    """What was searched with may be a translation."""
    return "\n".join(turn.query for turn in session.turns)


def _letters(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text if sign.isalpha())


@cache
def _identifier() -> Any:
    """Loads its model once, in half a second; None where it is not installed."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        return None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
