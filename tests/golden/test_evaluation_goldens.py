"""What an evaluation looks like, as files to be read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shadowdiff.evaluation.runs import EvaluatedRuns, OtherRuns
from shadowdiff.history import setting_of
from shadowdiff.render.evaluation import evaluation_lines
from shadowdiff.render.evaluation_documents import evaluation_json, evaluation_markdown
from shadowdiff.render.label_gates import label_gate_json, label_gate_lines
from shadowdiff.render.lines import plain
from shadowdiff.render.text import UNSAFE, cells
from tests.evaluation_cases import evaluated
from tests.golden.test_render_goldens import WIDTHS, check
from tests.render_cases import HOSTILE

EVALUATION, RUN = evaluated()
ONE = EvaluatedRuns(RUN, {RUN.run_id: ()})
MODEL, THRESHOLD = (
    tuple(replace(side, **other) if side.label == label else side for side in RUN.sides)
    for label, other in (("B", {"fingerprint": "f00d" * 16}), ("C", {"min_score": 0.25}))
)
HOSTILE_SIDES = (RUN.sides[0], replace(RUN.sides[1], name=HOSTILE[0]))
SEVERAL = EvaluatedRuns(
    RUN,
    {f"202611{day}-0214-a1": ("s",) for day in range(10, 22)},
    since=datetime(2026, 11, 9, 23, 30, tzinfo=UTC),
    repeated=("20261110-1502-b2",),
    pruned=("20261110-0915-c3",),
    others=(
        OtherRuns(
            ("20261119-1207-d4", "20261119-1213-d5"), (*RUN.sides[:1], replace(RUN.sides[1], name=HOSTILE[0])), ""
        ),
        OtherRuns(("20261120-0907-e6",), MODEL, setting_of(RUN)),
        OtherRuns(("20261121-1100-f7",), THRESHOLD, setting_of(replace(RUN, sides=THRESHOLD))),
    ),
)
"""Twelve nights; by hand the same again, others, and one of which no session is left."""


@pytest.mark.parametrize("width", WIDTHS)
def test_the_drawing(width: int) -> None:
    """Two sides with labels, one of which fails at times and hides a segment that gets worse; no line too wide."""
    lines = [plain(line) for line in evaluation_lines(EVALUATION, ONE, width, 6)]
    assert max(map(cells, lines)) <= width
    assert not any(UNSAFE.search(line) for line in lines)
    check(f"evaluation-{width}.txt", "\n".join(lines) + "\n")


def test_markdown_and_json() -> None:
    """For a pull request and for programs; the document is ASCII and has every unjudged entry."""
    check("evaluation.md", evaluation_markdown(EVALUATION, ONE, 6))
    text = evaluation_json(EVALUATION, ONE)
    assert text.isascii()
    assert len(json.loads(text)["unjudged"]) == len(EVALUATION.unjudged)
    check("evaluation.json", text)


@pytest.mark.parametrize("width", [60, 100])
def test_several_runs(width: int) -> None:
    """The heads of an evaluation and of a gate say which runs they are of, and why others are left out."""
    lines = [plain(line) for line in evaluation_lines(EVALUATION, SEVERAL, width, 6)]
    head = [*lines[: lines.index("") + 1], *map(plain, label_gate_lines(SEVERAL, (45, 24), (), width))]
    assert max(map(cells, head)) <= width
    check(f"evaluation-since-{width}.txt", "\n".join(head) + "\n")


def test_several_runs_in_documents() -> None:
    """Every run by its id, and what those that are left out had; the gate says the same."""
    check("evaluation-since.md", evaluation_markdown(EVALUATION, SEVERAL, 6).partition("\n\n|")[0] + "\n")
    document = json.loads(evaluation_json(EVALUATION, SEVERAL))
    runs = {name: document[name] for name in ("run_id", "since", "run_ids", "repeated_runs", "pruned_runs")}
    assert list(runs.values()) == [
        RUN.run_id,
        "2026-11-09T23:30:00+00:00",
        *map(list, (SEVERAL.run_ids, SEVERAL.repeated, SEVERAL.pruned)),
    ]
    assert [(other["run_ids"], len(other["sides"])) for other in document["other_runs"]] == [
        (list(group.run_ids), len(group.sides)) for group in SEVERAL.others
    ]
    gate = json.loads(label_gate_json(SEVERAL, (45, 24), ()))
    assert {name: gate[name] for name in (*runs, "other_runs")} == runs | {"other_runs": document["other_runs"]}
