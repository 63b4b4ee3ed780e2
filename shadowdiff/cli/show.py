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
  shadowdiff show latest --format json --full-rankings -o run.json"""


@click.command("show", epilog=EPILOG)
@click.argument("run", metavar="RUN", default="latest")
@output_options
@click.pass_obj
def command(invocation: Invocation, /, run: str, **options: Any) -> None:
    """Render a stored run again, exactly as when it was replayed.

    RUN is a run's id, the beginning of one, or `latest`.
    """
    from shadowdiff import diagnostics
    from shadowdiff.replay.results import summarise
    from shadowdiff.store.prune import sessions_gone

    output = taken(options)
    found = invocation.store.get(run)
    if gone := sessions_gone(found, invocation.store):
        diagnostics.warning(
            f"{gone:,} of the sessions of run {found.run_id} were pruned and are not shown; the summary counts them all"
        )
    if found.summary is None:
        found = replace(found, summary=summarise(found, invocation.store))
    write_run(found, invocation, output)
