"""From scores to an order, and from an order to what a user would have been shown: the only place for either."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shadowdiff.errors import PlainRerankerError
from shadowdiff.records import Pool, Ranking


def rank_pool(pool: Pool, scores: Sequence[float]) -> Ranking:
    """Order a pool by score descending, then pool rank, then entry id.

    `scores` stand in pool order; -inf means that the side does not rank the
    entry. Raises RerankerError on a wrong count, NaN or +inf.
    """
    if len(scores) != len(pool.entries):
        raise PlainRerankerError(f"returned {len(scores)} scores for {len(pool.entries)} entries")
    for item, score in zip(pool.entries, scores, strict=True):
        if math.isnan(score) or score == math.inf:
            raise PlainRerankerError(f"returned the score {score} for entry {item.entry.entry_id!r}")
    ordered = sorted(
        zip(pool.entries, scores, strict=True),
        key=lambda pair: (-pair[1], pair[0].rank, pair[0].entry.entry_id),
    )
    return Ranking(
        entry_ids=tuple(item.entry.entry_id for item, _ in ordered),
        scores=tuple(None if score == -math.inf else float(score) for _, score in ordered),
    )


def surfaced(ranking: Ranking, top_k: int, min_score: float | None = None) -> tuple[str, ...]:
    """Entry ids that a user would have been shown, best first: the top K ranked ones at or above `min_score`."""
    entry_ids, scores = ranking.entry_ids[:top_k], ranking.scores[:top_k]
    if min_score is None and None not in scores:
        return entry_ids
    shown = zip(entry_ids, scores, strict=True)
    return tuple(
        entry_id for entry_id, score in shown if score is not None and (min_score is None or score >= min_score)
    )
