"""`cosine`: similarity of the stored embeddings of query and entry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shadowdiff.errors import PlainRerankerError
from shadowdiff.protocols import Need, Network, PooledTurn
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.spec import Options, Spec, refuse_target

DESCRIPTION = "similarity of stored embeddings"


class Cosine:
    """Ranks by cosine similarity, in [-1, 1]."""

    needs: frozenset[Need] = frozenset({"vectors"})
    network: Network | None = None

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.fingerprint = fingerprint("cosine/1")

    def score_pool(self, turn: PooledTurn) -> Sequence[float]:
        """Cosines in double precision, each row by itself; 0.0 where a vector is zero."""
        if turn.vectors is None:
            raise PlainRerankerError(
                "an embedding of this turn or of an entry in its pool is missing; load with --embedder, or map "
                "embeddings in [source]"
            )
        query = turn.vectors.query.astype(np.float64)
        entries = turn.vectors.entries.astype(np.float64)
        lengths = np.linalg.norm(entries, axis=1) * np.linalg.norm(query)
        products = (entries * query).sum(axis=1)
        cosines: list[float] = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0).tolist()
        return cosines


def build(spec: Spec, context: BuildContext) -> Cosine:
    """`cosine` takes neither target nor options."""
    refuse_target(spec)
    Options(spec).finish()
    return Cosine(spec)
