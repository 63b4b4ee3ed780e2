"""The review screen, as files to be read. `SHADOWDIFF_UPDATE_GOLDENS=1 pytest tests/golden` rewrites them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shadowdiff.records import Comment, Label
from tests.golden.test_render_goldens import check
from tests.review_cases import NOW, KeptLabels, driven, settled, sitting

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from shadowdiff.review.app import ReviewApp

SCREENS = (
    ("The most different session, as it opens", ()),
    ("Another session: labels and a comment of others", ("down",)),
    ("Its second turn, found by n", ("n",)),
    ("A grade is asked for", ("l",)),
    ("It is given", ("2",)),
    ("Another side against A", ("s", "down", "enter")),
    ("One outcome of turns", ("f",)),
    ("The whole text", ("escape", "enter")),
    ("The keys", ("escape", "question_mark")),
)
"""A title, and the keys that lead there from the screen before."""


def said_before() -> KeptLabels:
    """By others, before the review."""
    labels = [
        Label("acme", "7f3a-t1", "kb-6", 3, "review", "bob", NOW - timedelta(days=1)),
        Label("acme", "7f3a-t1", "kb-6", 1, "qrels"),
        Label("acme", "7f3a-t1", "kb-1", 0, "review", "eve [bold]", NOW - timedelta(days=2)),
    ]
    comment = Comment("acme", "7f3a-t1", "bob", "The report of last year; is there a newer one?", "kb-6", NOW)
    of_turn = Comment("acme", "7f3a-t1", "eve [bold]", "Asked every week \x1b[2J by sales.", None, NOW)
    return KeptLabels(labels, [comment, of_turn])


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_the_screen_is_as_the_golden_says(size: tuple[int, int]) -> None:
    """Line by line, without the spaces at their ends."""
    case = sitting(others=2, labels=said_before())
    seen = []

    async def drive(pilot: Pilot[None], app: ReviewApp) -> None:
        for title, keys in SCREENS:
            await pilot.press(*keys)
            seen.append(f"### {title}\n{await settled(pilot, app)}\n")
        await pilot.press("escape", "q")

    driven(case.app, drive, size)
    check(f"review-{size[0]}x{size[1]}.txt", "".join(seen))
