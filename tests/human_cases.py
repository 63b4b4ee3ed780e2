"""What a person who judges is asked in tests, and a screen without a terminal for them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from shadowdiff.judging.comparisons import Question, ShownEntry
from shadowdiff.terminal_screen import Screen
from tests.render_cases import HOSTILE, SECURITY

TITLES = (*SECURITY, "Retention of chat transcripts", "Data processing agreement", "GDPR at a glance", "Backups")
HISTORY = (
    ("What do you sell?", "Reports of any kind; see the catalogue."),
    ("Who is behind it?", ""),
    ("Is there an SLA?", "Yes, 99.9 per cent.\nWhat it covers stands in section 4 of the contract."),
)


def body(title: str, times: int = 3) -> str:
    """Some paragraphs on it."""
    return f"{title}: what it is, who looks after it, and since when.\n\nAsk us for the details, please. " * times


def usual() -> Question:
    """Ten entries a side, of which eight are in both, and a conversation before."""
    entries = tuple(ShownEntry(title, body(title)) for title in TITLES)
    return Question(
        HISTORY, "How does your data security work?", entries, tuple(range(10)), (2, 1, 10, 0, 5, 11, 3, 4, 7, 8)
    )


def hostile() -> Question:
    """Texts that would act on a terminal, wide characters, and a shorter list."""
    entries = tuple(ShownEntry(title, title * 3) for title in HOSTILE)
    return Question(((HOSTILE[1], HOSTILE[2]),), HOSTILE[3] * 4, entries, tuple(range(10)), (9, 8, 11, 10, 3))


def one_empty() -> Question:
    """A list of three, of which one has no text, beside one that has none."""
    entries = (ShownEntry("Backups", body("Backups", 40)), ShownEntry("Exports", ""), ShownEntry("", "Untitled."))
    return Question((), "Are there backups?", entries, (0, 1, 2), ())


class KeyedScreen(Screen):
    """Takes these keys, and keeps what stood on it before each; `size` may be changed."""

    def __init__(self, keys: Iterable[str], columns: int = 80, lines: int = 24) -> None:
        self.columns, self.lines = columns, lines
        self._keys: Iterator[str] = iter(keys)
        self._shown: Sequence[str] = ()
        self.pages: list[list[str]] = []
        self.forgotten: list[int] = []
        """After how many pages what was typed ahead was dropped."""

    @property
    def size(self) -> os.terminal_size:
        """As it was said."""
        return os.terminal_size((self.columns, self.lines))

    def show(self, lines: Sequence[str]) -> None:
        """Keep them."""
        self._shown = lines

    def read(self) -> str:
        """The next of the keys."""
        self.pages.append(list(self._shown))
        return next(self._keys)

    def forget(self) -> None:
        """Note it."""
        self.forgotten.append(len(self.pages))
