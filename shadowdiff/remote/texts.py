"""What is sent, made sendable, and what a provider says of an error, made quotable."""

from __future__ import annotations

import json
import re
from typing import Any

from shadowdiff.remote.secrets import scrub

LONE_SURROGATES = re.compile("[\ud800-\udfff]")
ATTEMPTS = re.compile(r" \(\d+ attempts? in [\d,.]+ s\b[^()]*\)")
"""As an Asker ends an error that it tried again."""
NOT_AGAIN = "; not asked again"
"""As it ends the reason that a side was stopped for, of every later question."""
MOST_QUOTED = 200
FIELDS = ("message", "error", "detail", "msg", "Message")
"""Where providers say what went wrong; each may hold the text, or something that holds it."""


def sendable(value: Any) -> Any:
    """The same JSON value with U+FFFD where a text holds half a character, which no UTF-8 can say."""
    if isinstance(value, str):
        return LONE_SURROGATES.sub("\ufffd", value)
    if isinstance(value, dict):
        return {sendable(key): sendable(item) for key, item in value.items()}
    return [sendable(item) for item in value] if isinstance(value, list | tuple) else value


def encoded(body: Any) -> bytes:
    """The body as JSON in UTF-8."""
    return json.dumps(sendable(body), ensure_ascii=False, allow_nan=False).encode()


def quoted(body: bytes) -> str | None:
    """What an error's body says, in one line, without secrets; None: nothing that a person could use.

    The line is not escaped: whoever shows it does that.
    """
    try:
        said = _said(json.loads(body))
    except (ValueError, RecursionError):
        return None
    return line(said) if said else None


def line(text: str) -> str:
    """The beginning of somebody else's words. Secrets go first: half of one would not be known again."""
    return (scrub(text).strip().splitlines() or [""])[0][:MOST_QUOTED]


def _said(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, list):
        return next((said for item in value if (said := _said(item))), None)
    if isinstance(value, dict):
        return next((said for name in FIELDS if (said := _said(value.get(name)))), None)
    return None


def without_attempts(reason: str) -> str:
    """A reason without how often and how long a provider was asked, which makes it another one each time."""
    return ATTEMPTS.sub("", reason)
