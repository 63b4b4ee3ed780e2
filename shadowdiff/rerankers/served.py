"""`served`: what production really returned on that turn."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shadowdiff.errors import PlainRerankerError
from shadowdiff.protocols import Need, Network, PooledTurn
from shadowdiff.records import Turn
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.spec import Options, Spec, refuse_target

DESCRIPTION = "what production returned on that turn"


class Served:
    """Ranks what was served, in the order served; everything else stays unranked."""

    needs: frozenset[Need] = frozenset()
    network: Network | None = None

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.fingerprint = fingerprint("served/1")

    def listed(self, turn: Turn) -> tuple[str, ...]:
        """Entry ids as served, best first; one served twice stands at its better place."""
        return tuple(dict.fromkeys(turn.served or ()))

    def score_pool(self, turn: PooledTurn) -> Sequence[float]:
        """Synthetic scores: n for the first of n entries served, 1 for the last. Raises RerankerError."""
        if turn.turn.served is None:
            raise PlainRerankerError("nothing was recorded as served for this turn")
        listed = self.listed(turn.turn)
        scores = {entry_id: float(len(listed) - place) for place, entry_id in enumerate(listed)}
        return [scores.get(entry_id, -math.inf) for entry_id in turn.pool.entry_ids]


def build(spec: Spec, context: BuildContext) -> Served:
    """`served` takes neither target nor options."""
    refuse_target(spec)
    Options(spec).finish()
    return Served(spec)
