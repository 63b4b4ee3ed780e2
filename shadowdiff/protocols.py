"""The seams: what a source, a reranker and a renderer must offer. Everything else is called directly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TextIO, runtime_checkable

from shadowdiff.findings import Finding
from shadowdiff.nights import GateOutcome
from shadowdiff.records import (
    Activity,
    Asked,
    Entry,
    Pool,
    Ranking,
    RecordedEntry,
    Session,
    SessionOutcome,
    Turn,
    Usage,
    Window,
)
from shadowdiff.runs import Run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from shadowdiff.errors import RerankerError
    from shadowdiff.rerankers.pairs import EncodedPair
    from shadowdiff.rerankers.spec import Spec

Need = Literal["vectors", "lexical"]
"""What a PoolReranker reads of a turn beyond its texts."""


class SessionSource(Protocol):
    """Where production sessions come from."""

    def session_ids(self, window: Window) -> list[str]:
        """Ids of the sessions that the window selects, oldest first. Raises SourceError, ConfigError."""
        ...

    def sessions(self, window: Window) -> Iterator[Session]:
        """Yield whole sessions oldest first, a batch at a time in memory. Raises SourceError, ConfigError."""
        ...


class WatchesSessions(Protocol):
    """A SessionSource that can tell whether a session is still going on."""

    def last_asked(self, session_ids: Sequence[str]) -> dict[str, datetime]:
        """When the last turn of each session was asked; absent where the source does not say. Raises SourceError."""
        ...


class Followable(Protocol):
    """A SessionSource that can be followed: which sessions there are by now, and what has been asked in them."""

    def selected(self, window: Window) -> list[str]:
        """As `session_ids`, but an org or a session that is not stored selects nothing. Raises SourceError."""
        ...

    def activity(self, session_ids: Sequence[str]) -> tuple[datetime, dict[str, Activity]]:
        """The source's own time, and what each session holds by then; absent without a turn. Raises SourceError."""
        ...


class Drawable(Followable, SessionSource, Protocol):
    """A source from which sessions can be drawn, each org's share of them."""

    def session_orgs(self, window: Window) -> dict[str, str]:
        """Orgs by the id of every session that the window selects, oldest first. Raises SourceError, ConfigError."""
        ...


class KnowledgeBase(Protocol):
    """Where entries and embeddings come from. Every call is one statement however many turns it serves."""

    def entries(self, wanted: Mapping[str, set[str]]) -> dict[tuple[str, str], Entry]:
        """Entries by (org id, entry id), from entry ids by org id; ids that are not held are absent."""
        ...

    def org_entries(self, org_id: str) -> list[Entry]:
        """Every entry of an org, ordered by entry id."""
        ...

    def entry_vectors(self, wanted: Mapping[str, set[str]]) -> dict[tuple[str, str], NDArray[np.float32]]:
        """Stored embeddings by (org id, entry id); absent where none is stored."""
        ...

    def turn_vectors(self, turn_ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Stored embeddings of queries by turn id; absent where none is stored."""
        ...

    def nearest(self, org_of: Mapping[str, str], limit: int) -> dict[str, list[RecordedEntry]]:
        """The org's entries nearest to each turn by cosine, best first, from org ids by turn id.

        Turns without embedding are absent. Statements grow with the orgs, not with the turns.
        """
        ...


@runtime_checkable
class NamesEmbeddings(Protocol):
    """A KnowledgeBase that knows which models its embeddings come from."""

    def embedding_models(self, org_ids: Sequence[str]) -> dict[str, str]:
        """Names of models by org id; absent where none is stored. Raises SourceError."""
        ...


@runtime_checkable
class VersionsKnowledge(Protocol):
    """A KnowledgeBase whose entries can be told from other ones without reading them, so that an index can be kept."""

    cache_directory: Path | None
    """Where what is made of its texts may be kept on this machine; None: nowhere."""

    def kb_version(self, org_id: str) -> str | None:
        """A name of exactly what `org_entries` gives now, globally unique: other ids or texts have another name.

        None where an index is made as quickly as it is looked for. Raises SourceError.
        """
        ...


class Source(SessionSource, KnowledgeBase, Protocol):
    """Sessions, and the knowledge bases that they were asked against."""


class LexicalIndex(Protocol):
    """BM25 over one org's whole knowledge base."""

    def scores(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """BM25 of each document, in input order, under the org's term statistics."""
        ...


@dataclass(frozen=True, slots=True)
class TurnVectors:
    """Stored embeddings of a turn's query and of its pool, in pool order."""

    query: NDArray[np.float32]
    """Shape (dimensions,)."""
    entries: NDArray[np.float32]
    """Shape (pool size, dimensions)."""


@dataclass(frozen=True, slots=True)
class PooledTurn:
    """A turn with its frozen pool and whatever the run's sides need to know about it."""

    org_id: str
    session_id: str
    turn: Turn
    pool: Pool
    vectors: TurnVectors | None = None
    """None when no side needs embeddings, or some are not stored."""
    lexical: LexicalIndex | None = None
    """None when no side needs BM25."""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """One turn's worth of pairs: a query and the documents to score against it."""

    query: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PairScores:
    """Scores of one request, in input order, and which documents were cut to fit the model."""

    scores: tuple[float, ...]
    truncated: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """What a reranker connects to."""

    contacts: str
    """In words for a person: `Bedrock in eu-central-1`, `the Hugging Face hub`."""
    sends_texts: bool = True
    """Whether queries and documents go there; False where only a model is fetched."""


@runtime_checkable
class Networked(Protocol):
    """A reranker that says what it connects to. One that does not say is taken to send texts somewhere."""

    network: Network | None
    """None: it opens no connection, ever."""


class Reranker(Protocol):
    """Anything that scores (query, document) pairs by their text."""

    spec: Spec
    fingerprint: str
    document_form: str
    """What of an entry it reads: `title+body` or `body` (rerankers.documents)."""

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """One finite score per document, in input order, higher is better. Raises RerankerError."""
        ...


@runtime_checkable
class BatchReranker(Protocol):
    """A Reranker that is faster, and counts truncation, when it sees many queries at once."""

    def score_batch(self, requests: Sequence[ScoreRequest]) -> Sequence[PairScores]:
        """Scores per request, in input order. Raises RerankerError."""
        ...


class PairEngine(Protocol):
    """A loaded model that scores pairs of token ids, whatever side or turn they are of."""

    def score(self, pairs: Iterable[EncodedPair]) -> Iterator[Mapping[EncodedPair, float]]:
        """Scores of the distinct pairs, some at a time, in any order; a NaN where the model gave one."""
        ...


@runtime_checkable
class EncodesPairs(Protocol):
    """A Reranker whose pairs can be scored together with those of every other side that uses the same model."""

    @property
    def engine(self) -> PairEngine:
        """The same object for all rerankers that score equal pairs alike. Raises ConfigError."""
        ...

    def encode(self, requests: Sequence[ScoreRequest]) -> Sequence[Sequence[EncodedPair] | RerankerError]:
        """Pairs of token ids per request, in input order, or why a request has none."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider made of one request."""

    found: PairScores | RerankerError
    """A failure is a value: what was asked counts, and costs, either way."""
    asked: Asked


@runtime_checkable
class Asks(Protocol):
    """A Reranker that asks a provider, a request at a time; may be asked by several threads at once."""

    concurrency: int
    """Requests that may be under way at a time."""

    @property
    def stopped(self) -> str | None:
        """Why it sends nothing any more: the provider refused, and would refuse again. None: it still asks."""
        ...

    def ask(self, request: ScoreRequest) -> Answer:
        """Ask for all scores of the request. Raises nothing that concerns this request alone."""
        ...

    def estimate(self, request: ScoreRequest) -> Usage:
        """What asking would use: calls and search units exactly, tokens roughly. Sends nothing."""
        ...

    def close(self) -> None:
        """Give up what is under way and send nothing more; for Ctrl-C and the end of a run."""
        ...


@runtime_checkable
class Listwise(Protocol):
    """A Reranker that says whether an entry's score depends on the others in its pool."""

    listwise: bool
    """True: a score stands for its whole pool, in that order, and a pool is never asked for in parts."""


@runtime_checkable
class Repeatable(Protocol):
    """A Reranker that says whether the same request always gets the same scores."""

    repeatable: bool
    """False: its scores are never cached."""


@runtime_checkable
class PoolReranker(Protocol):
    """A reranker that reads recorded facts of a turn (what was served, embeddings, term statistics), not only texts."""

    spec: Spec
    fingerprint: str
    needs: frozenset[Need]

    def score_pool(self, turn: PooledTurn) -> Sequence[float]:
        """One score per pool entry, in pool order; -inf for entries that it does not rank. Raises RerankerError."""
        ...


@runtime_checkable
class ListingReranker(Protocol):
    """A PoolReranker that lists entries by itself, so that a pool can be made of what it lists."""

    def listed(self, turn: Turn) -> tuple[str, ...]:
        """Entry ids that the side lists for the turn, best first; empty when it lists none."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A reranker with something to load and check before the first turn."""

    def prepare(self) -> None:
        """Load it. Raises ConfigError."""
        ...


@runtime_checkable
class Truncates(Protocol):
    """A Reranker that can tell what it would cut to fit its model, without scoring it."""

    def truncated(self, requests: Sequence[ScoreRequest]) -> Sequence[Sequence[bool]]:
        """Per request, whether each document would be cut, in input order. Raises RerankerError as scoring would."""
        ...


@runtime_checkable
class PreparesEntries(Protocol):
    """A Reranker whose share in each entry production computes once, when the entry is indexed, not at the query."""

    def prepare_entries(self, documents: Sequence[str]) -> None:
        """Have that share of these documents at hand, so that what is timed next is a query's own."""
        ...


@runtime_checkable
class Checkable(Protocol):
    """A reranker or judge that can say how it stands before it is used: credentials, reachability, quotas."""

    def check(self, online: bool) -> Iterable[Finding]:
        """What `shadowdiff doctor` should print of it. Opens no connection, and so spends nothing, unless `online`."""
        ...


@runtime_checkable
class Threaded(Protocol):
    """A reranker that computes on this machine, and says with how many threads. Asked only once it has scored."""

    @property
    def threads(self) -> int:
        """Threads that one call computes with."""
        ...


@runtime_checkable
class Accelerated(Protocol):
    """A reranker that may compute on something else than the processor. Asked only once it has scored."""

    @property
    def accelerator(self) -> str | None:
        """Name of the GPU; None where it computes on the processor."""
        ...


@runtime_checkable
class Composed(Protocol):
    """A reranker made of others."""

    @property
    def parts(self) -> Sequence[tuple[str, Reranker | PoolReranker]]:
        """The others, by the names or specs under which they were asked for."""
        ...


@runtime_checkable
class Fuses(Composed, Protocol):
    """A PoolReranker that makes its scores out of its parts' scores alone, so that parts can be scored beforehand."""

    def fuse(self, turn: PooledTurn, scores: Sequence[Callable[[], Sequence[float]]]) -> Sequence[float]:
        """One score per pool entry out of the parts' scores, in the order of `parts`; each call may raise."""
        ...


@runtime_checkable
class Cascades(Composed, Protocol):
    """A PoolReranker of two parts, a gate and what ranks a turn in its place: planned as two rerankers."""

    def needs_then(self, ranking: Ranking) -> bool:
        """Whether a turn that the gate ranked like this is ranked by the second part."""
        ...


class Renderer(Protocol):
    """Turns a run into text. Knows no database and no reranker."""

    def render(self, run: Run, outcomes: Iterable[SessionOutcome], out: TextIO) -> None:
        """Write the whole run to `out`, sessions in the order given."""
        ...


class RunStream(Protocol):
    """A run that is being written while it goes on."""

    def add(self, outcome: SessionOutcome) -> None:
        """Write a session."""
        ...

    def end(self, run: Run, gates: Sequence[GateOutcome] = ()) -> None:
        """Write what stands at the end, of the run as it ended, and what gates made of it."""
        ...


@runtime_checkable
class StreamingRenderer(Renderer, Protocol):
    """A Renderer that can write sessions before the run is over."""

    def stream(self, run: Run, out: TextIO) -> RunStream:
        """Begin to write to `out`; together it is what `render` writes, but for what only the whole run could tell."""
        ...
