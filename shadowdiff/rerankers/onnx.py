"""`onnx:PATH`: a cross-encoder on ONNX Runtime with its own tokenizer.json. No torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from shadowdiff.cores import usable_cores
from shadowdiff.errors import ConfigError, RerankerError, SpecError, first_line
from shadowdiff.protocols import Network, PairScores, ScoreRequest
from shadowdiff.rerankers.backends import LoadOptions, OnnxFiles, shared_engine
from shadowdiff.rerankers.documents import FORMS, TITLE_AND_BODY
from shadowdiff.rerankers.engine import Engine
from shadowdiff.rerankers.fingerprint import fingerprint
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


class OnnxCrossEncoder:
    """Scores pairs by a cross-encoder's single logit, as it comes: order only."""

    network: Network | None = None

    def __init__(self, spec: Spec, files: OnnxFiles, *, max_length: int, load: LoadOptions, batch_tokens: int) -> None:
        self.spec = spec
        self.document_form = dict(spec.options).get("input", TITLE_AND_BODY)
        self.threads = load.threads
        self._contents = fingerprint("onnx/2", files=files.fingerprinted)
        how = (load.backend, load.dtype, str(max_length), self.document_form)
        self.fingerprint = fingerprint(*how, self._contents)
        self._files = files
        self._max_length = max_length
        self._load = load
        self._batch_tokens = batch_tokens

    @cached_property
    def engine(self) -> Engine:
        """The loaded model, shared by all that score with it alike. Raises ConfigError."""
        return shared_engine(self._contents, self._files, self._load, self._batch_tokens)

    def prepare(self) -> None:
        """Load model and tokenizer and score one pair. Raises ConfigError where they are not a cross-encoder's."""
        self.engine  # noqa: B018 a cached property
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
        scores: dict[EncodedPair, float] = {}
        for scored in self.engine.score(pair for row in pairs for pair in row):
            scores |= scored
        return [PairScores(tuple(scores[pair] for pair in row), tuple(pair.truncated for pair in row)) for row in pairs]

    def encode(self, requests: Sequence[ScoreRequest]) -> Sequence[Sequence[EncodedPair] | RerankerError]:
        """Pairs of token ids per request, or why a request has none."""
        return self._encoder.encode_each(requests)

    def truncated(self, requests: Sequence[ScoreRequest]) -> Sequence[Sequence[bool]]:
        """Per request, whether each document would be cut. Tokenises only."""
        return [[pair.truncated for pair in row] for row in self._encoder.encode(requests)]

    @cached_property
    def _encoder(self) -> PairEncoder:
        return PairEncoder(self._files.tokenizer, self._max_length)


def build(spec: Spec, context: BuildContext) -> OnnxCrossEncoder:
    """`onnx:PATH[,max_length=512][,threads=N][,batch_tokens=2048][,input=title+body|body]`."""
    options = Options(spec)
    max_length = options.integer("max_length", MAX_LENGTH, minimum=8)
    threads = options.integer("threads", usable_cores())
    batch_tokens = options.integer("batch_tokens", BATCH_TOKENS)
    options.choice("input", FORMS, TITLE_AND_BODY)
    options.finish()
    files = _find(spec)
    longest = min(max_length, _longest_input(files.model.parent / "config.json"))
    load = LoadOptions(backend="ort", dtype="fp32", threads=threads)
    return OnnxCrossEncoder(spec, files, max_length=longest, load=load, batch_tokens=batch_tokens)


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
