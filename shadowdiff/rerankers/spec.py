"""Spec strings: `scheme[:target][,key=value]…`, the name and stored identity of a reranker.

The scheme ends at the first colon and is never guessed. `str(spec)` is
canonical (options sorted) and `parse(str(spec)) == spec`. What would otherwise
end a part early or be lost is percent-encoded: commas, percent signs, white
space at an edge, control characters; `=` ends a key at its first occurrence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from shadowdiff.errors import SpecError

SCHEME = re.compile(r"[a-z][a-z0-9-]*")
KEY = re.compile(r"[a-z][a-z0-9_]*")
SECRETS = re.compile(r"((api|auth|access|secret)_?)?(key|token)|(client_)?secret|passw(or)?d")
URL_WITH_PASSWORD = re.compile(r"://[^/?#@]*:[^/?#@]*@")
NO_SECRETS = "secrets never stand in a spec, which is stored and printed; use the environment"
UNSAFE = re.compile(r"[,%\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|^\s|\s$")


@dataclass(frozen=True, slots=True)
class Spec:
    """A parsed spec. Raises SpecError for parts that no spec string can hold."""

    scheme: str
    target: str = ""
    options: tuple[tuple[str, str], ...] = ()
    """Sorted by key; keys are unique."""

    def __post_init__(self) -> None:
        if not SCHEME.fullmatch(self.scheme):
            raise SpecError(f"{self.scheme!r} is no scheme: small letters, digits and hyphens, as in 'onnx:models/v3'")
        if any(URL_WITH_PASSWORD.search(text) for text in (self.target, *(value for _, value in self.options))):
            raise SpecError(f"the URL of a {self.scheme!r} spec holds a password; {NO_SECRETS}")
        keys = [key for key, _ in self.options]
        for key in keys:
            _check_key(key)
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise SpecError(f"option {twice!r} stands twice in a {self.scheme!r} spec")
        object.__setattr__(self, "options", tuple(sorted(self.options)))

    @property
    def bare(self) -> Spec:
        """Without its options."""
        return Spec(self.scheme, self.target)

    @property
    def priced_as(self) -> tuple[str, str]:
        """The names under which [prices] may say what it charges: with its options, and without."""
        return str(self), str(self.bare)

    def __str__(self) -> str:
        head = f"{self.scheme}:{_quoted(self.target)}" if self.target else self.scheme
        return ",".join([head, *(f"{key}={_quoted(value)}" for key, value in self.options)])


def parse(text: str) -> Spec:
    """The spec that a string spells. Raises SpecError saying what is wrong and what was expected."""
    head, *segments = text.strip().split(",")
    scheme, _, target = head.partition(":")
    return Spec(scheme.strip(), _unquoted(target), tuple(_option(segment, text) for segment in segments))


def _option(segment: str, text: str) -> tuple[str, str]:
    key, separator, value = segment.partition("=")
    if not separator:
        raise SpecError(f"{segment!r} after a comma in {text!r} is not key=value; write a comma inside a path as %2C")
    return key.strip(), _unquoted(value)


def _check_key(key: str) -> None:
    if SECRETS.fullmatch(key):
        raise SpecError(f"option {key!r}: {NO_SECRETS}")
    if not KEY.fullmatch(key):
        raise SpecError(f"{key!r} is no option name: small letters, digits and underscores")


def _quoted(text: str) -> str:
    return UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass")), text)


def _unquoted(text: str) -> str:
    try:
        return unquote(text.strip(), encoding="utf-8", errors="surrogatepass")
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{text.strip()!r} is not UTF-8 behind its percent signs; write a percent sign as %25"
        ) from error


class Options:
    """Reads a spec's options by type, and refuses those that nobody read."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._given = dict(spec.options)
        self._known: list[str] = []

    def text(self, key: str, default: str = "") -> str:
        """The option, or the default."""
        self._known.append(key)
        return self._given.get(key, default)

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """One of `choices`."""
        value = self.text(key, default)
        if value not in choices:
            raise SpecError(f"{key}={value} in '{self._spec}': must be one of {', '.join(choices)}")
        return value

    def chosen(self, key: str, choices: Sequence[str]) -> str | None:
        """One of `choices`; None where the spec says nothing."""
        return self.choice(key, choices, choices[0]) if key in self._given else self.text(key) or None

    def integer(self, key: str, default: int, minimum: int = 1) -> int:
        """A whole number, at least `minimum` if it is given."""
        value = self.text(key)
        if key not in self._given:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < minimum:
            raise SpecError(f"{key}={value} in '{self._spec}': must be a whole number of at least {minimum}")
        return int(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """`true` or `false`."""
        return self.choice(key, ("true", "false"), "true" if default else "false") == "true"

    def decimal(self, key: str) -> float | None:
        """A number such as 0.05, not negative; None where the spec says nothing."""
        value = self.text(key)
        if key not in self._given:
            return None
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
            raise SpecError(f"{key}={value} in '{self._spec}': must be a number such as 0.05, not negative")
        return float(value)

    def finish(self) -> None:
        """Refuse options that were not asked for, naming those that exist."""
        unknown = sorted(set(self._given) - set(self._known))
        if unknown:
            known = ", ".join(sorted(self._known)) or "none"
            raise SpecError(f"unknown option {unknown[0]!r} in '{self._spec}'; {self._spec.scheme} knows: {known}")


def refuse_target(spec: Spec) -> None:
    """Raise SpecError where a kind without target was given one."""
    if spec.target:
        raise SpecError(f"'{spec}': {spec.scheme} takes nothing after the colon")
