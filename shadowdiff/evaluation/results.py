"""What an evaluation comes to: frozen records, as in `records`. Means are over turns, intervals over sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from shadowdiff.paired import Balance, Flipped
from shadowdiff.runs import Estimate


class Kind(StrEnum):
    """What a measure measures, as it is written."""

    NDCG = "nDCG"
    MRR = "MRR"
    PRECISION = "P"
    RECALL = "Recall"
    MAP = "MAP"
    JUDGED = "judged"
    """Share of the first k that has a label: how far the other measures can be trusted, not how good a side is."""


class Measure(NamedTuple):
    """A measure at a depth; MAP has none, it reads the whole ranking."""

    kind: Kind
    depth: int | None = None

    @property
    def name(self) -> str:
        """`nDCG@10`, `MAP`."""
        return self.kind.value if self.depth is None else f"{self.kind.value}@{self.depth}"


@dataclass(frozen=True, slots=True)
class Difference:
    """A side's mean less that of the baseline, over the same turns."""

    mean: Estimate
    test: Flipped | None
    """None for judged@k, which is not a matter of better or worse."""
    p_holm: float | None
    """Corrected over the measures of the side."""
    turns: Balance
    sessions: Balance
    """By the mean over the session's turns."""
    detectable: float | None
    """Smallest difference that the sample shows with 80% power at 0.05; None where sessions do not vary."""
    sessions_needed: int | None
    """To show the difference that was asked about; None where sessions do not vary."""
    totals: tuple[float, ...] = field(repr=False)
    """Per session, in the evaluation's order: the sum of its turns' differences."""


@dataclass(frozen=True, slots=True)
class MeasureResult:
    """One measure, over all sides."""

    measure: Measure
    means: Mapping[str, Estimate]
    """By label of the side."""
    differences: Mapping[str, Difference]
    """By label of every side but the baseline."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Some of the turns, by what they have in common."""

    dimension: str
    """`org`, `turn`, `query length`, `language`, or a tag of the sessions: `tag plan`."""
    value: str
    turns: int
    sessions: int
    baseline: float
    differences: Mapping[str, Estimate]
    """By label; without an interval in a segment of too few sessions."""
    worse: tuple[str, ...] = ()
    """Labels of sides that are worse here, interval and all, though not shown to be on the whole."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What recall@k lacks to 1, and through whom; the three parts add up to it."""

    recall: float
    to_depth: float
    """More entries are relevant than k holds."""
    to_retrieval: float
    """They are not in the pool."""
    to_reranker: float
    """They are in the pool, and the side ranks them too low."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What retrieval leaves to rerankers: recall of the pool itself, and where each side's loss comes from."""

    turns: int
    """With a relevant entry."""
    recall: tuple[float, ...]
    """Of the pool's first 1, 2, 3, … entries, in retrieval order."""
    knee: int | None
    """The depth from which a deeper pool brings least; None where the curve has no bend."""
    depth: int
    losses: Mapping[str, Loss]
    """By label, of recall@depth."""


@dataclass(frozen=True, slots=True)
class Unjudged:
    """An entry without a label that a side ranks among its first."""

    session_id: str
    org_id: str
    turn_id: str
    query: str
    entry_id: str
    title: str
    ranks: Mapping[str, int | None]
    """By label; None where the side does not list it."""
    stake: float
    """The most by which sides' discounts of it differ: what its label can move."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Turns of the run that the evaluation does not count, and sides."""

    unlabelled_turns: int
    unfinished_turns: int
    """With labels, but not every side ranked them."""
    failed: Mapping[str, int]
    """By label: labelled turns that the side failed on, where there are any."""
    sides: tuple[str, ...] = ()
    """Labels of sides that ranked no labelled turn at all; the others are measured without them."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A run, measured against labels."""

    depths: tuple[int, ...]
    min_grade: int
    wanted: float
    """The difference that `Difference.sessions_needed` is about."""
    baseline: str
    others: tuple[str, ...]
    labels: int
    """Of the turns that count."""
    pooled_labels: int
    """Of `labels`, those of an entry in its turn's pool: what a side can rank at all."""
    turns: int
    session_turns: tuple[int, ...]
    """Turns that count, per session: what `Difference.totals` are sums over."""
    irrelevant_turns: int
    """Of `turns`, those without one relevant entry: no order of them is better than another but for nDCG."""
    left_out: LeftOut
    measures: tuple[MeasureResult, ...]
    """The first one is what segments are measured by."""
    unequally_judged: tuple[str, ...]
    """Labels of sides whose judged share is not the baseline's; see JUDGED_GAP."""
    segments: tuple[Segment, ...]
    skipped_dimensions: tuple[str, ...]
    """Tags with too many different values to be segments."""
    ceiling: Ceiling | None
    """None where no turn has a relevant entry."""
    unjudged: tuple[Unjudged, ...]
    """The most valuable label first."""

    @property
    def sessions(self) -> int:
        """With a turn that counts."""
        return len(self.session_turns)

    @property
    def is_nothing_relevant(self) -> bool:
        """Whether no turn that counts has a relevant entry."""
        return self.irrelevant_turns == self.turns

    @property
    def headline(self) -> MeasureResult:
        """The measure that segments and the sentence at the end are about."""
        return self.measures[0]
