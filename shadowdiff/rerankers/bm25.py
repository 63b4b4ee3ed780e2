"""`bm25`: lexical, with the org's whole knowledge base as statistics."""

from __future__ import annotations

from collections.abc import Sequence

from shadowdiff.errors import PlainRerankerError
from shadowdiff.protocols import Need, Network, PooledTurn
from shadowdiff.rerankers.documents import document_text
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.spec import Options, Spec, refuse_target

DESCRIPTION = "lexical, by the statistics of the org's knowledge base"


class Bm25:
    """Ranks by BM25 (Lucene's variant) of title and body."""

    needs: frozenset[Need] = frozenset({"lexical"})
    network: Network | None = None

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.fingerprint = fingerprint("bm25/1")

    def score_pool(self, turn: PooledTurn) -> Sequence[float]:
        """BM25 of each entry; 0.0 where it shares no term with the query. Raises RerankerError."""
        if turn.lexical is None:
            raise PlainRerankerError("no term statistics were built for this turn's org")
        return turn.lexical.scores(turn.turn.search_text, [document_text(item.entry) for item in turn.pool.entries])


def build(spec: Spec, context: BuildContext) -> Bm25:
    """`bm25` takes neither target nor options."""
    refuse_target(spec)
    Options(spec).finish()
    return Bm25(spec)
