"""Options of every command that can hold a run against rules, and what follows where a rule does not hold."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from shadowdiff.errors import ConfigError, GateCrossedError
from shadowdiff.nightly.settings import Strict
from shadowdiff.nights import Surroundings

if TYPE_CHECKING:
    from shadowdiff.cli.invocation import Invocation
    from shadowdiff.gates.rules import Rule
    from shadowdiff.nights import GateOutcome
    from shadowdiff.runs import Run

NAMED = 3
"""Crossed rules that the error names; the others are counted."""
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Gate:
    """The rules that were asked for, all of them read; none where no gate was."""

    rules: tuple[Rule, ...] = ()
    strict: Strict = Strict.BOUND

    def check_sides(self, sides: int) -> None:
        """Raise ConfigError on a rule about a side that a run of so many will not have: before anything is replayed."""
        if self.rules:
            from shadowdiff.gates.rules import check_sides

            check_sides(self.rules, string.ascii_uppercase[:sides])

    def judged(self, run: Run) -> Surroundings:
        """What the rules make of the run, to be shown beside it. Raises ConfigError on a side that it does not have."""
        if not self.rules:
            return Surroundings()
        from shadowdiff.gates.judge import outcomes

        return Surroundings(gates=outcomes(self.rules, run, self.strict))


def gate_options(function: F) -> F:
    """Add the options that `asked_gate` reads."""
    options = (
        click.option(
            "--gate",
            "gate_rules",
            multiple=True,
            metavar="RULE",
            help="Exit 1 unless this holds, such as 'mean_overlap.B >= 0.7'; repeatable.",
        ),
        click.option("--gates", "configured_gates", is_flag=True, help="The rules of [gate] in shadowdiff.toml too."),
        click.option(
            "--strict",
            type=click.Choice([choice.value for choice in Strict]),
            help="What of a figure is judged: the bad end of its 95% interval, or the figure itself "
            "(default: [gate] strict, else bound).",
        ),
        click.option(
            "--gate-figures",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_list_figures,
            help="List the figures that a rule can name, and exit.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def asked_gate(invocation: Invocation, options: dict[str, Any]) -> Gate:
    """Collect (and remove) the gate options from a command's keyword arguments. Raises ConfigError.

    [gate] of shadowdiff.toml counts with --gates alone: a command that is run by
    hand must not begin to exit 1 because a night is configured.
    """
    written, configured, strict = (options.pop(name) for name in ("gate_rules", "configured_gates", "strict"))
    if not written and not configured:
        if strict is not None:
            raise ConfigError("--strict says how rules are judged, and there are none; add --gate RULE or --gates")
        return Gate()
    from shadowdiff.gates.rules import parse_rules

    settings = invocation.settings.gate
    if configured and not settings.rules:
        raise ConfigError("--gates: shadowdiff.toml has no rules under [gate]; write some, or give --gate RULE")
    rules = parse_rules(written, "--gate") + (parse_rules(settings.rules) if configured else ())
    return Gate(rules, settings.strict if strict is None else Strict(strict))


@contextmanager
def refusing_crossed(outcomes: Sequence[GateOutcome]) -> Iterator[None]:
    """Raise GateCrossedError once the run is written, even where the reader of a pipe has gone by then."""
    try:
        yield
    except click.exceptions.Exit:
        refuse_crossed(outcomes)
        raise
    refuse_crossed(outcomes)


def refuse_crossed(outcomes: Sequence[GateOutcome]) -> None:
    """Raise GateCrossedError, which names the rules, where any does not hold."""
    from shadowdiff.render.gates import crossed_line

    line = crossed_line(outcomes, NAMED) if outcomes else ""
    if line:
        raise GateCrossedError(line)


def _list_figures(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from shadowdiff.cli.output import opened, write_lines
    from shadowdiff.render.gates import figure_lines

    with opened(None) as out:
        write_lines(out, figure_lines, None, "auto")
    ctx.exit()
