"""A window of sessions: read with its pools, ranked by every side, the results side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shadowdiff.errors import RerankerError, UnaffordableError
from shadowdiff.pools import BuiltPool, Lexicons, PoolBuilder
from shadowdiff.protocols import Need, PooledTurn, PoolReranker, Reranker, Source, TurnVectors
from shadowdiff.records import NOISE_SIDE, ReplayedSession, ReplayedTurn, Session, TurnFailure, Window
from shadowdiff.remote.budget import UNLIMITED, Budget
from shadowdiff.replay.plan import SideTurns, WindowPlan, rank_anew
from shadowdiff.replay.score import RankedTurn, RankResult, ScoreCache
from shadowdiff.replay.sides import Contender, listing_sides, scored_parts
from shadowdiff.runs import RunConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Vectors = Mapping[tuple[str, str], "NDArray[np.float32]"]


@dataclass(frozen=True, slots=True)
class ReadWindow:
    """Sessions with everything that their turns' sides read."""

    sessions: tuple[Session, ...]
    built: Mapping[str, BuiltPool]
    """By turn id."""
    pooled: tuple[PooledTurn, ...]
    """The turns that have a pool."""


class WindowReader:
    """Reads windows of sessions: everything that comes from the source. May be used by one thread at a time."""

    def __init__(self, contenders: Sequence[Contender], config: RunConfig, source: Source) -> None:
        self._source = source
        self._lexicons = Lexicons(source)
        self._pools = PoolBuilder(source, self._lexicons, config, listing_sides(contenders))
        self._needs: frozenset[Need] = frozenset().union(*(contender.needs for contender in contenders))

    def read(self, session_ids: Sequence[str]) -> ReadWindow:
        """The sessions that the source still has, oldest first. Raises SourceError."""
        sessions = tuple(self._source.sessions(Window(session_ids=tuple(session_ids))))
        built = self._pools.build(sessions)
        return ReadWindow(sessions, built, tuple(self._pooled(sessions, built)))

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
        entries = self._source.entry_vectors(wanted)
        queries = self._source.turn_vectors([turn.turn.turn_id for turn in pooled])
        found = ((turn, _turn_vectors(turn, queries.get(turn.turn.turn_id), entries)) for turn in pooled)
        return {turn.turn.turn_id: vectors for turn, vectors in found if vectors is not None}


def _turn_vectors(turn: PooledTurn, query: NDArray[np.float32] | None, entries: Vectors) -> TurnVectors | None:
    import numpy as np

    rows = [entries.get((turn.org_id, entry_id)) for entry_id in turn.pool.entry_ids]
    held = [row for row in rows if row is not None]
    if query is None or len(held) < len(rows) or any(row.shape != query.shape for row in held):
        return None
    return TurnVectors(query, np.stack(held) if held else np.zeros((0, len(query)), dtype=np.float32))


class WindowRanker:
    """Ranks windows through one run's sides."""

    def __init__(
        self,
        contenders: Sequence[Contender],
        config: RunConfig,
        cache: ScoreCache,
        load: Callable[[Reranker], None] = lambda reranker: None,
        budget: Budget = UNLIMITED,
    ) -> None:
        self._budget = budget
        self._contenders = contenders
        self._noise = config.noise
        self._top_k = config.top_k
        self._cache = cache
        self._load = load
        models = [c for c in contenders if any(not isinstance(p, PoolReranker) for p in scored_parts(c.reranker))]
        self._counted = models or list(contenders)
        """The sides that take the time: counting the others too would make every estimate of it wrong."""

    def pairs(self, window: ReadWindow) -> int:
        """How many pairs count as progress."""
        passes = len(self._counted) + (self._noise and self._contenders[0] in self._counted)
        return passes * sum(len(turn.pool.entries) for turn in window.pooled)

    def rank(self, window: ReadWindow, on_scored: Callable[[int], None]) -> tuple[ReplayedSession, ...]:
        """Rank every turn; `on_scored(pairs)` is called as their scores are known. Raises StoreError.

        Sessions with a turn that the budget had no room for are left out: they are not failed, but still to do.
        """
        results = {
            label: dict(zip([turn.turn.turn_id for turn in window.pooled], ranked, strict=True))
            for label, ranked in self._passes(window.pooled, on_scored)
        }
        unaffordable = {
            turn_id for ranked in results.values() for turn_id, it in ranked.items() if _is_unaffordable(it)
        }
        return tuple(
            _assemble(session, window.built, results)
            for session in window.sessions
            if unaffordable.isdisjoint(turn.turn_id for turn in session.turns)
        )

    def _passes(
        self, pooled: Sequence[PooledTurn], on_scored: Callable[[int], None]
    ) -> Iterator[tuple[str, list[RankResult]]]:
        sides = [SideTurns(each.reranker, each.seen(pooled), each.side.label, self._top_k) for each in self._contenders]
        ranked = WindowPlan(sides, self._cache, on_scored, self._load, self._budget).rank()
        yield from zip([side.label for side in sides], ranked, strict=True)
        if self._noise:
            yield NOISE_SIDE, rank_anew(replace(sides[0], label=NOISE_SIDE), self._cache, on_scored, self._budget)


def _is_unaffordable(result: RankResult) -> bool:
    return isinstance(result, UnaffordableError)


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
                    failure_of(label, pool.reason or result) for label, result in by_side.items() if label not in ranked
                ),
                counts={label: result.counts for label, result in ranked.items()},
                unpooled=turn.recorded_pool is None,
                missing_entries=pool.missing_entries,
            )
        )
    return ReplayedSession(session, tuple(turns))


def failure_of(label: str, reason: str | RankResult | None) -> TurnFailure:
    """A side's failure as it is stored: the reason is a pool's, which quotes nothing, or what the reranker raised."""
    return TurnFailure(label, str(reason), reason.textless if isinstance(reason, RerankerError) else None)
