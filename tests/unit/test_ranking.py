"""From scores to an order, and from an order to what is shown."""

from __future__ import annotations

import math

import pytest

from shadowdiff.errors import RerankerError
from shadowdiff.ranking import rank_pool, surfaced
from shadowdiff.records import Entry, Pool, PoolEntry, PoolOrigin, Ranking


def pool(*entry_ids: str) -> Pool:
    """A pool of entries in retrieval order."""
    entries = (Entry("acme", entry_id, "", entry_id) for entry_id in entry_ids)
    return Pool(tuple(PoolEntry(entry, rank) for rank, entry in enumerate(entries, start=1)), PoolOrigin.RECORDED)


def test_higher_scores_stand_first() -> None:
    """The order is by score, best first, and the scores travel with their entries."""
    assert rank_pool(pool("a", "b", "c"), [0.1, 0.9, 0.5]) == Ranking(("b", "c", "a"), (0.9, 0.5, 0.1))


def test_equal_scores_keep_retrieval_order() -> None:
    """A tie is broken by pool rank, whatever the ids."""
    assert rank_pool(pool("z", "a", "m"), [1.0, 1.0, 1.0]).entry_ids == ("z", "a", "m")


def test_equal_scores_and_ranks_fall_back_to_ids() -> None:
    """Where retrieval ranked two entries alike, the entry id decides."""
    entries = tuple(PoolEntry(Entry("acme", entry_id, "", ""), 1) for entry_id in "cab")
    assert rank_pool(Pool(entries, PoolOrigin.UNION), [2.0, 2.0, 2.0]).entry_ids == ("a", "b", "c")


def test_negative_zero_ties_with_zero() -> None:
    """0.0 and -0.0 are one score: retrieval order decides between them."""
    assert rank_pool(pool("b", "a"), [-0.0, 0.0]).entry_ids == ("b", "a")


def test_unranked_entries_stand_last_without_a_score() -> None:
    """-inf means not ranked: last, score None, absent from the ranks."""
    ranking = rank_pool(pool("a", "b", "c"), [-math.inf, -5.0, 3.0])
    assert ranking == Ranking(("c", "b", "a"), (3.0, -5.0, None))
    assert ranking.ranks() == {"c": 1, "b": 2}


def test_empty_pool_has_an_empty_ranking() -> None:
    """Nothing to rank is no failure."""
    assert rank_pool(pool(), []) == Ranking((), ())


@pytest.mark.parametrize("scores", [[], [1.0], [1.0, 2.0, 3.0]])
def test_wrong_number_of_scores_is_refused(scores: list[float]) -> None:
    """A reranker that returns too few or too many scores gave no ranking."""
    with pytest.raises(RerankerError, match=rf"returned {len(scores)} scores for 2 entries"):
        rank_pool(pool("a", "b"), scores)


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_score_that_cannot_be_ordered_is_refused(score: float) -> None:
    """NaN and +inf are refused, and the message names the entry."""
    with pytest.raises(RerankerError, match=rf"returned the score {score} for entry 'b'"):
        rank_pool(pool("a", "b"), [0.0, score])


@pytest.mark.parametrize(
    ("top_k", "min_score", "expected"),
    [
        (2, None, ("a", "b")),
        (4, None, ("a", "b", "c")),
        (4, 0.5, ("a", "b")),
        (1, 0.5, ("a",)),
        (4, 0.91, ()),
    ],
)
def test_surfaced_is_the_top_k_at_or_above_the_threshold(
    top_k: int, min_score: float | None, expected: tuple[str, ...]
) -> None:
    """Shown is what stands in the top K, was ranked at all, and reaches `min_score`, which is inclusive."""
    ranking = Ranking(("a", "b", "c", "d"), (0.9, 0.5, 0.1, None))
    assert surfaced(ranking, top_k, min_score) == expected
