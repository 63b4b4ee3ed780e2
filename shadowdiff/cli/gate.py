"""`shadowdiff gate`: whether a side may replace the baseline, by labels; for CI."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shadowdiff.cli.evaluate import asked_runs, min_grade_option, run_argument, since_option
from shadowdiff.cli.gating import refusing_crossed
from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import kind_option, opened, place_options, write_lines
from shadowdiff.cli.qrels import labels_of, labels_option
from shadowdiff.nightly.settings import Strict

if TYPE_CHECKING:
    from shadowdiff.evaluation.results import Evaluation
    from shadowdiff.evaluation.runs import EvaluatedRuns
    from shadowdiff.nights import GateOutcome
    from shadowdiff.runs import Run

EPILOG = """\b
Examples:
  shadowdiff gate latest --rule "ndcg@5.B >= ndcg@5.A - 0.01"
  shadowdiff gate latest --labels qrels.txt --rule "recall@10.B >= 0.8" --rule "map.B >= map.A"
  shadowdiff gate --since 7d --rule "ndcg@10.B >= ndcg@10.A - 0.01"
  shadowdiff gate latest --rule "ndcg@10.B >= ndcg@10.A - 0.02" --format junit -o gate.xml

\b
A rule is MEASURE.SIDE <=, <, >= or > a number from 0 to 1, or the same measure of the baseline, plus or minus one.
Measures: ndcg@K, mrr@K, p@K, recall@K, judged@K, map. Exit 1 where a rule does not hold."""


@click.command("gate", epilog=EPILOG)
@run_argument
@since_option
@click.option("--rule", "rules", multiple=True, required=True, metavar="RULE", help="What must hold; repeatable.")
@labels_option
@min_grade_option
@click.option(
    "--strict",
    type=click.Choice([choice.value for choice in Strict]),
    default=Strict.BOUND.value,
    show_default=True,
    help="What is judged: the bad end of the 95% interval over sessions, or the figure itself.",
)
@kind_option("terminal", "json", "junit")
@place_options
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    run: str | None,
    since: datetime | None,
    rules: tuple[str, ...],
    labels: Path | None,
    **options: Any,
) -> None:
    """Exit 1 unless a stored run keeps to rules over its labelled turns.

    RUN is a run's id, the beginning of one, or `latest`, which is the default. A rule that holds a side against the
    baseline is judged on their difference over the same turns: that B is not worse by more than the margin counts as
    shown only where the whole 95% interval over sessions says so.
    """
    from shadowdiff.evaluation.evaluate import evaluate
    from shadowdiff.gates.labelled import depths, label_outcomes, parse_label_rules
    from shadowdiff.render.evaluated import runs_named
    from shadowdiff.replay.evaluated import replayed_sessions

    read = parse_label_rules(rules)
    store, runs = invocation.store, asked_runs(invocation, run, since)
    given = labels_of(runs, invocation, labels)
    evaluation = evaluate(
        runs.run,
        replayed_sessions(runs, store),
        given,
        depths(read),
        min_grade=options["min_grade"],
        named=runs_named(runs) if since else "",
    )
    outcomes = label_outcomes(read, evaluation, Strict(options["strict"]))
    with refusing_crossed(outcomes):
        _write(runs, evaluation, outcomes, options)


def _write(
    runs: EvaluatedRuns, evaluation: Evaluation, outcomes: tuple[GateOutcome, ...], options: dict[str, Any]
) -> None:
    from shadowdiff import diagnostics
    from shadowdiff.nights import Surroundings
    from shadowdiff.render.evaluation import warnings
    from shadowdiff.render.junit import JunitRenderer
    from shadowdiff.render.label_gates import label_gate_json, label_gate_lines

    counts, warned = (evaluation.turns, evaluation.sessions), tuple(warnings(evaluation))
    with opened(options["output"]) as out:
        if options["kind"] == "junit":
            for text in warned:
                diagnostics.warning(text)
            JunitRenderer(Surroundings(gates=outcomes)).render(_as_one(runs), (), out)
        elif options["kind"] == "json":
            out.write(label_gate_json(runs, counts, outcomes, warned))
        else:
            drawn = partial(label_gate_lines, runs, counts, outcomes, warned=warned)
            write_lines(out, drawn, options["width"], options["color"])


def _as_one(runs: EvaluatedRuns) -> Run:
    """For a renderer of one run: several have its sides, and neither its id nor its summary."""
    return runs.run if runs.since is None else replace(runs.run, run_id=" ".join(runs.run_ids), summary=None)
