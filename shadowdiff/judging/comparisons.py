"""What a judge is shown and what it came to: records of the room. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shadowdiff.verdicts import Opinion, Verdict


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """An entry as a judge reads it: no id, no rank, no score."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Question:
    """Two lists for one query, under neutral names."""

    history: tuple[tuple[str, str], ...]
    """Earlier turns of the conversation, oldest first: what the user asked, and what was answered (may be empty)."""
    query: str
    """What the user asked."""
    entries: tuple[ShownEntry, ...]
    """Of both lists, each once, in an order that says nothing of either."""
    first: tuple[int, ...]
    """Places in `entries` of the list that is shown first, best first."""
    second: tuple[int, ...]

    @property
    def swapped(self) -> Question:
        """The same two lists in the other order; nothing else changes."""
        return replace(self, first=self.second, second=self.first)


@dataclass(frozen=True, slots=True)
class Flagged:
    """An entry in one of the lists whose text reads like an instruction to its reader."""

    entry_id: str
    title: str
    quote: str
    """The text that reads so, cut; as it stands in the database."""
    in_a: bool
    in_b: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """The lists of the baseline and of one other side on one turn, and everything that a report tells them apart by."""

    org_id: str
    session_id: str
    turn_id: str
    query: str
    other: str
    """Label of the side that is held against the baseline."""
    only_in_a: int
    only_in_b: int
    overlap: float
    """Share of the longer list that both hold, as in TurnDiff."""
    is_identical: bool
    """Same entries, same order: a tie for which nobody is asked."""
    characters: tuple[int, int]
    """Of the baseline's list and of the other's, as they are shown."""
    lists: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """Entry ids of the baseline's list and of the other's, best first."""
    shown: tuple[str, ...] = ()
    """Ids of the entries of both lists, in the order in which they are numbered for the judge."""
    cut: int = 0
    """Entries shown that were cut to fit."""
    flagged: tuple[Flagged, ...] = ()
    a_first: bool = True
    """Whether the baseline's list is shown first when the judge is asked for the first time: by a coin."""
    question: Question | None = None
    """With the baseline's list first; None where nobody is asked."""

    @property
    def is_reordered(self) -> bool:
        """The same entries in another order."""
        return not (self.is_identical or self.only_in_a or self.only_in_b)

    @property
    def is_suspect(self) -> bool:
        """Whether a text that reads like an instruction stands in one list only, and could speak for it."""
        return any(entry.in_a != entry.in_b for entry in self.flagged)


@dataclass(frozen=True, slots=True)
class JudgedTurn:
    """A comparison with what the judge said of it."""

    comparison: Comparison
    a_first: Opinion | None = None
    """With the baseline's list shown first; None: not asked, or not yet."""
    b_first: Opinion | None = None
    """With the other side's list shown first."""
    failure: str = ""
    """Why there is no opinion where there should be one: the judge could not be reached, or the money ended."""
    gain: float | None = None
    """By labels: nDCG of the other's list less that of the baseline's; None where the turn has no label."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question in one order, word for word, and what was answered."""

    comparison: Comparison
    sides: tuple[str, str]
    """Labels of the sides, in the order in which their lists are shown."""
    shown: str
    """All that the judge is shown."""
    key: str
    """Under which the verdict is stored: SHA-256 (hex) of what is shown, and of what the judge is."""
    verdict: Verdict | None
    """None: it has not been asked."""
