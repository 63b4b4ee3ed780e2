"""`rrf`: reciprocal rank fusion of other rerankers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from shadowdiff.errors import ConfigError, RerankerError, SpecError
from shadowdiff.protocols import PooledTurn, PoolReranker, Reranker
from shadowdiff.rerankers.registry import BuildContext, build
from shadowdiff.rerankers.rrf import ReciprocalRankFusion
from shadowdiff.rerankers.rrf import build as build_rrf
from shadowdiff.rerankers.spec import Spec, parse
from shadowdiff.testing import FailingReranker, KeywordReranker, make_turn

TEXTS = ("one two three", "one", "nothing", "one two")


def fused(text: str, parts: dict[str, Reranker | PoolReranker]) -> ReciprocalRankFusion:
    """A fusion of rerankers that are made here instead of looked up."""
    return build_rrf(parse(text), BuildContext({}, lambda spec: parts[spec.scheme]))


def keyword_and_served() -> PooledTurn:
    """Keywords rank e1 e4 e2 e3; served were e3 and e2."""
    return make_turn(TEXTS, "one two three", served=("e3", "e2"))


def test_scores_by_hand() -> None:
    """The sum over parts of 1 / (60 + rank); a part adds nothing for what it does not rank."""
    reranker = fused("rrf:words+served", {"words": KeywordReranker(), "served": build(parse("served"))})
    assert list(reranker.score_pool(keyword_and_served())) == pytest.approx(
        [1 / 61, 1 / 63 + 1 / 62, 1 / 64 + 1 / 61, 1 / 62], abs=1e-15
    )


def test_the_constant_is_an_option() -> None:
    """k=1 weighs the first ranks more."""
    reranker = fused("rrf:words+served,k=1", {"words": KeywordReranker(), "served": build(parse("served"))})
    assert list(reranker.score_pool(keyword_and_served())) == pytest.approx(
        [1 / 2, 1 / 4 + 1 / 3, 1 / 5 + 1 / 2, 1 / 3], abs=1e-15
    )


def test_entries_that_no_part_ranks_stay_unranked(tmp_path: Path) -> None:
    """Two listing parts leave the rest of the pool unranked."""
    file = tmp_path / "a.run"
    file.write_text("t1 Q0 e4 1 2 x\n")
    turn = keyword_and_served()
    scores = build(Spec("rrf", f"served+run:{file}"))
    assert isinstance(scores, PoolReranker)
    assert [score == -math.inf for score in scores.score_pool(turn)] == [True, False, False, False]


def test_needs_what_its_parts_need() -> None:
    """The replay loads embeddings and statistics for a fusion as it does for its parts."""
    reranker = build(parse("rrf:cosine+bm25+served"))
    assert isinstance(reranker, PoolReranker)
    assert reranker.needs == {"vectors", "lexical"}


def test_fingerprint_follows_parts_and_constant() -> None:
    """Another part, order or constant is another reranker."""
    specs = ("rrf:cosine+bm25", "rrf:cosine+served", "rrf:bm25+cosine", "rrf:cosine+bm25,k=10")
    assert len({build(parse(spec)).fingerprint for spec in specs}) == len(specs)


def test_a_failing_part_fails_the_turn_and_is_named() -> None:
    """The reason says which part, whether it failed on purpose or by a bug."""
    turn = replace(keyword_and_served(), vectors=None)
    with pytest.raises(RerankerError, match=r"^part 'cosine': .*embedding"):
        build(parse("rrf:cosine+served")).score_pool(turn)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("error", "message"),
    [(RerankerError("out of quota"), "out of quota"), (KeyError("weights"), "KeyError: 'weights'")],
)
def test_whatever_a_part_raises_names_it(error: Exception, message: str) -> None:
    """Plugins are strangers' code, in a fusion too."""
    parts: dict[str, Reranker | PoolReranker] = {
        "bad": FailingReranker(lambda query: True, error),
        "words": KeywordReranker(),
    }
    with pytest.raises(RerankerError, match=f"^part 'bad': {message}$"):
        fused("rrf:words+bad", parts).score_pool(keyword_and_served())


def test_short_names_may_be_parts() -> None:
    """A part with options gets them through a short name."""
    named = build(parse("rrf:slow+served"), {"slow": "rrf:x+y", "quick": "bm25"} | {"slow": "cosine"})
    assert named.fingerprint == build(parse("rrf:cosine+served")).fingerprint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rrf", "rrf needs at least two parts"),
        ("rrf:cosine", r"'rrf:cosine': rrf needs at least two parts .*rrf:cosine\+bm25"),
        ("rrf:cosine+", "at least two parts"),
        ("rrf:cosine++bm25", "at least two parts"),
        ("rrf:cosine+rrf:a", "rrf cannot fuse an rrf"),
        ("rrf:cosine+fusion", "rrf cannot fuse an rrf"),
        ("rrf:cosine+onx:a", r"no reranker 'onx' in 'onx:a'; .*did you mean 'onnx'"),
        ("rrf:cosine+bm25,k=0", "k=0 .*whole number of at least 1"),
        ("rrf:cosine+bm25,j=1", "unknown option 'j'"),
        ("rrf:cosine+onnx:a%2Cthreads=1", "a part takes no options"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    """What cannot be fused is refused at build, with the reason."""
    with pytest.raises(SpecError, match=message):
        build(parse(text), {"fusion": "rrf:cosine+bm25"})


def test_a_part_that_cannot_be_built_is_refused_at_build() -> None:
    """A fusion with a missing model is found out before any turn."""
    with pytest.raises(ConfigError, match="no model at no/such/model"):
        build(parse("rrf:cosine+onnx:no/such/model"))
