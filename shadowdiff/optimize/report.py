"""What `shadowdiff optimize` wrote and measured: frozen records, as in `records`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MATES_TOLERANCE = 1e-4
"""A score that moves by more than this when its batch changes depends on its batch mates."""


class State(StrEnum):
    """What became of a variant's file."""

    WRITTEN = "written"
    REMADE = "remade"
    """It was there, made from another model.onnx or in another way."""
    CURRENT = "current"
    """It was there, and is what would be written now."""
    REFUSED = "refused"
    """There is none; `how` says why."""


@dataclass(frozen=True, slots=True)
class VariantFile:
    """One variant of the model."""

    variant: str
    """A key of `rerankers.backends.files.VARIANTS`."""
    file: str
    state: State
    how: str
    """How it was made, or why it was not."""
    size: int = 0
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How a way of scoring ranks, held against the reference over the same turns. Means are over turns."""

    turns: int
    overlap: float
    rbo: float
    turns_changed: int
    """Turns whose surfaced set is another."""
    top1_changed: int
    """Turns whose first entry is another."""
    spearman: float
    """Of the whole pools."""
    max_difference: float
    """Largest distance of a score from the reference's."""

    @property
    def share_changed(self) -> float:
        """Share of turns whose surfaced set is another."""
        return self.turns_changed / self.turns


@dataclass(frozen=True, slots=True)
class Mates:
    """What a pair's score owes to the pairs beside it in its batch."""

    shift: float
    """Largest distance between a pair's score alone and in company."""
    spread: float
    """Mean over turns of the best score less the worst: what a shift is to be held against."""

    @property
    def depends(self) -> bool:
        """Whether scores depend on batch mates at all, be it by rounding."""
        return self.shift > MATES_TOLERANCE


@dataclass(frozen=True, slots=True)
class Speed:
    """Pairs per second, text in and scores out: the median of passes that alternated with the reference's."""

    pairs_per_second: float
    ratio: float
    """Of the reference's median time to this one's, in the same alternation; 1.0 for the reference."""
    least: float
    """The least such ratio of a single round: below 1.0, the gain may be the machine's noise."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A way of scoring that ran."""

    likeness: Likeness
    mates: Mates
    speed: Speed


@dataclass(frozen=True, slots=True)
class Way:
    """A file of the model on a runtime in a precision, and what became of it."""

    name: str
    spec: str
    """Canonical: what to write after -A or -B."""
    size: int | None = None
    """Bytes of the model file."""
    measured: Measured | None = None
    unavailable: str | None = None
    """Why it was not measured."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to use."""

    spec: str
    reason: str
    """One sentence."""
    changes: bool
    """False: nothing is worth leaving the reference for."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every way of scoring against the reference, which comes first."""

    ways: tuple[Way, ...]
    sessions: int
    turns: int
    left_out: int
    """Turns that could not be compared: without pool or texts, or with a query that leaves no room."""
    pairs: int
    """Over the compared turns."""
    timed_pairs: int
    rounds: int
    top_k: int
    machine: str
    recommendation: Recommendation
