"""What holds for every pool and every score."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from shadowdiff.ranking import rank_pool, surfaced
from shadowdiff.records import Entry, Pool, PoolEntry, PoolOrigin

UNHURRIED = settings(deadline=None)
SCORES = st.one_of(st.sampled_from([0.0, -0.0, 1.0, -math.inf]), st.floats(allow_nan=False, max_value=1e300))
SCORED_ENTRIES = st.lists(
    st.tuples(st.text(max_size=3), st.integers(1, 4), SCORES), max_size=12, unique_by=lambda item: item[0]
)
"""(entry id, pool rank, score), with ranks and scores that often tie."""


def pool_of(items: list[tuple[str, int, float]]) -> tuple[Pool, list[float]]:
    """The pool and its scores, in the order given."""
    entries = tuple(PoolEntry(Entry("acme", entry_id, "", ""), rank) for entry_id, rank, _ in items)
    return Pool(entries, PoolOrigin.RECORDED), [score for *_, score in items]


@UNHURRIED
@given(SCORED_ENTRIES, st.randoms(use_true_random=False))
def test_the_order_of_the_input_is_no_part_of_the_ranking(items: list[tuple[str, int, float]], dice: Random) -> None:
    """Permuting a pool together with its scores gives the same ranking, ties included."""
    shuffled = items.copy()
    dice.shuffle(shuffled)
    assert rank_pool(*pool_of(shuffled)) == rank_pool(*pool_of(items))


@UNHURRIED
@given(SCORED_ENTRIES)
def test_a_ranking_is_the_whole_pool_best_first(items: list[tuple[str, int, float]]) -> None:
    """No entry is lost or repeated, each keeps its score, scores never rise, and unranked entries stand last."""
    ranking = rank_pool(*pool_of(items))
    scores = [-math.inf if score is None else score for score in ranking.scores]
    assert dict(zip(ranking.entry_ids, scores, strict=True)) == {entry_id: score for entry_id, _, score in items}
    assert len(ranking.entry_ids) == len(items)
    assert all(better >= worse for better, worse in pairwise(scores))


@UNHURRIED
@given(SCORED_ENTRIES, st.integers(1, 14), st.none() | SCORES)
def test_surfaced_is_a_prefix_that_a_threshold_only_shortens(
    items: list[tuple[str, int, float]], top_k: int, min_score: float | None
) -> None:
    """At most K entries from the top, none of them below the threshold, and none above it left out."""
    ranking = rank_pool(*pool_of(items))
    shown = surfaced(ranking, top_k, min_score)
    kept = {
        entry_id for entry_id, _, score in items if score != -math.inf and (min_score is None or score >= min_score)
    }
    assert shown == ranking.entry_ids[: len(shown)]
    assert len(shown) == min(top_k, len(kept))
    assert kept.issuperset(shown)
