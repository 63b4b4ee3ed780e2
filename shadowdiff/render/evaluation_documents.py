"""Which side is better on labelled turns, for programs and for a pull request.

JSON (`shadowdiff.evaluation/1`) is one object: `schema`, `version`, `run_id` (whose
sides they are), `since`, `run_ids`, `repeated_runs`, `pruned_runs` and `other_runs` (`run_ids`, `sides`, `setting`),
`sides` (`side`, `name`, `spec`, `fingerprint`, `min_score`), `baseline` and `others` (labels of the sides
measured), `depths`, `min_grade`, `gains`, `turns`, `sessions`, `labels`, `irrelevant_turns`,
`pooled_labels`, `left_out`, `warnings`, `measures` (a list of `measure`, `means` by side and `differences` by
side: `mean`, `ci95`, `p`, `p_exact`, `p_holm`, `turns` and `sessions` as
`better`, `equal`, `worse`, `detectable`, `sessions_needed`), `wanted_difference`,
`unequally_judged`, `segments`, `skipped_dimensions`, `ceiling` and `unjudged`. All of it
is ASCII, everything else escaped. Fields are added, never renamed, within `/1`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from shadowdiff import __version__
from shadowdiff.evaluation.results import Difference, Evaluation, MeasureResult, Segment
from shadowdiff.evaluation.runs import EvaluatedRuns
from shadowdiff.paired import Balance
from shadowdiff.render.columns import heading_of
from shadowdiff.render.evaluated import runs_fields, runs_named, scope
from shadowdiff.render.evaluation import (
    HOW,
    SHARES,
    STAKE,
    ceiling_sentence,
    circumstances,
    conclusion,
    curve_points,
    entry_text,
    how_counted,
    loss_rows,
    number,
    ranks_text,
    segment_note,
    segment_rows,
    side_rows,
    unjudged_heading,
    warnings,
)
from shadowdiff.render.github import markdown, table
from shadowdiff.render.structured import PLACES as JSON_PLACES
from shadowdiff.render.structured import side_json
from shadowdiff.render.tables import Figure, TableRow
from shadowdiff.runs import Estimate

SCHEMA = "shadowdiff.evaluation/1"
GAINS = {"ndcg": "the grade", "others": "1 from min_grade on"}
CELL = 120
NOTE_CELLS = 800


def evaluation_json(evaluation: Evaluation, runs: EvaluatedRuns) -> str:
    """The document, with a line end; every unjudged entry stands in it."""
    counts = ("depths", "min_grade", "turns", "sessions", "labels", "pooled_labels", "irrelevant_turns")
    every = asdict(evaluation)
    document = {
        "schema": SCHEMA,
        "version": __version__,
        **runs_fields(runs),
        "sides": list(map(side_json, runs.run.sides)),
        "baseline": evaluation.baseline,
        "others": evaluation.others,
        **{name: getattr(evaluation, name) for name in counts},
        "left_out": every["left_out"],
        "warnings": list(warnings(evaluation)),
        "gains": GAINS,
        "wanted_difference": evaluation.wanted,
        "measures": [_measure(found) for found in evaluation.measures],
        "unequally_judged": evaluation.unequally_judged,
        "segments": [_segment(segment) for segment in evaluation.segments],
        "skipped_dimensions": evaluation.skipped_dimensions,
        "ceiling": every["ceiling"],
        "unjudged": every["unjudged"],
    }
    return json.dumps(rounded(document), indent=1) + "\n"


def _measure(found: MeasureResult) -> dict[str, Any]:
    return {
        "measure": found.measure.name.lower(),
        "means": {label: estimate_json(mean) for label, mean in found.means.items()},
        "differences": {label: _difference(item) for label, item in found.differences.items()},
    }


def _difference(item: Difference) -> dict[str, Any]:
    return {
        **estimate_json(item.mean),
        "p": None if item.test is None else item.test.p,
        "p_exact": None if item.test is None else item.test.is_exact,
        "p_holm": item.p_holm,
        "turns": _balance(item.turns),
        "sessions": _balance(item.sessions),
        "detectable": item.detectable,
        "sessions_needed": item.sessions_needed,
    }


def estimate_json(found: Estimate) -> dict[str, Any]:
    """`mean` and its `ci95`, null where there is none."""
    return {"mean": found.value, "ci95": None if found.low is None else [found.low, found.high]}


def _balance(found: Balance) -> dict[str, int]:
    return {"better": found.wins, "equal": found.ties, "worse": found.losses}


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        **asdict(segment),
        "differences": {label: estimate_json(found) for label, found in segment.differences.items()},
    }


def rounded(value: Any) -> Any:
    """The same with every fraction to as many places as the other documents have."""
    if isinstance(value, float):
        return round(value, JSON_PLACES)
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def evaluation_markdown(evaluation: Evaluation, runs: EvaluatedRuns, most_unjudged: int) -> str:
    """For a pull request: what it comes to and the measures, then the rest folded."""
    blocks = [*_head(evaluation, runs), *_tables(evaluation), *_folded(evaluation, most_unjudged)]
    return "\n\n".join(blocks) + "\n"


def _head(evaluation: Evaluation, runs: EvaluatedRuns) -> Iterator[str]:
    for label in evaluation.others:
        yield f"**{markdown(conclusion(evaluation, label), NOTE_CELLS)}**"
    yield from (f"**Warning:** {markdown(text, NOTE_CELLS)}" for text in warnings(evaluation))
    yield f"{' · '.join(markdown(heading_of(side), CELL) for side in runs.run.sides)}"
    yield f"{markdown(runs_named(runs), CELL)}: {markdown(circumstances(evaluation), NOTE_CELLS)}"
    yield from (markdown(text, NOTE_CELLS) for text in scope(runs))


def _tables(evaluation: Evaluation) -> Iterator[str]:
    for label in evaluation.others:
        yield figures_table(*side_rows(evaluation, label))
    yield f"<sub>{markdown(HOW.format(a=evaluation.baseline) + '; ' + how_counted(evaluation), NOTE_CELLS)}</sub>"


def _folded(evaluation: Evaluation, most: int) -> Iterator[str]:
    if evaluation.segments:
        note = f"<sub>{markdown(segment_note(evaluation), NOTE_CELLS)}</sub>"
        yield details(
            f"Segments, by {evaluation.headline.measure.name}", figures_table(*segment_rows(evaluation)), note
        )
    ceiling = evaluation.ceiling
    if ceiling is not None:
        points = curve_points(ceiling) if ceiling.recall else []
        row = TableRow("recall", [Figure(number(ceiling.recall[at - 1])) for at in points])
        curve = [figures_table([f"{at:,}" for at in points], [row])] if points else []
        losses = figures_table(*loss_rows(ceiling))
        yield details(
            "Retrieval's ceiling",
            *curve,
            markdown(ceiling_sentence(ceiling), NOTE_CELLS),
            losses,
            f"<sub>{SHARES}</sub>",
        )
    if evaluation.unjudged:
        yield details("Entries without a label", markdown(unjudged_heading(evaluation)), _unjudged(evaluation, most))


def _unjudged(evaluation: Evaluation, most: int) -> str:
    shown = evaluation.unjudged[: most or None]
    rows = [
        (
            f"{item.stake:.2f}",
            ranks_text(item),
            *(markdown(text, CELL) for text in (entry_text(item), item.turn_id, item.query)),
        )
        for item in shown
    ]
    lines = table(("", "ranks", "entry", "turn", "query"), rows, left=(1, 2, 3, 4))
    more = len(evaluation.unjudged) - len(shown)
    notes = [f"and {more:,} more; {STAKE}" if more else STAKE]
    return "\n".join([*lines, "", *(f"<sub>{note}</sub>" for note in notes)])


def figures_table(headings: list[str], rows: list[TableRow]) -> str:
    """The rows as a table, under headings of their figures."""
    cells = ([markdown(row.label, CELL), *(_cell(figure) for figure in row.figures)] for row in rows)
    return "\n".join(table(("", *map(markdown, headings)), cells))


def _cell(figure: Figure) -> str:
    return markdown(" ".join(part for part in figure if part))


def details(summary: str, *parts: str) -> str:
    """Blocks that are Markdown already, folded under a summary of ours."""
    return "\n\n".join([f"<details><summary>{summary}</summary>", *parts, "</details>"])
