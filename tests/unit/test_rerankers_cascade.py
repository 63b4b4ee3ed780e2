"""`cascade`: its gate ranks, and another where the gate's top scores are close; never both in one turn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.errors import ConfigError, OfflineError, RemoteError, RerankerError, SpecError, UnaffordableError
from shadowdiff.protocols import PooledTurn, PoolReranker, Reranker
from shadowdiff.ranking import rank_pool
from shadowdiff.records import Ranking
from shadowdiff.replay.sides import build_sides
from shadowdiff.rerankers.cascade import Cascade, confidence
from shadowdiff.rerankers.cascade import build as build_cascade
from shadowdiff.rerankers.parts import failure_of_part
from shadowdiff.rerankers.registry import BuildContext, build
from shadowdiff.rerankers.spec import Spec, parse
from shadowdiff.testing import AskingReranker, FailingReranker, KeywordReranker, make_pool, make_turn

TEXTS = ("one two three", "one", "nothing", "one two")
Parts = dict[str, Reranker | PoolReranker]


class Lengths(KeywordReranker):
    """Ranks longer documents higher, and writes down what it was asked."""

    def __init__(self) -> None:
        super().__init__(Spec("lengths"))
        self.asked: list[str] = []

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """Lengths, in input order."""
        self.asked.append(query)
        return [float(len(document)) for document in documents]


def cascade(text: str, parts: Parts) -> Cascade:
    """A cascade of rerankers that are made here instead of looked up."""
    return build_cascade(parse(text), BuildContext({}, lambda spec: parts[spec.scheme]))


def ranking(*scores: float) -> Ranking:
    """The ranking of a pool with these scores, in pool order."""
    return rank_pool(make_pool([f"text {place}" for place in range(len(scores))]), scores)


@pytest.mark.parametrize(
    ("scores", "at", "expected"),
    [
        pytest.param((0.9, 0.8, 0.4), 1, 0.2, id="a fifth of the spread"),
        pytest.param((0.4, 0.9, 0.8), 1, 0.2, id="in whatever order of the pool"),
        pytest.param((0.9, 0.8, 0.4), 2, 0.8, id="at the second rank"),
        pytest.param((0.9, 0.8, 0.4), 3, 1.0, id="nothing lies below the last"),
        pytest.param((7.0,), 1, 1.0, id="nothing to confuse one entry with"),
        pytest.param((), 1, 1.0, id="nor none"),
        pytest.param((2.0, 2.0, 2.0), 1, 0.0, id="all equal"),
        pytest.param((3.0, 3.0, 1.0), 1, 0.0, id="two best"),
        pytest.param((3.0, 2.0, 1.0, -math.inf), 1, 0.5, id="what is not ranked spreads nothing"),
        pytest.param((3.0, -math.inf), 1, 1.0, id="and is below nobody"),
    ],
)
def test_confidence_by_hand(scores: tuple[float, ...], at: int, expected: float) -> None:
    """The gap at the rank, as a share of best to worst."""
    assert confidence(ranking(*scores), at) == pytest.approx(expected)


@given(
    scores=st.lists(st.integers(-1000, 1000), max_size=12),
    factor=st.sampled_from([0.25, 1.0, 64.0]),
    shift=st.integers(-500, 500),
    at=st.integers(1, 6),
)
def test_confidence_has_no_unit(scores: list[int], factor: float, shift: int, at: int) -> None:
    """It lies in [0, 1], and is the same whatever the scores' scale and zero."""
    found = confidence(ranking(*map(float, scores)), at)
    assert 0.0 <= found <= 1.0
    assert confidence(ranking(*(factor * score + shift for score in scores)), at) == pytest.approx(found)


def test_the_gate_stands_where_it_is_sure() -> None:
    """Keywords score 1, 2/3, 1/3 and 0: a third of the spread is sure for 0.3, and not for 0.4."""
    turn = make_turn(TEXTS, "one two three")
    parts: Parts = {"words": KeywordReranker(), "lengths": Lengths()}
    sure = cascade("cascade:gate=words,margin=0.3,then=lengths", parts)
    unsure = cascade("cascade:gate=words,margin=0.4,then=lengths", parts)
    assert list(sure.score_pool(turn)) == pytest.approx([1, 1 / 3, 0, 2 / 3])
    assert list(unsure.score_pool(turn)) == [13.0, 3.0, 7.0, 7.0]


def test_what_the_gate_does_not_rank_stays_unranked() -> None:
    """A list that was served, and nothing below it: its scores come through as they are."""
    parts: Parts = {"served": build(parse("served")), "lengths": Lengths()}
    turn = make_turn(TEXTS, served=("e3", "e2"))
    found = cascade("cascade:gate=served,margin=0.5,then=lengths", parts).score_pool(turn)
    assert list(found) == [-math.inf, 1.0, 2.0, -math.inf]


def test_the_part_that_failed_is_named() -> None:
    """A gate that fails is not passed over, nor does it stand in for what fails then."""
    bad = FailingReranker(lambda query: True, KeyError("weights"))
    turn = make_turn(TEXTS, "one two three")
    words: Parts = {"bad": bad, "words": KeywordReranker()}
    with pytest.raises(RerankerError, match=r"^part 'bad': KeyError: 'weights'$"):
        cascade("cascade:gate=bad,margin=0,then=words", words).score_pool(turn)
    with pytest.raises(RerankerError, match=r"^part 'bad': KeyError: 'weights'$"):
        cascade("cascade:gate=words,margin=2,then=bad", words).score_pool(turn)


def test_a_named_failure_says_no_more_than_the_failure() -> None:
    """What may be stored without texts is what might be of the part's own; a cap stays a cap."""
    remote = failure_of_part("v3", RemoteError("the provider said: joe@example.com", "HTTP 400"))
    assert (str(remote), remote.textless) == ("part 'v3': the provider said: joe@example.com", "part 'v3': HTTP 400")
    assert isinstance(failure_of_part("v3", UnaffordableError("no")), UnaffordableError)
    assert "joe" not in failure_of_part("v3", ValueError("joe")).textless


def test_needs_and_network_are_those_of_both_parts() -> None:
    """Embeddings for a cosine, a provider for what asks one."""
    made = cascade(
        "cascade:gate=cosine,margin=0.1,then=asking", {"cosine": build(parse("cosine")), "asking": AskingReranker()}
    )
    assert made.needs == {"vectors"}
    assert made.network is not None
    assert made.network.sends_texts
    with pytest.raises(OfflineError, match="would contact the Hugging Face hub"):
        build(parse("cascade:gate=cosine,margin=0.1,then=st:acme/tiny"), offline=True)


def test_fingerprint_follows_parts_margin_and_rank() -> None:
    """How the number is written does not matter, nor which option comes first."""
    specs = (
        "cascade:gate=cosine,margin=0.1,then=bm25",
        "cascade:gate=cosine,margin=0.2,then=bm25",
        "cascade:gate=bm25,margin=0.1,then=cosine",
        "cascade:at=10,gate=cosine,margin=0.1,then=bm25",
    )
    assert len({build(parse(spec)).fingerprint for spec in specs}) == len(specs)
    for same in ("cascade:margin=0.10,then=bm25,gate=cosine", "cascade,gate=cosine,margin=0.1,then=bm25"):
        assert build(parse(same)).fingerprint == build(parse(specs[0])).fingerprint
    assert str(parse(specs[0])) == specs[0]


def test_short_names_may_be_parts() -> None:
    """A part with options gets them through a short name."""
    named = build(parse("cascade:gate=cosine,margin=0.1,then=both"), {"both": "rrf:cosine+bm25,k=10"})
    assert isinstance(named, Cascade)
    assert [name for name, _ in named.parts] == ["cosine", "both"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cascade", "cascade needs gate, margin and then, as in cascade:gate=cosine,margin=0.05,then=onnx:"),
        ("cascade:cosine", "cascade takes options only, as in"),
        ("cascade:gate=cosine,then=bm25", "needs gate, margin and then"),
        ("cascade:gate=cosine,margin=0.1", "needs gate, margin and then"),
        ("cascade:gate=cosine,margin=-0.1,then=bm25", "must be a number such as 0.05"),
        ("cascade:gate=cosine,margin=nan,then=bm25", "must be a number such as 0.05"),
        ("cascade:gate=cosine,margin=0.1,then=bm25,at=0", "whole number of at least 1"),
        ("cascade:gate=cosine,gate=bm25,margin=0.1,then=bm25", "'gate' stands twice"),
        ("cascade:gate=cosine,margin=0.1,then=onnx:a,max_length=9", "unknown option 'max_length'.*needs a short name"),
        ("cascade:gate=cosine,margin=0.1,then=onnx:a%2Cthreads=1", "a part takes no options"),
        ("cascade:gate=cosine,margin=0.1,then=again", "a cascade cannot hold a cascade"),
        ("cascade:gate=cosine,margin=0.1,then=onx:a", r"no reranker 'onx' in 'onx:a'; .*did you mean 'onnx'"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    """What is no cascade is refused at build, with the reason."""
    with pytest.raises(SpecError, match=message):
        build(parse(text), {"again": "cascade:gate=cosine,margin=0.1,then=bm25"})


def test_no_threshold_fits_both_parts() -> None:
    """--min-score compares one reranker's scores with a number; a cascade's are of two."""
    with pytest.raises(ConfigError, match="--min-score B: a cascade's scores are its gate's on some turns"):
        build_sides("cosine", ["cascade:gate=cosine,margin=0.1,then=bm25"], {}, {"B": 0.5})


@given(
    texts=st.lists(st.text("one tw", max_size=12), max_size=8),
    query=st.sampled_from(["one", "one two", "t", ""]),
    margin=st.sampled_from(["0", "0.2", "1", "1.5"]),
    at=st.integers(1, 4),
)
def test_it_is_always_one_of_its_parts(texts: list[str], query: str, margin: str, at: int) -> None:
    """Margin 0 is the gate, one above 1 is what comes then, and in between each turn is wholly one or the other."""
    turn: PooledTurn = replace(make_turn(texts or ["x"], query or "x"))
    gate, then = KeywordReranker(), Lengths()
    found = cascade(f"cascade:gate=words,margin={margin},at={at},then=lengths", {"words": gate, "lengths": then})
    documents = [item.entry.body for item in turn.pool.entries]
    by_gate = list(gate.score(turn.turn.search_text, documents))
    by_then = list(then.score(turn.turn.search_text, documents))
    expected = {"0": [by_gate], "1.5": [by_then]}.get(margin, [by_gate, by_then])
    assert list(found.score_pool(turn)) in expected
