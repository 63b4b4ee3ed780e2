"""What a pilot comes to: frozen records, as in `records`. Means are over turns, intervals over sessions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shadowdiff.evaluation.results import Difference, Evaluation, Measure
from shadowdiff.runs import Estimate

LEAST_TURNS = 30
LEAST_SESSIONS = 20
"""With labels: fewer say nothing of which side is better."""


class Bill(StrEnum):
    """Who is paid for a side."""

    OWN = "own machine"
    """It asks nobody: it costs the machine that it runs on, which nobody lists here."""
    PROVIDER = "provider"
    UNKNOWN = "unknown"
    """It asks a provider, and what that costs is not known: never to be taken for nothing."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a side costs."""

    bill: Bill
    usd_per_turn: float | None = None
    """None but where a provider is paid."""
    usd_per_month: float | None = None
    """None also where nobody knows how often is asked."""
    has_price: bool = False
    """Whether the user said what its provider charges; where the cost is unknown nevertheless, nobody was asked."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What labels say of a side."""

    mean: Estimate
    """Of the measure that decides."""
    recall: Estimate
    judged: float | None
    """Share of its first entries that has a label."""
    difference: Difference | None = None
    """Of the measure that decides, to the baseline; None for the baseline itself."""
    p: float | None = None
    """Of that difference, corrected over the sides (Holm)."""
    is_better: bool = False
    """Shown to be: see `recommend.RULE`."""
    behind_best: Estimate | None = None
    """Less the best side's, of those that are shown to be better than the baseline; None where none is."""
    closed: Estimate | None = None
    """Share of the gap between the baseline and the best side; None where no gap is shown."""


@dataclass(frozen=True, slots=True)
class PilotSide:
    """A side, what it costs, how long it takes, and, with enough labels, how good it is."""

    label: str
    name: str
    cost: Cost
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    overlap: Estimate | None = None
    """Of what it surfaces with what the baseline surfaces; None for the baseline."""
    quality: Quality | None = None
    """None with too few labels, or where it ranked none of the labelled turns."""

    @property
    def is_better(self) -> bool:
        """Whether it is shown to be better than the baseline."""
        return self.quality is not None and self.quality.is_better

    @property
    def difference(self) -> Estimate | None:
        """To the baseline; None for the baseline itself, or where nothing was measured."""
        return None if self.quality is None or self.quality.difference is None else self.quality.difference.mean

    @property
    def behind_best(self) -> Estimate | None:
        """Less the best side's mean."""
        return None if self.quality is None else self.quality.behind_best

    @property
    def closed(self) -> Estimate | None:
        """Share of the gap."""
        return None if self.quality is None else self.quality.closed


class Lack(StrEnum):
    """What a sample lacks for a recommendation."""

    LABELS = "labels"
    TURNS = "turns"
    """All that there are have labels, or were too few if they had."""
    RANKINGS = "rankings"
    """Labelled turns are enough, but a side failed on most of them: more labels or turns would be as many failures."""


class Why(StrEnum):
    """By which part of the rule a side is recommended."""

    NONE_BETTER = "none better"
    """No side is shown to be better than the baseline."""
    AS_GOOD = "as good"
    """It is shown not to be worse than the best by more than the margin, and costs less."""
    BEST = "best"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Which side to take."""

    take: str
    """Label."""
    why: Why
    best: str | None = None
    """The highest mean of the sides that are shown to be better than the baseline; None where none is."""
    alternative: str | None = None
    """A side that is cheaper or faster: where the best is taken, one that closes a part of the gap; where the
    baseline is kept, one that is shown not to be worse by more than the margin."""
    unless_dearer: str | None = None
    """Where the side taken runs on a machine of one's own: as good a side of a provider, which is the choice if
    that machine costs more."""
    unpriced: tuple[str, ...] = ()
    """Sides that were as good, and of which nobody knows what they cost."""


@dataclass(frozen=True, slots=True)
class Pilot:
    """A sample through every side."""

    measure: Measure
    """The one that decides."""
    recall: Measure
    margin: float
    """By how much less a side may have and be as good."""
    sides: tuple[PilotSide, ...]
    """The baseline first."""
    labelled_turns: int
    """Of the sample's turns, whichever sides ranked them."""
    evaluation: Evaluation | None = None
    """None where nothing could be measured; it may rest on too few labels."""
    why_not: str | None = None
    """Why there is no evaluation though there are labels."""
    recommendation: Recommendation | None = None
    """None with too few labels."""

    def lacks(self, turns: int, sessions: int) -> Lack | None:
        """What is missing for a recommendation, in a sample of so many; None where nothing is that helps."""
        if self.recommendation is not None or self.why_not is not None:
            return None
        measured = 0 if self.evaluation is None else self.evaluation.turns
        if self.unfinished_turns and measured + self.unfinished_turns >= LEAST_TURNS:
            return Lack.RANKINGS
        is_small = turns < LEAST_TURNS or sessions < LEAST_SESSIONS
        return Lack.TURNS if is_small or self.labelled_turns >= turns else Lack.LABELS

    @property
    def unfinished_turns(self) -> int:
        """Labelled turns that are not measured, as a side failed on them."""
        return 0 if self.evaluation is None else self.evaluation.left_out.unfinished_turns
