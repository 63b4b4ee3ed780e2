"""A pilot for programs and for a pull request.

JSON (`shadowdiff.pilot/1`) is one object: `schema`, `version`, `run_id`, `turns`,
`sessions`, `failed_turns`, `turns_per_month`, `window` (`sample`, `seed`), `labels` (`turns`,
`labels`, `measured_turns`, `measured_sessions`, `enough`, `why_not`), `measure`, `recall`,
`margin`, `baseline`, `sides` (a list of `side`, `name`, `spec`, `fingerprint`, `min_score`,
`latency_p50_seconds`, `latency_p95_seconds`, `cost` as `bill` (`own machine`, `provider`,
`unknown`), `usd_per_month` and `usd_per_1000_turns`, `overlap`, and `quality`, null with too
few labels: `mean`, `ci95`, `recall`, `judged`, `difference`, `p`, `better`, `behind_best`,
`gap_closed`, `detectable`, `sessions_needed`), `recommendation` (null with too few labels:
`take`, `why`, `best`, `alternative`, `unless_dearer`, `unpriced`, `rule`), `reason` (sentences),
`warnings` and `next` (commands). All of it is ASCII, everything else escaped. Fields are
added, never renamed, within `/1`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from shadowdiff import __version__
from shadowdiff.pilot.recommend import RULE
from shadowdiff.pilot.results import Pilot, PilotSide, Quality
from shadowdiff.render.closing import cut_short
from shadowdiff.render.evaluation_documents import CELL, NOTE_CELLS, estimate_json, figures_table, rounded
from shadowdiff.render.github import markdown
from shadowdiff.render.pilot import page_warnings, pilot_table, side_texts
from shadowdiff.render.pilot_words import (
    conclusion,
    grounds,
    next_commands,
    notes,
    sample_facts,
)
from shadowdiff.render.sides import failure_notes, side_notes
from shadowdiff.render.structured import side_json
from shadowdiff.runs import Estimate, Run

SCHEMA = "shadowdiff.pilot/1"


def pilot_json(pilot: Pilot, run: Run) -> str:
    """The document, with a line end."""
    summary, evaluation, found = run.summary, pilot.evaluation, pilot.recommendation
    document = {
        "schema": SCHEMA,
        "version": __version__,
        "run_id": run.run_id,
        "turns": summary and summary.turns,
        "sessions": summary and summary.sessions,
        "failed_turns": summary and summary.failed_turns,
        "turns_per_month": summary and summary.turns_per_month,
        "window": {"sample": run.config.window.sample, "seed": run.config.window.seed},
        "labels": {
            "turns": pilot.labelled_turns,
            "labels": evaluation and evaluation.labels,
            "measured_turns": evaluation and evaluation.turns,
            "measured_sessions": evaluation and evaluation.sessions,
            "enough": found is not None,
            "why_not": pilot.why_not,
        },
        "measure": pilot.measure.name.lower(),
        "recall": pilot.recall.name.lower(),
        "margin": pilot.margin,
        "baseline": run.baseline.label,
        "sides": [side_json(side) | _figures(figures) for side, figures in zip(run.sides, pilot.sides, strict=True)],
        "recommendation": None if found is None else asdict(found) | {"rule": RULE.format(margin=pilot.margin)},
        "reason": conclusion(pilot),
        "warnings": list(page_warnings(pilot)),
        "next": next_commands(pilot, run),
    }
    return json.dumps(rounded(document), indent=1) + "\n"


def _figures(side: PilotSide) -> dict[str, Any]:
    each = side.cost.usd_per_turn
    return {
        "latency_p50_seconds": side.p50_seconds,
        "latency_p95_seconds": side.p95_seconds,
        "cost": {
            "bill": side.cost.bill.value,
            "usd_per_month": side.cost.usd_per_month,
            "usd_per_1000_turns": None if each is None else 1000 * each,
        },
        "overlap": _estimate(side.overlap),
        "quality": None if side.quality is None else _quality(side.quality),
    }


def _quality(quality: Quality) -> dict[str, Any]:
    difference = quality.difference
    return {
        **estimate_json(quality.mean),
        "recall": estimate_json(quality.recall),
        "judged": quality.judged,
        "difference": None if difference is None else estimate_json(difference.mean),
        "p": quality.p,
        "better": quality.is_better,
        "behind_best": _estimate(quality.behind_best),
        "gap_closed": _estimate(quality.closed),
        "detectable": difference and difference.detectable,
        "sessions_needed": difference and difference.sessions_needed,
    }


def _estimate(found: Estimate | None) -> dict[str, Any] | None:
    return None if found is None else estimate_json(found)


def pilot_markdown(pilot: Pilot, run: Run) -> str:
    """For a pull request or a wiki: what it comes to, the table, and what it rests on, folded."""
    return "\n\n".join([*_head(pilot, run), figures_table(*pilot_table(pilot, run)), *_rests_on(pilot, run)]) + "\n"


def _head(pilot: Pilot, run: Run) -> Iterator[str]:
    first, *rest = conclusion(pilot)
    yield " ".join([f"**{markdown(first, NOTE_CELLS)}**", *(markdown(text, NOTE_CELLS) for text in rest)])
    commands = next_commands(pilot, run)
    if commands:
        yield "\n".join(["```", *commands, "```"])
    yield from (f"**Warning:** {markdown(text, NOTE_CELLS)}" for text in page_warnings(pilot))
    if cut := cut_short(run):
        yield f"**{markdown(cut, NOTE_CELLS)}**"
    yield " · ".join(markdown(text, CELL) for text in side_texts(run))


def _rests_on(pilot: Pilot, run: Run) -> Iterator[str]:
    yield "\n".join(
        f"- {markdown(text, NOTE_CELLS)}" for text in (" · ".join(sample_facts(pilot, run)), *grounds(pilot))
    )
    if run.summary is not None:
        failures = failure_notes(run, run.summary)
        texts = (*notes(pilot, run), *side_notes(run, run.summary), *failures)
        yield "\n".join(f"<sub>{markdown(text, NOTE_CELLS)}</sub><br>" for text in texts).removesuffix("<br>")
