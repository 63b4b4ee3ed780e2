"""`served`: what production returned, in its order."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from shadowdiff.errors import RerankerError, SpecError
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.served import Served
from shadowdiff.rerankers.spec import parse
from shadowdiff.testing import make_turn


def served() -> Served:
    """The kind, as the registry builds it."""
    reranker = build(parse("served"))
    assert isinstance(reranker, Served)
    return reranker


def test_scores_fall_with_the_order_served() -> None:
    """The first of n served entries scores n, the last 1; what was not served is not ranked."""
    turn = make_turn(("a", "b", "c", "d"), served=("e3", "e1"))
    assert list(served().score_pool(turn)) == [1.0, -math.inf, 2.0, -math.inf]


def test_entries_outside_the_pool_are_listed_and_not_scored() -> None:
    """An id that the pool does not hold takes its place in the order, and is told to whoever counts."""
    turn = make_turn(("a", "b"), served=("gone", "e2"))
    assert list(served().score_pool(turn)) == [-math.inf, 1.0]
    assert served().listed(turn.turn) == ("gone", "e2")


def test_served_twice_counts_where_it_stood_first() -> None:
    """An entry that production returned twice keeps its better place."""
    turn = make_turn(("a", "b"), served=("e1", "e2", "e1"))
    first, second = served().score_pool(turn)
    assert first > second
    assert served().listed(turn.turn) == ("e1", "e2")


def test_nothing_served_is_a_ranking_of_nothing() -> None:
    """Production that answered with no entry did answer."""
    assert list(served().score_pool(make_turn(("a",), served=()))) == [-math.inf]


def test_nothing_recorded_fails_the_turn() -> None:
    """A turn without a record of what was served has no ranking, and lists nothing."""
    turn = make_turn(("a",))
    unrecorded = replace(turn, turn=replace(turn.turn, served=None))
    with pytest.raises(RerankerError, match=r"^nothing was recorded as served"):
        served().score_pool(unrecorded)
    assert served().listed(unrecorded.turn) == ()


@pytest.mark.parametrize("spec", ["served:x", "served,k=1"])
def test_takes_neither_target_nor_options(spec: str) -> None:
    """What would be ignored is refused."""
    with pytest.raises(SpecError):
        build(parse(spec))
