"""How providers want a rerank request written down, and how their answers are read. Pure.

An answer is used whole or not at all: one finite score for every document that
was sent, each index once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shadowdiff.records import Usage

CHARACTERS_PER_TOKEN = 4
"""Of English, about; for estimates."""
BYTES_PER_TOKEN = 3
"""The least of any script, about; for limits, which must hold."""
DOCUMENTS_PER_UNIT = 100
"""Documents that Cohere counts as one search unit."""
DOCUMENTS = 1_000
"""In a call: what Cohere advises and Voyage documents; Jina documents nothing."""
TEI_DOCUMENTS = 32
"""In a call: TEI's --max-client-batch-size where nobody sets it."""
INFINITY_DOCUMENTS = 2_048
BLANK_SHARE = 0.0
"""The score of a blank document where scores lie in [0, 1]: no other has a lower one."""
BLANK_LOGIT = -20.0
"""Where scores are raw logits: below what cross-encoders give, and 2e-9 as a share."""
BLANK_COSINE = -1.0
"""Where scores are cosines."""


class UnusableError(ValueError):
    """What is wrong with an answer, in words that quote nothing of it."""


@dataclass(frozen=True, slots=True)
class Form:
    """One provider's way of writing."""

    name: str
    path: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Fields that always say the same."""
    texts: str = "documents"
    top: str | None = "top_n"
    """The field that says how many results are wanted; None: there is none, and all come."""
    results: tuple[str, ...] = ("results",)
    """Where the answer keeps them, the first that is there; empty: the answer is the list itself."""
    score: str = "relevance_score"
    documents: int = DOCUMENTS
    """The most in a call."""
    tokens: int | None = None
    """The most in a call, with the query counted once per document; None: no limit is documented."""
    blank_score: float | None = BLANK_SHARE
    """What a blank document scores without being sent; None: it is sent like any other."""
    counts_units: bool = False
    """Whether the provider charges search units."""
    counts_tokens: bool = True
    """Whether its answers say how many tokens were read."""

    @property
    def answer_kind(self) -> type[Any]:
        """What an answer's JSON is: dict or list."""
        return dict if self.results else list

    def body(self, query: str, documents: Sequence[str], more: Mapping[str, Any]) -> dict[str, Any]:
        """A request for the scores of all documents; `more` are the fields that the spec decides."""
        top = {self.top: len(documents)} if self.top else {}
        return {**more, "query": query, self.texts: list(documents), **top, **self.fixed}

    def scores(self, answer: Any, count: int) -> list[float]:
        """One score per document, in the order in which they were sent. Raises UnusableError."""
        found: list[float | None] = [None] * count
        for item in self._items(answer):
            index = _index(item, count)
            if found[index] is not None:
                raise UnusableError(f"index {index} twice")
            found[index] = _finite(item.get(self.score), index)
        if None in found:
            raise UnusableError(f"missing index {found.index(None)} of {count}")
        return [score for score in found if score is not None]

    def usage(self, answer: Any) -> Usage:
        """What the answer says of itself; nothing where it says nothing."""
        units = _amount(answer, "meta", "billed_units", "search_units")
        return Usage(calls=1, search_units=units, input_tokens=int(_amount(answer, "usage", "total_tokens")))

    def estimate(self, query: str, documents: Sequence[str]) -> Usage:
        """What one call would use: units as documented for documents of up to 500 tokens, tokens roughly."""
        units = math.ceil(len(documents) / DOCUMENTS_PER_UNIT) if self.counts_units else 0
        return Usage(1, units, estimated_tokens(query, documents) if self.counts_tokens else 0)

    def _items(self, answer: Any) -> list[Any]:
        if not self.results:
            return answer if isinstance(answer, list) else _no_results()
        named = answer if isinstance(answer, dict) else {}
        items = next((named[name] for name in self.results if name in named), None)
        return items if isinstance(items, list) else _no_results()


def calls(
    query: str, documents: Sequence[str], most_documents: int, most_tokens: int | None
) -> Iterator[Sequence[str]]:
    """The documents in as few calls as the limits allow, in order; one that is too long by itself goes alone."""
    query_bytes = _bytes(query)
    start, taken = 0, 0.0
    for place, document in enumerate(documents):
        size = (query_bytes + _bytes(document)) / BYTES_PER_TOKEN
        full = place - start >= most_documents or (most_tokens is not None and taken + size > most_tokens)
        if full and place > start:
            yield documents[start:place]
            start, taken = place, 0.0
        taken += size
    if start < len(documents):
        yield documents[start:]


def estimated_tokens(query: str, documents: Sequence[str]) -> int:
    """Tokens that one call reads, roughly: the query is read beside every document."""
    characters = len(query) * len(documents) + sum(map(len, documents))
    return math.ceil(characters / CHARACTERS_PER_TOKEN)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _no_results() -> list[Any]:
    raise UnusableError("no list of results")


def _index(item: Any, count: int) -> int:
    index = item.get("index") if isinstance(item, dict) else None
    if not isinstance(index, int) or isinstance(index, bool):
        raise UnusableError("a result without index")
    if not 0 <= index < count:
        raise UnusableError(f"index {index} of {count}")
    return index


def _finite(value: Any, index: int) -> float:
    score = _number(value)
    if score is None:
        raise UnusableError(f"no finite score at index {index}")
    return score


def _number(value: Any) -> float | None:
    """A finite number, whatever JSON it comes as; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _amount(answer: Any, *names: str) -> float:
    """A number deep in the answer; 0 where there is none."""
    for name in names:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return max(_number(answer) or 0.0, 0.0)


COHERE = Form("cohere", "/v2/rerank", counts_units=True, counts_tokens=False)
JINA = Form("jina", "/v1/rerank", fixed={"return_documents": False})
VOYAGE = Form("voyage", "/v1/rerank", fixed={"return_documents": False}, top="top_k", results=("data",), tokens=600_000)
TEI = Form(
    "tei",
    "/rerank",
    fixed={"return_text": False},
    texts="texts",
    top=None,
    results=(),
    score="score",
    documents=TEI_DOCUMENTS,
    counts_tokens=False,
)
OWN_COHERE = Form("cohere", "/rerank", results=("results", "data"), documents=INFINITY_DOCUMENTS, blank_score=None)
"""Of a server of one's own: vLLM, Infinity, llama.cpp. `data` is what older builds of Infinity answer."""
OWN_JINA = Form(
    "jina",
    "/rerank",
    fixed={"return_documents": False},
    results=("results", "data"),
    documents=INFINITY_DOCUMENTS,
    blank_score=None,
)
