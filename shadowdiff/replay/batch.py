"""A batch of sessions through every side: pools once, then each side in turn, then the results side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shadowdiff.errors import RerankerError
from shadowdiff.pools import BuiltPool, Lexicons, PoolBuilder
from shadowdiff.protocols import KnowledgeBase, Need, PooledTurn, PoolReranker, TurnVectors
from shadowdiff.records import NOISE_SIDE, ReplayedSession, ReplayedTurn, Session, TurnFailure
from shadowdiff.replay.score import NoCache, RankedTurn, RankResult, ScoreCache, rank_turns
from shadowdiff.replay.sides import Contender, listing_sides
from shadowdiff.runs import RunConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Vectors = Mapping[tuple[str, str], "NDArray[np.float32]"]


@dataclass(frozen=True, slots=True)
class ReplayedBatch:
    """What a batch came to."""

    sessions: tuple[ReplayedSession, ...]
    pooled: tuple[PooledTurn, ...]
    """The turns that had a pool, as the sides saw them."""


class BatchReplayer:
    """Replays batches of sessions through one run's sides."""

    def __init__(
        self, contenders: Sequence[Contender], config: RunConfig, knowledge: KnowledgeBase, cache: ScoreCache
    ) -> None:
        self._contenders = contenders
        self._config = config
        self._knowledge = knowledge
        self._cache = cache
        self._lexicons = Lexicons(knowledge)
        self._pools = PoolBuilder(knowledge, self._lexicons, config, listing_sides(contenders))
        models = [contender for contender in contenders if not isinstance(contender.reranker, PoolReranker)]
        self._counted = models or list(contenders)
        """The sides that take the time: counting the others too would make every estimate of it wrong."""
        self._needs: frozenset[Need] = frozenset().union(*(contender.needs for contender in contenders))

    @property
    def passes(self) -> int:
        """How many passes over a turn count as progress."""
        return len(self._counted) + (self._config.noise and self._contenders[0] in self._counted)

    def replay(self, sessions: Sequence[Session], on_ranked: Callable[[int, int], None]) -> ReplayedBatch:
        """Rank every turn; `on_ranked(turns, pairs)` is called as they are done. Raises SourceError."""
        built = self._pools.build(sessions)
        pooled = self._pooled(sessions, built)
        results = {
            label: dict(zip([turn.turn.turn_id for turn in pooled], ranked, strict=True))
            for label, ranked in self._passes(pooled, on_ranked)
        }
        return ReplayedBatch(tuple(_assemble(session, built, results) for session in sessions), tuple(pooled))

    def _passes(
        self, pooled: Sequence[PooledTurn], on_ranked: Callable[[int, int], None]
    ) -> Iterator[tuple[str, list[RankResult]]]:
        def told(contender: Contender) -> Callable[[int, int], None]:
            return on_ranked if contender in self._counted else lambda turns, pairs: None

        for contender in self._contenders:
            seen = contender.seen(pooled)
            yield contender.side.label, rank_turns(contender.reranker, seen, self._cache, told(contender))
        if self._config.noise:
            # One turn a call and no cache: every pair is scored anew, beside other pairs than before.
            again = self._contenders[0]
            yield NOISE_SIDE, rank_turns(again.reranker, again.seen(pooled), NoCache(), told(again), turns_per_call=1)

    def _pooled(self, sessions: Sequence[Session], built: Mapping[str, BuiltPool]) -> list[PooledTurn]:
        bare = [
            PooledTurn(session.org_id, session.session_id, turn, built[turn.turn_id].pool)
            for session in sessions
            for turn in session.turns
            if built[turn.turn_id].reason is None
        ]
        vectors = self._vectors(bare) if "vectors" in self._needs else {}
        lexical = {turn.org_id: self._lexicons.of(turn.org_id) for turn in bare} if "lexical" in self._needs else {}
        return [
            PooledTurn(t.org_id, t.session_id, t.turn, t.pool, vectors.get(t.turn.turn_id), lexical.get(t.org_id))
            for t in bare
        ]

    def _vectors(self, pooled: Sequence[PooledTurn]) -> dict[str, TurnVectors]:
        """Embeddings by turn id, for the turns whose query and whole pool have one."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for turn in pooled:
            wanted[turn.org_id].update(turn.pool.entry_ids)
        entries = self._knowledge.entry_vectors(wanted)
        queries = self._knowledge.turn_vectors([turn.turn.turn_id for turn in pooled])
        found = ((turn, _turn_vectors(turn, queries.get(turn.turn.turn_id), entries)) for turn in pooled)
        return {turn.turn.turn_id: vectors for turn, vectors in found if vectors is not None}


def _turn_vectors(turn: PooledTurn, query: NDArray[np.float32] | None, entries: Vectors) -> TurnVectors | None:
    import numpy as np

    rows = [entries.get((turn.org_id, entry_id)) for entry_id in turn.pool.entry_ids]
    held = [row for row in rows if row is not None]
    if query is None or len(held) < len(rows) or any(row.shape != query.shape for row in held):
        return None
    return TurnVectors(query, np.stack(held) if held else np.zeros((0, len(query)), dtype=np.float32))


def _assemble(
    session: Session, built: Mapping[str, BuiltPool], results: Mapping[str, Mapping[str, RankResult]]
) -> ReplayedSession:
    turns = []
    for turn in session.turns:
        pool = built[turn.turn_id]
        by_side = {label: ranked.get(turn.turn_id) for label, ranked in results.items()}
        ranked = {label: result for label, result in by_side.items() if isinstance(result, RankedTurn)}
        turns.append(
            ReplayedTurn(
                turn=turn,
                pool=pool.pool,
                rankings={label: result.ranking for label, result in ranked.items()},
                failures=tuple(
                    _failure(label, pool.reason or result) for label, result in by_side.items() if label not in ranked
                ),
                counts={label: result.counts for label, result in ranked.items()},
                unpooled=turn.recorded_pool is None,
                missing_entries=pool.missing_entries,
            )
        )
    return ReplayedSession(session, tuple(turns))


def _failure(label: str, reason: str | RankResult | None) -> TurnFailure:
    """The reason is a pool's, which quotes nothing, or what the reranker raised."""
    return TurnFailure(label, str(reason), reason.textless if isinstance(reason, RerankerError) else None)
