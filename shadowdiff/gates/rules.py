"""A rule as a person writes it, `FIGURE[.SIDE] OP NUMBER[%]`, read by a small parser: nothing of it is evaluated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from math import isfinite
from typing import NamedTuple

from shadowdiff.errors import ConfigError
from shadowdiff.gates.figures import IN_PER_CENT, LEAST, MOST, Figure, figure_named, figure_names

CONFIGURED = "[gate] rule"
"""Where a rule of shadowdiff.toml stands, for its errors."""
NOISE = "noise"
"""What stands for the baseline against itself, where a side's label could stand."""
LISTING = "shadowdiff replay --gate-figures"

_TOKEN = re.compile(
    r"\s*(?:(?P<word>[^\W\d]\w*)|(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<sign>[<>=!]=?|.))",
    re.DOTALL,
)


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


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, of which every word has been understood."""

    text: str
    """As written."""
    name: str
    """Of the figure, as written: its name or its short one."""
    figure: Figure
    side: str | None
    """A label, or NOISE; None: the figure of the run, or of every side."""
    comparison: Comparison
    limit: float
    """In the figure's own unit: 2% of a share is 0.02."""
    origin: str = CONFIGURED
    """Where it was written, for errors."""

    def subjects(self, labels: Sequence[str]) -> tuple[str | None, ...]:
        """The sides that it judges, of a run with these labels, A first; (None,): the run as a whole.

        Raises ConfigError on a side that the run, or the figure, does not have.
        """
        if self.side is not None:
            self._check_side(labels)
            return (self.side,)
        if self.figure.of_run is not None:
            return (None,)
        return tuple(labels if self.figure.of_side is not None else labels[1:])

    def _check_side(self, labels: Sequence[str]) -> None:
        figure, compared = self.figure, ", ".join(labels[1:])
        if figure.of_pair is None and figure.of_side is None:
            raise _problem(
                self.origin, self.text, f"{self.name} is a figure of the run, not of a side; leave .{self.side} out"
            )
        if self.side == NOISE:
            if figure.of_pair is None or figure.is_beside_noise:
                raise _problem(self.origin, self.text, f"the noise floor has no {self.name}")
        elif self.side not in labels:
            raise _problem(self.origin, self.text, f"the run has no side {self.side}; it has {', '.join(labels)}")
        elif figure.of_side is None and self.side == labels[0]:
            raise _problem(self.origin, self.text, f"{self.name} is of a side compared with {self.side}: {compared}")


class _Token(NamedTuple):
    kind: str
    """`word`, `number`, `sign`, or `end`."""
    text: str
    at: int
    """Its first character, counting from 1; at the end, the last one of the rule."""


def parse_rule(text: str, origin: str = CONFIGURED) -> Rule:
    """Read one rule. Raises ConfigError, which says what was expected where."""
    reader = _Reader(text, origin)
    name = reader.take("word", "the name of a figure", "").text
    figure = figure_named(name)
    if figure is None:
        raise reader.problem(_unknown(name), reader.at)
    side = _side(reader) if reader.peek().text == "." else None
    before = reader.taken
    comparison = reader.take("sign", "<=, <, >= or >", before)
    if comparison.text not in set(Comparison):
        raise reader.problem(f"expected <=, <, >= or > after {before!r}, found {comparison.text!r}", comparison.at)
    number = reader.take("number", "a number", comparison.text)
    limit = _limit(reader, figure, number)
    rest = reader.peek()
    if rest.kind != "end":
        raise reader.problem(f"expected nothing more after {reader.taken!r}, found {rest.text!r}", rest.at)
    return Rule(text.strip(), name, figure, side, Comparison(comparison.text), limit, origin)


def parse_rules(texts: Iterable[str], origin: str = CONFIGURED) -> tuple[Rule, ...]:
    """Read rules, in the order given. Raises ConfigError on the first that cannot be read."""
    return tuple(parse_rule(text, origin) for text in texts)


def check_sides(rules: Iterable[Rule], labels: Sequence[str]) -> None:
    """Raise ConfigError where a rule names a side that a run with these labels, A first, does not have."""
    for rule in rules:
        rule.subjects(labels)


class _Reader:
    """The tokens of a rule, one at a time."""

    def __init__(self, text: str, origin: str) -> None:
        self._text, self._origin = text, origin
        self._tokens = _tokens(text)
        self._next = 0

    @property
    def taken(self) -> str:
        """Text of the last token that was taken; empty before the first."""
        return self._tokens[self._next - 1].text if self._next else ""

    @property
    def at(self) -> int:
        """Where that token stands."""
        return self._tokens[self._next - 1].at

    def peek(self) -> _Token:
        """The token that comes next."""
        return self._tokens[self._next]

    def take(self, kind: str, wanted: str, after: str) -> _Token:
        """The next token, which must be of this kind."""
        token = self.peek()
        if token.kind != kind:
            place = f" after {after!r}" if after else ""
            found = f", found {token.text!r}" if token.kind != "end" else ""
            raise self.problem(f"expected {wanted}{place}{found}", token.at)
        self._next += 1
        return token

    def problem(self, what: str, at: int) -> ConfigError:
        """The error, which shows the rule and points at the place."""
        return _problem(self._origin, self._text, f"{what} (at {at})")


def _tokens(text: str) -> list[_Token]:
    found = [
        _Token(match.lastgroup or "", match.group(match.lastgroup or 0), match.start(match.lastgroup or 0) + 1)
        for match in _TOKEN.finditer(text.rstrip())
    ]
    return [*found, _Token("end", "", len(text.rstrip()))]


def _side(reader: _Reader) -> str:
    """The label behind the dot, or NOISE."""
    reader.take("sign", ".", "")
    token = reader.take("word", "a side such as B", ".")
    label = token.text.upper()
    if label == NOISE.upper():
        return NOISE
    if len(label) != 1 or not label.isascii():
        raise reader.problem(f"expected a side such as B after '.', found {token.text!r}", token.at)
    return label


def _limit(reader: _Reader, figure: Figure, number: _Token) -> float:
    """In the figure's own unit. Raises ConfigError on one that the figure cannot reach: the rule would say nothing."""
    limit = float(number.text)
    least, most = LEAST.get(figure.unit, 0.0), MOST.get(figure.unit)
    if reader.peek().text == "%":
        reader.take("sign", "%", "")
        if figure.unit not in IN_PER_CENT:
            raise reader.problem(f"'%' is for shares, and {figure.name} is none", reader.at)
        limit /= IN_PER_CENT[figure.unit]
    if isfinite(limit) and limit >= least and (most is None or limit <= most):
        return limit
    span = f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"
    raise reader.problem(f"{figure.name} is {span}, found {number.text!r}", number.at)


def _unknown(name: str) -> str:
    near = get_close_matches(name, figure_names(), n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"list them with: {LISTING}"
    return f"no figure {name!r}; {hint}"


def _problem(origin: str, text: str, what: str) -> ConfigError:
    return ConfigError(f"{origin} {text.strip()!r}: {what}")
