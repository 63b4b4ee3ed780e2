"""What a judge's report looks like, as files to be read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shadowdiff.judging.results import Preference
from shadowdiff.judging.tally import tally
from shadowdiff.render.github import MOST_CHARACTERS, length
from shadowdiff.render.judgement import judgement_lines
from shadowdiff.render.judgement_documents import FEWER, judgement_json, judgement_markdown
from shadowdiff.render.judgement_turns import most_different
from shadowdiff.render.lines import plain
from shadowdiff.render.text import UNSAFE, cells
from tests.golden.test_render_goldens import WIDTHS, check
from tests.judgement_cases import FIRST, A, B, briefly_judged, compared, judged, said

CASE = judged()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_drawing(width: int) -> None:
    """A side that wins, and one whose judge cannot be trusted; no line too wide, and no text of entries raw."""
    lines = [plain(line) for line in judgement_lines(*CASE, width, 2)]
    assert max(map(cells, lines)) <= width
    assert not any(UNSAFE.search(line) for line in lines)
    check(f"judgement-{width}.txt", "\n".join(lines) + "\n")


def test_markdown() -> None:
    """For a pull request: what a judge or an entry wrote is no markup, mentions nobody and names no issue."""
    text = judgement_markdown(*CASE, 2)
    assert not any(raw in text for raw in ("<script>", "@all", "#1 ", "**Both**"))
    check("judgement.md", text)


def test_markdown_fits_a_comment() -> None:
    """However many sides and examples there are, and whatever judges write: what is left out is said."""
    judgement, run = briefly_judged()
    turns = [said(compared(at), (B, A)[at % 2], reason="*|<>#@" * 500) for at in range(80)]
    many = replace(judgement, reports={"B": tally(turns, both_orders=True)})
    for most in (3, 30, 1_000):
        text = judgement_markdown(many, run, most)
        assert length(text) <= MOST_CHARACTERS
        assert (FEWER in text) is (most > 3)
        assert "Where the judge prefers B" in text
    side, report = run.sides[1], many.reports["B"]
    labels = [chr(ord("B") + at) for at in range(24)]
    sides = (run.sides[0], *(replace(side, label=label) for label in labels))
    crowd = judgement_markdown(replace(many, reports=dict.fromkeys(labels, report)), replace(run, sides=sides))
    assert length(crowd) <= MOST_CHARACTERS
    assert all(f"{label} minilm-v3: better on 40" in crowd for label in labels)


def test_json() -> None:
    """For programs: ASCII, with every drawn turn, what was said of it, and under what that is stored."""
    text = judgement_json(*CASE)
    assert text.isascii()
    assert [len(report["turns"]) for report in json.loads(text)["reports"].values()] == [48, 24]
    check("judgement.json", judgement_json(*briefly_judged()))


def test_nothing_to_show() -> None:
    """No turn drawn, or none asked: each says so, on a narrow terminal too."""
    judgement, run = briefly_judged()
    for turns in ((), tuple(result.turn for result in judgement.reports["B"].turns)):
        unasked = [replace(turn, a_first=None, b_first=None, failure="", gain=None) for turn in turns]
        empty = replace(judgement, reports={"B": tally(unasked, both_orders=False)})
        first = plain(next(judgement_lines(empty, run, 100)))
        assert first == f"B minilm-v3: {'no verdict that counts on 4 queries' if turns else 'no query was drawn'}"
        assert max(cells(plain(line)) for line in judgement_lines(empty, run, 40)) <= 40
        assert judgement_markdown(empty, run).startswith(f"**{first}**\n\n")
        assert json.loads(judgement_json(empty, run))["reports"]["B"]["conclusion"] is None


def test_which_verdicts_are_shown() -> None:
    """The most different lists first; of as different ones, another session before the same one again."""
    asked = [(0, "s", 1), (1, "t", 5), (2, "t", 5), (3, "u", 5), (4, "u", 9)]
    turns = [said(compared(at, session=session, only=only), B) for at, session, only in asked]
    turns += [said(compared(5, only=10), A), said(compared(6, only=10), FIRST)]
    shown = most_different(tally(turns, both_orders=True), Preference.B, 4)
    assert [result.turn.comparison.turn_id for result in shown] == ["t-004", "t-001", "t-002", "t-003"]
