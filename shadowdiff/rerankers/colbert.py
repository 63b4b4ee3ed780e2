"""`colbert:MODEL`: late interaction through sentence-transformers' MultiVectorEncoder.

Query and document become a vector per token, each by itself; a pair's score is
MaxSim, the sum over the query's tokens of the greatest dot product with a token
of the document (Khattab and Zaharia 2020, ColBERT, §3.3). So an entry's vectors
serve every query, and are computed once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shadowdiff.errors import ConfigError
from shadowdiff.protocols import PairScores, ScoreRequest
from shadowdiff.rerankers.pairs import valid_unicode
from shadowdiff.rerankers.registry import BuildContext, install_hint
from shadowdiff.rerankers.sentence_transformers import (
    LibraryReranker,
    LoadOptions,
    load_options,
    positions,
    quiet,
    require_model,
)
from shadowdiff.rerankers.spec import Options, Spec
from shadowdiff.rerankers.token_vectors import EntryVectors
from shadowdiff.rerankers.vectors_kept import KeptVectors, TokenVectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DESCRIPTION = "late interaction (ColBERT): colbert:DIRECTORY_OR_ID"
EXTRA = ("sentence_transformers", "sentence-transformers")
QUERY_PROMPTS = ("query",)
DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""Names of prompts, the first that a model has: the library's own order."""
TRAINED_KINDS = ("MultiVectorEncoder", "ColBERT")
"""What sentence-transformers and PyLate write into the models that they save."""


class LateInteractionReranker(LibraryReranker):
    """Scores by MaxSim, over token vectors as the model's own modules give them: masked, and normalised."""

    def __init__(self, spec: Spec, options: LoadOptions, query_length: int | None, cache: Path | None) -> None:
        """`cache`: where entries' vectors may be kept for the next command; None: nowhere."""
        super().__init__(spec, options)
        self._query_length = query_length
        self._cache = cache

    @cached_property
    def fingerprint(self) -> str:
        """Of the model, and of all that decides how it is used. Raises ConfigError where it cannot be loaded."""
        lengths = (str(self._options.max_length), str(self._query_length))
        return self._identified("colbert/1", *lengths, self._options.dtype, self.document_form)

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """MaxSim in input order."""
        return self.score_batch([ScoreRequest(query, tuple(documents))])[0].scores

    def score_batch(self, requests: Sequence[ScoreRequest]) -> Sequence[PairScores]:
        """MaxSim per request; each distinct query and document is encoded once.

        A document counts as truncated where it was cut, or the query was.
        """
        entries = self._entries.of(valid_unicode(text) for request in requests for text in request.documents)
        queries = self._queries([request.query for request in requests])
        return [self._scored(request, queries[request.query], entries) for request in requests]

    def truncated(self, requests: Sequence[ScoreRequest]) -> Sequence[Sequence[bool]]:
        """Per request, whether each document would be cut, or the query. Tokenises only."""
        cut = []
        for request in requests:
            (query,) = self._overlong([request.query], QUERY_PROMPTS, self._query_limit)
            documents = self._overlong(request.documents, DOCUMENT_PROMPTS, self._document_limit)
            cut.append([query or document for document in documents])
        return cut

    def prepare_entries(self, documents: Sequence[str]) -> None:
        """Compute the documents' vectors, where they are not at hand: production has them in its index."""
        self._entries.of(map(valid_unicode, documents))

    def _loaded(self, source: str, **options: Any) -> Any:
        try:
            from sentence_transformers import MultiVectorEncoder
        except ImportError as error:
            needed = f"'{self.spec}' needs sentence-transformers 6 or later, which knows late interaction"
            raise ConfigError(f"{needed}; install it with: {install_hint(EXTRA[1])}") from error
        return MultiVectorEncoder(source, **options)

    def _fit(self, model: Any) -> None:
        snapshot = self._snapshot()
        if snapshot is not None and not _is_trained(snapshot):
            raise ConfigError(
                f"{self.spec.target} has no projection for late interaction, and a random one would rank at random; "
                "give a model that MultiVectorEncoder, PyLate or ColBERT saved"
            )
        transformer = model[0]
        if "text" not in getattr(transformer, "modality_config", {}) or "message" in transformer.modality_config:
            raise ConfigError(f"{self.spec.target} reads something else than plain texts; colbert reads texts only")
        limits = (model.tokenizer.model_max_length, positions(transformer.config))
        longest = min(int(limit) for limit in limits if limit)
        transformer.document_length = min(self._options.max_length or transformer.document_length or longest, longest)
        _fit_queries(transformer, self._query_length, longest)

    @property
    def _document_limit(self) -> int:
        return int(self._model[0].document_length)

    @property
    def _query_limit(self) -> int:
        transformer = self._model[0]
        return int(transformer.query_length or transformer.query_expansion["length"])

    @cached_property
    def _entries(self) -> EntryVectors:
        if self._cache is None:
            return EntryVectors(self._encoded_documents)
        model = self._identified("colbert-entries/1", str(self._options.max_length), self._options.dtype)
        return EntryVectors(self._encoded_documents, KeptVectors(self._cache, model))

    def _encoded_documents(self, documents: Sequence[str]) -> list[TokenVectors]:
        cut = self._overlong(documents, DOCUMENT_PROMPTS, self._document_limit)
        vectors = self._encoded(self._model.encode_document, documents, DOCUMENT_PROMPTS)
        return list(map(TokenVectors, vectors, cut))

    def _queries(self, queries: Sequence[str]) -> dict[str, TokenVectors]:
        distinct = list(dict.fromkeys(queries))
        cut = self._overlong(distinct, QUERY_PROMPTS, self._query_limit)
        vectors = self._encoded(self._model.encode_query, [valid_unicode(query) for query in distinct], QUERY_PROMPTS)
        return dict(zip(distinct, map(TokenVectors, vectors, cut), strict=True))

    def _encoded(self, encode: Any, texts: Sequence[str], prompts: Sequence[str]) -> list[NDArray[np.floating]]:
        """Token vectors per text, shape (tokens, dimensions)."""
        if not texts:
            return []
        how = {"prompt": self._prompt(prompts), "batch_size": self._options.batch_size, "show_progress_bar": False}
        with quiet():
            found: list[NDArray[np.floating]] = encode(list(texts), convert_to_numpy=True, **how)
        return found

    def _overlong(self, texts: Sequence[str], prompts: Sequence[str], limit: int) -> list[bool]:
        """Whether each text has more tokens than the library will read of it, its prompt and special ones counted."""
        if not texts:
            return []
        prompted = [self._prompt(prompts) + valid_unicode(text) for text in texts]
        encoded = self._model.tokenizer(prompted, truncation=False, padding=False, verbose=False)
        return [len(ids) > limit for ids in encoded["input_ids"]]

    def _prompt(self, names: Sequence[str]) -> str:
        prompts = self._model.prompts
        return next((prompts[name] for name in names if name in prompts), None) or ""

    def _scored(self, request: ScoreRequest, query: TokenVectors, entries: dict[str, TokenVectors]) -> PairScores:
        documents = [entries[valid_unicode(text)] for text in request.documents]
        share = max(len(query.vectors), 1) if self._model.similarity_fn_name == "meanmaxsim" else 1
        scores = tuple(maxsim(query.vectors, document.vectors) / share for document in documents)
        return PairScores(scores, tuple(query.truncated or document.truncated for document in documents))


def maxsim(query: NDArray[np.floating], document: NDArray[np.floating]) -> float:
    """The sum over the query's token vectors of the greatest dot product with one of the document's.

    Both of shape (tokens, dimensions). A document whose every token is masked
    scores as if it were the opposite of every query token: the least that
    normalised vectors can.
    """
    import numpy as np

    if not len(document):
        return -float(len(query))
    products = query.astype(np.float32, copy=False) @ document.astype(np.float32, copy=False).T
    return float(products.max(axis=1).sum(dtype=np.float64))


def _fit_queries(transformer: Any, asked: int | None, longest: int) -> None:
    """How many tokens of a query are read: as asked for, as the model says, or as many as it has positions.

    A model that fills queries up to a fixed length is told that length instead.
    """
    expansion = transformer.query_expansion
    transformer.query_length = min(asked or transformer.query_length or longest, longest)
    if expansion is None:
        return
    length = min(expansion["length"], longest)
    if expansion["strategy"] == "fixed":
        length, transformer.query_length = min(asked or length, longest), None
    elif transformer.query_length < length:
        length = transformer.query_length
    transformer.query_expansion = {**expansion, "length": length}


def _is_trained(directory: Path) -> bool:
    """Whether a model brings the projection that late interaction needs; the library makes up a random one else."""
    architectures = _read(directory / "config.json", {}).get("architectures") or []
    if any(name == "HF_ColBERT" or name.endswith("ForRetrieval") for name in architectures):
        return True
    modules = [str(module.get("type")) for module in _read(directory / "modules.json", [])]
    kind = _read(directory / "config_sentence_transformers.json", {}).get("model_type")
    return bool(modules) and (kind in TRAINED_KINDS or any(module.endswith(".Dense") for module in modules))


def _read(file: Path, otherwise: Any) -> Any:
    with suppress(OSError, ValueError):
        return json.loads(file.read_text(encoding="utf-8"))
    return otherwise


def build(spec: Spec, context: BuildContext) -> LateInteractionReranker:
    """`colbert:MODEL[,max_length=N][,query_length=N]` and `device`, `dtype`, `revision`, `batch_size`, `input` as st:.

    `max_length` is of documents, in tokens; the model's own lengths hold unless given.
    """
    options = Options(spec)
    load = load_options(options)
    query_length = options.integer("query_length", 0, minimum=4) or None
    options.finish()
    require_model(spec)
    return LateInteractionReranker(spec, load, query_length, context.cache)
