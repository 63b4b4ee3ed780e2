"""One frozen pool per turn, built a batch of sessions at a time: the number of statements does not grow with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shadowdiff.fusion import fuse_ranks
from shadowdiff.lexical import OrgLexicon
from shadowdiff.lexicons_kept import KeptLexicons
from shadowdiff.protocols import KnowledgeBase, ListingReranker, VersionsKnowledge
from shadowdiff.records import Entry, Pool, PoolEntry, PoolOrigin, RecordedEntry, Session, Turn
from shadowdiff.runs import RunConfig

ENTRIES_KEPT = 100_000
"""Over all orgs whose BM25 index is kept; about a kilobyte each."""
NO_EMBEDDING = (
    "no embedding is stored for this turn or its org's entries; load with --embedder, or map embeddings in [source]"
)


@dataclass(frozen=True, slots=True)
class BuiltPool:
    """A turn's pool, or why there is none."""

    pool: Pool
    """Empty when `reason` is set."""
    reason: str | None = None
    missing_entries: int = 0
    """Entries of the recorded pool that the knowledge base no longer holds."""


class Lexicons:
    """BM25 indexes by org, opened or built on first use; the least recently used go when they hold too many entries."""

    def __init__(self, knowledge: KnowledgeBase) -> None:
        self._knowledge = knowledge
        self._held: dict[str, OrgLexicon] = {}

    def of(self, org_id: str) -> OrgLexicon:
        """The index over the org's whole knowledge base."""
        lexicon = self._held.pop(org_id, None) or self._made(org_id)
        self._held[org_id] = lexicon
        while len(self._held) > 1 and sum(held.size for held in self._held.values()) > ENTRIES_KEPT:
            del self._held[next(iter(self._held))]
        return lexicon

    def _made(self, org_id: str) -> OrgLexicon:
        """From disk, without reading an entry, where this version of the knowledge base has been indexed before."""
        knowledge = self._knowledge
        if not isinstance(knowledge, VersionsKnowledge) or knowledge.cache_directory is None:
            return OrgLexicon(knowledge.org_entries(org_id))
        kept = KeptLexicons(knowledge.cache_directory)
        version = knowledge.kb_version(org_id)
        opened = None if version is None else kept.opened(version)
        if opened is not None:
            return opened
        lexicon = OrgLexicon(self._knowledge.org_entries(org_id))
        # Entries may have changed between the two statements: what was read must be the version that it is kept as.
        unchanged = version is not None and knowledge.kb_version(org_id) == version
        return kept.keep(version, lexicon) if version is not None and unchanged else lexicon


class PoolBuilder:
    """Builds the pools of a run from one knowledge base."""

    def __init__(
        self,
        knowledge: KnowledgeBase,
        lexicons: Lexicons,
        config: RunConfig,
        listing: Sequence[ListingReranker] = (),
    ) -> None:
        """`listing`: the run's sides, where every one of them lists entries by itself; else empty."""
        self._knowledge = knowledge
        self._lexicons = lexicons
        self._config = config
        self._listing = listing

    def build(self, sessions: Sequence[Session]) -> dict[str, BuiltPool]:
        """Pools by turn id. Raises SourceError."""
        chosen = self._choose(sessions)
        texts = self._texts(sessions, chosen)
        return {
            turn.turn_id: self._freeze(session.org_id, chosen[turn.turn_id], texts)
            for session in sessions
            for turn in session.turns
        }

    def _choose(self, sessions: Sequence[Session]) -> dict[str, _Choice]:
        turns = [(session.org_id, turn) for session in sessions for turn in session.turns]
        match self._config.pool_from:
            case PoolOrigin.COSINE:
                return self._by_cosine(turns)
            case PoolOrigin.BM25:
                return {turn.turn_id: self._by_bm25(org_id, turn) for org_id, turn in turns}
            case PoolOrigin.HYBRID:
                return self._by_both(turns)
            case _:
                return {turn.turn_id: self._recorded(turn) for _, turn in turns}

    def _recorded(self, turn: Turn) -> _Choice:
        if turn.recorded_pool is not None:
            return _Choice(PoolOrigin.RECORDED, turn.recorded_pool[: self._config.pool])
        listed = list(dict.fromkeys(entry_id for side in self._listing for entry_id in side.listed(turn)))
        if listed:
            return _Choice(PoolOrigin.UNION, tuple(RecordedEntry(entry_id) for entry_id in listed))
        return _Choice(
            PoolOrigin.RECORDED,
            (),
            "no pool was recorded for this turn; retrieve one with --pool-from cosine, bm25 or hybrid",
        )

    def _by_cosine(self, turns: Sequence[tuple[str, Turn]]) -> dict[str, _Choice]:
        nearest = self._knowledge.nearest({turn.turn_id: org_id for org_id, turn in turns}, self._config.pool)
        return {turn.turn_id: _retrieved(PoolOrigin.COSINE, nearest.get(turn.turn_id)) for _, turn in turns}

    def _by_bm25(self, org_id: str, turn: Turn) -> _Choice:
        top = self._lexicons.of(org_id).top(turn.search_text, self._config.pool)
        return _Choice(PoolOrigin.BM25, tuple(RecordedEntry(*item) for item in top))

    def _by_both(self, turns: Sequence[tuple[str, Turn]]) -> dict[str, _Choice]:
        dense = self._by_cosine(turns)
        return {turn.turn_id: self._fused(dense[turn.turn_id], self._by_bm25(org_id, turn)) for org_id, turn in turns}

    def _fused(self, dense: _Choice, sparse: _Choice) -> _Choice:
        if dense.reason is not None:
            return _Choice(PoolOrigin.HYBRID, (), dense.reason)
        fused = fuse_ranks([[item.entry_id for item in choice.items] for choice in (dense, sparse)])
        return _Choice(PoolOrigin.HYBRID, tuple(RecordedEntry(*item) for item in fused[: self._config.pool]))

    def _texts(self, sessions: Sequence[Session], chosen: Mapping[str, _Choice]) -> dict[tuple[str, str], Entry]:
        wanted: dict[str, set[str]] = defaultdict(set)
        for session in sessions:
            for turn in session.turns:
                items = chosen[turn.turn_id].items
                wanted[session.org_id].update(item.entry_id for item in items if item.body is None)
        named = {org_id: entry_ids for org_id, entry_ids in wanted.items() if entry_ids}
        return self._knowledge.entries(named) if named else {}

    def _freeze(self, org_id: str, choice: _Choice, texts: Mapping[tuple[str, str], Entry]) -> BuiltPool:
        found = [(_recorded_text(org_id, item) or texts.get((org_id, item.entry_id)), item) for item in choice.items]
        if choice.origin is PoolOrigin.UNION:
            found = [(entry or Entry(org_id, item.entry_id, "", ""), item) for entry, item in found]
        held = [(entry, item) for entry, item in found if entry is not None]
        entries = tuple(PoolEntry(entry, rank, item.score) for rank, (entry, item) in enumerate(held, start=1))
        return BuiltPool(Pool(entries, choice.origin), choice.reason, len(found) - len(held))


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which entries a pool will hold, before their texts are fetched."""

    origin: PoolOrigin
    items: tuple[RecordedEntry, ...]
    reason: str | None = None


def _recorded_text(org_id: str, item: RecordedEntry) -> Entry | None:
    """The entry as production's reranker read it, where the recording kept its text."""
    return None if item.body is None else Entry(org_id, item.entry_id, item.title or "", item.body)


def _retrieved(origin: PoolOrigin, items: Sequence[RecordedEntry] | None) -> _Choice:
    if not items:
        return _Choice(origin, (), NO_EMBEDDING)
    return _Choice(origin, tuple(items))
