"""`shadowdiff nightly`: for cron."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.when import When
from shadowdiff.errors import ConfigError, HeldError

if TYPE_CHECKING:
    from shadowdiff.cli.nights import Nights
    from shadowdiff.gates.rules import Rule
    from shadowdiff.nights import Night

EPILOG = """\b
Examples:
  shadowdiff nightly
  shadowdiff nightly --print-cron
  shadowdiff nightly --since 7d
  shadowdiff nightly --as-of 2026-11-20T02:30

\b
What it replays, where its reports go and what its gate is stand in [nightly] and [gate] of shadowdiff.toml:
  shadowdiff init"""


@click.command("nightly", epilog=EPILOG)
@click.option("--since", type=When(), metavar="24h|DATE", help="Look back to this, not to where the last night ended.")
@click.option(
    "--as-of", type=When(), metavar="24h|DATE", help="Replay the night as if it were this time: a missed one."
)
@click.option("--print-cron", is_flag=True, help="Print a crontab line for this machine, and do nothing else.")
@click.option("--print-systemd", is_flag=True, help="Print a systemd service and timer, and do nothing else.")
@click.pass_obj
def command(
    invocation: Invocation, since: datetime | None, as_of: datetime | None, print_cron: bool, print_systemd: bool
) -> int:
    """Replay what came in since the last night, judge it, and write the report.

    Each session is replayed in one night of a configuration: the first that finds it over. A night that was cut
    short is gone on with by the next call, and a report that did not arrive is delivered by it. One call at a time
    works on a configuration; another says so and exits 0. Without a terminal it prints nothing when all is well,
    and a line per problem otherwise.
    """
    if print_cron or print_systemd:
        _print_schedule(invocation, cron_too=print_cron, systemd_too=print_systemd)
        return 0
    nights = _prepared(invocation, as_of or datetime.now(UTC), since)
    try:
        ended = nights.run()
    except HeldError as error:
        from shadowdiff import diagnostics

        diagnostics.warning(f"{error}; nothing was done")
        return 0
    if sys.stdout.isatty():
        _show(nights, ended)
    return nights.problems.exit_code


def _prepared(invocation: Invocation, now: datetime, since: datetime | None) -> Nights:
    """Everything that can be refused is, before anything is replayed."""
    from shadowdiff.cli.nights import Nights, sides_of
    from shadowdiff.nightly.targets import check_targets

    if now > datetime.now(UTC):
        raise ConfigError("--as-of is in the future; sessions can still come in before it")
    settings = invocation.settings
    _, others = sides_of(settings)
    rules = _rules(invocation, 1 + len(others))
    check_targets(settings.nightly, settings.privacy)
    return Nights(invocation, rules, now, since)


def _rules(invocation: Invocation, sides: int) -> tuple[Rule, ...]:
    import string

    from shadowdiff.gates.rules import check_sides, parse_rules

    rules = parse_rules(invocation.settings.gate.rules)
    check_sides(rules, string.ascii_uppercase[:sides])
    return rules


def _show(nights: Nights, ended: list[Night]) -> None:
    """For a person who looks on: what each night came to, and where its report is."""
    from shadowdiff.cli.output import colored, opened, width_of
    from shadowdiff.render.lines import painter
    from shadowdiff.render.tonight import night_lines

    with opened(None) as out:
        paint = painter(color=colored("auto", out))
        for night in ended:
            report = nights.report_of(night)
            place = nights.settings.directory and nights.settings.directory / night.name
            for line in night_lines(report.night, report.run, report.surroundings, place, width_of(out)):
                out.write(paint(line) + "\n")


def _print_schedule(invocation: Invocation, *, cron_too: bool, systemd_too: bool) -> None:
    from shadowdiff.cli.output import opened
    from shadowdiff.nightly.schedule import Schedule, cron, systemd, this_program

    file = invocation.settings.file
    is_found_anyway = file is None or file.absolute() == Path("shadowdiff.toml").absolute()
    config = None if is_found_anyway or file is None else file.absolute()
    home = os.environ.get("SHADOWDIFF_HOME") and str(invocation.settings.home)
    schedule = Schedule(this_program(), Path.cwd(), config, invocation.settings.nightly.name, home or None)
    with opened(None) as out:
        out.write("\n".join([cron(schedule)] * cron_too + [systemd(schedule)] * systemd_too))
