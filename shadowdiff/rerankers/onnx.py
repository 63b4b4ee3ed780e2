"""`onnx:PATH`: a cross-encoder on ONNX Runtime with its own tokenizer.json. No torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from shadowdiff.errors import ConfigError, SpecError, first_line
from shadowdiff.protocols import Network, PairScores, ScoreRequest
from shadowdiff.rerankers.documents import FORMS, TITLE_AND_BODY
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.onnx_graph import Graph, external_files, load_graph, no_logit
from shadowdiff.rerankers.pairs import EncodedPair, PairEncoder
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "cross-encoder on ONNX Runtime: onnx:DIRECTORY"
MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
PADDED_POSITIONS = frozenset({"camembert", "data2vec-text", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl"})
MAX_LENGTH = 512
UNLIMITED = 1_000_000
"""Tokens, where config.json states no positions: then max_length alone decides."""
BATCH_TOKENS = 2048
"""Padded tokens per call. Longer calls gain nothing on a processor and cost memory."""


@dataclass(frozen=True, slots=True)
class OnnxFiles:
    """Where the model lies."""

    model: Path
    tokenizer: Path

    @property
    def fingerprinted(self) -> list[Path]:
        """Everything that decides the scores, external weights included."""
        return [self.model, *external_files(self.model), self.tokenizer]


class OnnxCrossEncoder:
    """Scores pairs by a cross-encoder's single logit, as it comes: order only."""

    network: Network | None = None

    def __init__(self, spec: Spec, files: OnnxFiles, *, max_length: int, threads: int, batch_tokens: int) -> None:
        self.spec = spec
        self.document_form = dict(spec.options).get("input", TITLE_AND_BODY)
        self.fingerprint = fingerprint("onnx/1", str(max_length), self.document_form, files=files.fingerprinted)
        self._files = files
        self._max_length = max_length
        self._threads = threads
        self._batch_tokens = batch_tokens

    def prepare(self) -> None:
        """Load model and tokenizer and score one pair. Raises ConfigError where they are not a cross-encoder's."""
        self._graph  # noqa: B018 a cached property
        try:
            self.score("a query", ["a document"])
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError(f"{self._files.model} cannot score a pair: {first_line(error)}") from error

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """Logits in input order. Raises RerankerError where the query leaves no room for a document."""
        return self.score_batch([ScoreRequest(query, tuple(documents))])[0].scores

    def score_batch(self, requests: Sequence[ScoreRequest]) -> Sequence[PairScores]:
        """Logits per request: equal pairs once, sorted by length over all requests, cut by padded tokens."""
        pairs = self._encoder.encode(requests)
        distinct = sorted({pair for row in pairs for pair in row}, key=lambda pair: (len(pair.ids), pair.ids))
        scores: dict[EncodedPair, float] = {}
        for batch in self._batches(distinct):
            scores.update(zip(batch, self._run(batch), strict=True))
        return [PairScores(tuple(scores[pair] for pair in row), tuple(pair.truncated for pair in row)) for row in pairs]

    def truncated(self, requests: Sequence[ScoreRequest]) -> Sequence[Sequence[bool]]:
        """Per request, whether each document would be cut. Tokenises only."""
        return [[pair.truncated for pair in row] for row in self._encoder.encode(requests)]

    def _batches(self, ordered: Sequence[EncodedPair]) -> list[Sequence[EncodedPair]]:
        """Runs of pairs, shortest first, whose padded size stays within the token budget."""
        batches: list[Sequence[EncodedPair]] = []
        start = 0
        for end in range(1, len(ordered) + 1):
            grown = (end + 1 - start) * len(ordered[end].ids) if end < len(ordered) else None
            if grown is None or grown > self._batch_tokens:
                batches.append(ordered[start:end])
                start = end
        return batches

    def _run(self, batch: Sequence[EncodedPair]) -> list[float]:
        import numpy as np

        width = len(batch[-1].ids)
        rows = {
            "input_ids": [[*pair.ids, *[self._encoder.pad_id] * (width - len(pair.ids))] for pair in batch],
            "attention_mask": [[1] * len(pair.ids) + [0] * (width - len(pair.ids)) for pair in batch],
            "token_type_ids": [[*pair.type_ids, *[0] * (width - len(pair.ids))] for pair in batch],
        }
        graph = self._graph
        feed = {name: np.array(rows[name], dtype=integer) for name, integer in graph.inputs.items()}
        output = np.asarray(graph.session.run([graph.output], feed)[0], dtype=np.float64)
        if output.shape not in {(len(batch),), (len(batch), 1)}:
            raise ConfigError(no_logit(self._files.model, list(output.shape)))
        logits: list[float] = output.reshape(len(batch)).tolist()
        return logits

    @cached_property
    def _encoder(self) -> PairEncoder:
        return PairEncoder(self._files.tokenizer, self._max_length)

    @cached_property
    def _graph(self) -> Graph:
        return load_graph(self._files.model, self._threads)


def build(spec: Spec, context: BuildContext) -> OnnxCrossEncoder:
    """`onnx:PATH[,max_length=512][,threads=N][,batch_tokens=2048][,input=title+body|body]`."""
    options = Options(spec)
    max_length = options.integer("max_length", MAX_LENGTH, minimum=8)
    threads = options.integer("threads", _allowed_cores())
    batch_tokens = options.integer("batch_tokens", BATCH_TOKENS)
    options.choice("input", FORMS, TITLE_AND_BODY)
    options.finish()
    files = _find(spec)
    longest = min(max_length, _longest_input(files.model.parent / "config.json"))
    return OnnxCrossEncoder(spec, files, max_length=longest, threads=threads, batch_tokens=batch_tokens)


def _find(spec: Spec) -> OnnxFiles:
    if not spec.target:
        raise SpecError("onnx needs a path: onnx:DIRECTORY")
    path = Path(spec.target).expanduser()
    if not path.exists():
        raise ConfigError(f"no model at {path}")
    model = path / MODEL_FILE if path.is_dir() else path
    if not model.is_file():
        raise ConfigError(f"{path} holds no {MODEL_FILE}")
    tokenizer = model.parent / TOKENIZER_FILE
    if not tokenizer.is_file():
        raise ConfigError(f"{model.parent} holds no {TOKENIZER_FILE}; export it with the model")
    return OnnxFiles(model, tokenizer)


def _longest_input(config: Path) -> int:
    """What the model's position embeddings allow; RoBERTa and its kin keep two of them for themselves."""
    try:
        described = json.loads(config.read_text(encoding="utf-8"))
        positions = int(described.get("max_position_embeddings") or UNLIMITED)
    except FileNotFoundError:
        return UNLIMITED
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"cannot read {config}: {error}") from error
    return positions - 2 if str(described.get("model_type")) in PADDED_POSITIONS else positions


def _allowed_cores() -> int:
    import os

    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
