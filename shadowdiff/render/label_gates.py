"""What rules over labels made of a run: for a terminal, and as JSON (`shadowdiff.gate/1`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from shadowdiff.evaluation.runs import EvaluatedRuns
from shadowdiff.nights import GateOutcome
from shadowdiff.render.evaluated import runs_fields, runs_named, scope
from shadowdiff.render.gates import gate_lines
from shadowdiff.render.lines import BOLD, FAILED, Line, Span
from shadowdiff.render.sessions import counted
from shadowdiff.render.structured import gate_json
from shadowdiff.render.tables import sentence
from shadowdiff.render.text import clip, one_line

SCHEMA = "shadowdiff.gate/1"


def label_gate_lines(
    runs: EvaluatedRuns,
    counts: tuple[int, int],
    outcomes: Sequence[GateOutcome],
    width: int,
    warned: Sequence[str] = (),
) -> Iterator[Line]:
    """Which runs, on how many labelled turns and sessions, and each rule's outcome; each line within `width` cells.

    `warned`: what speaks against taking the figures as they are.
    """
    turns, sessions = counts
    yield [Span(clip(f"gate of {runs_named(runs)}", width), BOLD)]
    for text in (*scope(runs), f"{counted(turns, 'turn')} with labels in {counted(sessions, 'session')}"):
        yield from sentence(text, width)
    for side in runs.run.sides:
        yield from sentence(f"{side.label} {one_line(side.name)}", width)
    yield []
    yield from gate_lines(outcomes, width)
    for text in warned:
        yield from sentence(text, width, FAILED, lines=6)


def label_gate_json(
    runs: EvaluatedRuns, counts: tuple[int, int], outcomes: Sequence[GateOutcome], warned: Sequence[str] = ()
) -> str:
    """One object: `schema`, runs as in `shadowdiff.evaluation/1`, `turns`, `sessions`, `passed`, `warnings`, `gates`.

    Warnings are what `evaluate` says before its conclusion. Gates are as in `shadowdiff.run/1`.
    """
    turns, sessions = counts
    document = {
        "schema": SCHEMA,
        **runs_fields(runs),
        "turns": turns,
        "sessions": sessions,
        "passed": all(outcome.passed for outcome in outcomes),
        "warnings": list(warned),
        "gates": [gate_json(outcome) for outcome in outcomes],
    }
    return json.dumps(document, indent=1) + "\n"
