"""What a reranker reads of an entry, and how it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from shadowdiff.errors import ConfigError, RerankerError
from shadowdiff.protocols import PairScores, ScoreRequest
from shadowdiff.records import Entry
from shadowdiff.rerankers.documents import document_text
from shadowdiff.rerankers.fingerprint import file_hash, fingerprint
from shadowdiff.rerankers.scoring import score_requests, score_turn
from shadowdiff.testing import FailingReranker, KeywordReranker, make_turn


@pytest.mark.parametrize(
    ("title", "body", "text"),
    [
        ("Title", "Body.", "Title\nBody."),
        ("", "Body.", "Body."),
        ("Title", "", "Title"),
        ("Title", "Title, and more.", "Title, and more."),
        ("", "", ""),
    ],
)
def test_document_text(title: str, body: str, text: str) -> None:
    """A title stands above its body unless that is all there is, or the body begins with it."""
    entry = Entry("org", "e1", title, body)
    assert document_text(entry, "title+body") == text
    assert document_text(entry, "body") == body


def test_fingerprints_tell_parts_apart(tmp_path: Path) -> None:
    """Parts do not run together, contents count and names do not."""
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    for file, content in ((one, "a"), (same, "a"), (other, "b")):
        file.write_text(content)
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint("x", files=[one]) == fingerprint("x", files=[same]) != fingerprint("x", files=[other])
    with pytest.raises(ConfigError, match="cannot read"):
        file_hash(tmp_path / "missing")


class _Batching(KeywordReranker):
    """Answers batches as a test tells it to, and remembers what it was asked."""

    def __init__(self, answers: Sequence[PairScores]) -> None:
        super().__init__()
        self.answers = answers
        self.asked: list[ScoreRequest] = []

    def score_batch(self, requests: Sequence[ScoreRequest]) -> Sequence[PairScores]:
        """The answers it was made with."""
        self.asked += requests
        return self.answers


def test_requests_without_documents_are_not_sent() -> None:
    """Empty requests are answered with nothing, in their place."""
    full, empty = ScoreRequest("a", ("x",)), ScoreRequest("b", ())
    reranker = _Batching([PairScores((1.0,), (True,))])
    assert score_requests(reranker, [empty, full, empty]) == [
        PairScores((), ()),
        PairScores((1.0,), (True,)),
        PairScores((), ()),
    ]
    assert reranker.asked == [full]
    assert score_requests(KeywordReranker(), [ScoreRequest("a b", ("a", "c"))]) == [
        PairScores((0.5, 0.0), (False, False))
    ]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([], "returned scores of 0 requests for 1"),
        ([PairScores((1.0,), (False,))], "returned 1 scores for 2 entries"),
        ([PairScores((1.0, 2.0), (False,))], "returned 1 truncation marks for 2 entries"),
    ],
)
def test_wrong_counts_are_failures(answers: list[PairScores], message: str) -> None:
    """An answer that cannot be matched to the documents is refused before anything is ranked by it."""
    with pytest.raises(RerankerError, match=message):
        score_turn(_Batching(answers), make_turn(("a", "b")))


def test_turns_are_asked_with_their_search_query() -> None:
    """A rewritten query is what rerankers read, where there is one."""
    turn = make_turn(("pricing plans", "what"), "what about that?")
    rewritten = replace(turn, turn=replace(turn.turn, search_query="pricing plans"))
    assert score_turn(KeywordReranker(), rewritten).scores == (1.0, 0.0)
    assert score_turn(KeywordReranker(), turn).scores == (0.0, 1 / 3)


def test_failing_reranker_fails_where_it_is_told_to() -> None:
    """The fake raises what it was given on the queries picked, and scores the others."""
    reranker = FailingReranker(lambda query: "bad" in query, ZeroDivisionError("bug"))
    assert score_turn(reranker, make_turn(("good",), "good")).scores == (1.0,)
    with pytest.raises(ZeroDivisionError, match="bug"):
        score_turn(reranker, make_turn(("good",), "bad"))
    with pytest.raises(RerankerError, match="made to fail"):
        score_turn(FailingReranker(lambda query: True), make_turn(("good",)))
