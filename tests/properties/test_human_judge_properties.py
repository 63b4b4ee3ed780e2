"""A comparison on screens of any size: whatever the texts, it fits, and the cursor is on it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.judging.comparisons import Question, ShownEntry
from shadowdiff.judging.human_drawing import Looking, comparison_page, foot_lines, head_line, moved, reason_lines
from shadowdiff.render.lines import plain
from shadowdiff.render.text import UNSAFE, cells

MOVES = ("up", "down", "tab", "left", "right", "home", "end", "page up", "page down", "x")
texts = st.text(max_size=40) | st.sampled_from(("日本語" * 30, "👩‍👩‍👧 🇩🇪 " * 9, "\x1b[2J\u202e", "word " * 60))


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Any two lists over the same entries."""
    entries = tuple(draw(st.lists(st.builds(ShownEntry, texts, texts), min_size=1, max_size=12)))
    lists = [tuple(draw(st.permutations(range(len(entries))))[: draw(st.integers(0, len(entries)))]) for _ in "12"]
    history = tuple(draw(st.lists(st.tuples(texts, texts), max_size=4)))
    return Question(history, draw(texts), entries, *lists)


@given(questions(), st.lists(st.sampled_from(MOVES), max_size=20), st.integers(40, 200), st.integers(12, 60), texts)
def test_it_fits_and_shows_the_cursor(
    question: Question, keys: list[str], width: int, height: int, reason: str
) -> None:
    """As high as the screen, no line wider, nothing raw; the cursor stands once, or the list has no entry."""
    looking = Looking()
    head = head_line(7, 40, reason, width)
    for foot in (foot_lines(None, reason, "", width), reason_lines(reason, width)):
        for key in ("x", *keys):
            looking = moved(question, looking, key)
            page, looking = comparison_page(question, looking, head, foot, (width, height))
            lines = [plain(line) for line in page]
            assert len(lines) == height
            assert max(map(cells, lines)) <= width
            assert not any(UNSAFE.search(line) for line in lines)
            listed = (question.first, question.second)[looking.column]
            assert sum("▸ " in line for line in lines) >= bool(listed)
