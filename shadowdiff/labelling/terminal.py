"""`shadowdiff label` on a terminal: an entry at a time, a key each, every label stored at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shadowdiff.errors import StoreError
from shadowdiff.labelling.drawing import (
    NOTHING,
    Asked,
    Said,
    asked_page,
    end_page,
    foot_lines,
    progress_line,
    scrolled_keys,
    whole_page,
)
from shadowdiff.labelling.grades import Scale
from shadowdiff.labelling.sitting import Place, Sitting
from shadowdiff.records import Label, ReplayedTurn
from shadowdiff.render.lines import Line, Paint
from shadowdiff.terminal_screen import RESIZED, Screen

SOURCE = "label"
"""Of the labels that are given here."""
READABLE = 100
"""Columns; nobody reads well in longer lines."""
PAGE = 10
SCROLLS = {"down": 1, "j": 1, "up": -1, "k": -1, " ": PAGE, "page down": PAGE, "page up": -PAGE}


@dataclass(frozen=True, slots=True)
class Given:
    """What a sitting needs."""

    author: str
    scale: Scale
    read: Callable[[str], tuple[ReplayedTurn, ...]]
    """The turns of a session, with texts; raises StoreError."""
    put: Callable[[Label], None]
    """Stores a label; raises StoreError."""
    paint: Paint
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class LabelFlow:
    """Asks one entry after the other until nothing is left or the person stops."""

    def __init__(self, sitting: Sitting, given: Given) -> None:
        self._sitting, self._given = sitting, given
        self._said = NOTHING
        self._first_line: int | None = None
        """Of what is shown where all is scrolled through; None: the entry's beginning is shown."""
        self._read: tuple[str, tuple[ReplayedTurn, ...]] | None = None
        """The session that was read last."""
        self.unstored: Label | None = None
        """The label that could not be stored, and was given up."""
        self.failure: StoreError | None = None

    def run(self, screen: Screen) -> None:
        """Until the end. Raises what the screen raises, and StoreError where texts cannot be read."""
        self._show(screen, is_new=True)
        while (key := screen.read()) != "q":
            if key == "?":
                self._show_keys(screen)
            is_new = key != RESIZED and self._did(key)
            self._show(screen, is_new=is_new)

    def _did(self, key: str) -> bool:
        """Carry the key out; whether another entry is at hand now."""
        place, before = self._sitting.place, self._said
        self._said = NOTHING
        if self.unstored is not None and not self._is_grade(key):
            self._said = before
        elif key == "b":
            self._said = NOTHING if self._sitting.back() else Said("nothing was labelled before this entry")
        elif place is not None:
            self._did_with(key)
        return self._sitting.place != place

    def _did_with(self, key: str) -> None:
        """With the entry at hand."""
        if self._is_grade(key):
            self._label(int(key))
        elif key == "s":
            self._sitting.skip()
        elif key == "m":
            self._first_line = 0 if self._first_line is None else None
        elif self._first_line is not None and key in SCROLLS:
            self._first_line = max(self._first_line + SCROLLS[key], 0)

    def _is_grade(self, key: str) -> bool:
        return key in set("0123456789"[: len(self._given.scale)])

    def _label(self, grade: int) -> None:
        label = Label(*self._sitting.key, grade, SOURCE, self._given.author, self._given.now())
        try:
            self._given.put(label)
        except StoreError as error:
            self.unstored, self.failure = label, error
            # What to do comes first: a long reason is cut.
            self._said = Said(f"{grade} is not stored; a grade: try again · q: stop and lose it · {error}", True)
        else:
            self.unstored = self.failure = None
            self._sitting.grade(grade)

    def _show(self, screen: Screen, *, is_new: bool) -> None:
        if is_new:
            self._first_line = None
        page = self._page(min(screen.size.columns, READABLE), screen.size.lines)
        if is_new:
            # A key that was typed before an entry could be seen must not label it.
            screen.forget()
        screen.show(self._painted(page))

    def _page(self, width: int, height: int) -> list[Line]:
        place = self._sitting.place
        if place is None:
            return end_page(self._sitting, self._said, width)
        asked = self._asked(place)
        head = progress_line(self._sitting, place, self._given.author, width)
        foot = foot_lines(self._given.scale, self._sitting.grade_at_hand, self._said, width)
        if self._first_line is None:
            return asked_page(asked, head, foot, (width, height))
        page, self._first_line = whole_page(asked, head, foot, (width, height), self._first_line)
        return page

    def _asked(self, place: Place) -> Asked:
        turn = self._sitting.turns[place.turn]
        if self._read is None or self._read[0] != turn.session_id:
            self._read = turn.session_id, self._given.read(turn.session_id)
        turns = self._read[1]
        at = next(at for at, replayed in enumerate(turns) if replayed.turn.turn_id == turn.turn_id)
        entry_id = turn.entry_ids[place.entry]
        entry = next(item.entry for item in turns[at].pool.entries if item.entry.entry_id == entry_id)
        return Asked([replayed.turn for replayed in turns[:at]], turns[at].turn, entry)

    def _show_keys(self, screen: Screen) -> None:
        """Until any key that does not scroll."""
        key, first = RESIZED, 0
        while key == RESIZED or key in SCROLLS:
            size = min(screen.size.columns, READABLE), screen.size.lines
            page, first = scrolled_keys(self._given.scale, max(first + SCROLLS.get(key, 0), 0), size)
            screen.show(self._painted(page))
            key = screen.read()

    def _painted(self, page: Sequence[Line]) -> list[str]:
        return [self._given.paint(line) for line in page]
