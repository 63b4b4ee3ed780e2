"""What the page of a pilot looks like, as files to be read."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from shadowdiff.pilot.results import Pilot
from shadowdiff.render.lines import plain
from shadowdiff.render.pilot import pilot_lines
from shadowdiff.render.pilot_documents import pilot_json, pilot_markdown
from shadowdiff.render.text import UNSAFE, cells
from shadowdiff.runs import Run
from tests.golden.test_render_goldens import WIDTHS, check
from tests.pilot_cases import hardly_labelled, piloted


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("name", "case"), [("pilot", piloted), ("pilot-few-labels", hardly_labelled)])
def test_the_page(name: str, case: Callable[[], tuple[Pilot, Run]], width: int) -> None:
    """A managed reranker, one of one's own and one without a price; and the same with too few labels."""
    lines = [plain(line) for line in pilot_lines(*case(), width)]
    # Commands are there to be copied: they are not cut.
    assert max(cells(line) for line in lines if not line.startswith("    shadowdiff ")) <= width
    assert not any(UNSAFE.search(line) for line in lines)
    assert not any(line.endswith("…") for line in lines)
    check(f"{name}-{width}.txt", "\n".join(lines) + "\n")


def test_markdown_and_json() -> None:
    """For a pull request and for programs; the document is ASCII."""
    check("pilot.md", pilot_markdown(*piloted()))
    check("pilot-few-labels.md", pilot_markdown(*hardly_labelled()))
    text = pilot_json(*piloted())
    assert text.isascii()
    document = json.loads(text)
    assert (document["schema"], document["recommendation"]["take"]) == ("shadowdiff.pilot/1", "B")
    assert json.loads(pilot_json(*hardly_labelled()))["recommendation"] is None
    check("pilot.json", text)
