"""A person who judges, without a terminal: what their keys mean, and what a verdict of theirs counts for."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from shadowdiff.errors import SpecError
from shadowdiff.judging.comparisons import Question, ShownEntry
from shadowdiff.judging.human import COULD_NOT_SAY, Comparing, HumanJudge, build, edited
from shadowdiff.judging.human_drawing import (
    HINTS,
    Looking,
    comparison_page,
    foot_lines,
    head_line,
    keys_page,
)
from shadowdiff.judging.protocol import Ahead, BackError, JudgeContext, StoppedError
from shadowdiff.render.lines import plain
from shadowdiff.rerankers.spec import parse
from shadowdiff.terminal_screen import RESIZED
from shadowdiff.verdicts import Abstention, Choice, Opinion
from tests.human_cases import KeyedScreen, usual

QUESTION = usual()


def judge_of(author: str = "ann") -> HumanJudge:
    """Who is called so."""
    return build(parse("human"), JudgeContext(author=lambda: author))


def said(*keys: str, before: Opinion | None = None, can_go_back: bool = False) -> Opinion:
    """What these keys come to."""
    comparing = Comparing(QUESTION, before, (1, 2, "ann"))
    return comparing.run(KeyedScreen(keys), plain, can_go_back=can_go_back)


@pytest.mark.parametrize(
    ("key", "choice"), [("1", Choice.FIRST), ("2", Choice.SECOND), ("0", Choice.TIE), ("=", Choice.TIE)]
)
def test_a_key_is_a_verdict(key: str, choice: Choice) -> None:
    """At once; and no other key is one, nor is this one where something else is read or typed."""
    assert said(key) == Opinion(choice)
    assert said("x", "3", "tab", "escape", RESIZED, "ctrl+a", "enter", RESIZED, "down", "1", key) == Opinion(choice)
    assert said("r", "2", "1", "0", "a", "q", "backspace", "enter", key) == Opinion(choice, "210a")


def test_who_cannot_say_abstains() -> None:
    """What they typed stands where it is not kept if texts are not; ours is a reason that always may be."""
    assert said("a") == Opinion(Choice.ABSTAINED, COULD_NOT_SAY, abstention=Abstention.REFUSED)
    spoken = said("r", *"é 日", "enter", "a")
    assert (spoken.reason, spoken.raw) == (COULD_NOT_SAY, '{"reason": "\\u00e9 \\u65e5"}')
    assert said("1", before=spoken) == Opinion(Choice.FIRST, "é 日"), "and comes back when they go back"


def test_a_reason_may_be_taken_back() -> None:
    """Escape leaves the one there was."""
    assert said("r", "x", "escape", "1").reason == ""
    assert said("r", "x", "enter", "r", "y", "escape", "1").reason == "x"
    assert said("r", "x", "enter", "r", "ctrl+u", "enter", "1").reason == ""
    unkept = KeyedScreen(["r", "1"])
    comparing = Comparing(QUESTION, None, (1, 2, "ann"), keeps_texts=False)
    assert comparing.run(unkept, plain, can_go_back=False) == Opinion(Choice.FIRST)
    assert any("would not be kept" in line for line in unkept.pages[1]), "nobody types what nothing stores"
    assert edited("a" * 500, "b") == "a" * 500
    assert edited("ab", "up") == "ab"


def test_what_is_typed_ahead_is_no_verdict() -> None:
    """Nor is what was pasted behind a reason with its line end."""
    screen = KeyedScreen(["r", "x", "enter", "1"])
    Comparing(QUESTION, None, (1, 2, "ann")).run(screen, plain, can_go_back=False)
    assert screen.forgotten == [0, 3]


def test_stop_and_back() -> None:
    """Back only where there is something to go back to."""
    with pytest.raises(StoppedError):
        said("q")
    with pytest.raises(BackError):
        said("b", can_go_back=True)
    assert said("b", "1") == Opinion(Choice.FIRST)


def test_comparisons_are_counted() -> None:
    """From those on that were answered before; going back counts back, and not behind where this sitting began."""
    judge = judge_of()
    screen = KeyedScreen(["b", "1", "b", "b", "r", "x", "enter", "2", "1"])
    judge._ahead, judge._done, judge._screen = Ahead(40, 6, keeps_texts=True), 6, screen
    judge.compare(QUESTION)
    with pytest.raises(BackError):
        judge.compare(QUESTION.swapped)
    again = judge.compare(QUESTION)
    judge.compare(QUESTION.swapped)
    assert isinstance(again.found, Opinion)
    assert (again.found.choice, again.found.reason) == (Choice.SECOND, "x")
    heads = [page[0].split("   ")[0] for page in screen.pages]
    assert heads == ["comparison 7 of 40"] * 2 + ["comparison 8 of 40"] + ["comparison 7 of 40"] * 5 + [
        "comparison 8 of 40"
    ]
    assert any("you said: list 1 better" in line for line in screen.pages[3])


def test_a_verdict_counts_for_who_gave_it_on_what_was_shown() -> None:
    """Another person is asked afresh; an order of entries that nobody sees decides nothing."""
    key = judge_of().key(QUESTION)
    assert key != judge_of("bob").key(QUESTION)
    assert key != judge_of().key(QUESTION.swapped)
    last = len(QUESTION.entries) - 1
    first, second = (tuple(last - place for place in places) for places in (QUESTION.first, QUESTION.second))
    renumbered = replace(QUESTION, entries=QUESTION.entries[::-1], first=first, second=second)
    assert key == judge_of().key(renumbered)


def test_nothing_of_a_side_is_drawn() -> None:
    """Of texts in small letters, no page has a capital that could be a label, on its own."""
    entries = tuple(ShownEntry(f"title {number}", f"body {number}") for number in range(12))
    question = Question((("before", "answer"),), "query", entries, tuple(range(10)), (*range(2, 8), 11, 10))
    screen = KeyedScreen(["down", "enter", "x", "tab", "m", "x", "?", "x", "r", "x", "enter", "1"], 100, 40)
    Comparing(question, Opinion(Choice.TIE), (1, 2, "ann")).run(screen, plain, can_go_back=True)
    drawn = "\n".join(line for page in screen.pages for line in page)
    assert re.findall(r"\b[A-Z]\b", drawn) == []
    assert "baseline" not in drawn
    assert "score" not in drawn


def test_every_key_that_is_hinted_at_is_explained() -> None:
    """On the page of keys."""
    explained = " ".join(plain(line).strip().split()[0] for line in keys_page(100)[1:-1])
    assert set("mrbq") | {"enter"} <= set(explained.split())
    assert {hint.split()[0] for hint in HINTS} - {"↑↓", "?"} <= set(explained.split())


@pytest.mark.parametrize(("spec", "words"), [("human:x", "nothing after the colon"), ("human,a=b", "knows: none")])
def test_it_takes_nothing(spec: str, words: str) -> None:
    """No target, no option."""
    with pytest.raises(SpecError, match=words):
        build(parse(spec), JudgeContext(author=lambda: "ann"))


@pytest.mark.parametrize("size", [(40, 12), (60, 14), (50, 12)])
def test_the_keys_stand_on_a_low_screen(size: tuple[int, int]) -> None:
    """Below what was said before, a reason, and what is told: the lists give way, and nothing falls off the end."""
    foot = foot_lines(Opinion(Choice.TIE, "so"), "a reason that waits", "this is the first comparison", size[0])
    page, _ = comparison_page(usual(), Looking(), head_line(7, 40, "ann", size[0]), foot, size)
    assert len(page) == size[1]
    assert page[-len(foot) :] == foot
    assert any("▸ " in plain(line) for line in page)
