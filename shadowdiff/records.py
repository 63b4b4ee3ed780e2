"""The nouns of the glossary, as frozen records. Imports nothing of ours.

Ranks are 1-based everywhere. Scores are only ever compared within one ranking.
Times are timezone-aware.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

NOISE_SIDE = "A*"
"""Label under which the baseline's second, uncached pass is kept when the noise floor is asked for."""


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class MissingText(StrEnum):
    """Why a text is not here."""

    NOT_STORED = "not stored"
    """The run kept ids and hashes only, and nobody has fetched it from the source."""
    CHANGED = "changed"
    """The source has another text under this id now."""
    GONE = "gone"
    """The source has nothing under this id any more."""


@dataclass(frozen=True)
class Entry:
    """One knowledge-base entry of one org. `entry_id` is unique within its org only.

    Without slots, so that its hash is computed once however many pools hold it.
    """

    org_id: str
    entry_id: str
    title: str
    body: str
    updated_at: datetime | None = None
    original_hash: str | None = field(default=None, compare=False)
    """Hash of the text that was ranked, where this one is redacted or missing; None: of the text as it stands here."""
    missing_text: MissingText | None = None
    """Why title and body are empty; None where they are what they should be."""

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of title and body: the same text has the same hash whoever owns it."""
        return self.original_hash or _sha256(f"{self.title}\0{self.body}")


@dataclass(frozen=True, slots=True)
class RecordedEntry:
    """An entry as production recorded it in a turn's pool: which one, and its retrieval score and text if kept."""

    entry_id: str
    score: float | None = None
    title: str | None = None
    body: str | None = None
    """The text as production's reranker read it; None where only the knowledge base has it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One user query inside a session."""

    turn_id: str
    position: int
    """1-based place in the session."""
    query: str
    """What the user typed."""
    asked_at: datetime
    search_query: str | None = None
    """What was searched with, where it differs from what the user typed."""
    answer: str | None = None
    recorded_pool: tuple[RecordedEntry, ...] | None = None
    """Retrieval order, best first; None when production kept no pool for this turn."""
    served: tuple[str, ...] | None = None
    """Entry ids as production returned them, best first; None when not recorded."""
    served_by: str | None = None
    """The reranker that production says ranked this turn; None when not recorded."""
    original_hash: str | None = field(default=None, compare=False)
    """Hash of query and search query where they are missing here; None: of those that stand here."""
    missing_text: MissingText | None = None
    """Why the query is empty; None where it is what it should be."""

    @property
    def search_text(self) -> str:
        """The text that rerankers get as the query."""
        return self.search_query or self.query

    @property
    def query_hash(self) -> str:
        """SHA-256 (hex) of query and search query."""
        return self.original_hash or _sha256(f"{self.query}\0{self.search_query or ''}")


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation of one org."""

    session_id: str
    org_id: str
    started_at: datetime
    turns: tuple[Turn, ...] = ()
    tags: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Window:
    """Which sessions to replay. Newest first when `last` cuts; empty tuples mean no filter."""

    last: int | None = None
    since: datetime | None = None
    """Inclusive."""
    until: datetime | None = None
    """Exclusive."""
    session_ids: tuple[str, ...] = ()
    org_ids: tuple[str, ...] = ()
    sample: int | None = None
    """Draw this many of the sessions that the rest selects, by `seed`."""
    seed: int = 0

    @property
    def is_selective(self) -> bool:
        """Whether it picks among what was asked in its time, so that its turns say nothing of how many there were."""
        return bool(self.sample or self.session_ids)


@dataclass(frozen=True, slots=True)
class Activity:
    """What has been asked in a session so far."""

    turns: int
    last_asked: datetime | None
    """When the last turn was asked; None where no turn has a time."""


class PoolOrigin(StrEnum):
    """Where a turn's pool came from."""

    RECORDED = "recorded"
    COSINE = "cosine"
    BM25 = "bm25"
    HYBRID = "hybrid"
    UNION = "union"
    """No recorded pool, and every side lists entries: the union of what they list."""


POOLS_TO_ASK_FOR = tuple(origin.value for origin in PoolOrigin if origin is not PoolOrigin.UNION)
"""What `--pool-from` and `[nightly] pool_from` may say."""


@dataclass(frozen=True, slots=True)
class PoolEntry:
    """An entry in a pool, with its retrieval rank and, where there was one, retrieval score."""

    entry: Entry
    rank: int
    score: float | None = None


@dataclass(frozen=True)
class Pool:
    """The entries that a turn's rerankers choose from, in retrieval order. Every side sees exactly this one.

    Without slots, so that its hash is computed once.
    """

    entries: tuple[PoolEntry, ...]
    origin: PoolOrigin

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) over entry ids and contents in retrieval order."""
        digest = hashlib.sha256()
        for item in self.entries:
            entry_id = item.entry.entry_id.encode("utf-8", "surrogatepass")
            digest.update(len(entry_id).to_bytes(8, "big") + entry_id)
            digest.update(bytes.fromhex(item.entry.content_hash))
        return digest.hexdigest()

    @cached_property
    def entry_ids(self) -> tuple[str, ...]:
        """Entry ids in retrieval order."""
        return tuple(item.entry.entry_id for item in self.entries)


@dataclass(frozen=True, slots=True)
class Ranking:
    """A side's order over the whole pool, best first.

    A score of None means that the side does not rank the entry at all (a run
    file that does not list it, say); such entries stand last and are never surfaced.
    """

    entry_ids: tuple[str, ...]
    scores: tuple[float | None, ...]

    def ranks(self) -> dict[str, int]:
        """1-based rank of every entry that the side ranked."""
        return {
            entry_id: rank
            for rank, (entry_id, score) in enumerate(zip(self.entry_ids, self.scores, strict=True), start=1)
            if score is not None
        }


@dataclass(frozen=True, slots=True)
class TurnFailure:
    """Why a side gave no ranking for a turn."""

    side: str
    reason: str
    textless: str | None = field(default=None, compare=False)
    """The reason without anything that could quote a text; None: the reason itself quotes none."""


@dataclass(frozen=True, slots=True)
class ScoreCounts:
    """What one side's ranking of one turn took."""

    pairs: int
    """(query, entry) pairs ranked."""
    cached: int = 0
    """Of `pairs`, taken from the score cache."""
    truncated: int = 0
    """Of `pairs`, those whose document was cut to fit the model."""
    outside_pool: int = 0
    """Entries that a listing side named and the pool does not hold."""
    escalated: bool | None = None
    """Whether a cascade's gate was not sure, so that the pool was reranked; None where the side is no cascade."""
    altered: bool = False
    """Whether a cascade surfaces other entries than its gate would have."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a provider counts and charges for."""

    calls: int = 0
    """Calls that were answered."""
    search_units: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(
            self.calls + other.calls,
            self.search_units + other.search_units,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """What it took to ask a provider about one turn, whether it gave a ranking or not."""

    usage: Usage = field(default_factory=Usage)
    attempts: int = 0
    """Calls that were sent, answered or not."""
    seconds: float | None = None
    """Latency: of the answered calls alone, without attempts that failed and without waiting.

    None unless the whole pool was asked for and answered.
    """
    waited_seconds: float = 0.0
    """For our own limits, and between attempts."""
    repairs: int = 0
    """Answers that had to be put right: an LLM left an entry out of its order, say."""

    def __add__(self, other: Asked) -> Asked:
        """Both together; the latency is the later one's, where that has one."""
        return Asked(
            self.usage + other.usage,
            self.attempts + other.attempts,
            self.seconds if other.seconds is None else other.seconds,
            self.waited_seconds + other.waited_seconds,
            self.repairs + other.repairs,
        )


@dataclass(frozen=True, slots=True)
class TurnAsked:
    """What asking about one turn took one side of a run."""

    turn_id: str
    side: str
    asked: Asked


@dataclass(frozen=True, slots=True)
class ReplayedTurn:
    """A turn after every side has ranked its pool, or failed to."""

    turn: Turn
    pool: Pool
    rankings: Mapping[str, Ranking]
    """By side label; a side that failed is absent."""
    failures: tuple[TurnFailure, ...] = ()
    counts: Mapping[str, ScoreCounts] = field(default_factory=dict)
    """By side label, for the sides that ranked the turn."""
    unpooled: bool = False
    """Production recorded no pool for this turn."""
    missing_entries: int = 0
    """Entries of the recorded pool that the knowledge base no longer holds; left out of `pool`."""


@dataclass(frozen=True, slots=True)
class ReplayedSession:
    """A session after replay."""

    session: Session
    turns: tuple[ReplayedTurn, ...]


class Outcome(StrEnum):
    """How a turn ends for a pair of sides. Exactly one of these."""

    SAME = "same"
    """Same entries, same order."""
    REORDERED = "reordered"
    """Same entries, another order."""
    DIFFERENT = "different"
    """The entries differ."""
    FAILED = "failed"
    """A side gave no ranking."""


@dataclass(frozen=True, slots=True)
class TurnDiff:
    """What two sides surfaced for one turn. Entry ids stand in their own side's order (`both`: A's)."""

    surfaced_a: tuple[str, ...]
    surfaced_b: tuple[str, ...]
    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]
    both: tuple[str, ...]
    overlap: float
    """Share of the longer surfaced list that both sides hold, in [0, 1]; 1.0 if both are empty."""
    rbo: float
    """Extrapolated rank-biased overlap of the surfaced lists (Webber, Moffat and Zobel 2010, eq. 32), in [0, 1]."""
    same_top1: bool
    near_ties_a: frozenset[str] = frozenset()
    """Entries whose being in or out of A's top K hangs on less than `near_tie_share` of A's score spread."""
    near_ties_b: frozenset[str] = frozenset()

    @property
    def outcome(self) -> Outcome:
        """Never FAILED: a failed turn has no diff."""
        if self.only_in_a or self.only_in_b:
            return Outcome.DIFFERENT
        return Outcome.SAME if self.surfaced_a == self.surfaced_b else Outcome.REORDERED


@dataclass(frozen=True, slots=True)
class SessionDiff:
    """Distinct entries surfaced over a session's completed turns, each tuple in order of first appearance."""

    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]
    both: tuple[str, ...]
    completed_turns: int
    failed_turns: int


@dataclass(frozen=True, slots=True)
class TurnFidelity:
    """The beginning of production's side, as long as the list that production served, held against that list."""

    served: int
    """Distinct entries that production served."""
    outside_pool: int
    """Of these, those that the pool does not hold: no ranking of it reproduces them."""
    overlap: float
    """Share of `served` that the side ranks as high, in any order."""
    first_divergence: int | None
    """Rank of the first difference; None where entries and order are identical."""
    by_near_ties: bool = False
    """Not identical, but no two entries in the wrong order are `near_tie_share` of the side's score spread apart."""


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """A replayed turn with its diff against the baseline, by side label."""

    replayed: ReplayedTurn
    diffs: Mapping[str, TurnDiff | None]
    """None where the turn failed for that pair. The noise pass stands under NOISE_SIDE."""
    fidelity: TurnFidelity | None = None
    """None where no side is production's, nothing was served, or the side failed."""

    def outcome(self, side: str) -> Outcome:
        """How the turn ended for the pair (A, side)."""
        diff = self.diffs[side]
        return Outcome.FAILED if diff is None else diff.outcome


@dataclass(frozen=True, slots=True)
class SessionOutcome:
    """A replayed session with its turns' outcomes and its own distinct sets, by side label."""

    session: Session
    turns: tuple[TurnOutcome, ...]
    diffs: Mapping[str, SessionDiff]


@dataclass(frozen=True, slots=True)
class Label:
    """A graded judgement that an entry is relevant to a turn."""

    org_id: str
    turn_id: str
    entry_id: str
    grade: int
    source: str
    author: str = ""
    labelled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody wrote of a turn, or of one entry on it."""

    org_id: str
    turn_id: str
    author: str
    body: str
    """Never empty."""
    entry_id: str | None = None
    """None: it is of the turn."""
    commented_at: datetime | None = None
