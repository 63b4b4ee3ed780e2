"""`shadowdiff history`: the nights of a configuration, and which of them stand out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import colored, kind_option, opened, place_options, width_of
from shadowdiff.errors import ConfigError

if TYPE_CHECKING:
    from shadowdiff.nights import History

EPILOG = """\b
Examples:
  shadowdiff history
  shadowdiff history --last 90 --format csv -o nights.csv
  shadowdiff history --name v4-trial --format json"""


@click.command("history", epilog=EPILOG)
@click.option("--name", metavar="CONFIGURATION", help="Whose nights (default: the name in [nightly]).")
@click.option("--last", type=click.IntRange(min=1), default=30, show_default=True, metavar="N", help="How many nights.")
@kind_option("terminal", "json", "csv")
@place_options
@click.pass_obj
def command(
    invocation: Invocation, name: str | None, last: int, kind: str, output: Path | None, width: int | None, color: str
) -> None:
    """Show the trend over the last nights, newest last, and mark what leaves the band of the nights before.

    Nights of other rerankers, or of another top K, pool or threshold, are not of one trend: the band starts anew.
    The rule by which bands are drawn stands below the table.
    """
    from shadowdiff.nightly.surroundings import history_of

    configuration = name or invocation.settings.nightly.name
    history = history_of(configuration, invocation.store, last)
    if not history.nights:
        _refuse_unknown(invocation, configuration)
    is_plain = output is None and _lacks_blocks(sys.stdout)
    with opened(output) as out:
        _write(history, kind, out, width, color=colored(color, out), is_plain=is_plain)


def _write(history: History, kind: str, out: TextIO, width: int | None, *, color: bool, is_plain: bool) -> None:
    from shadowdiff.render.history import history_lines
    from shadowdiff.render.lines import painter
    from shadowdiff.render.sparkline import in_ascii
    from shadowdiff.render.trends import history_json, write_history_csv

    if kind == "json":
        out.write(history_json(history))
    elif kind == "csv":
        write_history_csv(history, out)
    else:
        paint = painter(color=color)
        for line in history_lines(history, width or width_of(out)):
            out.write(f"{in_ascii(paint(line)) if is_plain else paint(line)}\n")


def _refuse_unknown(invocation: Invocation, configuration: str) -> None:
    """Raise ConfigError where other configurations have nights: the name is not the right one."""
    from shadowdiff.store.nights import NightStore

    others = NightStore(invocation.store).configurations()
    if others:
        raise ConfigError(f"no night of {configuration!r} is stored; name one that has nights: --name {others[0]!r}")


def _lacks_blocks(out: TextIO) -> bool:
    """Whether the terminal, or whoever reads the pipe, says that it knows no block characters."""
    try:
        "▁▲".encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return False
