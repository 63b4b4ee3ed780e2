"""Reciprocal rank fusion. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

RRF_K = 60
"""The constant of Cormack, Clarke and Büttcher 2009, section 3."""


def fuse_ranks(rankings: Sequence[Sequence[str]], k: int = RRF_K) -> list[tuple[str, float]]:
    """Entry ids with the sum over rankings of 1 / (k + rank), best first.

    Ranks are 1-based; a ranking that lacks an entry adds nothing. Ties stand
    in the order in which the rankings first name them.
    """
    parts: dict[str, list[float]] = {}
    for ranking in rankings:
        for rank, entry_id in enumerate(ranking, start=1):
            parts.setdefault(entry_id, []).append(1.0 / (k + rank))
    # fsum rounds once, so that equal ranks give equal sums in whatever order the rankings stand.
    scores = {entry_id: math.fsum(terms) for entry_id, terms in parts.items()}
    return sorted(scores.items(), key=lambda item: -item[1])
