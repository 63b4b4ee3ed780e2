"""`shadowdiff show`: any stored run again, in any format."""

from __future__ import annotations

from typing import Any

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import output_options, summed_run, taken, write_run

EPILOG = """\b
Examples:
  shadowdiff show latest
  shadowdiff show 20261120-0214 --only-changed --sort contrast
  shadowdiff show latest --format json --full-rankings -o run.json"""


@click.command("show", epilog=EPILOG)
@click.argument("run", metavar="RUN", default="latest")
@output_options
@click.pass_obj
def command(invocation: Invocation, /, run: str, **options: Any) -> None:
    """Render a stored run again, exactly as when it was replayed.

    RUN is a run's id, the beginning of one, or `latest`.
    """
    output = taken(options)
    write_run(summed_run(invocation, run), invocation, output)
