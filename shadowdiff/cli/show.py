"""`shadowdiff show`: any stored run again, in any format."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import output_options, taken, write_run

EPILOG = """\b
Examples:
  shadowdiff show latest
  shadowdiff show 20261120-0214 --only-changed --sort contrast
  shadowdiff show latest --session hv-7f3a
  shadowdiff show latest --format json --full-rankings -o run.json"""


@click.command("show", epilog=EPILOG)
@click.argument("run", metavar="RUN", default="latest")
@click.option("--session", "session_ids", multiple=True, metavar="ID", help="These sessions only; repeatable.")
@output_options
@click.pass_obj
def command(invocation: Invocation, /, run: str, session_ids: tuple[str, ...], **options: Any) -> None:
    """Render a stored run again, exactly as when it was replayed.

    RUN is a run's id, the beginning of one, or `latest`. With --session the summary is still that of the whole run.
    """
    from shadowdiff.replay.results import summarise

    output = taken(options)
    found = invocation.store.get(run)
    if found.summary is None:
        found = replace(found, summary=summarise(found, invocation.store))
    write_run(found, invocation, output, session_ids)
