"""Nights, what gates made of a run, and what stands beside a run in a report. Frozen records, as in `records`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shadowdiff.runs import Estimate


class NightStatus(StrEnum):
    """How far a night got."""

    RUNNING = "running"
    """Begun, perhaps by a process that is no more: the next call goes on with it."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """One rule of a gate, held against a run."""

    rule: str
    """As the user wrote it."""
    figure: str
    """Which figure was judged, with its side: `only_in_a_per_session.B`."""
    value: float | None
    """The figure itself; None where the run has none."""
    bound: float | None
    """End of the figure's 95% interval on the rule's bad side, where it has one and the gate is strict by bound."""
    limit: float
    """What the rule allows."""
    passed: bool
    note: str = ""
    """Why it is judged as it is, where the figures alone do not say so; holds no text of a session."""

    @property
    def judged(self) -> float | None:
        """The number that was held against the limit."""
        return self.value if self.bound is None else self.bound

    @property
    def margin(self) -> float | None:
        """How far the judged number is from the limit; how it is signed hangs on the rule, so this is a distance."""
        return None if self.judged is None else abs(self.judged - self.limit)


@dataclass(frozen=True, slots=True)
class PairFigures:
    """What a night came to for one side against A."""

    changed_share: float | None
    """Sessions whose distinct surfaced sets differ, of those with a completed turn."""
    only_in_a_per_session: Estimate
    only_in_b_per_session: Estimate
    overlap: Estimate
    sessions: int = 0
    """Those with a completed turn, of which `changed_share` is."""


@dataclass(frozen=True, slots=True)
class NightFigures:
    """One row of the history."""

    night: str
    """Its name: the date, and a number from the second of a date on."""
    run_id: str | None
    """None where there was no session to replay."""
    until: datetime
    sides: tuple[tuple[str, str, str], ...] = ()
    """Label, name and fingerprint of each side: nights of other sides are not of one trend."""
    sessions: int = 0
    turns: int = 0
    failed_turns: int = 0
    pairs: Mapping[str, PairFigures] = field(default_factory=dict)
    """By label of the side compared with A."""
    noise_overlap: float | None = None
    """Mean overlap of the baseline with itself; None where the noise floor was not asked for."""
    p95_seconds: Mapping[str, float | None] = field(default_factory=dict)
    """By label of every side."""
    cost_usd: float | None = None
    """Of all sides; None where none has a price."""
    gates_crossed: int | None = None
    """None where no gate was asked for."""
    status: NightStatus = NightStatus.DONE
    cut_short: bool = False
    """Its run stopped before the end, at a spending cap say: the figures are of the sessions that it got to."""
    setting: str = ""
    """What else its figures hang on, in words: top K, pools, thresholds."""

    @property
    def failed_share(self) -> float | None:
        """Of the turns, those on which at least one side failed."""
        return self.failed_turns / self.turns if self.turns else None


@dataclass(frozen=True, slots=True)
class Outlier:
    """A figure of a night that leaves the band of the nights before it."""

    night: str
    figure: str
    """`overlap.B`, `p95_seconds.A`, …"""
    value: float
    low: float
    high: float
    nights: int
    """How many earlier nights the band is made of."""


@dataclass(frozen=True, slots=True)
class History:
    """The last nights of one configuration, oldest first, and what stands out among them."""

    configuration: str
    nights: tuple[NightFigures, ...] = ()
    outliers: tuple[Outlier, ...] = ()
    rule: str = ""
    """How the band is drawn, in a sentence."""
    restarts: tuple[str, ...] = ()
    """Nights whose sides or setting are not those of the night before: the band starts anew."""
    band_nights: int = 0
    """How many nights make the newest one's band; 0 where there are too few."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a report of a run says beside the run itself."""

    gates: tuple[GateOutcome, ...] = ()
    history: History | None = None
    """With the run's own night last; None where the run is no night's."""
    compared_with: RunChanges | None = None
    """What changed since the blessed run; None where there is none, or it cannot be compared."""
    not_compared: str = ""
    """Why the blessed run cannot be compared with this one."""


@dataclass(frozen=True, slots=True)
class ChangedSession:
    """A session that two runs of the same sides tell apart."""

    session_id: str
    org_id: str
    side: str
    """Label of the side compared with A."""
    before: str
    after: str
    """`same`, `different`, `failed`: `different` where the session's distinct sets differ."""


@dataclass(frozen=True, slots=True)
class RunChanges:
    """What is otherwise in a run than in an earlier one of the same sides."""

    before: str
    after: str
    """Run ids."""
    sessions_in_both: int
    """Sessions that both runs replayed over the same pools: those that are compared one by one."""
    newly_different: tuple[ChangedSession, ...]
    newly_failing: tuple[ChangedSession, ...]
    fixed: tuple[ChangedSession, ...]
    """Different or failed before, the same now."""
    figures: tuple[tuple[str, float | None, float | None], ...] = ()
    """Name, before and after: over all sessions of each run."""
    notes: tuple[str, ...] = ()
    """What limits the comparison."""


class Target(StrEnum):
    """Where a night's report goes."""

    DIRECTORY = "directory"
    S3 = "s3"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Night:
    """One night of one configuration."""

    configuration: str
    name: str
    """The date in UTC, and a number from the second of a date on: `2026-11-20`, `2026-11-20-2`."""
    since: datetime
    """Where its window began, overlap included."""
    until: datetime
    """Its watermark: where the next night's window begins, overlap aside."""
    run_id: str | None = None
    status: NightStatus = NightStatus.RUNNING
    gates: tuple[GateOutcome, ...] = ()
