"""What a person who judges sees, as files to be read; `SHADOWDIFF_UPDATE_GOLDENS=1 pytest tests/golden` rewrites it."""

from __future__ import annotations

from itertools import chain

import pytest

from shadowdiff.judging.comparisons import Question
from shadowdiff.judging.human import Comparing
from shadowdiff.render.lines import plain
from shadowdiff.render.text import UNSAFE, cells
from shadowdiff.verdicts import Choice, Opinion
from tests.golden.test_render_goldens import check
from tests.human_cases import KeyedScreen, hostile, one_empty, usual

SCREENS: tuple[tuple[str, Question, Opinion | None, dict[str, str | list[str]]], ...] = (
    (
        "Ten entries a side",
        usual(),
        None,
        {
            "it opens": "tab",
            "in the other list": "end",
            "its last entry": "enter",
            "that entry, whole": "x",
            "back again": "m",
            "the conversation": "down",
            "further down": "x",
            "back again, once more": "?",
            "the keys": "x",
            "in the comparison": "b",
            "there is nothing to go back to": "r",
            "a reason is asked for": list("on the point"),
            "it is typed": "enter",
            "it waits for its verdict": "1",
        },
    ),
    ("Hostile texts, said before", hostile(), Opinion(Choice.TIE, "no \x1b[2J idea"), {"it opens": "2"}),
    (
        "A list without entries",
        one_empty(),
        None,
        {"it opens": "enter", "a long entry": "page down", "scrolled": "x", "back again": "down", "the next": "a"},
    ),
)
"""A question, what was said of it before, and page by page what is typed there: a key, or several."""


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
def test_the_screen_is_as_the_golden_says(size: tuple[int, int]) -> None:
    """Every page as high as the screen at the most, no line too wide, nothing in it that acts on a terminal."""
    seen = []
    for title, question, said, steps in SCREENS:
        typed = [[keys] if isinstance(keys, str) else keys for keys in steps.values()]
        screen = KeyedScreen(chain(*typed), *size)
        Comparing(question, said, (7, 40, "Ann [b]Lee")).run(screen, plain, can_go_back=False)
        pages = iter(screen.pages)
        for step, keys in zip(steps, typed, strict=True):
            page, *_ = [next(pages) for _ in keys]
            assert len(page) <= size[1]
            assert max(map(cells, page)) <= size[0]
            assert not any(UNSAFE.search(line) for line in page)
            seen.append(f"### {title}: {step}\n" + "".join(f"{line}\n" for line in page))
    check(f"judge-human-{size[0]}x{size[1]}.txt", "\n".join(seen))
