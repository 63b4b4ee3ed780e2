"""`cosine`: similarity of stored embeddings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shadowdiff.errors import RerankerError, SpecError
from shadowdiff.protocols import PooledTurn, PoolReranker, TurnVectors
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse
from shadowdiff.testing import make_turn


def scores(turn: PooledTurn) -> list[float]:
    """Cosines of the turn's pool."""
    reranker = build(parse("cosine"))
    assert isinstance(reranker, PoolReranker)
    assert reranker.needs == {"vectors"}
    return list(reranker.score_pool(turn))


def turn_of(query: list[float], entries: list[list[float]]) -> PooledTurn:
    """A turn with these embeddings."""
    vectors = TurnVectors(np.array(query, dtype=np.float32), np.array(entries, dtype=np.float32))
    return replace(make_turn([f"text {place}" for place in range(len(entries))]), vectors=vectors)


def test_cosines_by_hand() -> None:
    """Same, opposite, right-angled and slanted directions, whatever the lengths."""
    found = scores(turn_of([3.0, 4.0], [[30.0, 40.0], [-3.0, -4.0], [4.0, -3.0], [1.0, 0.0]]))
    assert found == pytest.approx([1.0, -1.0, 0.0, 0.6], abs=1e-15)


def test_zero_vectors_score_zero() -> None:
    """A vector without direction is like nothing, and gives no NaN."""
    assert scores(turn_of([1.0, 0.0], [[0.0, 0.0], [2.0, 0.0]])) == [0.0, 1.0]
    assert scores(turn_of([0.0, 0.0], [[1.0, 1.0]])) == [0.0]


def test_sums_are_in_double_precision() -> None:
    """A small part beside a large one is not rounded away, as it would be in float32."""
    exact = 1.0 / np.sqrt(1.0 + 1e-16)
    assert scores(turn_of([1.0, 0.0], [[1.0, 1e-8]]))[0] == pytest.approx(exact, abs=1e-16)
    many = scores(turn_of([1.0] * 4096, [[1.0] + [1e-4] * 4095]))[0]
    tail = float(np.float32(1e-4))
    assert many == pytest.approx((1 + 4095 * tail) / (64 * np.sqrt(1 + 4095 * tail**2)), rel=1e-14)


def test_missing_embeddings_fail_the_turn() -> None:
    """Without embeddings there is no ranking, and the reason says what to do."""
    with pytest.raises(RerankerError, match=r"embedding.*--embedder"):
        scores(replace(make_turn(("a",)), vectors=None))


@pytest.mark.parametrize("spec", ["cosine:x", "cosine,k=1"])
def test_takes_neither_target_nor_options(spec: str) -> None:
    """What would be ignored is refused."""
    with pytest.raises(SpecError):
        build(parse(spec))
