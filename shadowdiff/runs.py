"""A run: what was asked of it, who took part, and what it came to. Frozen records, as in `records`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shadowdiff.records import Outcome, PoolOrigin, Usage, Window


@dataclass(frozen=True, slots=True)
class Side:
    """A reranker's place in a run: A is the baseline, B, C, … are compared with it."""

    label: str
    name: str
    """What the user called it: a short name from shadowdiff.toml, or the spec."""
    spec: str
    """Canonical spec string."""
    fingerprint: str
    min_score: float | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """What a provider charges, in US dollars, as the user's configuration says."""

    request: float = 0.0
    """Per answered call."""
    search_unit: float = 0.0
    million_input_tokens: float = 0.0
    million_output_tokens: float = 0.0
    as_of: str | None = None
    """When the user looked it up, in their words."""

    def usd(self, usage: Usage) -> float:
        """What this usage costs."""
        tokens = usage.input_tokens * self.million_input_tokens + usage.output_tokens * self.million_output_tokens
        return usage.calls * self.request + usage.search_units * self.search_unit + tokens / 1e6


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Everything that decides what a run counts."""

    top_k: int = 10
    pool: int = 50
    """Size of a retrieved pool, and the number of entries kept of a longer recorded one."""
    pool_from: PoolOrigin = PoolOrigin.RECORDED
    noise: bool = False
    rbo_p: float = 0.9
    near_tie_share: float = 0.01
    """An entry this share of the score spread from the K cut is marked as a near-tie."""
    window: Window = field(default_factory=Window)
    production: str | None = None
    """Label of the side that is production's own reranker, to be held against what was served; None: no side is."""
    production_assumed: bool = False
    """Nobody said that `production` is: it is the baseline, and taken for it."""
    store_text: bool = True
    """False: the store keeps ids and hashes, and texts are fetched from the source when the run is shown."""
    redacted_sides: tuple[str, ...] = ()
    """Labels of the sides that saw redacted texts, because theirs leave this machine."""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By label of the side; a side that has none costs nothing, or nobody said what."""
    asking_sides: tuple[str, ...] = ()
    """Labels of the sides that ask a provider, or a server, for what the cache does not hold."""
    turns_per_month: float | None = None
    """How often production is asked, counted where a sample of it was drawn; None: the run's own turns say it."""


class RunStatus(StrEnum):
    """How far a run got."""

    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95% interval (percentile bootstrap over sessions); None where there is nothing to average."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class PairSummary:
    """Baseline against one other side, over a run. Failed turns count in `turns` and nowhere else."""

    turns: Mapping[Outcome, int]
    sessions: int
    """Sessions with at least one completed turn; the means per session divide by this."""
    sessions_changed: int
    """Sessions whose distinct surfaced sets differ."""
    sessions_where_b_adds: int
    """Sessions where B surfaced at least one entry that A surfaced on none of their turns."""
    only_in_a: int
    """Sum over sessions of distinct entries that only A surfaced."""
    only_in_b: int
    both: int
    distinct_a: int
    """Distinct (org, entry) pairs that A surfaced over the run."""
    distinct_b: int
    only_in_a_per_session: Estimate
    only_in_b_per_session: Estimate
    overlap: Estimate
    """Mean over completed turns."""
    rbo: Estimate
    same_top1: Estimate
    near_tie_entries: int
    """Over turns: entries in only one side's surfaced set that are near-ties on a side's K cut."""
    turn_only_in_a: int
    """Sum over turns: counts an entry once per turn."""
    turn_only_in_b: int


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How well production's side reproduces what production served, over a run: apart from what sides differ in."""

    side: str
    turns: int
    """Turns compared: something was served, and the side ranked the turn."""
    identical: int
    reordered: int
    """Turns with the same entries in another order."""
    near_ties: int
    """Of the turns that are not identical, those that differ by near-ties alone."""
    overlap: Estimate
    """Mean over `turns`."""
    first_divergence: float | None
    """Median rank of the first difference, over the turns that are not identical."""
    diverging_at_first: int
    """Turns that differ from rank 1 on."""
    unserved_turns: int
    """Turns for which nothing, or an empty list, was recorded as served."""
    failed_turns: int
    """Turns with something served that the side did not rank."""
    served_outside_pool: int
    reproduces: bool | None
    """By the rule in fidelity.py; None where no turn was compared."""
    served_by: Mapping[str, int]
    """Turns of `turns` by the reranker that production says it used; the most frequent ones, most first."""


@dataclass(frozen=True, slots=True)
class SideSummary:
    """What one side did over a run."""

    ranked_turns: int
    failed_turns: int
    pairs: int
    """(query, entry) pairs that were ranked."""
    cached_pairs: int
    """Of these, taken from the score cache."""
    truncated_pairs: int
    """Of `pairs`, those whose document was cut to fit the model."""
    outside_pool: int
    """Entries that a listing side (served, run) named and the turn's pool does not hold."""
    latency_turns: int = 0
    """Turns timed for latency: one pool per call, cache off, after a warm-up."""
    latency_p50_seconds: float | None = None
    """Percentiles are None where too few turns were timed for them (replay/latency.py)."""
    latency_p95_seconds: float | None = None
    cost_usd: float | None = None
    """None where nothing is charged per call."""
    latency_p99_seconds: float | None = None
    latency_failed_turns: int = 0
    """Turns that were to be timed and that the side did not rank."""
    latency_threads: int | None = None
    """Threads that the side computed with while it was timed; None where it does not say."""
    latency_accelerator: str | None = None
    """Name of the GPU that the side computed on while it was timed; None: on the processor, or elsewhere."""
    latency_from_calls: bool = False
    """The latency is of the run's own calls to a provider, not of turns timed after it."""
    latency_histogram: tuple[tuple[float, int], ...] = ()
    """Turns by latency: (upper bound in seconds, turns above the bound before and up to this one), ascending."""
    asked_turns: int = 0
    """Turns that a provider was asked about, and answered at least one call for; the others came from the cache."""
    attempts: int = 0
    """Calls sent to a provider, answered or not."""
    usage: Usage = field(default_factory=Usage)
    waited_seconds: float = 0.0
    """For our own limits and between attempts; in no latency."""
    repairs: int = 0
    """Answers of an LLM that had to be put right."""
    stopped: str | None = None
    """Why the side asked its provider no more; None: it did to the end."""
    escalated_turns: int | None = None
    """Turns on which a cascade's gate was not sure; None where the side is no cascade."""
    spared_pairs: int = 0
    """Pairs that a cascade did not have to score."""
    altered_turns: int = 0
    """Turns on which a cascade surfaced other entries than its gate would have."""
    failure_reasons: tuple[tuple[str, int], ...] = ()
    """Why turns failed and how many did for it, the most frequent reasons, most first; a reason may quote anything."""

    @property
    def usd_per_turn(self) -> float | None:
        """Had none come from the cache: None where none was asked for, or nothing is charged.

        The turns of which a cascade's gate is sure cost nothing, on any night.
        """
        if self.cost_usd is None or not self.asked_turns:
            return None
        return self.cost_usd / self.asked_turns * self._share_asked

    def usd_per_month(self, turns_per_month: float | None) -> float | None:
        """If every one of a month's turns were asked for; None where either is not known."""
        each = self.usd_per_turn
        return None if each is None or turns_per_month is None else each * turns_per_month

    @property
    def _share_asked(self) -> float:
        """Of a side's turns, those that an empty cache would have asked for."""
        return (
            1.0 if self.escalated_turns is None or not self.ranked_turns else self.escalated_turns / self.ranked_turns
        )


@dataclass(frozen=True, slots=True)
class Machine:
    """What latency was measured on. Not whose: nothing here tells one machine from another of its kind."""

    processor: str | None
    """None where the system does not name it."""
    cores: int
    """Cores that the process may use: a container's quota counts."""
    system: str
    """Operating system and architecture: `Linux x86_64`."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a person pastes into a pull request."""

    sessions: int
    turns: int
    failed_turns: int
    """Turns on which at least one side failed."""
    pools: Mapping[PoolOrigin, int]
    """Turns by the origin of their pool."""
    unpooled_turns: int
    """Turns without a recorded pool; they failed, or a pool was retrieved or made for them."""
    missing_entries: int
    """Entries of recorded pools that the knowledge base no longer holds; left out of the pools."""
    pairs: Mapping[str, PairSummary]
    """By label of the side compared with A."""
    sides: Mapping[str, SideSummary]
    noise: PairSummary | None = None
    """The baseline against itself, uncached, with other batch mates."""
    fidelity: Fidelity | None = None
    """None where no side is production's; or where one is only taken for it and nothing was served."""
    machine: Machine | None = None
    """Where latency was measured; None where no turn was timed."""
    turns_per_month: float | None = None
    """At the rate at which the selected turns were asked; None where they say nothing of a rate."""


@dataclass(frozen=True, slots=True)
class SideForecast:
    """What one side would do in a run that is not carried out."""

    side: Side
    turns: int
    """Turns that it could rank: they have a pool and, where it reads texts, a text."""
    pairs: int
    """(query, entry) pairs of these."""
    new_pairs: int
    """Pairs that would be scored: not in the cache, and not scored for an earlier turn or another side."""
    new_turns: int
    """Turns with at least one new pair; the others come from the cache."""
    usage: Usage | None = None
    """What asking would use: calls and search units exactly, tokens roughly. None: it asks nobody."""
    price: Price | None = None
    """None where nobody said what is charged."""
    is_at_most: bool = False
    """What is asked for hangs on scores that nobody has yet: a cascade may ask for less."""

    @property
    def usd(self) -> float | None:
        """What the usage costs; None where nobody is asked or nobody said what is charged."""
        return None if self.usage is None or self.price is None else self.price.usd(self.usage)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would do, and what it would ask of providers, found out before anything is sent."""

    sessions: int
    turns: int
    unpooled_turns: int
    """Turns that have no pool and would fail on every side."""
    sides: tuple[SideForecast, ...]
    has_noise: bool = False
    """Whether the baseline's figures hold its second, uncached pass."""

    @property
    def usd(self) -> float:
        """Of all sides that have a price."""
        return sum(side.usd or 0.0 for side in self.sides)


@dataclass(frozen=True, slots=True)
class ScoresHeld:
    """What the score cache holds of one reranker."""

    fingerprint: str
    pairs: int
    size_bytes: int
    """Roughly, on the server's disk."""
    oldest: datetime
    """When the first of them was scored."""
    newest: datetime
    reranker: str | None = None
    """What it is, where a stored run knows it."""
    runs: int = 0
    """Stored runs in which it is a side."""


@dataclass(frozen=True, slots=True)
class RunHeld:
    """What the store holds of a run, beside its summary."""

    run_id: str
    started_at: datetime
    night: str | None
    """Configuration and name of the night that it is of; None where it is no night's."""
    sessions: int
    turns: int
    size_bytes: int
    """Roughly, on the server's disk."""


@dataclass(frozen=True, slots=True)
class Run:
    """One replay: configuration, sides, summary."""

    run_id: str
    started_at: datetime
    version: str
    config: RunConfig
    sides: tuple[Side, ...]
    status: RunStatus = RunStatus.RUNNING
    finished_at: datetime | None = None
    summary: RunSummary | None = None

    @property
    def baseline(self) -> Side:
        """Side A."""
        return self.sides[0]

    @property
    def others(self) -> tuple[Side, ...]:
        """Every side that is compared with the baseline."""
        return self.sides[1:]
