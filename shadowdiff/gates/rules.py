"""A rule over a run's figures, `FIGURE[.SIDE] OP NUMBER[%]`, with every word of it understood. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite

from shadowdiff.gates.figures import IN_PER_CENT, LEAST, MOST, Figure, figure_named, figure_names
from shadowdiff.gates.reader import Comparison, RuleReader, problem

CONFIGURED = "[gate] rule"
"""Where a rule of shadowdiff.toml stands, for its errors."""
NOISE = "noise"
"""What stands for the baseline against itself, where a side's label could stand."""
LISTING = "shadowdiff replay --gate-figures"

_NAME = re.compile(r"[^\W\d]\w*")
_DOT = re.compile(r"\.")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PER_CENT = re.compile(r"%")


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
            raise problem(
                self.origin, self.text, f"{self.name} is a figure of the run, not of a side; leave .{self.side} out"
            )
        if self.side == NOISE:
            if figure.of_pair is None or figure.is_beside_noise:
                raise problem(self.origin, self.text, f"the noise floor has no {self.name}")
        elif self.side not in labels:
            raise problem(self.origin, self.text, f"the run has no side {self.side}; it has {', '.join(labels)}")
        elif figure.of_side is None and self.side == labels[0]:
            raise problem(self.origin, self.text, f"{self.name} is of a side compared with {self.side}: {compared}")


def parse_rule(text: str, origin: str = CONFIGURED) -> Rule:
    """Read one rule. Raises ConfigError, which says what was expected where."""
    reader = RuleReader(text, origin)
    name = reader.take(_NAME, "the name of a figure")
    figure = figure_named(name)
    if figure is None:
        raise reader.problem(_unknown(name), reader.at)
    side = _side(reader) if reader.sees(_DOT) else None
    comparison = reader.comparison()
    limit = _limit(reader, figure)
    reader.end()
    return Rule(text.strip(), name, figure, side, comparison, limit, origin)


def parse_rules(texts: Iterable[str], origin: str = CONFIGURED) -> tuple[Rule, ...]:
    """Read rules, in the order given. Raises ConfigError on the first that cannot be read."""
    return tuple(parse_rule(text, origin) for text in texts)


def check_sides(rules: Iterable[Rule], labels: Sequence[str]) -> None:
    """Raise ConfigError where a rule names a side that a run with these labels, A first, does not have."""
    for rule in rules:
        rule.subjects(labels)


def _side(reader: RuleReader) -> str:
    """The label behind the dot, or NOISE."""
    reader.take(_DOT, ".")
    name = reader.take(_NAME, "a side such as B")
    label = name.upper()
    if label == NOISE.upper():
        return NOISE
    if len(label) != 1 or not label.isascii():
        raise reader.problem(f"expected a side such as B after '.', found {name!r}", reader.at)
    return label


def _limit(reader: RuleReader, figure: Figure) -> float:
    """In the figure's own unit. Raises ConfigError on one that the figure cannot reach: the rule would say nothing."""
    number = reader.take(_NUMBER, "a number")
    limit, at = float(number), reader.at
    least, most = LEAST.get(figure.unit, 0.0), MOST.get(figure.unit)
    if reader.sees(_PER_CENT):
        reader.take(_PER_CENT, "%")
        if figure.unit not in IN_PER_CENT:
            raise reader.problem(f"'%' is for shares, and {figure.name} is none", reader.at)
        limit /= IN_PER_CENT[figure.unit]
    if isfinite(limit) and limit >= least and (most is None or limit <= most):
        return limit
    span = f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"
    raise reader.problem(f"{figure.name} is {span}, found {number!r}", at)


def _unknown(name: str) -> str:
    near = get_close_matches(name, figure_names(), n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"list them with: {LISTING}"
    return f"no figure {name!r}; {hint}"
