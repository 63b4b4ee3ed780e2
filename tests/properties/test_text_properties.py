"""Whatever a database holds, what reaches the terminal is printable and keeps to its cells."""

from __future__ import annotations

import io
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from shadowdiff.render.formats import renderer_for
from shadowdiff.render.text import cells, clip, fit, one_line, visible, wrap
from shadowdiff.runs import RunConfig
from tests.render_cases import COSINE, MINILM, Asked, entries, run_of, session_of

JOINERS = "\u200c\u200d"
TEXTS = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Mn"]),
        st.sampled_from("日é👩🇩🏽\u200d\ufe0f\u0301\x1b\u202e [/]"),
    ),
    max_size=60,
)


@given(TEXTS)
def test_visible_text_is_printable(text: str) -> None:
    """No control, format or separator character survives; unassigned code points and joiners may."""
    shown = visible(text)
    assert all(char.isprintable() or char in JOINERS or unicodedata.category(char) == "Cn" for char in shown)


@given(TEXTS)
def test_visible_changes_nothing_twice(text: str) -> None:
    """Text that has been made visible stays as it is."""
    assert visible(visible(text)) == visible(text)


@given(TEXTS, st.integers(0, 40))
def test_fitted_text_takes_exactly_its_cells(text: str, width: int) -> None:
    """Padded or cut, the width is met to the cell."""
    assert cells(fit(visible(text), width)) == width


@given(st.text(st.characters(exclude_categories=["Mn", "Me", "Cf"])), st.integers(1, 40))
def test_clipped_text_is_a_beginning(text: str, width: int) -> None:
    """What is kept is the start of the text, followed by the mark of a cut only where something is missing."""
    whole = visible(text)
    clipped = clip(whole, width)
    assert cells(clipped) <= width
    assert clipped == whole or (clipped.endswith("…") and whole.startswith(clipped.removesuffix("…")))


@given(TEXTS, st.integers(2, 30), st.integers(1, 4))
def test_wrapped_text_keeps_to_its_box(text: str, width: int, lines: int) -> None:
    """Never more lines, never wider."""
    wrapped = wrap(one_line(text), width, lines)
    assert 1 <= len(wrapped) <= lines
    assert all(cells(line) <= width for line in wrapped)


@settings(max_examples=40)
@given(st.lists(TEXTS, min_size=3, max_size=3), TEXTS, TEXTS, st.sampled_from([40, 60, 100]))
def test_no_text_breaks_the_drawing(titles: list[str], query: str, reason: str, width: int) -> None:
    """Titles, queries and reasons of any kind leave every line printable, within the width and without end spaces."""
    pool = entries(titles, query)
    turns = [
        Asked(query, pool, {"A": [3.0, 2.0, 1.0], "B": [1.0, 2.0, 3.0]}),
        Asked(reason, pool, {"A": [3.0, 2.0, 1.0], "B": reason}, search_query=query),
    ]
    run, outcomes = run_of([session_of(query, reason, turns, "AB")], (COSINE, MINILM), RunConfig(top_k=2))
    out = io.StringIO()
    renderer_for("terminal", width=width).render(run, outcomes, out)
    lines = out.getvalue().split("\n")
    assert all(visible(line) == line and line == line.rstrip(" ") for line in lines)
    assert max(cells(line) for line in lines) <= width
