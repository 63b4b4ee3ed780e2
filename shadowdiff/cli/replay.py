"""`shadowdiff replay`: the main job."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from shadowdiff.cli.carrying import (
    SideOptions,
    built,
    latency_option,
    max_failures_option,
    max_usd_option,
    named_sides,
    no_cache_option,
    refuse_cap,
    refuse_too_many_failures,
    replay_sessions,
    resume_run,
    side_options,
    stored_run,
)
from shadowdiff.cli.follow import follow, follow_options, followed
from shadowdiff.cli.gating import Gate, asked_gate, gate_options, refusing_crossed
from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import OutputOptions, output_options, taken, write_run
from shadowdiff.cli.pooling import pool_options
from shadowdiff.cli.when import When, require_order
from shadowdiff.errors import ConfigError

if TYPE_CHECKING:
    from shadowdiff.records import Window
    from shadowdiff.runs import Run, RunConfig

DEFAULT_LAST = 10

EPILOG = """\b
Examples:
  shadowdiff replay --last 10 -A cosine -B onnx:models/v3
  shadowdiff replay --since 24h --org acme -A served -B v3 -B v4 --only-changed
  shadowdiff replay --last 100 --pool-from cosine -A cosine -B bm25 --format json -o diff.json
  shadowdiff replay --last 50 -A v3 -B v4 --production v3
  shadowdiff replay --last 10 -A run:before.trec -B run:after.trec
  shadowdiff replay --last 1000 -A v3 -B managed --dry-run
  shadowdiff replay --last 200 --gate 'mean_overlap.B >= 0.7' --gate 'failed_share <= 2%'
  shadowdiff replay --follow --idle 10m -A v3 -B v4 --only-changed
  shadowdiff replay --resume 20261120-0214"""


class SideNumber(click.ParamType[tuple[str, float]]):
    """`SIDE=NUMBER`."""

    name = "SIDE=X"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """Parse into (label, number)."""
        label, _, number = str(value).partition("=")
        try:
            threshold = float(number)
        except ValueError:
            threshold = math.nan
        if not math.isfinite(threshold):  # no score is above nan or below it, and JSON has no word for either
            self.fail(f"{value!r} is not SIDE=NUMBER, such as B=0.2", param, ctx)
        return label.strip().upper(), threshold


@click.command("replay", epilog=EPILOG)
@click.option(
    "--last", type=click.IntRange(min=1), metavar="N", help=f"The newest N sessions (default {DEFAULT_LAST})."
)
@click.option("--since", type=When(), metavar="24h|DATE", help="Sessions that started at or after this.")
@click.option("--until", type=When(), metavar="24h|DATE", help="Sessions that started before this.")
@click.option("--session", "session_ids", multiple=True, metavar="ID", help="These sessions only; repeatable.")
@click.option("--org", "org_ids", multiple=True, metavar="ORG", help="Sessions of these orgs only; repeatable.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Draw N of the selected sessions at random.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of --sample.")
@side_options
@click.option(
    "--production",
    metavar="SIDE|SPEC|none",
    help="Production's own reranker, to be held against what was served (default: A, unless served or run:).",
)
@pool_options
@click.option(
    "--min-score", "min_scores", type=SideNumber(), multiple=True, help="Surface only at or above X; repeatable."
)
@click.option("--noise", is_flag=True, help="Run the baseline against itself too, and show that floor.")
@no_cache_option
@latency_option(default=0)
@max_failures_option
@max_usd_option
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say what each side would ask of its provider and what that would cost; send and store nothing.",
)
@click.option("--resume", metavar="RUN", help="Go on with an interrupted run; its selection and sides stand.")
@click.option("--retry-failed", is_flag=True, help="With --resume: ask again for the turns that a side failed on.")
@follow_options
@gate_options
@output_options
@click.pass_obj
def command(invocation: Invocation, /, resume: str | None, max_failures: float | None, **options: Any) -> None:
    """Replay recent sessions and diff what the rerankers surface.

    Every turn goes through the baseline and the others in shadow, over the same pool.
    Without -A and -B: the sides of [replay] in shadowdiff.toml, else cosine against bm25.
    Everything is stored: `shadowdiff show latest` renders the run again.
    """
    output, gate = taken(options), asked_gate(invocation, options)
    following = followed(options, output, resume)
    if options["retry_failed"] and not resume:
        raise ConfigError("--retry-failed goes with --resume RUN: it asks again for that run's failed turns")
    if options["dry_run"]:
        _dry_run(invocation, resume, options, output)
        return
    if following:
        run, write = follow(invocation, *_asked_for(invocation, options, gate), following, output, **_how(options))
    else:
        run = _resumed(invocation, resume, options, gate) if resume else _started(invocation, options, gate)
        write = partial(write_run, invocation=invocation, options=output)
    surroundings = gate.judged(run)
    with refusing_crossed(surroundings.gates):
        write(run, surroundings=surroundings)
        refuse_cap(run, options["max_usd"], invocation)
        refuse_too_many_failures(run, max_failures)


def _started(invocation: Invocation, options: dict[str, Any], gate: Gate) -> Run:
    return replay_sessions(invocation, *_asked_for(invocation, options, gate), **_how(options))


def _asked_for(invocation: Invocation, options: dict[str, Any], gate: Gate) -> tuple[SideOptions, RunConfig]:
    """Sides and configuration as the command line and shadowdiff.toml say. Raises ConfigError."""
    sides, config = _sides(invocation, options), _config(invocation, options)
    gate.check_sides(1 + len(sides.others))
    return sides, config


def _config(invocation: Invocation, options: dict[str, Any]) -> RunConfig:
    from shadowdiff.records import PoolOrigin
    from shadowdiff.runs import RunConfig

    return RunConfig(
        top_k=options["top_k"],
        pool=options["pool"],
        pool_from=PoolOrigin(options["pool_from"]),
        noise=options["noise"],
        window=_window(options),
        store_text=invocation.settings.privacy.store_text,
    )


def _how(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("no_cache", "latency_turns", "max_usd")}


def _sides(invocation: Invocation, options: dict[str, Any]) -> SideOptions:
    sides = named_sides(invocation, options["baseline"], options["others"])
    return replace(sides, min_scores=dict(options["min_scores"]), production=options["production"])


def _window(options: dict[str, Any]) -> Window:
    from shadowdiff.records import Window

    since, until = options["since"], options["until"]
    require_order(since, until)
    unbounded = not (since or options["session_ids"] or options["sample"])
    return Window(
        last=options["last"] or (DEFAULT_LAST if unbounded else None),
        since=since,
        until=until,
        session_ids=options["session_ids"],
        org_ids=options["org_ids"],
        sample=options["sample"],
        seed=options["seed"],
    )


def _dry_run(invocation: Invocation, resume: str | None, options: dict[str, Any], output: OutputOptions) -> None:
    from shadowdiff.cli.dry_run import show_forecast
    from shadowdiff.replay.execute import selected_sessions

    if options["retry_failed"]:
        raise ConfigError("--dry-run does not know what --retry-failed would ask for; leave one of them out")
    if resume:
        run, contenders = stored_run(invocation, resume, retry_failed=False)
        config, session_ids = run.config, invocation.store.pending(run.run_id)
    else:
        contenders, config = built(invocation, _sides(invocation, options), _config(invocation, options))
        session_ids = selected_sessions(invocation.source, config.window)
    how = {name: options[name] for name in ("no_cache", "max_usd")}
    show_forecast(invocation, contenders, config, session_ids, output, **how)


def _resumed(invocation: Invocation, name: str, options: dict[str, Any], gate: Gate) -> Run:
    gate.check_sides(len(invocation.store.get(name).sides))
    return resume_run(invocation, name, retry_failed=options["retry_failed"], **_how(options))
