"""`shadowdiff evaluate`: which side of a stored run is better on its labelled turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import colored, kind_option, opened, place_options, width_of
from shadowdiff.runs import RunStatus

EPILOG = """\b
Examples:
  shadowdiff evaluate latest
  shadowdiff evaluate 20261120-0214 -k 10 -k 5 --min-grade 2
  shadowdiff evaluate latest --detect 0.02 --format markdown -o comment.md
  shadowdiff evaluate latest --unjudged 0 --format json -o evaluation.json

\b
Labels come with a bundle's qrels.txt (`shadowdiff load`) or from `shadowdiff
review`; where an entry has several, the newest counts."""

min_grade_option = click.option(
    "--min-grade",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Relevant from this grade on, for all measures but nDCG, whose gain is the grade.",
)


@click.command("evaluate", epilog=EPILOG)
@click.argument("run", metavar="RUN", default="latest")
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
    type=click.FloatRange(min=0, max=1, min_open=True),
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
    run: str,
    depths: tuple[int, ...],
    kind: str,
    output: Path | None,
    **options: Any,
) -> None:
    """Say which side of a stored run is better on its labelled turns, and how sure that is.

    RUN is a run's id, the beginning of one, or `latest`. Every side is measured (nDCG, MRR, precision, recall, MAP)
    and held against the baseline: 95% intervals and permutation tests over whole sessions, corrected for the number
    of measures. Whole rankings are stored, so K may be more than the run's top K.
    """
    from shadowdiff import diagnostics
    from shadowdiff.evaluation.evaluate import evaluate
    from shadowdiff.render.evaluation import evaluation_lines
    from shadowdiff.render.evaluation_documents import evaluation_json, evaluation_markdown
    from shadowdiff.render.lines import painter
    from shadowdiff.store.labels import Labels
    from shadowdiff.store.prune import require_sessions

    store = invocation.store
    found = store.get(run)
    require_sessions(found, store)
    if found.status is not RunStatus.DONE:
        done, planned = store.progress(found.run_id)
        diagnostics.warning(f"run {found.run_id} is not finished: {done:,} of {planned:,} sessions are evaluated")
    labels = Labels(store).of_run(found.run_id)
    chosen = tuple(dict.fromkeys(depths)) or (found.config.top_k,)
    evaluation = evaluate(
        found, store.sessions(found.run_id), labels, chosen, min_grade=options["min_grade"], wanted=options["detect"]
    )
    with opened(output) as out:
        if kind == "json":
            out.write(evaluation_json(evaluation, found))
            return
        if kind == "markdown":
            out.write(evaluation_markdown(evaluation, found, options["unjudged"]))
            return
        paint = painter(color=colored(options["color"], out))
        for line in evaluation_lines(evaluation, found, options["width"] or width_of(out), options["unjudged"]):
            out.write(f"{paint(line)}\n")
