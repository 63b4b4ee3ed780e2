"""`shadowdiff show`: any stored run again, in any format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shadowdiff.cli.gating import asked_gate, gate_options, refusing_crossed
from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import OutputOptions, output_options, summed, taken, write_run

if TYPE_CHECKING:
    from shadowdiff.nights import Surroundings
    from shadowdiff.runs import Run

FOR_READERS = ("html", "markdown")
"""Formats in which what a night knows beside its run is shown, asked for or not."""

EPILOG = """\b
Examples:
  shadowdiff show latest
  shadowdiff show 20261120-0214 --only-changed --sort contrast
  shadowdiff show latest --session hv-7f3a
  shadowdiff show latest --format html -o report.html
  shadowdiff show latest --gate 'mean_overlap.B >= 0.7' --format markdown -o comment.md"""


@click.command("show", epilog=EPILOG)
@click.argument("run", metavar="RUN", default="latest")
@click.option("--session", "session_ids", multiple=True, metavar="ID", help="These sessions only; repeatable.")
@gate_options
@output_options
@click.pass_obj
def command(invocation: Invocation, /, run: str, session_ids: tuple[str, ...], **options: Any) -> None:
    """Render a stored run again, exactly as when it was replayed.

    RUN is a run's id, the beginning of one, or `latest`. With --session the summary is still that of the whole run.
    With --gate or --gates it is held against rules as well: exit 1 where one does not hold.
    """
    from shadowdiff import diagnostics
    from shadowdiff.store.prune import sessions_gone

    output, gate = taken(options), asked_gate(invocation, options)
    (named,) = invocation.store.as_they_are([invocation.store.get(run)])
    found = summed(named, invocation.store)
    if gone := sessions_gone(found, invocation.store):
        diagnostics.warning(
            f"{gone:,} of the sessions of run {found.run_id} were pruned and are not shown; the summary counts them all"
        )
    asked = gate.judged(found)
    with refusing_crossed(asked.gates):
        write_run(found, invocation, output, beside_run(found, invocation, output, asked), session_ids)


def beside_run(run: Run, invocation: Invocation, output: OutputOptions, asked: Surroundings) -> Surroundings:
    """What the run's night knows of it, in formats for readers; rules that are asked for stand before the night's."""
    if output.format not in FOR_READERS:
        return asked
    from shadowdiff.nightly.surroundings import surroundings_of
    from shadowdiff.store.nights import NightStore

    night = NightStore(invocation.store).night_of(run.run_id)
    return asked if night is None else surroundings_of(night, run, invocation.store, asked.gates)
