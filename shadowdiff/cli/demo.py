"""`shadowdiff demo`: the sample, end to end, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import output_options, taken, write_run

MODEL = Path("models") / "minilm-l6-v3"
LATENCY_TURNS = 3
"""Enough to show what a summary says of latency, few enough to wait for."""


@click.command("demo", epilog="\b\nExamples:\n  shadowdiff demo\n  shadowdiff demo --only-changed --width 140")
@click.option(
    "--last", type=click.IntRange(min=1), default=10, show_default=True, metavar="N", help="Sessions to replay."
)
@output_options
@click.pass_obj
def command(invocation: Invocation, /, last: int, **options: Any) -> None:
    """Diff ten sample sessions, offline.

    Loads the sample into the embedded Postgres and replays its newest sessions: cosine against a cross-encoder.
    Needs no network, no database and no torch. Whatever database is configured is left alone.
    """
    from shadowdiff import diagnostics
    from shadowdiff.cli.carrying import SideOptions, refuse_too_many_failures, replay_sessions
    from shadowdiff.cli.load import load_bundle
    from shadowdiff.records import Window
    from shadowdiff.runs import RunConfig
    from shadowdiff.shipped import shipped_directory
    from shadowdiff.sources.bundle import read_bundle

    output = taken(options)
    invocation.embedded_only = True
    directory = shipped_directory("sample_sessions")
    bundle = read_bundle(directory)
    diagnostics.note(load_bundle(invocation, bundle))
    window = Window(last=last, org_ids=tuple(sorted({session.org_id for session in bundle.sessions})))
    sides = SideOptions("cosine", (MODEL.name,), names={MODEL.name: f"onnx:{_shortest(directory / MODEL)}"})
    config = RunConfig(window=window)
    run = replay_sessions(invocation, sides, config, no_cache=False, latency_turns=LATENCY_TURNS)
    write_run(run, invocation, output)
    refuse_too_many_failures(run, None)


def _shortest(path: Path) -> Path:
    """Relative to here where that is possible: the spec is printed, and should read well."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
