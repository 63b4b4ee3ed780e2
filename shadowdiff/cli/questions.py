"""What `shadowdiff init` asks on a terminal: each part's table among those that could be it, and what no table says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

import click

from shadowdiff.cli.output import width_of
from shadowdiff.errors import ConfigError
from shadowdiff.render.text import one_line

if TYPE_CHECKING:
    from shadowdiff.sources.proposal import Choices, Proposal

QUESTIONS = {
    "turns": "Which table holds what users asked (turns)?",
    "sessions": "Which table, or column of turns, groups them into sessions?",
    "pool": "Where are the entries that retrieval found for a turn (pool)?",
    "served": "Where are the entries that users were shown (served)?",
    "entries": "Which table holds the knowledge base (entries)?",
    "org": "Which column says whose session it is (org)?",
}
Repropose = Callable[["Choices"], "Proposal"]


def may_ask() -> bool:
    """Whether somebody sits at a terminal who reads questions and can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm_removal(what: str, listed: Callable[[int], str], *, yes: bool) -> None:
    """Let whoever sits at the terminal see what would go, `listed` within a width, and say yes to it.

    Raises ConfigError where nobody can be asked and nobody said --yes; click.Abort where the answer is no.
    """
    if yes:
        return
    if not may_ask():
        raise ConfigError(f"this would remove {what}; say --yes to do it")
    click.echo(listed(width_of(sys.stderr)), err=True)
    click.confirm(f"Remove {what}?", abort=True, err=True)


def settled(choices: Choices, repropose: Repropose) -> Choices:
    """The choices after every question that they leave open was asked; each answer narrows the next question."""
    choices = _preset(choices, repropose(choices))
    for part, question in QUESTIONS.items():
        proposal = repropose(choices)
        if getattr(choices, part) is None and proposal.options.get(part):
            choices = _asked(part, question, choices, proposal, repropose)
    proposal = repropose(choices)
    if proposal.timezone and choices.timezone is None:
        choices = replace(choices, timezone=_zone(proposal.timezone))
    return choices


def _preset(choices: Choices, proposal: Proposal) -> Choices:
    if choices.presets is not None or not proposal.chosen.get("turns", "").startswith("preset "):
        return choices
    names = ", ".join(proposal.presets)
    used = click.confirm(f"\nThe tables of the preset {names} are here. Use it?", default=True, err=True)
    return replace(choices, presets=proposal.presets if used else ())


def _asked(part: str, question: str, choices: Choices, proposal: Proposal, repropose: Repropose) -> Choices:
    options = proposal.options[part]
    default = proposal.chosen.get(part)
    click.echo(f"\n{question}", err=True)
    for number, option in enumerate(options, start=1):
        click.echo(f"  {number}  {one_line(option)}", err=True)
    click.echo("  0  none of these: leave it out", err=True)
    while True:
        place = options.index(default) + 1 if default in options else 0
        answer = click.prompt("Number, or a name", default=str(place), err=True).strip()
        try:
            answered = choices.settling(part, _meant(answer, options))
            repropose(answered)
        except ConfigError as error:
            click.echo(one_line(str(error)), err=True)
        else:
            return answered


def _meant(answer: str, options: tuple[str, ...]) -> str:
    """The option of that number, or the name as it was typed."""
    if not answer.isdecimal():
        return answer
    number = int(answer)
    if number > len(options):
        raise ConfigError(f"{number} is not in the list")
    return options[number - 1] if number else "none"


def _zone(default: str) -> str:
    click.echo("\nTimes are stored without a zone. Which zone are they in?", err=True)
    known = available_timezones()
    while True:
        answer: str = click.prompt("Zone", default=default, err=True).strip()
        if answer in known:
            return answer
        click.echo(f"{one_line(answer)!r} is no zone; say a name such as Europe/Berlin", err=True)


def production_reranker() -> str | None:
    """The spec or name of what production runs; None: not said."""
    from shadowdiff.rerankers.spec import parse

    click.echo("\nWhich reranker does production run? (a spec such as onnx:models/v3, or nothing)", err=True)
    while True:
        answer: str = click.prompt("Reranker", default="", show_default=False, err=True).strip()
        try:
            return str(parse(answer)) if answer else None
        except ConfigError as error:
            click.echo(one_line(str(error)), err=True)
