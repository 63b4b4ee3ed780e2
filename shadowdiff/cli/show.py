"""`shadowdiff show`: any stored run again, in any format."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from shadowdiff.cli.gating import asked_gate, gate_options, refusing_crossed
from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import output_options, taken, write_run

EPILOG = """\b
Examples:
  shadowdiff show latest
  shadowdiff show 20261120-0214 --only-changed --sort contrast
  shadowdiff show latest --format json --full-rankings -o run.json
  shadowdiff show latest --gate 'mean_overlap.B >= 0.7' --format markdown -o comment.md"""


@click.command("show", epilog=EPILOG)
@click.argument("run", metavar="RUN", default="latest")
@gate_options
@output_options
@click.pass_obj
def command(invocation: Invocation, /, run: str, **options: Any) -> None:
    """Render a stored run again, exactly as when it was replayed.

    RUN is a run's id, the beginning of one, or `latest`. With --gate or --gates it is
    held against rules as well: exit 1 where one does not hold.
    """
    from shadowdiff.replay.results import summarise

    output, gate = taken(options), asked_gate(invocation, options)
    found = invocation.store.get(run)
    if found.summary is None:
        found = replace(found, summary=summarise(found, invocation.store))
    surroundings = gate.judged(found)
    with refusing_crossed(surroundings.gates):
        write_run(found, invocation, output, surroundings)
