"""Where the person who labels stands: the entry at hand, what comes next, and what was labelled so far."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from shadowdiff.labelling.pooled import EntryKey, TurnToLabel


class Place(NamedTuple):
    """An entry among those to label; both 0-based."""

    turn: int
    entry: int


class Sitting:
    """One person's way through the entries, in their order.

    What the person has labelled before is not asked again, but can be gone back
    to. A skipped entry is not asked again in this sitting.
    """

    def __init__(
        self, turns: Sequence[TurnToLabel], mine: Mapping[EntryKey, int], others: Collection[EntryKey] = ()
    ) -> None:
        """`mine`: the person's grades so far; `others`: entries that are not asked as others have labelled them."""
        self.turns = turns
        self._keys = [key for turn in turns for key in turn.keys]
        self._places = [Place(at, entry) for at, turn in enumerate(turns) for entry in range(len(turn.entry_ids))]
        known = set(self._keys)
        self._mine = {key: grade for key, grade in mine.items() if key in known}
        self._others = known.intersection(others) - self._mine.keys()
        self._skipped: set[EntryKey] = set()
        self._labelled_now: set[EntryKey] = set()
        self._at = -1
        self._go_on()

    @property
    def place(self) -> Place | None:
        """The entry at hand; None after the last one."""
        return self._places[self._at] if self._at < len(self._keys) else None

    @property
    def key(self) -> EntryKey:
        """Of the entry at hand. Raises IndexError after the last one."""
        return self._keys[self._at]

    @property
    def grade_at_hand(self) -> int | None:
        """What the person said of the entry at hand."""
        return self._mine.get(self.key)

    @property
    def total(self) -> int:
        """Entries in all."""
        return len(self._keys)

    @property
    def done(self) -> int:
        """Entries that are not asked any more, as they have a label."""
        return len(self._mine) + len(self._others)

    @property
    def labelled_now(self) -> int:
        """Entries labelled in this sitting."""
        return len(self._labelled_now)

    @property
    def skipped(self) -> int:
        """Entries skipped in this sitting."""
        return len(self._skipped)

    def grade(self, grade: int) -> None:
        """Label the entry at hand, and go on."""
        self._mine[self.key] = grade
        self._skipped.discard(self.key)
        self._labelled_now.add(self.key)
        self._go_on()

    def skip(self) -> None:
        """Leave the entry at hand as it is, and go on."""
        if self.key not in self._mine:
            self._skipped.add(self.key)
        self._go_on()

    def back(self) -> bool:
        """Go to the entry before that was labelled or skipped; False where there is none."""
        for at in range(self._at - 1, -1, -1):
            if self._keys[at] in self._mine or self._keys[at] in self._skipped:
                self._at = at
                return True
        return False

    def _go_on(self) -> None:
        """To the next entry that is still to be asked; to the end where there is none."""
        self._at += 1
        while self._at < len(self._keys) and self._is_over(self._keys[self._at]):
            self._at += 1

    def _is_over(self, key: EntryKey) -> bool:
        return key in self._mine or key in self._others or key in self._skipped
