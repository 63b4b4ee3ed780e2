"""What an evaluation looks like, as files to be read."""

from __future__ import annotations

import json

import pytest

from shadowdiff.render.evaluation import evaluation_lines
from shadowdiff.render.evaluation_documents import evaluation_json, evaluation_markdown
from shadowdiff.render.lines import plain
from shadowdiff.render.text import UNSAFE, cells
from tests.evaluation_cases import evaluated
from tests.golden.test_render_goldens import WIDTHS, check

CASE = evaluated()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_drawing(width: int) -> None:
    """Two sides with labels, one of which fails at times and hides a segment that gets worse; no line too wide."""
    lines = [plain(line) for line in evaluation_lines(*CASE, width, 6)]
    assert max(map(cells, lines)) <= width
    assert not any(UNSAFE.search(line) for line in lines)
    check(f"evaluation-{width}.txt", "\n".join(lines) + "\n")


def test_markdown_and_json() -> None:
    """For a pull request and for programs; the document is ASCII and has every unjudged entry."""
    evaluation, run = CASE
    check("evaluation.md", evaluation_markdown(evaluation, run, 6))
    text = evaluation_json(evaluation, run)
    assert text.isascii()
    assert len(json.loads(text)["unjudged"]) == len(evaluation.unjudged)
    check("evaluation.json", text)
