"""What a history says in short: the one line that is read over coffee."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shadowdiff.history import trend
from shadowdiff.nights import NightFigures, NightStatus
from shadowdiff.render.history import history_lines
from shadowdiff.render.lines import painter
from tests.night_cases import AT, night_figures, nights_of

NEXT = AT + timedelta(days=20)
USUAL = nights_of([0.7, 0.71] * 8)


def last_line(*nights: NightFigures) -> str:
    """The end of the drawing."""
    return list(map(painter(color=False), history_lines(trend("nightly", nights), 100)))[-1].strip()


@pytest.mark.parametrize(
    ("nights", "said"),
    [
        ([], "No night of nightly is stored yet; begin one with: shadowdiff nightly"),
        ([night_figures(NEXT, 0.7)], "2026-11-21: no band yet, which takes 7 nights of the same sides before it."),
        ([*USUAL, night_figures(NEXT, 0.7)], "2026-11-21: every figure lies within the band of 14 nights before it."),
        (
            [*USUAL, night_figures(NEXT, 0.2, gates_crossed=1)],
            "2026-11-21: 4 figures outside the band; 1 gate crossed.",
        ),
        (
            [*USUAL, night_figures(NEXT, 0.2, sessions=3)],
            "2026-11-21: too few sessions to be held against the nights before it.",
        ),
        ([*USUAL, NightFigures("2026-11-21", None, NEXT)], "2026-11-21: no session to replay."),
        (
            [NightFigures("2026-11-21", "run", NEXT, status=NightStatus.RUNNING)],
            "2026-11-21: not finished; the next call of shadowdiff nightly goes on with it.",
        ),
        ([night_figures(NEXT, 0.7, turns=9, failed_turns=9)], "2026-11-21: every turn failed."),
    ],
)
def test_the_last_line_says_where_the_newest_night_stands(nights: list[NightFigures], said: str) -> None:
    """In one sentence, whatever came before."""
    assert last_line(*nights) == said


def test_nights_of_other_sides_stand_in_tables_of_their_own() -> None:
    """With who is compared, and bars of the newest trend alone; quiet nights stand where they were."""
    other = [replace(night, setting="top 5") for night in nights_of([0.5, 0.51])]
    moved = [
        replace(night, night=f"2026-12-0{at}", until=NEXT + timedelta(days=at)) for at, night in enumerate(other, 1)
    ]
    quiet = NightFigures("2026-11-30", None, NEXT)
    text = "\n".join(map(painter(color=False), history_lines(trend("nightly", [*USUAL, quiet, *moved]), 100)))
    first, second = text.index("B minilm-v3 · top 10"), text.index("B minilm-v3 · top 5")
    assert first < text.index("2026-11-16") < text.index("2026-11-30") < second < text.index("2026-12-01")
    assert "2 nights   newest" in text.replace("     ", "   ")
