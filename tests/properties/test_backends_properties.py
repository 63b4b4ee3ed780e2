"""On the real sample model: neither batches, nor the order of turns, nor threads move a score or a ranking."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shadowdiff.protocols import ScoreRequest
from shadowdiff.rerankers.onnx import OnnxCrossEncoder
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import Spec
from shadowdiff.sources.bundle import read_bundle
from tests.conftest import MODEL, SAMPLE

TURNS, DOCUMENTS = 4, 6
CUT = {"max_length": 96}


@cache
def requests() -> tuple[ScoreRequest, ...]:
    """Real queries of the sample, each with entries of very different lengths."""
    bundle = read_bundle(SAMPLE)
    bodies = sorted({entry.body for entry in bundle.entries}, key=len)
    spread = bodies[:: len(bodies) // (3 * DOCUMENTS)]
    dice = Random(5)  # noqa: S311
    turns = [session.turns[0] for session in bundle.sessions][:TURNS]
    return tuple(ScoreRequest(turn.query, tuple(dice.sample(spread, DOCUMENTS))) for turn in turns)


@cache
def reranker_of(backend: str, threads: int, batch_tokens: int) -> OnnxCrossEncoder:
    """The sample model, in exact fp32."""
    given = {"backend": backend, "dtype": "fp32", "threads": threads, "batch_tokens": batch_tokens, **CUT}
    spec = Spec("onnx", str(MODEL), tuple((key, str(value)) for key, value in given.items()))
    reranker = build(spec)
    assert isinstance(reranker, OnnxCrossEncoder)
    return reranker


@cache
def alone(backend: str) -> dict[ScoreRequest, tuple[float, ...]]:
    """Scores of the pairs, each in a call of its own."""
    reranker = reranker_of(backend, 1, 2048)
    return {one: tuple(reranker.score(one.query, [text])[0] for text in one.documents) for one in requests()}


def order(scores: Sequence[float]) -> list[int]:
    """Places, best first."""
    return sorted(range(len(scores)), key=lambda place: (-scores[place], place))


@pytest.mark.parametrize("backend", ["ort", "openvino"])
@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(
    order_of_turns=st.permutations(range(TURNS)),
    batch_tokens=st.sampled_from([256, 512, 1024, 2048, 8192]),
    threads=st.sampled_from([1, 2]),
)
def test_only_the_pair_decides(backend: str, order_of_turns: list[int], batch_tokens: int, threads: int) -> None:
    """Scores are those of one pair at a time to 1e-4, and each turn's ranking is the same."""
    if backend == "openvino":
        pytest.importorskip("openvino")
    asked = [requests()[place] for place in order_of_turns]
    for request, answer in zip(asked, reranker_of(backend, threads, batch_tokens).score_batch(asked), strict=True):
        expected = alone(backend)[request]
        assert list(answer.scores) == pytest.approx(expected, abs=1e-4)
        assert order(answer.scores) == order(expected)
