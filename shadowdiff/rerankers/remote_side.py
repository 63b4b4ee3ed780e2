"""A side that asks a provider over HTTP: what `cohere:`, `jina:`, `voyage:`, `tei:` and `http:` have in common."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from shadowdiff import __version__
from shadowdiff.errors import ConfigError, RemoteError, RerankerError
from shadowdiff.findings import Finding, fail, ok
from shadowdiff.protocols import Answer, Network, PairScores, ScoreRequest
from shadowdiff.records import Usage
from shadowdiff.remote.address import checked_address
from shadowdiff.remote.asker import Asker, Exchange, Reply
from shadowdiff.remote.http import HttpCaller
from shadowdiff.remote.secrets import key_from_environment
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.documents import FORMS, TITLE_AND_BODY
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.http_forms import Form, UnusableError, calls, estimated_tokens
from shadowdiff.rerankers.scoring import scores_in
from shadowdiff.rerankers.spec import Options, Spec

INFO_SECONDS = 5.0
"""For a question that a call can do without."""
TURN_FAILS = frozenset({413})
"""Statuses that concern the request at hand."""
PERHAPS_TURN_FAILS = frozenset({400, 422})
"""So do these once the provider has answered a request of the same form and model."""
TRIAL = ScoreRequest("Is anybody there?", ("This is a trial of a connection.",))
"""What `shadowdiff doctor --online` asks."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a side's provider is, and what opens it."""

    url: str
    """Base URL."""
    path: str
    keys: tuple[str, ...] = ()
    """Environment variables of which the first that is set holds the key; none: there is no key."""
    key_needed: bool = True
    own: bool = False
    """Whether it is a server of the user's own, which may be asked again after it has refused a request."""
    info: str | None = None
    """Path at which it tells how many documents it takes in a call, as TEI does."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What is sent of a turn."""

    form: Form
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields that the spec decides: the model, say."""
    identity: tuple[str, ...] = ()
    """Beside the fields, what the scores hang on."""
    document_form: str = TITLE_AND_BODY
    max_chars: int | None = None
    """Documents are cut to so many characters, and counted as truncated."""
    listwise: bool = False
    """The scores of a pool hang together, so that it is never sent in parts."""


class RemoteSide:
    """A reranker behind a URL: asked for the scores of a whole pool, in one call or in as many as its limits want."""

    def __init__(self, spec: Spec, wording: Wording, endpoint: Endpoint, settings: ProviderSettings) -> None:
        """Opens nothing. Raises ConfigError for a URL that may not be asked."""
        address = checked_address(endpoint.url, settings, spec.scheme)
        self.spec = spec
        self.document_form = wording.document_form
        self.listwise = wording.listwise
        self.network: Network | None = Network(address.host, sends_texts=True)
        self.fingerprint = _fingerprint(spec, wording)
        self._form = wording.form
        self._wording = wording
        self._endpoint = endpoint
        self._settings = settings
        self._host = address.host
        self._asker = Asker(address.host, settings)
        self.concurrency = self._asker.concurrency
        self._turn_fails = set(TURN_FAILS | PERHAPS_TURN_FAILS if endpoint.own else TURN_FAILS)
        self._lock = threading.RLock()
        self._opened: HttpCaller | None = None
        self._most: int | None = None

    @property
    def stopped(self) -> str | None:
        """What the provider refused with, so that nothing is sent any more; None: it is still asked."""
        return self._asker.stopped

    def prepare(self) -> None:
        """Find the key. Opens no connection. Raises ConfigError where there is none."""
        self._caller()

    def ask(self, request: ScoreRequest) -> Answer:
        """Ask for the scores of all documents, in one exchange. Raises ConfigError where there is no key."""
        self._caller()
        exchange = self._asker.exchange()
        try:
            return Answer(self._scored(request, exchange), exchange.asked)
        except RerankerError as error:
            return Answer(error, replace(exchange.asked, seconds=None))

    def estimate(self, request: ScoreRequest) -> Usage:
        """What asking would use. Sends nothing, so that a server that has not told its limit yet may differ."""
        most = self._most or self._form.documents
        parts = self._parts(request.query, self._sent([self._cut(text)[0] for text in request.documents]), most)
        return sum((self._form.estimate(request.query, part) for part in parts), Usage())

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """Scores in input order. Raises RerankerError."""
        return self.score_batch([ScoreRequest(query, tuple(documents))])[0].scores

    def score_batch(self, requests: Sequence[ScoreRequest]) -> Sequence[PairScores]:
        """Scores per request, asked for one request after the other. Raises RerankerError."""
        return [scores_in(self.ask(request)) for request in requests]

    def close(self) -> None:
        """Give up what is under way and send nothing more."""
        self._asker.close()
        self._hang_up()

    def check(self, online: bool) -> Iterable[Finding]:
        """Whether the key is there; `online`, whether one tiny call is answered."""
        yield self._checked_key()
        if online:
            yield self._checked_answer()

    def _checked_key(self) -> Finding:
        try:
            found = bool(self._headers().get("authorization"))
        except ConfigError as error:
            return fail("key", f"{self.spec}: {error}")
        names = " or ".join(self._endpoint.keys)
        return ok("key", f"{self.spec}: {names if found else 'none is sent'}")

    def _checked_answer(self) -> Finding:
        try:
            answer = self.ask(TRIAL)
        except ConfigError as error:
            return fail("answer", f"{self.spec}: {error}")
        finally:
            self._hang_up()
        if isinstance(answer.found, RerankerError):
            return fail("answer", f"{self.spec}: {answer.found}")
        return ok("answer", f"{self.spec}: {self._host} answered in {answer.asked.seconds or 0.0:.2f} s")

    def _scored(self, request: ScoreRequest, exchange: Exchange) -> PairScores:
        """Raises RerankerError."""
        if self._form.blank_score is not None and not request.query.strip():
            said = f"the query is blank, which {self._host} does not take"
            raise RemoteError(said, said)
        cut = [self._cut(document) for document in request.documents]
        sent = self._sent([text for text, _ in cut])
        scores: list[float] = []
        for part in self._parts(request.query, sent, self._most_documents() if sent else 1):
            scores += self._asked_for(request.query, part, exchange)
        marks = tuple(truncated for _, truncated in cut)
        return PairScores(tuple(self._with_blanks([text for text, _ in cut], scores)), marks)

    def _asked_for(self, query: str, documents: Sequence[str], exchange: Exchange) -> list[float]:
        """Scores of one call's documents. What cannot be used has been answered, and counts as used."""
        body = self._form.body(query, documents, self._wording.fields)
        answer = exchange.call(partial(self._send, body, exchange), estimated_tokens(query, documents))
        try:
            return self._form.scores(answer, len(documents))
        except UnusableError as error:
            said = f"{self._host} gave an answer that cannot be used: {error}"
            raise RemoteError(said, said) from error

    def _send(self, body: Any, exchange: Exchange) -> Reply[Any]:
        caller = self._caller()
        answer = caller.post(self._endpoint.path, body, within=exchange.left, kind=self._form.answer_kind)
        self._turn_fails |= PERHAPS_TURN_FAILS
        return Reply(answer, self._form.usage(answer))

    def _cut(self, document: str) -> tuple[str, bool]:
        longest = self._wording.max_chars
        return (document[:longest], True) if longest and len(document) > longest else (document, False)

    def _sent(self, documents: Sequence[str]) -> list[str]:
        """Those that the provider takes."""
        return [document for document in documents if self._form.blank_score is None or document.strip()]

    def _with_blanks(self, documents: Sequence[str], scores: Sequence[float]) -> Iterator[float]:
        """The scores of what was sent, with the constant of blank documents between them."""
        given = iter(scores)
        for document in documents:
            blank = self._form.blank_score
            yield next(given) if blank is None or document.strip() else blank

    def _parts(self, query: str, documents: Sequence[str], most: int) -> Iterable[Sequence[str]]:
        if self.listwise:
            return [documents] if documents else []
        return calls(query, documents, most, self._form.tokens)

    def _most_documents(self) -> int:
        """Documents in a call, as the server says where it can be asked and does."""
        if self._endpoint.info is None:
            return self._form.documents
        with self._lock:
            if self._most is None:
                self._most = self._told_limit(self._endpoint.info) or self._form.documents
            return self._most

    def _told_limit(self, path: str) -> int | None:
        try:
            told = self._caller().get(path, within=INFO_SECONDS).get("max_client_batch_size")
        except RemoteError:
            return None
        return told if isinstance(told, int) and told > 0 else None

    def _caller(self) -> HttpCaller:
        with self._lock:
            if self._opened is None:
                self._opened = HttpCaller(
                    self._endpoint.url,
                    self._headers(),
                    self._settings,
                    name=self.spec.scheme,
                    turn_fails=self._turn_fails,
                )
            return self._opened

    def _hang_up(self) -> None:
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _headers(self) -> dict[str, str]:
        """Raises ConfigError where a key is needed and not set."""
        headers = {"user-agent": f"shadowdiff/{__version__}"}
        if not self._endpoint.keys:
            return headers
        try:
            key = key_from_environment(self._endpoint.keys, f"'{self.spec}'")
        except ConfigError:
            if self._endpoint.key_needed or _is_set(self._endpoint.keys):
                raise
            return headers
        return headers | {"authorization": f"Bearer {key.reveal()}"}


def common_options(options: Options) -> dict[str, Any]:
    """The options that every kind has, as Wording takes them: `input` and `max_chars`."""
    return {
        "document_form": options.choice("input", FORMS, TITLE_AND_BODY),
        "max_chars": options.integer("max_chars", 0) or None,
    }


def _is_set(names: Sequence[str]) -> bool:
    return any(os.environ.get(name) for name in names)


def _fingerprint(spec: Spec, wording: Wording) -> str:
    """Over all that decides a score: what is sent, and to whom where that is the user's own server."""
    how = [f"{name}={value}" for name, value in sorted(wording.fields.items())]
    return fingerprint(
        f"{spec.scheme}/1",
        *wording.identity,
        wording.document_form,
        str(wording.max_chars),
        *how,
        str(wording.listwise),
    )
