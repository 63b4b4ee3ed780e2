"""Keys of providers: read from the environment only, and taken out of whatever is shown."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from shadowdiff.errors import ConfigError

HIDDEN = "[secret]"

_known: set[str] = set()
_lock = threading.Lock()


class Secret:
    """A value that is never shown: not by `repr`, not in a format, and `scrub` takes it out of any text."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """From now on `scrub` knows the value."""
        self._value = value
        with _lock:
            _known.add(value)

    def reveal(self) -> str:
        """The value itself, for the call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere")


def key_from_environment(names: Sequence[str], what: str) -> Secret:
    """The first of the variables that is set: the key to `what`. Raises ConfigError telling which to set."""
    for name in names:
        value = os.environ.get(name, "")
        if value:
            return Secret(_usable(name, value))
    raise ConfigError(f"no key for {what}: set {' or '.join(names)} in the environment; it is read from nowhere else")


def scrub(text: str) -> str:
    """The text with every secret of this process taken out."""
    with _lock:
        known = sorted(_known - {""}, key=len, reverse=True)
    for value in known:
        text = text.replace(value, HIDDEN)
    return text


def _usable(name: str, value: str) -> str:
    """A key is a header: letters, digits and signs of ASCII. What is wrong is told without it."""
    if not all("!" <= character <= "~" for character in value):
        raise ConfigError(
            f"{name} holds a space, a line break or another character that cannot stand in a key; set it again"
        )
    return value
