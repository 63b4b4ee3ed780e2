"""Embeddings for bundles that bring none: a sentence-transformers bi-encoder, named like a reranker (`st:PATH`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shadowdiff.errors import ConfigError
from shadowdiff.records import Entry, Session
from shadowdiff.rerankers.documents import TITLE_AND_BODY, document_text
from shadowdiff.rerankers.network import refuse_network
from shadowdiff.rerankers.sentence_transformers import hub_network, load_errors, quiet, require_extra
from shadowdiff.rerankers.spec import Spec, parse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TEXTS_PER_CALL = 512


@dataclass(frozen=True, slots=True)
class Embedder:
    """A bi-encoder. Cosine is what its vectors are compared by, so their length does not matter."""

    model: str
    """Name stored beside the vectors."""
    encode: Callable[[Sequence[str]], NDArray[np.float32]]
    """One row per text, in input order, shape (texts, dimensions)."""


def embedder_spec(text: str, *, offline: bool = False) -> Spec:
    """The spec of a bi-encoder. Raises ConfigError for any other, and offline for one that is not in a directory."""
    spec = parse(text)
    if spec.scheme != "st" or not spec.target or spec.options:
        raise ConfigError(f"--embedder takes st:PATH_OR_MODEL_ID, not {text!r}")
    if offline:
        refuse_network(f"--embedder {spec}", hub_network(spec.target))
    return spec


def build_embedder(text: str) -> Embedder:
    """The embedder that a spec such as `st:PATH_OR_MODEL_ID` names. Raises ConfigError."""
    spec = embedder_spec(text)
    require_extra()
    from sentence_transformers import SentenceTransformer

    directory = Path(spec.target).expanduser()
    with quiet(), load_errors(spec):
        source = str(directory) if directory.is_dir() else spec.target
        model = SentenceTransformer(source, local_files_only=hub_network(spec.target) is None)
    return Embedder(str(spec), lambda texts: model.encode(list(texts), show_progress_bar=False))


def embed(
    embedder: Embedder,
    entries: Sequence[Entry],
    sessions: Sequence[Session],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vectors of entries and of the sessions' turns, row by row; `progress(done, total)` counts texts."""
    documents = [document_text(entry, TITLE_AND_BODY) for entry in entries]
    queries = [turn.search_text for session in sessions for turn in session.turns]
    vectors = _encode(embedder, [*documents, *queries], progress)
    return vectors[: len(documents)], vectors[len(documents) :]


def _encode(embedder: Embedder, texts: Sequence[str], progress: Callable[[int, int], None]) -> NDArray[np.float32]:
    import numpy as np

    parts = []
    for start in range(0, len(texts), TEXTS_PER_CALL):
        parts.append(np.asarray(embedder.encode(texts[start : start + TEXTS_PER_CALL]), dtype=np.float32))
        progress(min(start + TEXTS_PER_CALL, len(texts)), len(texts))
    return np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)
