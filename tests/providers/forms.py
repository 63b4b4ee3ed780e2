"""What each provider accepts, answers and refuses, as its documentation says."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shadowdiff.testing import KeywordReranker

KEYWORDS = KeywordReranker()
BATCH_OF_TEI = 32
"""TEI's --max-client-batch-size where nobody sets it."""


class Refusal(Exception):  # noqa: N818 not an error of ours
    """A request that the provider turns down."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was understood."""

    query: str
    documents: tuple[str, ...]
    top: int
    """How many results are wanted."""
    body: Mapping[str, Any]

    def ranked(self) -> list[tuple[int, float]]:
        """Places and scores of the best `top`, best first."""
        scores = [score(self.query, document) for document in self.documents]
        return sorted(enumerate(scores), key=lambda item: -item[1])[: self.top]


@dataclass(frozen=True, slots=True)
class Form:
    """One provider's."""

    paths: tuple[str, ...]
    known: Mapping[str, type | tuple[type, ...]]
    """Fields, with the types of their values."""
    required: tuple[str, ...]
    answer: Callable[[Call, list[tuple[int, float]]], Any]
    """From a call and its (place, score) results."""
    refusal: Callable[[int, str], Any]
    """The body beside an error's status."""
    most: int
    """Documents in a call."""
    too_many: int = 400
    """Status where there are more."""
    invalid: int = 422
    """Status of what is not of this form."""
    blank: int | None = None
    """Status where a query or document is empty; None: it is ranked."""
    top: str | None = "top_n"
    texts: str = "documents"
    lenient: bool = False
    """Whether unknown fields are passed over."""
    needs_key: bool = True

    def understood(self, body: Any, most: int | None = None) -> Call:
        """The call that a body spells. Raises Refusal as the provider would."""
        if not isinstance(body, dict):
            raise Refusal(self.invalid, "the body must be an object")
        self._check_fields(body)
        documents = body[self.texts]
        self._check_texts(body["query"], documents, most or self.most)
        top = body.get(self.top, len(documents)) if self.top else len(documents)
        if isinstance(top, bool) or not 1 <= top <= len(documents):
            raise Refusal(self.invalid, f"{self.top} must be from 1 to the number of documents, not {top}")
        return Call(body["query"], tuple(documents), top, body)

    def _check_fields(self, body: Mapping[str, Any]) -> None:
        for name in self.required:
            if name not in body:
                raise Refusal(self.invalid, f"field required: {name}")
        for name, value in body.items():
            if name not in self.known:
                if not self.lenient:
                    raise Refusal(self.invalid, f"unknown field: {name}")
            elif not isinstance(value, self.known[name]):
                raise Refusal(self.invalid, f"{name} has a value of the wrong type")

    def _check_texts(self, query: str, documents: list[Any], most: int) -> None:
        if not documents:
            raise Refusal(self.invalid, f"{self.texts} must not be empty")
        if not all(isinstance(document, str) for document in documents):
            raise Refusal(self.invalid, f"{self.texts} must hold strings")
        if len(documents) > most:
            raise Refusal(self.too_many, f"{len(documents)} documents; the most is {most}")
        if self.blank is not None and not all(text.strip() for text in (query, *documents)):
            raise Refusal(self.blank, "query and documents must not be empty")


def score(query: str, document: str) -> float:
    """The share of the query's words that the document holds, and a little that tells any two documents apart."""
    (share,) = KEYWORDS.score(query, [document])
    digest = hashlib.sha256(f"{query}\0{document}".encode("utf-8", "surrogatepass")).digest()
    return 0.05 + 0.85 * share + 0.05 * int.from_bytes(digest[:6]) / 2**48


def tokens(call: Call) -> int:
    """About as many as a tokenizer would count."""
    return sum(len(call.query) + len(document) for document in call.documents) // 4 + 1


def _echoed(call: Call, results: list[tuple[int, float]]) -> list[dict[str, Any]]:
    """With the documents, also where a faulty index names none."""
    texts = call.documents
    return [item | {"document": {"text": texts[item["index"] % len(texts)]}} for item in _relevance(results)]


def _relevance(results: list[tuple[int, float]]) -> list[dict[str, Any]]:
    return [{"index": index, "relevance_score": value} for index, value in results]


def _cohere(call: Call, results: list[tuple[int, float]]) -> Any:
    units = {"search_units": math.ceil(len(call.documents) / 100)}
    return {
        "id": "07734bd2",
        "results": _relevance(results),
        "meta": {"api_version": {"version": "2"}, "billed_units": units},
    }


def _jina(call: Call, results: list[tuple[int, float]]) -> Any:
    found = _echoed(call, results) if call.body.get("return_documents", True) else _relevance(results)
    return {"model": call.body["model"], "results": found, "usage": {"total_tokens": tokens(call)}}


def _voyage(call: Call, results: list[tuple[int, float]]) -> Any:
    usage = {"total_tokens": tokens(call)}
    return {"object": "list", "data": _relevance(results), "model": call.body["model"], "usage": usage}


def _tei(call: Call, results: list[tuple[int, float]]) -> Any:
    raw = call.body.get("raw_scores", False)
    return [{"index": index, "score": math.log(value / (1 - value)) if raw else value} for index, value in results]


def _vllm(call: Call, results: list[tuple[int, float]]) -> Any:
    usage = {"total_tokens": tokens(call)}
    return {"id": "rerank-1", "model": call.body["model"], "usage": usage, "results": _echoed(call, results)}


def _infinity(call: Call, results: list[tuple[int, float]]) -> Any:
    usage = {"prompt_tokens": tokens(call), "total_tokens": tokens(call)}
    return {
        "object": "rerank",
        "results": _relevance(results),
        "model": call.body["model"],
        "usage": usage,
        "id": "infinity-1",
    }


def _nested(status: int, message: str) -> Any:
    return {"error": {"message": message, "type": "BadRequestError", "param": None, "code": status}}


def _detail(status: int, message: str) -> Any:
    return {"detail": message}


ERROR_TYPES = {413: "Validation", 422: "Tokenizer", 424: "Backend", 429: "Overloaded"}
TEXTS: Mapping[str, type | tuple[type, ...]] = {"model": str, "query": str, "documents": list}
FORMS: Mapping[str, Form] = {
    "cohere": Form(
        paths=("/v2/rerank",),
        known={**TEXTS, "top_n": int, "max_tokens_per_doc": int, "priority": int},
        required=("model", "query", "documents"),
        answer=_cohere,
        refusal=lambda status, message: {"id": "e1", "message": message},
        most=1_000,
        blank=400,
    ),
    "jina": Form(
        paths=("/v1/rerank",),
        known={**TEXTS, "top_n": int, "return_documents": bool},
        required=("model", "query", "documents"),
        answer=_jina,
        refusal=_detail,
        most=2_048,
        blank=422,
    ),
    "voyage": Form(
        paths=("/v1/rerank",),
        known={**TEXTS, "top_k": (int, type(None)), "return_documents": bool, "truncation": bool},
        required=("model", "query", "documents"),
        answer=_voyage,
        refusal=_detail,
        most=1_000,
        invalid=400,
        blank=400,
        top="top_k",
    ),
    "tei": Form(
        paths=("/rerank",),
        known={
            **dict.fromkeys(("raw_scores", "return_text", "truncate"), bool),
            "query": str,
            "texts": list,
            "truncation_direction": str,
        },
        required=("query", "texts"),
        answer=_tei,
        refusal=lambda status, message: {"error": message, "error_type": ERROR_TYPES.get(status, "Validation")},
        most=BATCH_OF_TEI,
        too_many=413,
        blank=400,
        top=None,
        texts="texts",
        needs_key=False,
    ),
    "vllm": Form(
        paths=("/rerank", "/v1/rerank", "/v2/rerank"),
        known={**TEXTS, "top_n": int, "truncate_prompt_tokens": int, "use_activation": bool},
        required=("model", "query", "documents"),
        answer=_vllm,
        refusal=_nested,
        most=10_000,
        invalid=400,
        lenient=True,
        needs_key=False,
    ),
    "infinity": Form(
        paths=("/rerank",),
        known={**TEXTS, "top_n": int, "return_documents": bool, "raw_scores": bool},
        required=("model", "query", "documents"),
        answer=_infinity,
        refusal=_detail,
        most=2_048,
        too_many=422,
        lenient=True,
        needs_key=False,
    ),
}
