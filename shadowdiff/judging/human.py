"""`human`: a person compares the lists at the terminal, as blinded as any judge. What is drawn: human_drawing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from shadowdiff.judging.comparisons import Question
from shadowdiff.judging.human_drawing import (
    CHOICE_KEYS,
    Looking,
    comparison_page,
    foot_lines,
    head_line,
    keys_page,
    moved,
    reason_lines,
    scrolled,
    whole_entry,
    whole_query,
)
from shadowdiff.judging.prompt import text_of
from shadowdiff.judging.protocol import Ahead, BackError, JudgeContext, Judged, StoppedError
from shadowdiff.protocols import Network
from shadowdiff.records import Asked, Usage
from shadowdiff.render.lines import Line, Paint, painter
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.spec import Options, Spec, refuse_target
from shadowdiff.terminal_screen import RESIZED, Screen
from shadowdiff.verdicts import Abstention, Choice, Opinion

VERSION = "human/1"
COULD_NOT_SAY = "the person could not say"
REASON_CHARACTERS = 500
SCROLLS = {"down": 1, "j": 1, "up": -1, "k": -1, "page down": 10, "page up": -10}
KEYS = CHOICE_KEYS | {"=": Choice.TIE}

Write = Callable[[int], Sequence[Line]]
"""Lines for a width."""


class HumanJudge:
    """Whoever sits at this terminal. It is drawn on stderr, so that stdout may be a file."""

    both_orders = False
    is_person = True
    concurrency = 1

    def __init__(self, spec: Spec, author: str, paint: Paint) -> None:
        self.spec = spec
        self.model = author
        self.network: Network | None = None
        self.stopped: str | None = None
        self._paint = paint
        self._entered = ExitStack()
        self._screen: Screen | None = None
        self._ahead = Ahead(0, 0, keeps_texts=True)
        self._done = 0
        self._said: dict[Question, Opinion] = {}

    def key(self, question: Question) -> str:
        """SHA-256 (hex) of who judges and of everything that is shown: the verdict counts for them alone."""
        return fingerprint(VERSION, self.model, shown_text(question))

    def shown(self, question: Question) -> str:
        """The texts that stand on the screen, or that a key opens, as any judge is shown them."""
        return text_of(question)

    def estimate(self, question: Question) -> Usage:
        """Nobody is paid."""
        return Usage()

    def compare(self, question: Question) -> Judged:
        """What the person says. Raises StoppedError, BackError, and what the screen raises."""
        if self._screen is None:
            raise RuntimeError("the screen was not prepared")
        began = time.monotonic()
        head = (self._done + 1, self._ahead.questions, self.model)
        comparing = Comparing(question, self._said.get(question), head, keeps_texts=self._ahead.keeps_texts)
        try:
            opinion = comparing.run(self._screen, self._paint, can_go_back=self._done > self._ahead.answered)
        except BackError:
            self._done -= 1
            raise
        self._done += 1
        self._said[question] = opinion
        return Judged(opinion, Asked(seconds=time.monotonic() - began))

    def prepare(self, ahead: Ahead) -> None:
        """Take the terminal."""
        self._ahead, self._done = ahead, ahead.answered
        self._screen = self._entered.enter_context(Screen(sys.stderr))

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._screen = None
        self._entered.close()


class Comparing:
    """One comparison on the screen, until something is said of it."""

    def __init__(
        self, question: Question, said: Opinion | None, head: tuple[int, int, str], *, keeps_texts: bool = True
    ) -> None:
        """`said`: of the same question before, in this sitting; `head`: the number, of how many, and who judges."""
        self._question, self._said, self._head, self._keeps_texts = question, said, head, keeps_texts
        self._looking = Looking()
        self._reason = "" if said is None else _own_words(said)
        self._told = ""

    def run(self, screen: Screen, paint: Paint, *, can_go_back: bool) -> Opinion:
        """What the person says. Raises StoppedError, BackError, and what the screen raises."""
        # A key that was typed before the lists could be seen must not decide on them.
        screen.forget()
        while True:
            screen.show(list(map(paint, self._page(screen))))
            key = screen.read()
            self._told = ""
            if key in KEYS:
                return opinion_of(KEYS[key], self._reason)
            if key == "q":
                raise StoppedError
            if key == "b":
                if can_go_back:
                    raise BackError
                self._told = "this is the first comparison of this sitting"
            self._looking = moved(self._question, self._looking, key)
            self._open(key, screen, paint)

    def _open(self, key: str, screen: Screen, paint: Paint) -> None:
        """Show what the key opens, until it is closed; nothing for any other key."""
        if key == "r" and self._keeps_texts:
            self._type(screen, paint)
        elif key == "r":
            self._told = "this run stores no texts, so a reason would not be kept"
        elif key == "m":
            self._read(lambda width: whole_query(self._question, width), screen, paint)
        elif key == "?":
            self._read(keys_page, screen, paint)
        elif key in ("enter", " "):
            self._read(lambda width: whole_entry(self._question, self._looking, width), screen, paint)

    def _read(self, write: Write, screen: Screen, paint: Paint) -> None:
        """Let a text be scrolled through, until any other key."""
        key, first = RESIZED, 0
        while key == RESIZED or key in SCROLLS:
            size = screen.size
            text = write(size.columns)
            if not text:
                return
            head = head_line(*self._head, size.columns)
            first += SCROLLS.get(key, 0)
            page, first = scrolled(text, max(first, 0), head, "any key: back", size)
            screen.show(list(map(paint, page)))
            key = screen.read()

    def _type(self, screen: Screen, paint: Paint) -> None:
        """Let a reason be typed; escape leaves it as it was."""
        typed, key = self._reason, RESIZED
        while key not in ("enter", "escape"):
            screen.show(list(map(paint, self._page(screen, typed))))
            key = screen.read()
            typed = edited(typed, key)
        if key == "enter":
            self._reason = typed.strip()
        # What was pasted in one with a line end is no verdict.
        screen.forget()

    def _page(self, screen: Screen, typed: str | None = None) -> list[Line]:
        """The comparison; with what is being typed at its foot."""
        width = screen.size.columns
        head = head_line(*self._head, width)
        asked = foot_lines(self._said, self._reason, self._told, width)
        foot = asked if typed is None else reason_lines(typed, width)
        page, self._looking = comparison_page(self._question, self._looking, head, foot, screen.size)
        return page


def edited(typed: str, key: str) -> str:
    """The line after a key."""
    if key == "backspace":
        return typed[:-1]
    if key == "ctrl+u":
        return ""
    return typed + key if len(key) == 1 and len(typed) < REASON_CHARACTERS else typed


def opinion_of(choice: Choice, reason: str) -> Opinion:
    """The person's; why they could not say stands where texts are only kept if the run keeps them."""
    if choice is not Choice.ABSTAINED:
        return Opinion(choice, reason)
    raw = json.dumps({"reason": reason}) if reason else ""
    return Opinion(choice, COULD_NOT_SAY, abstention=Abstention.REFUSED, raw=raw)


def _own_words(opinion: Opinion) -> str:
    if opinion.abstention is None:
        return opinion.reason
    words: str = json.loads(opinion.raw)["reason"] if opinion.raw else ""
    return words


def shown_text(question: Question) -> str:
    """Everything that a person is shown; entries are numbered as they come, for their drawn order is not."""
    places = list(dict.fromkeys((*question.first, *question.second)))
    numbers = {place: number for number, place in enumerate(places)}
    entries = [(question.entries[place].title, question.entries[place].body) for place in places]
    lists = [[numbers[place] for place in listed] for listed in (question.first, question.second)]
    return json.dumps([question.history, question.query, entries, lists])


def build(spec: Spec, context: JudgeContext) -> HumanJudge:
    """`human`; the author is the one who is asked."""
    refuse_target(spec)
    Options(spec).finish()
    return HumanJudge(spec, context.author(), painter(color=context.color))
