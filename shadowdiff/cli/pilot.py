"""`shadowdiff pilot`: build or buy, before money is spent."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shadowdiff.cli.carrying import (
    built,
    latency_option,
    max_failures_option,
    max_usd_option,
    named_sides,
    no_cache_option,
    refuse_cap,
    refuse_too_many_failures,
    replay_sessions,
    side_options,
)
from shadowdiff.cli.evaluate import asked_runs, min_grade_option
from shadowdiff.cli.finite import FiniteRange
from shadowdiff.cli.given import given_options
from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import (
    OutputOptions,
    kind_option,
    opened,
    place_options,
    require_writable,
    summed,
    write_lines,
)
from shadowdiff.cli.pooling import pool_options
from shadowdiff.cli.qrels import labels_of, labels_option, require_qrels
from shadowdiff.cli.when import When, require_order
from shadowdiff.errors import ConfigError, ShadowdiffError

if TYPE_CHECKING:
    from shadowdiff.evaluation.runs import EvaluatedRuns
    from shadowdiff.pilot.results import Pilot
    from shadowdiff.runs import Run, RunConfig

EPILOG = """\b
Examples:
  shadowdiff pilot --queries 500 -A cosine -B bedrock:cohere.rerank-v3-5:0 -B onnx:models/v3
  shadowdiff pilot --since 30d --org acme -A served -B managed -B ours --dry-run
  shadowdiff pilot --queries 500 -A cosine -B managed -B ours --max-usd 5 --format markdown -o pilot.md
  shadowdiff pilot --run latest --labels qrels.txt --margin 0.02

\b
Labels come from `shadowdiff label`, `shadowdiff review`, a bundle, or --labels. The run is stored like any other:
`shadowdiff replay --resume RUN` goes on with one that was cut short, `shadowdiff show RUN` shows what differs."""

SMALL_DIFFERENCE = 0.01
"""For which to say how many sessions would show it, where there is no margin."""
OF_A_NEW_RUN = (
    *("baseline", "others", "queries", "since", "until", "org_ids", "stratify", "seed", "top_k", "pool", "pool_from"),
    *("no_cache", "latency_turns", "max_failures", "max_usd", "dry_run"),
)
"""Options that say what is replayed: nothing is with --run."""


@click.command("pilot", epilog=EPILOG)
@click.option(
    "--queries",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    metavar="N",
    help="Draw sessions until they hold N turns.",
)
@click.option("--since", type=When(), metavar="24h|DATE", help="From sessions that started at or after this.")
@click.option("--until", type=When(), metavar="24h|DATE", help="From sessions that started before this.")
@click.option("--org", "org_ids", multiple=True, metavar="ORG", help="From sessions of these orgs only; repeatable.")
@click.option(
    "--stratify",
    type=click.Choice(("org", "none")),
    default="org",
    show_default=True,
    help="Every org gives its share of the sessions, or leave that to chance.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed draws other sessions.")
@side_options
@pool_options
@no_cache_option
@latency_option(default=100)
@max_failures_option
@max_usd_option
@click.option("--dry-run", is_flag=True, help="Say what each side would ask and cost; send and store nothing.")
@click.option("--run", "stored", metavar="RUN", help="Replay nothing: the page of a stored run, by the labels of now.")
@labels_option
@min_grade_option
@click.option(
    "--ndcg-at", type=click.IntRange(min=1), default=10, show_default=True, metavar="K", help="Decide by nDCG@K."
)
@click.option(
    "--recall-at", type=click.IntRange(min=1), default=5, show_default=True, metavar="K", help="Show Recall@K too."
)
@click.option(
    "--margin",
    type=FiniteRange(min=0, max=1),
    default=0.01,
    show_default=True,
    metavar="X",
    help="As good as the best is a side that is shown not to be worse by more than X.",
)
@kind_option("terminal", "markdown", "json")
@place_options
@click.pass_obj
def command(invocation: Invocation, /, stored: str | None, labels: Path | None, **options: Any) -> None:
    """Compare a free baseline, a managed reranker and one of your own before money is spent, as one page.

    Sessions are drawn until they hold N turns, and every turn goes through all sides. The page holds nDCG and Recall
    with 95% intervals, latency, cost per month, and which side to take and why. Without enough labels it says what
    can be said, and what is to be labelled.
    """
    from shadowdiff.evaluation.measures import measuring_library

    measuring_library()
    require_qrels(labels)
    if options["dry_run"] and not stored:
        _dry_run(invocation, options)
        return
    require_writable(options["output"])
    runs = _stored(invocation, stored) if stored else _replayed(invocation, options)
    run = summed(runs.run, invocation.store)
    runs = replace(runs, run=run)
    pilot = _pilot(invocation, runs, labels, options)
    if labels is None and _labelled_now(invocation, run, pilot, options):
        pilot = _pilot(invocation, runs, labels, options)
    _write(run, pilot, options)
    if not stored:
        refuse_cap(run, options["max_usd"], invocation)
        refuse_too_many_failures(run, options["max_failures"])


def _stored(invocation: Invocation, name: str) -> EvaluatedRuns:
    """A run that there is. Raises ConfigError on options that ask for another."""
    if given := given_options(OF_A_NEW_RUN):
        raise ConfigError(f"--run replays nothing: leave out {', '.join(given)}")
    return asked_runs(invocation, name, None)


def _replayed(invocation: Invocation, options: dict[str, Any]) -> EvaluatedRuns:
    from shadowdiff.replay.evaluated import runs_to_evaluate

    how = {name: options[name] for name in ("no_cache", "latency_turns", "max_usd")}
    config, session_ids = _drawn(invocation, options)
    sides = named_sides(invocation, options["baseline"], options["others"])
    run = replay_sessions(invocation, sides, config, session_ids, **how)
    return replace(runs_to_evaluate(invocation.store, run.run_id), run=run)


def _dry_run(invocation: Invocation, options: dict[str, Any]) -> None:
    from shadowdiff.cli.dry_run import show_forecast

    config, session_ids = _drawn(invocation, options)
    sides = named_sides(invocation, options["baseline"], options["others"])
    contenders, config = built(invocation, sides, config)
    output = OutputOptions(options["kind"], *(options[name] for name in ("output", "width", "color")))
    how = {name: options[name] for name in ("no_cache", "max_usd")}
    show_forecast(invocation, contenders, config, session_ids, output, **how)


def _drawn(invocation: Invocation, options: dict[str, Any]) -> tuple[RunConfig, Sequence[str]]:
    """How to replay, and which sessions. Raises ConfigError where there is none with a turn."""
    from shadowdiff import diagnostics
    from shadowdiff.pilot.drawing import drawn_sessions
    from shadowdiff.records import PoolOrigin, Window
    from shadowdiff.replay.execute import describe_window
    from shadowdiff.runs import RunConfig

    require_order(options["since"], options["until"])
    window = Window(since=options["since"], until=options["until"], org_ids=options["org_ids"], seed=options["seed"])
    by_org = options["stratify"] == "org"
    found = drawn_sessions(invocation.source, window, options["queries"], seed=options["seed"], by_org=by_org)
    if not found.session_ids:
        raise ConfigError(f"no sessions with a turn {describe_window(window)}; nothing to replay")
    if found.turns < options["queries"]:
        diagnostics.warning(
            f"only {found.turns:,} turns in {len(found.session_ids):,} sessions {describe_window(window)}, fewer than "
            f"--queries {options['queries']:,}; all of them are replayed"
        )
    config = RunConfig(
        **{name: options[name] for name in ("top_k", "pool")},
        pool_from=PoolOrigin(options["pool_from"]),
        window=replace(window, sample=len(found.session_ids)),
        turns_per_month=found.turns_per_month,
        store_text=invocation.settings.privacy.store_text,
    )
    return config, found.session_ids


def _pilot(invocation: Invocation, runs: EvaluatedRuns, labels: Path | None, options: dict[str, Any]) -> Pilot:
    from shadowdiff.errors import NothingToMeasureError
    from shadowdiff.evaluation.evaluate import evaluate
    from shadowdiff.pilot.report import pilot_of
    from shadowdiff.replay.evaluated import replayed_sessions

    run, turns = runs.run, 0
    asked = {name: options[name] for name in ("ndcg_at", "recall_at", "margin")}
    depths = tuple(dict.fromkeys((options["ndcg_at"], options["recall_at"])))
    how = {"min_grade": options["min_grade"], "wanted": options["margin"] or SMALL_DIFFERENCE}
    try:
        given = labels_of(runs, invocation, labels)
        turns = len({(label.org_id, label.turn_id) for label in given})
        evaluation = evaluate(run, replayed_sessions(runs, invocation.store), given, depths, **how) if given else None
    except NothingToMeasureError as error:
        return pilot_of(run, None, labelled_turns=turns, why_not=str(error), **asked)
    return pilot_of(run, evaluation, labelled_turns=turns, **asked)


def _labelled_now(invocation: Invocation, run: Run, pilot: Pilot, options: dict[str, Any]) -> bool:
    """Whether somebody at a terminal wanted to label what lacks labels, and did."""
    from shadowdiff.cli.label import label_what_lacks
    from shadowdiff.cli.questions import may_ask
    from shadowdiff.pilot.results import Lack

    if run.summary is None or pilot.lacks(run.summary.turns, run.summary.sessions) is not Lack.LABELS:
        return False
    if not (may_ask() and sys.stdout.isatty()):
        return False
    told = f"{pilot.labelled_turns:,} of {run.summary.turns:,} turns have labels, too few to say which side is better."
    click.echo(told, err=True)
    try:
        if not click.confirm(
            "Label the others now, one key an entry? You can stop at any time", default=True, err=True
        ):
            return False
        label_what_lacks(invocation, run, options["color"])
    except (KeyboardInterrupt, EOFError, click.Abort, ShadowdiffError):
        # What was replayed may have been paid for: it must not look lost.
        click.echo(
            f"\nthe run is stored; its page, with the labels so far: shadowdiff pilot --run {run.run_id}", err=True
        )
        raise
    return True


def _write(run: Run, pilot: Pilot, options: dict[str, Any]) -> None:
    from shadowdiff.render.pilot import pilot_lines
    from shadowdiff.render.pilot_documents import pilot_json, pilot_markdown

    with opened(options["output"]) as out:
        if options["kind"] == "json":
            out.write(pilot_json(pilot, run))
        elif options["kind"] == "markdown":
            out.write(pilot_markdown(pilot, run))
        else:
            write_lines(out, partial(pilot_lines, pilot, run), options["width"], options["color"])
