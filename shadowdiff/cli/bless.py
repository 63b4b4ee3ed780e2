"""`shadowdiff bless`: the run that nights are compared with."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.errors import ConfigError

if TYPE_CHECKING:
    from shadowdiff.runs import Run
    from shadowdiff.store.blessed import BlessedRuns

EPILOG = """\b
Examples:
  shadowdiff bless 20261120-0214
  shadowdiff bless --show
  shadowdiff bless latest --name v4-trial
  shadowdiff bless --clear"""


@click.command("bless", epilog=EPILOG)
@click.argument("run", metavar="[RUN]", required=False)
@click.option("--name", metavar="CONFIGURATION", help="Whose nights (default: the name in [nightly]).")
@click.option("--by", metavar="WHO", help="Who says so (default: you, as this machine knows you).")
@click.option("--show", is_flag=True, help="Say which run is blessed, by whom and when.")
@click.option("--clear", is_flag=True, help="Bless none from now on.")
@click.pass_obj
def command(
    invocation: Invocation, run: str | None, name: str | None, by: str | None, *, show: bool, clear: bool
) -> None:
    """Name the run that every night of a configuration is compared with, in its report.

    RUN is a run's id, the beginning of one, or `latest`; it takes the place of the one before, and is never pruned.
    Without RUN: say which it is.
    """
    from shadowdiff.store.blessed import BlessedRuns

    if (run and (show or clear)) or (show and clear):
        raise ConfigError("give RUN, --show or --clear: one of them")
    blessed, configuration = BlessedRuns(invocation.store), name or invocation.settings.nightly.name
    if clear:
        was_one = blessed.clear(configuration)
        _say(
            f"nights of {configuration!r} are compared with no run{' from now on' if was_one else '; none was blessed'}"
        )
    elif run:
        _bless(invocation, blessed, configuration, run, _who() if by is None else by)
    else:
        _show(blessed, configuration)


def _bless(invocation: Invocation, blessed: BlessedRuns, configuration: str, name: str, by: str) -> None:
    from shadowdiff import diagnostics

    before = blessed.blessed(configuration)
    run = blessed.bless(configuration, name, by)
    instead = f", no longer with run {before.run_id}" if before and before.run_id != run.run_id else ""
    _say(f"nights of {configuration!r} are compared with run {run.run_id} from now on{instead}")
    reason = _why_not(invocation, configuration, run)
    if reason:
        diagnostics.warning(f"the newest night of {configuration!r} cannot be compared with it: {reason}")


def _why_not(invocation: Invocation, configuration: str, run: Run) -> str | None:
    """Whether nights are of other sides by now: said here and not only in the next report."""
    from shadowdiff.comparison import refusal
    from shadowdiff.nights import NightStatus
    from shadowdiff.store.nights import NightStore

    nights = NightStore(invocation.store).nights(configuration, 7)
    newest = next((night.run_id for night in nights if night.run_id and night.status is NightStatus.DONE), None)
    if newest is None or newest == run.run_id:
        return None
    return refusal(run, invocation.store.get(newest))


def _show(blessed: BlessedRuns, configuration: str) -> None:
    from shadowdiff.render.sessions import moment

    blessing = blessed.blessing(configuration)
    if blessing is None:
        _say(f"no run is blessed for nights of {configuration!r}; bless one with: shadowdiff bless RUN")
        return
    blessed_at = f"{moment(blessing.at)} UTC" + (f" by {blessing.by}" if blessing.by else "")
    _say(f"nights of {configuration!r} are compared with run {blessing.run.run_id}, blessed {blessed_at}")


def _who() -> str:
    """The user's name, where the machine knows one."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _say(text: str) -> None:
    from shadowdiff.render.text import one_line

    click.echo(one_line(text))
