"""What every reranker must keep, as a test class, with turns and fakes to test with: for us and for plugin authors.

    from shadowdiff.rerankers.registry import build
    from shadowdiff.rerankers.spec import parse
    from shadowdiff.testing import RerankerContract

    class TestMine(RerankerContract):
        def make(self):
            return build(parse("mine:target"))

pytest then runs every rule below against it; AsksContract is for kinds that ask a provider.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar, Protocol

from shadowdiff.errors import RefusedError, RemoteError, RerankerError
from shadowdiff.lexical import OrgLexicon
from shadowdiff.protocols import (
    Answer,
    Asks,
    Listwise,
    Network,
    Networked,
    PairScores,
    PooledTurn,
    PoolReranker,
    Repeatable,
    Reranker,
    ScoreRequest,
    Truncates,
    TurnVectors,
)
from shadowdiff.ranking import rank_pool
from shadowdiff.records import Asked, Entry, Pool, PoolEntry, PoolOrigin, Turn, Usage
from shadowdiff.rerankers.documents import TITLE_AND_BODY
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.scoring import request_of, score_requests, score_turn
from shadowdiff.rerankers.spec import Spec, parse

QUERY = "How is customer data encrypted at rest?"
DOCUMENTS = (
    "Customer data is encrypted at rest with AES-256.",
    "Our offices are closed on public holidays.",
    "Encryption in transit uses TLS 1.3; data at rest is covered by another page.",
    "Pricing starts at 40 dollars per seat and month.",
    "Keys",
)
REQUEST = ScoreRequest(QUERY, DOCUMENTS)
LONG_TEXT = "Encrypted data is kept for ninety days, then deleted. " * 926
"""50,004 characters."""
UNUSUAL_TEXTS = (
    "データは保存時に暗号化されますか",
    "family 👩‍👩‍👧‍👦 flag 🏴󠁧󠁢󠁳󠁣󠁴󠁿 thumbs 👍🏽",
    "هل البيانات مشفرة؟ \u202eabc\u202c",
    "e\u0301\u0302\u0303 Z\u0351\u036b\u0343 ﬁ Ⅷ ß İ",
    "nul \x00 bell \x07 escape \x1b[2J del \x7f next line \x85",
    "lone surrogate \ud83d here",
    "\u200b\ufeff",
    "[SEP] [CLS] [PAD] </s> <pad> [/b]",
)
DIMENSIONS = 16
ASKED_AT = datetime(2026, 11, 19, 14, 2, tzinfo=UTC)


def make_pool(texts: Sequence[str], *, org_id: str = "org") -> Pool:
    """A pool of entries e1, e2, … with these bodies and no titles, in retrieval order."""
    entries = [Entry(org_id, f"e{number}", "", text) for number, text in enumerate(texts, start=1)]
    return Pool(tuple(PoolEntry(entry, rank) for rank, entry in enumerate(entries, start=1)), PoolOrigin.RECORDED)


def make_turn(
    texts: Sequence[str], query: str = QUERY, *, turn_id: str = "t1", served: Sequence[str] | None = None
) -> PooledTurn:
    """A turn over `make_pool(texts)` with everything that any kind of reranker reads.

    Embeddings are derived from the texts (equal texts, equal vectors) and term
    statistics are the pool's own. Served: every second entry, last one first,
    unless ids are given.
    """
    pool = make_pool(texts)
    listed = pool.entry_ids[::-2] if served is None else served
    turn = Turn(turn_id, 1, query, ASKED_AT, served=tuple(listed))
    lexicon = OrgLexicon([item.entry for item in pool.entries])
    return PooledTurn("org", "s1", turn, pool, _vectors(query, texts), lexicon)


def _vectors(query: str, texts: Sequence[str]) -> TurnVectors:
    import numpy as np

    rows = [_vector(text) for text in (query, *texts)]
    both = np.array(rows, dtype=np.float32)
    return TurnVectors(both[0], both[1:])


def _vector(text: str) -> list[float]:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return [byte - 127.5 for byte in digest[:DIMENSIONS]]


class KeywordReranker:
    """A fake that needs no model: the share of the query's words that a document holds."""

    document_form = TITLE_AND_BODY
    network: Network | None = None

    def __init__(self, spec: Spec | None = None) -> None:
        self.spec = spec or Spec("keyword")
        self.fingerprint = fingerprint("keyword/1", str(self.spec))

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """Shares in [0, 1], in input order."""
        words = set(query.lower().split())
        return [len(words & set(document.lower().split())) / max(len(words), 1) for document in documents]


class FailingReranker(KeywordReranker):
    """A fake that fails on the queries that `fails_on` picks, and is a KeywordReranker on the others."""

    def __init__(self, fails_on: Callable[[str], bool], error: Exception | None = None) -> None:
        """`error` is what it raises; a RerankerError unless given."""
        super().__init__(Spec("failing"))
        self._fails_on = fails_on
        self._error = error or RerankerError("made to fail")

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """As KeywordReranker. Raises the error on the queries picked."""
        if self._fails_on(query):
            raise self._error
        return super().score(query, documents)


class RemoteReranker(KeywordReranker):
    """A fake that sends its texts away: to an HTTP server that answers `{"query", "documents"}` with `{"scores"}`."""

    def __init__(self, spec: Spec) -> None:
        """The spec's target is the server's URL."""
        super().__init__(spec)
        self.network = Network(spec.target, sends_texts=True)

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """What the server answers. Raises OSError where it does not."""
        import json
        from urllib.request import Request, urlopen

        body = json.dumps({"query": query, "documents": list(documents)}).encode()
        request = Request(self.spec.target, body, {"Content-Type": "application/json"})  # noqa: S310 a test's own server
        with urlopen(request, timeout=30) as answer:  # noqa: S310
            scores: list[float] = json.load(answer)["scores"]
        return scores


CHARACTERS_PER_TOKEN = 4
DOCUMENTS_PER_UNIT = 100


def usage_of(request: ScoreRequest) -> Usage:
    """What the provider behind an AskingReranker counts: a call, a search unit per 100 documents begun, and tokens."""
    characters = sum(len(request.query) + len(document) for document in request.documents)
    units = -(-len(request.documents) // DOCUMENTS_PER_UNIT)
    return Usage(1, units, characters // CHARACTERS_PER_TOKEN)


class AskingReranker(KeywordReranker):
    """A fake that asks as remote rerankers do, and counts what it is asked: KeywordReranker's scores, a call a request.

    After `fails_on` gave a RefusedError it has stopped, and sends nothing more.
    """

    def __init__(
        self,
        spec: Spec | None = None,
        *,
        fails_on: Callable[[str], RemoteError | None] = lambda query: None,
        takes: Callable[[ScoreRequest], Asked] = lambda request: Asked(usage_of(request), attempts=1, seconds=0.2),
    ) -> None:
        """`fails_on` gives what a query's call fails with, or None; `takes` what an answered request took."""
        super().__init__(spec or Spec("asking"))
        self.network = Network("a provider that is not there")
        self.concurrency = 8
        self.requests: list[ScoreRequest] = []
        """Whatever was sent, in order of the answers."""
        self.is_closed = False
        self._fails_on = fails_on
        self._takes = takes
        self._stopped: str | None = None

    @property
    def stopped(self) -> str | None:
        """What the provider refused for; None: it still answers."""
        return self._stopped

    def ask(self, request: ScoreRequest) -> Answer:
        """All scores, or what `fails_on` says; a failed call counts as an attempt and uses nothing."""
        if self._stopped is not None or self.is_closed:
            reason = self._stopped or "closed"
            return Answer(RefusedError(reason, reason), Asked())
        self.requests.append(request)
        error = self._fails_on(request.query)
        if isinstance(error, RefusedError):
            self._stopped = error.textless
        if error is not None:
            return Answer(error, Asked(attempts=1))
        scores = tuple(super().score(request.query, request.documents))
        return Answer(PairScores(scores, (False,) * len(scores)), self._takes(request))

    def estimate(self, request: ScoreRequest) -> Usage:
        """What the provider would count."""
        return usage_of(request)

    def close(self) -> None:
        """Send nothing more."""
        self.is_closed = True

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """As `ask`, for callers that only want scores. Raises what it fails with."""
        answer = self.ask(ScoreRequest(query, tuple(documents)))
        if isinstance(answer.found, RerankerError):
            raise answer.found
        return answer.found.scores


class RerankerContract:
    """Every rule that a reranker must keep. Subclass it, give `make`, and let pytest collect the subclass."""

    by_text: ClassVar[bool] = True
    """False for kinds whose scores hang on entry ids or ranks, so that equal texts may score differently."""
    by_place: ClassVar[bool] = True
    """False for listwise kinds whose scores are not places in an order, so that two may be equal."""
    tolerance: ClassVar[float] = 1e-4
    """How far a score may move with what it is computed beside."""

    def make(self) -> Reranker | PoolReranker:
        """A fresh reranker."""
        raise NotImplementedError

    def turn(self, texts: Sequence[str], query: str = QUERY, turn_id: str = "t1") -> PooledTurn:
        """The turn to score; its entries are e1, e2 and so on."""
        return make_turn(texts, query, turn_id=turn_id)

    def test_one_score_per_entry_in_pool_order(self) -> None:
        """There are as many scores as entries, and each stays with its entry wherever that stands in the pool.

        A listwise kind may give another order to a pool that comes in another one.
        """
        reranker, turn = self.make(), self.turn(DOCUMENTS)
        scores = _scores(reranker, turn)
        assert len(scores) == len(DOCUMENTS)
        if _is_listwise(reranker):
            return
        moved = [3, 0, 4, 2, 1]
        _assert_close(_scores(reranker, _reordered(turn, moved)), [scores[place] for place in moved], self.tolerance)

    def test_empty_pool(self) -> None:
        """No entries, no scores, no error."""
        assert _scores(self.make(), self.turn(())) == (), "an empty pool must give no scores"

    def test_one_document(self) -> None:
        """A pool of one gets one score."""
        assert len(_scores(self.make(), self.turn(DOCUMENTS[:1]))) == 1

    def test_duplicate_documents(self) -> None:
        """Equal documents get equal scores; where ids decide, each id keeps its score wherever it stands.

        In a listwise kind's order each has a place of its own.
        """
        reranker = self.make()
        doubled = self.turn((*DOCUMENTS[:3], DOCUMENTS[0], DOCUMENTS[0]))
        scores = _scores(reranker, doubled)
        if _is_listwise(reranker):
            equal = self.by_place and len(set(scores)) < len(scores)
            assert not equal, f"an order with a place for each has no equal scores: {scores}"
        elif self.by_text:
            assert scores[0] == scores[3] == scores[4], f"equal documents got {scores[0]}, {scores[3]}, {scores[4]}"
        else:
            _assert_close(_scores(reranker, _reordered(doubled, [4, 3, 2, 1, 0])), scores[::-1], self.tolerance)

    def test_batch_mates_do_not_change_the_ranking(self) -> None:
        """A turn scored among others gets the scores that it gets alone; by text, so do documents in a larger pool.

        Not so of a kind that says that it does not repeat itself, nor the larger pool of a listwise one.
        """
        reranker, alone = self.make(), self.turn(DOCUMENTS)
        scores = _scores(reranker, alone)
        if not _is_repeatable(reranker):
            return
        others = [self.turn((LONG_TEXT, "", "short"), "pricing", "t2"), self.turn(DOCUMENTS[::-1], "holidays", "t3")]
        _assert_close(_together(reranker, [others[0], alone, others[1]])[1], scores, self.tolerance)
        if not isinstance(reranker, PoolReranker) and not _is_listwise(reranker):
            larger = _scores(reranker, self.turn((*DOCUMENTS, LONG_TEXT, *UNUSUAL_TEXTS)))
            _assert_close(larger[: len(DOCUMENTS)], scores, self.tolerance)

    def test_same_input_twice(self) -> None:
        """The same turn again gets exactly the same scores, from this reranker and from a fresh one.

        A kind that says that it does not repeat itself need only answer again.
        """
        reranker, turn = self.make(), self.turn(DOCUMENTS)
        if not _is_repeatable(reranker):
            assert len(_scores(reranker, turn)) == len(_scores(reranker, turn)) == len(DOCUMENTS)
            return
        scores = _scores(reranker, turn)
        assert _scores(reranker, turn) == scores, "the second call gave other scores"
        assert _scores(self.make(), turn) == scores, "a fresh reranker gave other scores"

    def test_long_and_empty_documents(self) -> None:
        """50,000 characters, nothing at all and nothing but space are scored like any other document."""
        assert len(_scores(self.make(), self.turn((LONG_TEXT, "", " \n\t ", "x", "word" * 12_500)))) == 5

    def test_what_would_be_cut_is_what_is_cut(self) -> None:
        """A reranker that tells truncation in advance, for `shadowdiff doctor`, tells what scoring counts."""
        reranker = self.make()
        if isinstance(reranker, PoolReranker) or not isinstance(reranker, Truncates):
            return
        requests = [request_of(reranker, self.turn(texts)) for texts in ((*DOCUMENTS, LONG_TEXT), (), ("",))]
        told = [tuple(marks) for marks in reranker.truncated(requests)]
        assert told == [pairs.truncated for pairs in score_requests(reranker, requests)]

    def test_unusual_documents(self) -> None:
        """Scripts, joiners, combining marks, control characters and lone surrogates are scored."""
        assert len(_scores(self.make(), self.turn(UNUSUAL_TEXTS))) == len(UNUSUAL_TEXTS)

    def test_unusual_queries(self) -> None:
        """Any query is scored, or refused with a RerankerError, which fails its turn only."""
        reranker = self.make()
        for query in (*UNUSUAL_TEXTS, "", " ", LONG_TEXT):
            with suppress(RerankerError):
                assert len(_scores(reranker, self.turn(DOCUMENTS, query))) == len(DOCUMENTS)

    def test_identity(self) -> None:
        """The spec is canonical, and the fingerprint says nothing but what is scored with."""
        first, second = self.make(), self.make()
        assert parse(str(first.spec)) == first.spec, f"'{first.spec}' does not parse back to itself"
        assert first.fingerprint == second.fingerprint, "two rerankers of one spec have different fingerprints"
        assert first.fingerprint, "the fingerprint is empty"

    def test_says_what_it_contacts(self) -> None:
        """`network` is None, or a Network that says in words what is contacted; two of one spec say the same."""
        first, second = self.make(), self.make()
        assert isinstance(first, Networked), "it has no attribute `network`: None, or a shadowdiff.protocols.Network"
        assert isinstance(second, Networked)
        assert first.network == second.network, "two rerankers of one spec say different things of their network"
        assert first.network is None or first.network.contacts.strip(), "its network says nothing of what it contacts"


def _is_listwise(reranker: object) -> bool:
    return isinstance(reranker, Listwise) and reranker.listwise


def _is_repeatable(reranker: object) -> bool:
    return not isinstance(reranker, Repeatable) or reranker.repeatable


class RerankerThatAsks(Reranker, Asks, Protocol):
    """A reranker that asks a provider."""


class AsksContract:
    """Every rule that a reranker must keep that asks a provider (protocols.Asks), beside RerankerContract's.

    Subclass it and give `make`; with `calls` and `unusable` more is looked at.
    """

    def make(self) -> RerankerThatAsks:
        """A fresh reranker, whose provider answers well."""
        raise NotImplementedError

    def calls(self) -> int | None:
        """How many calls the provider has had so far; None where that cannot be told."""
        return None

    def unusable(self) -> Iterable[tuple[RerankerThatAsks, str]]:
        """Rerankers whose provider answers what cannot be used, each with words that the failure must hold."""
        return ()

    def test_says_how_it_may_be_asked(self) -> None:
        """It sends texts away, may be asked once at a time at least, and has not stopped."""
        reranker = self.make()
        assert isinstance(reranker, Asks)
        assert isinstance(reranker, Networked)
        assert reranker.network is not None, "it asks a provider, and says that it opens no connection"
        assert reranker.network.sends_texts, "it asks a provider, and says that no texts leave"
        assert reranker.concurrency >= 1
        assert reranker.stopped is None

    def test_asks_for_every_score(self) -> None:
        """One finite score per document, the same as `score_batch` gives; what it took is told."""
        reranker = self.make()
        answer = reranker.ask(REQUEST)
        scores = _answered(answer, REQUEST)
        assert scores == score_requests(reranker, [REQUEST])[0].scores
        assert answer.asked.usage.calls >= 1, "it answered, and tells of no answered call"
        assert answer.asked.attempts >= answer.asked.usage.calls, "more calls were answered than sent"
        assert answer.asked.seconds is not None, "the whole pool was answered, and its latency is not told"

    def test_estimates_without_asking(self) -> None:
        """Calls and search units are what asking then uses; nothing is sent for it."""
        reranker, before = self.make(), self.calls()
        estimate = reranker.estimate(REQUEST)
        assert self.calls() == before, "estimating sent something"
        used = reranker.ask(REQUEST).asked.usage
        assert (estimate.calls, estimate.search_units) == (used.calls, used.search_units)

    def test_may_be_asked_by_several_threads(self) -> None:
        """Each request gets its own answer."""
        reranker = self.make()
        requests = [ScoreRequest(QUERY, DOCUMENTS[place:] + DOCUMENTS[:place]) for place in range(len(DOCUMENTS))]
        alone = [_answered(reranker.ask(request), request) for request in requests]
        with ThreadPoolExecutor(len(requests)) as pool:
            together = list(pool.map(reranker.ask, requests))
        for answer, request, scores in zip(together, requests, alone, strict=True):
            assert _answered(answer, request) == scores, "asked from several threads, it gave other scores"

    def test_no_documents(self) -> None:
        """No scores, and no call."""
        answer = self.make().ask(ScoreRequest(QUERY, ()))
        assert _answered(answer, ScoreRequest(QUERY, ())) == ()
        assert answer.asked.attempts == 0, "an empty pool was asked for"

    def test_blank_documents_have_scores(self) -> None:
        """Whether they are sent or not; also where there are no others."""
        for documents in (("", *DOCUMENTS, " \n"), ("", " ")):
            request = ScoreRequest(QUERY, documents)
            _answered(self.make().ask(request), request)

    def test_a_failure_stays_with_its_request(self) -> None:
        """A request that cannot be asked is answered with a failure, never raised; the next is answered well."""
        reranker = self.make()
        reranker.ask(ScoreRequest("", DOCUMENTS))
        reranker.ask(ScoreRequest("\ud83d", ("\x00", "\ud83d")))
        _answered(reranker.ask(REQUEST), REQUEST)

    def test_answers_that_cannot_be_used_fail(self) -> None:
        """With the reason, in words that quote no text; no latency is told, and no score is made up."""
        for reranker, reason in self.unusable():
            answer = reranker.ask(REQUEST)
            assert isinstance(answer.found, RerankerError), f"expected a failure ({reason}), got {answer.found}"
            assert reason in str(answer.found), f"{answer.found} does not say: {reason}"
            assert not any(text in answer.found.textless for text in (QUERY, *DOCUMENTS[:4])), "it quotes a text"
            assert answer.asked.attempts >= 1
            assert answer.asked.seconds is None, "a latency is told of a turn that failed"

    def test_closed_it_asks_nothing(self) -> None:
        """Every request fails at once, as a value; closing twice does no harm."""
        reranker = self.make()
        reranker.ask(REQUEST)
        before = self.calls()
        reranker.close()
        reranker.close()
        assert isinstance(reranker.ask(REQUEST).found, RerankerError), "it was closed, and still answers"
        assert self.calls() == before, "it was closed, and still sends"


def _answered(answer: Answer, request: ScoreRequest) -> tuple[float, ...]:
    """The scores of an answer that must be a good one."""
    assert isinstance(answer.found, PairScores), f"not answered: {answer.found}"
    assert len(answer.found.scores) == len(answer.found.truncated) == len(request.documents)
    assert all(math.isfinite(score) for score in answer.found.scores)
    return tuple(answer.found.scores)


def _scores(reranker: Reranker | PoolReranker, turn: PooledTurn) -> tuple[float, ...]:
    """The turn's scores, once they were good enough for a ranking: right count, no NaN, no +inf."""
    scores = score_turn(reranker, turn).scores
    rank_pool(turn.pool, scores)
    if not isinstance(reranker, PoolReranker):
        assert all(math.isfinite(score) for score in scores), f"a text reranker scores every document: {scores}"
    return scores


def _together(reranker: Reranker | PoolReranker, turns: Sequence[PooledTurn]) -> list[tuple[float, ...]]:
    if isinstance(reranker, PoolReranker):
        return [tuple(reranker.score_pool(turn)) for turn in turns]
    return [pairs.scores for pairs in score_requests(reranker, [request_of(reranker, turn) for turn in turns])]


def _reordered(turn: PooledTurn, places: Sequence[int]) -> PooledTurn:
    """The same pool, its entries (with their retrieval ranks) standing in another order."""
    entries = tuple(turn.pool.entries[place] for place in places)
    vectors = turn.vectors and TurnVectors(turn.vectors.query, turn.vectors.entries[list(places)])
    return replace(turn, pool=replace(turn.pool, entries=entries), vectors=vectors)


def _assert_close(found: Sequence[float], expected: Sequence[float], tolerance: float) -> None:
    assert len(found) == len(expected)
    far = [
        (one, other)
        for one, other in zip(found, expected, strict=True)
        if one != other and not abs(one - other) <= tolerance
    ]
    assert not far, f"scores moved by more than {tolerance}: {far}"
