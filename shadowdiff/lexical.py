"""BM25 over one org's whole knowledge base: the statistics of the `bm25` reranker, and lexical pools."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shadowdiff.records import Entry
from shadowdiff.rerankers.documents import document_text
from shadowdiff.rerankers.pairs import valid_unicode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

K1 = 1.5
B = 0.75


class OrgLexicon:
    """BM25 in Lucene's variant (Kamphuis et al. 2020, table 1) with k1 = 1.5 and b = 0.75, computed by bm25s.

    Terms are lower-cased words of two or more characters, without English
    stopwords, stemmed by Snowball's English stemmer.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        texts = [document_text(entry) for entry in entries]
        self._entry_ids = [entry.entry_id for entry in entries]
        self._place = {text: place for place, text in enumerate(texts)}
        self._terms = _terms(texts)
        self._index = _indexed(self._terms)

    @property
    def size(self) -> int:
        """Entries of the org."""
        return len(self._entry_ids)

    def scores(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """BM25 of each document, in input order; 0.0 where it shares no term with the query.

        A document that is not in the knowledge base (its text changed
        meanwhile) is scored by the same formula under the same statistics.
        """
        terms = _terms([query])[0]
        indexed = self._indexed_scores(terms)
        return [
            float(indexed[self._place[text]]) if text in self._place else self._unindexed_score(terms, text)
            for text in documents
        ]

    def top(self, query: str, limit: int) -> list[tuple[str, float]]:
        """Entry ids and scores of the `limit` best entries, ties by entry id."""
        scores = self._indexed_scores(_terms([query])[0])
        ranked = sorted(zip(self._entry_ids, scores, strict=True), key=lambda item: (-item[1], item[0]))
        return [(entry_id, float(score)) for entry_id, score in ranked[:limit]]

    def _indexed_scores(self, terms: list[str]) -> NDArray[np.float64]:
        import numpy as np

        known = [term for term in terms if term in self._document_counts]
        if self._index is None or not known:
            return np.zeros(len(self._entry_ids), dtype=np.float64)
        scores: NDArray[np.float64] = self._index.get_scores(known)
        return scores

    def _unindexed_score(self, terms: list[str], text: str) -> float:
        counts = Counter(_terms([text])[0])
        length = sum(counts.values()) / self._mean_length if self._mean_length else 0.0
        gains = (
            self._idf(term) * counts[term] / (counts[term] + K1 * (1 - B + B * length))
            for term in terms
            if counts[term] and term in self._document_counts
        )
        return sum(gains, start=0.0)

    def _idf(self, term: str) -> float:
        containing = self._document_counts[term]
        return math.log(1 + (len(self._terms) - containing + 0.5) / (containing + 0.5))

    @cached_property
    def _document_counts(self) -> Counter[str]:
        """In how many documents each term stands."""
        return Counter(term for terms in self._terms for term in set(terms))

    @cached_property
    def _mean_length(self) -> float:
        return sum(map(len, self._terms)) / len(self._terms) if self._terms else 0.0


def _terms(texts: Sequence[str]) -> list[list[str]]:
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    readable = [valid_unicode(text) for text in texts]
    tokenized: list[list[str]] = bm25s.tokenize(
        readable, stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False
    )
    return tokenized


def _indexed(terms: list[list[str]]) -> Any:
    """The bm25s index; None where no document has a term, which bm25s refuses."""
    import bm25s

    if not any(terms):
        return None
    index = bm25s.BM25(method="lucene", k1=K1, b=B, dtype="float64")
    index.index(terms, show_progress=False)
    return index
