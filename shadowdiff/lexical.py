"""BM25 over one org's whole knowledge base: the statistics of the `bm25` reranker, and lexical pools."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shadowdiff.records import Entry
from shadowdiff.rerankers.documents import document_text
from shadowdiff.rerankers.pairs import valid_unicode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

K1 = 1.5
B = 0.75
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class LexiconParts:
    """What a lexicon is made of: arrays, which may lie in files, and no text. Documents stand in order of entry id."""

    index: Any
    """bm25s's; None where no document has a term."""
    mean_length: float
    """Terms per document."""
    entry_ids: NDArray[np.uint8]
    """All ids as UTF-8, one after the other."""
    id_ends: NDArray[np.int64]
    """Where each document's id ends; shape (documents,)."""
    digests: NDArray[np.bytes_]
    """Hashes of the documents' texts, in ascending order; shape (documents,)."""
    places: NDArray[np.int32]
    """The document of each hash; shape (documents,)."""

    def entry_id(self, place: int) -> str:
        """The id of the document at this place."""
        start = int(self.id_ends[place - 1]) if place else 0
        return bytes(self.entry_ids[start : int(self.id_ends[place])]).decode("utf-8", "surrogatepass")


class OrgLexicon:
    """BM25 in Lucene's variant (Kamphuis et al. 2020, table 1) with k1 = 1.5 and b = 0.75, computed by bm25s.

    Terms are lower-cased words of two or more characters, without English
    stopwords, stemmed by Snowball's English stemmer.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.parts = _parts(sorted(entries, key=lambda entry: entry.entry_id))

    @classmethod
    def of(cls, parts: LexiconParts) -> OrgLexicon:
        """The lexicon that these are the parts of."""
        lexicon = cls.__new__(cls)
        lexicon.parts = parts
        return lexicon

    def __len__(self) -> int:
        return len(self.parts.id_ends)

    @property
    def size(self) -> int:
        """Entries that weigh as much in memory: all of the org's, or a tenth where the arrays lie in files."""
        import numpy as np

        return len(self) // 10 if isinstance(self.parts.digests, np.memmap) else len(self)

    def scores(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """BM25 of each document, in input order; 0.0 where it shares no term with the query.

        A document that is not in the knowledge base (its text changed
        meanwhile) is scored by the same formula under the same statistics.
        """
        terms = _terms([query])[0]
        indexed = self._indexed_scores(terms)
        return [
            self._unindexed_score(terms, text) if place is None else float(indexed[place])
            for text, place in zip(documents, self._placed(documents), strict=True)
        ]

    def top(self, query: str, limit: int) -> list[tuple[str, float]]:
        """Entry ids and scores of the `limit` best entries, ties by entry id."""
        scores = self._indexed_scores(_terms([query])[0])
        return [(self.parts.entry_id(place), float(scores[place])) for place in _best(scores, limit).tolist()]

    def _placed(self, documents: Sequence[str]) -> list[int | None]:
        """Where each text stands in the knowledge base; None where it does not."""
        import numpy as np

        held = self.parts.digests
        wanted = np.array([_digest(text) for text in documents], dtype=held.dtype)
        found = np.searchsorted(held, wanted)
        return [
            int(self.parts.places[at]) if at < len(held) and held[at] == digest else None
            for at, digest in zip(found.tolist(), wanted, strict=True)
        ]

    def _indexed_scores(self, terms: list[str]) -> NDArray[np.float64]:
        import numpy as np

        known = [term for term in terms if self._documents_with(term)]
        if not known:
            return np.zeros(len(self), dtype=np.float64)
        scores: NDArray[np.float64] = self.parts.index.get_scores(known)
        return scores

    def _unindexed_score(self, terms: list[str], text: str) -> float:
        counts = Counter(_terms([text])[0])
        mean = self.parts.mean_length
        length = sum(counts.values()) / mean if mean else 0.0
        gains = (
            self._idf(containing) * counts[term] / (counts[term] + K1 * (1 - B + B * length))
            for term in terms
            if counts[term] and (containing := self._documents_with(term))
        )
        return sum(gains, start=0.0)

    def _idf(self, containing: int) -> float:
        return math.log(1 + (len(self) - containing + 0.5) / (containing + 0.5))

    def _documents_with(self, term: str) -> int:
        """In how many documents the term stands: the index holds one score for each."""
        index = self.parts.index
        column = None if index is None else index.vocab_dict.get(term)
        ends = () if column is None else index.scores["indptr"]
        return 0 if column is None or column + 1 >= len(ends) else int(ends[column + 1] - ends[column])


def _parts(entries: Sequence[Entry]) -> LexiconParts:
    """Of entries in order of their ids."""
    import numpy as np

    texts = [document_text(entry) for entry in entries]
    terms = _terms(texts)
    ids = [entry.entry_id.encode("utf-8", "surrogatepass") for entry in entries]
    digests = np.array([_digest(text) for text in texts], dtype=f"S{DIGEST_BYTES}")
    order = np.argsort(digests, kind="stable")
    return LexiconParts(
        index=_indexed(terms),
        mean_length=sum(map(len, terms)) / len(terms) if terms else 0.0,
        entry_ids=np.frombuffer(b"".join(ids), dtype=np.uint8),
        id_ends=np.cumsum([len(entry_id) for entry_id in ids], dtype=np.int64),
        digests=digests[order],
        places=order.astype(np.int32),
    )


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def _best(scores: NDArray[np.float64], limit: int) -> NDArray[np.int64]:
    """Places of the `limit` highest scores, highest first, equal ones in order of place, without sorting all."""
    import numpy as np

    places = np.arange(len(scores))
    if 0 < limit < len(scores):
        least = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        above = np.flatnonzero(scores > least)
        places = np.concatenate([above, np.flatnonzero(scores == least)[: limit - len(above)]])
    order = np.lexsort((places, -scores[places]))
    return places[order][: max(limit, 0)]


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
