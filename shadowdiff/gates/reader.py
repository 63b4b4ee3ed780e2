"""A rule as a person writes it, read piece by piece from the left: nothing of it is evaluated. Pure."""

from __future__ import annotations

import re
from enum import StrEnum

from shadowdiff.errors import ConfigError

_SPACE = re.compile(r"\s*")
_COMPARISON = re.compile(r"<=|>=|<|>")


class Comparison(StrEnum):
    """How a figure must stand to its limit."""

    AT_MOST = "<="
    BELOW = "<"
    AT_LEAST = ">="
    ABOVE = ">"

    @property
    def wants_little(self) -> bool:
        """Whether the rule keeps a figure from growing: the bad end of an interval is then its upper one."""
        return self in (Comparison.AT_MOST, Comparison.BELOW)

    def holds(self, value: float, limit: float) -> bool:
        """Whether the value keeps to the limit; never for NaN."""
        match self:
            case Comparison.AT_MOST:
                return value <= limit
            case Comparison.BELOW:
                return value < limit
            case Comparison.AT_LEAST:
                return value >= limit
            case Comparison.ABOVE:
                return value > limit


class RuleReader:
    """The pieces of a rule, each of which the caller describes; white space between them says nothing."""

    def __init__(self, text: str, origin: str) -> None:
        """`origin`: where the rule was written, for errors."""
        self._text, self._origin = text.rstrip(), origin
        self._next = 0
        self.taken = ""
        """The last piece."""
        self.at = 0
        """Its first character, counting from 1."""

    def sees(self, pattern: re.Pattern[str]) -> bool:
        """Whether such a piece comes next."""
        return pattern.match(self._text, self._start) is not None

    def take(self, pattern: re.Pattern[str], wanted: str) -> str:
        """The next piece, which must be such a one: its group 1 where the pattern has groups."""
        found = pattern.match(self._text, self._start)
        if found is None:
            raise self.unexpected(wanted)
        self.at, self._next = found.start() + 1, found.end()
        self.taken = found[0]
        return found[found.re.groups]

    def comparison(self) -> Comparison:
        """How the rule compares."""
        return Comparison(self.take(_COMPARISON, "<=, <, >= or >"))

    def end(self) -> None:
        """Raise ConfigError where anything more stands in the rule."""
        if self._text[self._start :]:
            raise self.unexpected("nothing more")

    def unexpected(self, wanted: str) -> ConfigError:
        """The error for what comes next."""
        place = f" after {self.taken!r}" if self.taken else ""
        rest = self._text[self._start :].split()
        found = f", found {rest[0]!r}" if rest else ""
        return self.problem(f"expected {wanted}{place}{found}", self.place)

    def problem(self, what: str, at: int) -> ConfigError:
        """The error, which shows the rule and points at the place."""
        return problem(self._origin, self._text, f"{what} (at {at})")

    @property
    def place(self) -> int:
        """Of what comes next: its first character, counting from 1; at the end, the last one of the rule."""
        return min(self._start + 1, len(self._text))

    @property
    def _start(self) -> int:
        found = _SPACE.match(self._text, self._next)
        return found.end() if found else self._next


def problem(origin: str, text: str, what: str) -> ConfigError:
    """What is wrong with a rule: where it was written, and the rule."""
    return ConfigError(f"{origin} {text.strip()!r}: {what}")
