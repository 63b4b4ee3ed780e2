"""Asking a reranker for scores, whatever its kind: one way in for replay, fusions and the contract suite."""

from __future__ import annotations

from collections.abc import Sequence

from shadowdiff.errors import PlainRerankerError, RerankerError
from shadowdiff.protocols import Answer, BatchReranker, PairScores, PooledTurn, PoolReranker, Reranker, ScoreRequest
from shadowdiff.rerankers.documents import document_text


def score_turn(reranker: Reranker | PoolReranker, turn: PooledTurn) -> PairScores:
    """Scores of a turn's pool in pool order, -inf for entries that a PoolReranker does not rank.

    Values are not judged here (ranking.rank_pool does that); what the reranker
    raises comes through. Raises RerankerError on a wrong count.
    """
    if isinstance(reranker, PoolReranker):
        scores = tuple(reranker.score_pool(turn))
        return counted(PairScores(scores, (False,) * len(scores)), len(turn.pool.entries))
    return score_requests(reranker, [request_of(reranker, turn)])[0]


def request_of(reranker: Reranker, turn: PooledTurn) -> ScoreRequest:
    """What a text reranker reads of a turn: its search text, and its pool in the reranker's document form."""
    documents = tuple(document_text(item.entry, reranker.document_form) for item in turn.pool.entries)
    return ScoreRequest(turn.turn.search_text, documents)


def score_requests(reranker: Reranker, requests: Sequence[ScoreRequest]) -> list[PairScores]:
    """Scores per request, together where the reranker can, one after the other where it cannot.

    Requests without documents are not sent. Raises RerankerError on a wrong count.
    """
    sent = [request for request in requests if request.documents]
    if isinstance(reranker, BatchReranker):
        answered = list(reranker.score_batch(sent)) if sent else []
    else:
        answered = [_alone(reranker, request) for request in sent]
    if len(answered) != len(sent):
        raise PlainRerankerError(f"returned scores of {len(answered)} requests for {len(sent)}")
    answers = iter(answered)
    return [
        counted(next(answers), len(request.documents)) if request.documents else PairScores((), ())
        for request in requests
    ]


def scores_in(answer: Answer) -> PairScores:
    """What a provider answered, for callers that want scores alone. Raises the RerankerError that it failed with."""
    if isinstance(answer.found, RerankerError):
        raise answer.found
    return answer.found


def _alone(reranker: Reranker, request: ScoreRequest) -> PairScores:
    scores = tuple(reranker.score(request.query, request.documents))
    return PairScores(scores, (False,) * len(scores))


def counted(pairs: PairScores, wanted: int) -> PairScores:
    """The same, once there is a score and a mark for each document. Raises RerankerError."""
    if len(pairs.scores) != wanted:
        raise PlainRerankerError(f"returned {len(pairs.scores)} scores for {wanted} entries")
    if len(pairs.truncated) != wanted:
        raise PlainRerankerError(f"returned {len(pairs.truncated)} truncation marks for {wanted} entries")
    return pairs
