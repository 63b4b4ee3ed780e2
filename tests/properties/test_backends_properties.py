"""On the real sample model: neither batches, nor the order of turns, nor threads move a score or a ranking."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from shadowdiff.protocols import ScoreRequest
from shadowdiff.rerankers.onnx import OnnxCrossEncoder
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import Spec
from shadowdiff.sources.bundle import read_bundle
from tests.conftest import MODEL, SAMPLE

TURNS, DOCUMENTS, LIKENESSES = 4, 4, 32
MOVED = 1e-4
"""How far batch mates, order and threads may move a score."""
NEAR = 1e-4
"""Neighbours in a ranking that are closer than this are near-ties."""
CUT = {"max_length": 64}


@cache
def requests() -> tuple[ScoreRequest, ...]:
    """The sample's shortest questions with entries of very different lengths; the first with likenesses of one, too."""
    bundle = read_bundle(SAMPLE)
    bodies = sorted({entry.body for entry in bundle.entries}, key=len)
    spread = bodies[:: len(bodies) // (3 * DOCUMENTS)]
    words = sorted({word.strip(".,;:").lower() for body in bodies for word in body.split()})
    dice = Random(5)  # noqa: S311
    turns = sorted((session.turns[0] for session in bundle.sessions), key=lambda turn: len(turn.query))[:TURNS]
    likenesses = alike(dice.choice(bodies[len(bodies) // 2 :]), words, dice)
    return tuple(
        ScoreRequest(turn.query, (*dice.sample(spread, DOCUMENTS), *([] if place else likenesses)))
        for place, turn in enumerate(turns)
    )


def alike(body: str, words: Sequence[str], dice: Random) -> list[str]:
    """An entry twice, with other punctuation, and with one word in the middle changed, in each way another."""
    before, after = body.split()[:20], body.split()[21:]
    changed = [" ".join([*before, word, *after]) for word in dice.sample(words, LIKENESSES)]
    return [body, f"{body}.", *changed, body]


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


def gaps(scores: Sequence[float]) -> list[float]:
    """Between neighbours in the ranking."""
    ranked = sorted(scores, reverse=True)
    return [better - worse for better, worse in pairwise(ranked)]


def parted(scores: Sequence[float], gap: float) -> list[set[int]]:
    """Places by runs of the ranking within which neighbours are at most so far apart, best first."""
    runs: list[set[int]] = []
    for place, before in zip(order(scores), [float("inf"), *gaps(scores)], strict=True):
        if not runs or before > gap:
            runs.append(set())
        runs[-1].add(place)
    return runs


@pytest.mark.parametrize("backend", ["ort", "openvino"])
def test_there_are_near_ties_to_be_met(backend: str) -> None:
    """Neighbours less than 1e-4 apart, and not equal, are what the property below is about."""
    if backend == "openvino":
        pytest.importorskip("openvino")
    near = [gap for scores in alone(backend).values() for gap in gaps(scores) if 0 < gap < NEAR]
    assert len(near) >= 2


@pytest.mark.parametrize("backend", ["ort", "openvino"])
@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(
    order_of_turns=st.permutations(range(TURNS)),
    batch_tokens=st.sampled_from([256, 512, 1024, 2048, 8192]),
    threads=st.sampled_from([1, 2]),
)
def test_only_the_pair_decides(backend: str, order_of_turns: list[int], batch_tokens: int, threads: int) -> None:
    """Scores are those of one pair at a time, equal texts tie exactly, and only ties within float noise may turn."""
    if backend == "openvino":
        pytest.importorskip("openvino")
    asked = [requests()[place] for place in order_of_turns]
    for request, answer in zip(asked, reranker_of(backend, threads, batch_tokens).score_batch(asked), strict=True):
        expected, found = alone(backend)[request], answer.scores
        assert list(found) == pytest.approx(expected, abs=MOVED)
        by_text = dict(zip(request.documents, found, strict=True))
        assert found == tuple(by_text[text] for text in request.documents)
        moved = max(abs(one - other) for one, other in zip(found, expected, strict=True))
        ranked = order(found)
        for run in parted(expected, 2 * moved):
            assert set(ranked[: len(run)]) == run
            del ranked[: len(run)]
        event(f"near-ties turned: {sum(a != b for a, b in zip(order(found), order(expected), strict=True))} places")
