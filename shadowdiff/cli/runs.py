"""`shadowdiff runs`: what has been stored."""

from __future__ import annotations

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import opened, width_of

EPILOG = """\b
Examples:
  shadowdiff runs
  shadowdiff runs --limit 5 --format json"""


@click.command("runs", epilog=EPILOG)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many, newest first.")
@click.option("--format", "kind", type=click.Choice(("terminal", "json")), default="terminal", show_default=True)
@click.pass_obj
def command(invocation: Invocation, limit: int, kind: str) -> None:
    """List stored runs, newest first."""
    from shadowdiff.render.listing import runs_json, runs_table

    found = invocation.store.as_they_are(invocation.store.newest(limit))
    with opened(None) as out:
        out.write(runs_json(found) if kind == "json" else runs_table(found, width_of(out)))
