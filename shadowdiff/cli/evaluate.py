"""`shadowdiff evaluate`: which side of a stored run is better on its labelled turns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from shadowdiff.cli.finite import FiniteRange
from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import kind_option, opened, place_options, write_lines
from shadowdiff.cli.qrels import labels_of, labels_option
from shadowdiff.cli.when import When

if TYPE_CHECKING:
    from shadowdiff.evaluation.runs import EvaluatedRuns

F = TypeVar("F", bound=Callable[..., Any])
EPILOG = """\b
Examples:
  shadowdiff evaluate latest
  shadowdiff evaluate 20261120-0214 -k 10 -k 5 --min-grade 2
  shadowdiff evaluate --since 7d
  shadowdiff evaluate latest --labels qrels.txt
  shadowdiff evaluate latest --detect 0.02 --format markdown -o comment.md
  shadowdiff evaluate latest --unjudged 0 --format json -o evaluation.json

\b
Labels come with a bundle's qrels.txt (`shadowdiff load`), from `shadowdiff label`
or `shadowdiff review`; where an entry has several, the newest counts."""


def relevance_option(where: str = "") -> Callable[[F], F]:
    """`--min-grade`: from which grade on an entry is relevant, `where` that is not everywhere."""
    return click.option(
        "--min-grade",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help=f"Relevant from this grade on{where}.",
    )


min_grade_option = relevance_option(", for all measures but nDCG, whose gain is the grade")
since_option = click.option(
    "--since",
    type=When(),
    metavar="7d|DATE",
    help="All runs that started since then and have RUN's sides and setting, RUN being the newest of them by default; "
    "a session counts once, from its newest run.",
)
run_argument = click.argument("run", metavar="[RUN]", default=None, required=False)


@click.command("evaluate", epilog=EPILOG)
@run_argument
@since_option
@labels_option
@click.option(
    "-k",
    "--depth",
    "depths",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="K",
    help="Measure the first K entries; repeatable, the first one for segments (default: the run's top K).",
)
@min_grade_option
@click.option(
    "--detect",
    type=FiniteRange(min=0, max=1, min_open=True),
    default=0.01,
    show_default=True,
    metavar="X",
    help="Say how many sessions would show a difference of X.",
)
@click.option(
    "--unjudged",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="List N entries whose labels would say most; 0: all. JSON has all.",
)
@kind_option("terminal", "markdown", "json")
@place_options
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    run: str | None,
    since: datetime | None,
    labels: Path | None,
    depths: tuple[int, ...],
    kind: str,
    output: Path | None,
    **options: Any,
) -> None:
    """Say which side of a stored run is better on its labelled turns, and how sure that is.

    RUN is a run's id, the beginning of one, or `latest`, which is the default. Every side is measured (nDCG, MRR,
    precision, recall, MAP) and held against the baseline: 95% intervals and permutation tests over whole sessions,
    corrected for the number of measures. Whole rankings are stored, so K may be more than the run's top K.
    """
    from shadowdiff.evaluation.evaluate import evaluate
    from shadowdiff.render.evaluated import runs_named
    from shadowdiff.render.evaluation import evaluation_lines
    from shadowdiff.render.evaluation_documents import evaluation_json, evaluation_markdown
    from shadowdiff.replay.evaluated import replayed_sessions

    store, runs = invocation.store, asked_runs(invocation, run, since)
    evaluation = evaluate(
        runs.run,
        replayed_sessions(runs, store),
        labels_of(runs, invocation, labels),
        tuple(dict.fromkeys(depths)) or (runs.run.config.top_k,),
        min_grade=options["min_grade"],
        wanted=options["detect"],
        named=runs_named(runs) if since else "",
    )
    with opened(output) as out:
        if kind == "json":
            out.write(evaluation_json(evaluation, runs))
            return
        if kind == "markdown":
            out.write(evaluation_markdown(evaluation, runs, options["unjudged"]))
            return
        most = options["unjudged"]
        drawn = partial(evaluation_lines, evaluation, runs, most_unjudged=most)
        write_lines(out, drawn, options["width"], options["color"])


def asked_runs(invocation: Invocation, run: str | None, since: datetime | None) -> EvaluatedRuns:
    """The runs that `run_argument` and `since_option` mean. Warns of unfinished ones. Raises ConfigError."""
    from shadowdiff import diagnostics
    from shadowdiff.replay.evaluated import runs_to_evaluate

    found = runs_to_evaluate(invocation.store, run, since)
    for run_id, (done, planned) in found.unfinished.items():
        diagnostics.warning(f"run {run_id} is not finished: {done:,} of {planned:,} sessions are evaluated")
    return found
