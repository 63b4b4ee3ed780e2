"""`rrf:PART+PART[,k=60]`: reciprocal rank fusion of other rerankers over the turn's pool."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from shadowdiff.errors import SpecError
from shadowdiff.fusion import RRF_K, fuse_ranks
from shadowdiff.protocols import Need, Network, PooledTurn, PoolReranker, Prepares, Reranker
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.network import joined, network_of
from shadowdiff.rerankers.parts import Part, build_part, rank_by_part
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.scoring import score_turn
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "reciprocal rank fusion of others: rrf:cosine+bm25"

NO_NESTING = "rrf cannot fuse an rrf; name the parts themselves"


class ReciprocalRankFusion:
    """Ranks by the sum over parts of 1 / (k + rank); an entry that no part ranks stays unranked."""

    def __init__(self, spec: Spec, parts: Sequence[Part], k: int) -> None:
        self.spec = spec
        self.fingerprint = fingerprint("rrf/1", str(k), *(reranker.fingerprint for _, reranker in parts))
        self.needs: frozenset[Need] = frozenset().union(
            *(reranker.needs for _, reranker in parts if isinstance(reranker, PoolReranker))
        )
        self.parts = parts
        self.network: Network | None = joined(network_of(reranker) for _, reranker in parts)
        self._k = k

    def prepare(self) -> None:
        """Load what the parts need."""
        for _, reranker in self.parts:
            if isinstance(reranker, Prepares):
                reranker.prepare()

    def score_pool(self, turn: PooledTurn) -> Sequence[float]:
        """Fused scores. Raises RerankerError naming the part that failed."""
        return self.fuse(turn, [partial(_scores, reranker, turn) for _, reranker in self.parts])

    def fuse(self, turn: PooledTurn, scores: Sequence[Callable[[], Sequence[float]]]) -> Sequence[float]:
        """Fused scores out of the parts' own. Raises RerankerError naming the part that failed."""
        named = zip(self.parts, scores, strict=True)
        ranked = [list(rank_by_part(name, turn, found).ranks()) for (name, _), found in named]
        fused = dict(fuse_ranks(ranked, self._k))
        return [fused.get(entry_id, -math.inf) for entry_id in turn.pool.entry_ids]


def build(spec: Spec, context: BuildContext) -> ReciprocalRankFusion:
    """Parts are specs without options, or short names of shadowdiff.toml."""
    options = Options(spec)
    k = options.integer("k", RRF_K)
    options.finish()
    names = [name.strip() for name in spec.target.split("+")]
    if len(names) < 2 or not all(names):
        raise SpecError(f"'{spec}': rrf needs at least two parts with a + between them, as in rrf:cosine+bm25")
    return ReciprocalRankFusion(spec, [build_part(spec, name, context, NO_NESTING) for name in names], k)


def _scores(reranker: Reranker | PoolReranker, turn: PooledTurn) -> Sequence[float]:
    return score_turn(reranker, turn).scores
