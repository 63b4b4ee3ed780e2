"""The fake of a reranker that asks: it keeps the seam that the real ones keep, and counts what it was asked."""

from __future__ import annotations

import pytest

from shadowdiff.errors import RefusedError, RemoteError, RerankerError, TransientError
from shadowdiff.protocols import Asks, PairScores, ScoreRequest
from shadowdiff.records import Asked, Usage
from shadowdiff.testing import AskingReranker, KeywordReranker

REQUEST = ScoreRequest("data at rest", ("all data", "at rest", "offices"))


def test_it_asks_and_answers_what_the_keywords_say() -> None:
    """An answer holds scores and what they took; what it will take is known before."""
    reranker = AskingReranker()
    assert isinstance(reranker, Asks)
    answer = reranker.ask(REQUEST)
    assert isinstance(answer.found, PairScores)
    assert list(answer.found.scores) == KeywordReranker().score(REQUEST.query, REQUEST.documents)
    assert answer.asked == Asked(Usage(1, 1, 14), attempts=1, seconds=0.2)
    assert reranker.estimate(REQUEST) == answer.asked.usage
    assert reranker.estimate(ScoreRequest("q", ("d",) * 101)).search_units == 2
    assert reranker.requests == [REQUEST]


def test_it_fails_as_told_and_stops_when_refused() -> None:
    """A failed call is a value and an attempt; after a refusal nothing is sent."""
    failures: dict[str, RemoteError] = {
        "busy": TransientError("HTTP 503", "HTTP 503"),
        "refused": RefusedError("HTTP 401: key", "HTTP 401"),
    }
    reranker = AskingReranker(fails_on=failures.get)
    busy = reranker.ask(ScoreRequest("busy", ("d",)))
    assert (busy.found, busy.asked) == (failures["busy"], Asked(attempts=1))
    assert reranker.ask(ScoreRequest("refused", ("d",))).found is failures["refused"]
    assert reranker.stopped == "HTTP 401"
    later = reranker.ask(REQUEST)
    assert isinstance(later.found, RefusedError)
    assert later.asked == Asked()
    assert [request.query for request in reranker.requests] == ["busy", "refused"]


def test_closed_it_sends_nothing() -> None:
    """As at the end of a run."""
    reranker = AskingReranker()
    reranker.close()
    with pytest.raises(RerankerError, match="closed"):
        reranker.score("q", ("d",))
    assert reranker.requests == []
