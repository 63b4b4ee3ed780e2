"""Nights and comparisons as files to be read. `SHADOWDIFF_UPDATE_GOLDENS=1 pytest tests/golden` rewrites them."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest
from markdown_it import MarkdownIt

from shadowdiff.render.comparison import comparison_json, comparison_lines, comparison_markdown
from shadowdiff.render.history import history_lines
from shadowdiff.render.lines import Line, painter
from shadowdiff.render.sparkline import in_ascii
from shadowdiff.render.text import UNSAFE, cells
from shadowdiff.render.trends import history_json, write_history_csv
from tests.golden.test_render_goldens import check
from tests.night_cases import a_history, some_changes

WIDTHS = (60, 80, 100, 160)


def drawn(lines: Iterable[Line], width: int, *, color: bool = False) -> str:
    """As plain text; no line is too wide, ends in a space, or holds a control character."""
    paint = painter(color=color)
    found = [paint(line) for line in lines]
    if not color:
        assert max(cells(line) for line in found) <= width
        assert all(line == line.rstrip(" ") for line in found)
        assert not any(UNSAFE.search(line) for line in found)
    return "".join(f"{line}\n" for line in found)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("name", "others"), [("pair", 1), ("three-sides", 2)])
def test_a_history_is_drawn_as_the_golden_says(name: str, others: int, width: int) -> None:
    """A change of sides, a quiet night, a failed one, a bad one and one that is not finished."""
    check(f"history-{name}-{width}.txt", drawn(history_lines(a_history(others=others), width), width))


def test_a_history_in_ascii_loses_no_number() -> None:
    """Only the signs are others."""
    check("history-ascii.txt", in_ascii(drawn(history_lines(a_history(), 100), 100)))


def test_a_history_for_programs_is_as_the_golden_says() -> None:
    """Field by field."""
    out = io.StringIO()
    write_history_csv(a_history(others=2), out)
    check("history.csv", out.getvalue())
    check("history.json", history_json(a_history(others=2, last=4)))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_comparison_is_drawn_as_the_golden_says(width: int) -> None:
    """Figures of two pairs, every kind of change, hostile names, and more sessions than are listed."""
    check(f"changes-{width}.txt", drawn(comparison_lines(*some_changes(), width, limit=2), width))


def test_a_comparison_in_a_pull_request_is_as_the_golden_says() -> None:
    """Data in fences that it cannot close."""
    text = comparison_markdown(*some_changes(), limit=2)
    assert not UNSAFE.search(text.replace("\n", ""))
    tokens = list(MarkdownIt("gfm-like", {"linkify": False}).parse(text))
    inner = [token for outer in tokens for token in outer.children or []]
    html = "".join(token.content for token in [*tokens, *inner] if token.type.startswith("html")).split("\n")
    assert set(html) <= {
        "",
        "</details>",
        *(line for line in text.split("\n") if line.startswith("<details><summary>")),
    }
    assert not [token for token in inner if token.type in {"link_open", "image", "code_inline"}]
    check("changes.md", text)


def test_a_comparison_for_programs_is_as_the_golden_says() -> None:
    """Field by field, all of it."""
    check("changes.json", comparison_json(*some_changes()))
