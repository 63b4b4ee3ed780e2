"""`bedrock:MODEL`: Cohere's and Amazon's rerankers on AWS Bedrock, by its Rerank API or by InvokeModel."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from shadowdiff.errors import ConfigError, RemoteError
from shadowdiff.protocols import PairScores, ScoreRequest
from shadowdiff.records import Usage
from shadowdiff.remote.asker import Exchange, Reply
from shadowdiff.remote.aws import Bedrock, partition_of
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.on_bedrock import (
    BLANK_SCORE,
    FOUNDATION,
    BedrockSide,
    Fitted,
    Model,
    bedrock_of,
    cut,
    fitted,
    input_form,
    model_of,
    settings_of,
    tokens_of,
)
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "reranker on AWS Bedrock: bedrock:cohere.rerank-v3-5:0"
RERANK, INVOKE = "rerank", "invoke"
SERVICES = {RERANK: "bedrock-agent-runtime", INVOKE: "bedrock-runtime"}
MOST_CHARACTERS = 32_000
"""Of a query and of a document, as the Rerank API takes them."""
MOST_DOCUMENTS = 1_000
"""Of one call. Scores are per pair, so that more can be asked for in several."""
UNIT_DOCUMENTS = 100
"""Documents of one query that are charged as one search unit."""
Scores = Mapping[int, float]
"""By index into the documents of one call."""


class BedrockReranker(BedrockSide):
    """Relevance scores per pair. A document without text is not sent, and scores 0."""

    def __init__(self, spec: Spec, model: Model, bedrock: Bedrock, context: BuildContext, form: str, via: str) -> None:
        super().__init__(spec, bedrock, settings_of(context, spec.scheme)[1], form)
        self.fingerprint = fingerprint("bedrock/1", model.identity, via, form)
        self._ask_for: Callable[[str, Sequence[str], Exchange], Scores]
        if via == INVOKE:
            self._model = model.name
            self._ask_for = self._invoked
        else:
            self._model = _arn(model, bedrock.place.region)
            self._ask_for = self._reranked

    def estimate(self, request: ScoreRequest) -> Usage:
        """Calls and search units."""
        sent = sum(1 for document in request.documents if cut(document, MOST_CHARACTERS)[0].strip())
        calls = [min(MOST_DOCUMENTS, sent - start) for start in range(0, sent, MOST_DOCUMENTS)]
        return Usage(calls=len(calls), search_units=sum(search_units(documents) for documents in calls))

    def truncated(self, requests: Sequence[ScoreRequest]) -> Sequence[Sequence[bool]]:
        """Per request, whether each document, or the query for it, has more than 32,000 characters."""
        return [
            [len(text) > MOST_CHARACTERS or len(request.query) > MOST_CHARACTERS for text in request.documents]
            for request in requests
        ]

    def _scored(self, request: ScoreRequest, exchange: Exchange) -> PairScores:
        sent = fitted(request, MOST_CHARACTERS, MOST_CHARACTERS)
        scores = [BLANK_SCORE] * len(request.documents)
        for start, documents in _calls(sent):
            for index, score in self._ask_for(sent.query, documents, exchange).items():
                scores[sent.places[start + index]] = score
        return PairScores(tuple(scores), sent.truncated)

    def _reranked(self, query: str, documents: Sequence[str], exchange: Exchange) -> Scores:
        """Page after page, until all documents have a score. What is charged for is the query, not its pages."""
        found: list[tuple[Any, Any]] = []
        token: str | None = None
        for page in range(len(documents)):
            usage = Usage(calls=1, search_units=0 if page else search_units(len(documents)))
            answer = self._page(query, documents, exchange, usage, token)
            found += _results(answer.get("results"), "relevanceScore")
            token = answer.get("nextToken")
            if not token:
                break
        return self._complete(found, len(documents))

    def _page(
        self, query: str, documents: Sequence[str], exchange: Exchange, usage: Usage, token: str | None
    ) -> dict[str, Any]:
        asked = rerank_request(self._model, query, documents) | ({"nextToken": token} if token else {})

        def send() -> Reply[dict[str, Any]]:
            return Reply(self._bedrock.call("rerank", exchange.left, **asked), usage)

        return exchange.call(send, tokens_of(query, *documents))

    def _invoked(self, query: str, documents: Sequence[str], exchange: Exchange) -> Scores:
        """Cohere's own form, as the model itself takes it."""
        body = json.dumps({"query": query, "documents": list(documents), "top_n": len(documents), "api_version": 2})
        json_type = "application/json"

        def send() -> Reply[Any]:
            answer = self._bedrock.call(
                "invoke_model",
                exchange.left,
                modelId=self._model,
                body=body.encode(),
                contentType=json_type,
                accept=json_type,
            )
            read = _json(answer["body"].read())
            return Reply(read, Usage(calls=1, search_units=_billed(read) or search_units(len(documents))))

        answer = exchange.call(send, tokens_of(query, *documents))
        return self._complete(_results(answer, "relevance_score", "results"), len(documents))

    def _complete(self, found: Sequence[tuple[Any, Any]], sent: int) -> Scores:
        """A finite score for each document. Raises RemoteError naming what is wrong."""
        wrong = wrong_with(found, sent)
        if wrong:
            said = f"{self._bedrock.said} answers with results that cannot be used: {wrong}"
            raise RemoteError(said, said)
        return {index: float(score) for index, score in found}


def rerank_request(model_arn: str, query: str, documents: Sequence[str]) -> dict[str, Any]:
    """Parameters of the Rerank API that ask for the scores of all documents."""
    return {
        "queries": [{"type": "TEXT", "textQuery": {"text": query}}],
        "sources": [
            {"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": document}}}
            for document in documents
        ],
        "rerankingConfiguration": {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {
                "numberOfResults": len(documents),
                "modelConfiguration": {"modelArn": model_arn},
            },
        },
    }


def search_units(documents: int) -> int:
    """What a query over so many documents is charged as."""
    return math.ceil(documents / UNIT_DOCUMENTS)


def wrong_with(found: Sequence[tuple[Any, Any]], sent: int) -> str | None:
    """What is wrong with indices and scores of the documents sent; None: each has exactly one finite score."""
    if not found:
        return "there are none"
    seen: set[int] = set()
    for index, score in found:
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < sent:
            return f"an index that is none of 0 to {sent - 1}"
        if index in seen:
            return f"index {index} stands there twice"
        if not isinstance(score, int | float) or isinstance(score, bool) or not math.isfinite(score):
            return f"the score of index {index} is no finite number"
        seen.add(index)
    missing = next((index for index in range(sent) if index not in seen), None)
    return None if missing is None else f"{sent - len(seen)} of {sent} documents have none, such as index {missing}"


def _calls(sent: Fitted) -> Iterator[tuple[int, Sequence[str]]]:
    for start in range(0, len(sent.documents), MOST_DOCUMENTS):
        yield start, sent.documents[start : start + MOST_DOCUMENTS]


def _results(answer: Any, score: str, key: str | None = None) -> list[tuple[Any, Any]]:
    """Index and score of each result, whatever was answered; nothing where there are none."""
    rows = answer.get(key) if key and isinstance(answer, dict) else answer
    return [
        (row.get("index"), row.get(score)) if isinstance(row, dict) else (None, None)
        for row in (rows if isinstance(rows, list) else [])
    ]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _billed(answer: Any) -> float | None:
    """Search units as the answer says, if it does."""
    try:
        units = answer["meta"]["billed_units"]["search_units"]
    except (TypeError, KeyError):
        return None
    return float(units) if isinstance(units, int | float) and math.isfinite(units) and units > 0 else None


def _arn(model: Model, region: str) -> str:
    if model.name.startswith("arn:"):
        return model.name
    return f"arn:{partition_of(region)}:bedrock:{region}::{FOUNDATION}{model.name}"


def build(spec: Spec, context: BuildContext) -> BedrockReranker:
    """`bedrock:MODEL_OR_ARN[,region=…][,profile=…][,via=rerank|invoke][,input=…]`."""
    options, model = Options(spec), model_of(spec)
    via, form = options.choice("via", (RERANK, INVOKE), RERANK), input_form(options)
    bedrock = bedrock_of(spec, options, model, context, SERVICES[via])
    options.finish()
    if via == INVOKE:
        _refuse_strangers(spec)
    return BedrockReranker(spec, model, bedrock, context, form, via)


def _refuse_strangers(spec: Spec) -> None:
    """InvokeModel takes each vendor's own form; an ARN that names no vendor is taken to be Cohere's."""
    name = spec.target.rpartition("/")[2]
    if "." in name and "cohere." not in name:
        raise ConfigError(
            f"'{spec}': via=invoke speaks the form of Cohere's models only; leave it out, for Bedrock's Rerank API"
        )
