"""`onnx:PATH`: a cross-encoder on ONNX Runtime with its own tokenizer.json. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from shadowdiff.cores import usable_cores
from shadowdiff.errors import ConfigError, RerankerError, SpecError, first_line
from shadowdiff.findings import Finding, ok, warn
from shadowdiff.protocols import Network, PairScores, ScoreRequest
from shadowdiff.rerankers.backends import MODULES, LoadOptions, OnnxFiles, shared_engine
from shadowdiff.rerankers.backends.choice import Choice, choose
from shadowdiff.rerankers.backends.files import MODEL_FILE, VARIANTS
from shadowdiff.rerankers.backends.precision import DEVICES, DTYPES, resolved
from shadowdiff.rerankers.documents import FORMS, TITLE_AND_BODY
from shadowdiff.rerankers.engine import Engine
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.pairs import EncodedPair, PairEncoder
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "cross-encoder as ONNX, on ONNX Runtime or OpenVINO: onnx:DIRECTORY[,backend=ort|openvino|auto]"
AUTO = "auto"
TOKENIZER_FILE = "tokenizer.json"
PADDED_POSITIONS = frozenset({"camembert", "data2vec-text", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl"})
MAX_LENGTH = 512
UNLIMITED = 1_000_000
"""Tokens, where config.json states no positions: then max_length alone decides."""
BATCH_TOKENS = {"ort": 512, "openvino": 2048, "cuda": 16_384}
"""Padded tokens per call, by backend, or device where that is no processor.

Longer calls on a processor fall out of its caches, cost memory, and pad more.
"""


BATCH_MATES = "a pair's score depends on the pairs beside it; for figures that can be had again leave dtype=int8 out"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model, and how it is to be loaded: nothing is left to be decided."""

    files: OnnxFiles
    contents: str
    """Hash of what the files hold."""
    load: LoadOptions
    choice: Choice | None
    """How `auto` came to the backend; None where it was asked for by name."""


class OnnxCrossEncoder:
    """Scores pairs by a cross-encoder's single logit, as it comes: order only."""

    network: Network | None = None

    def __init__(self, spec: Spec, model: Resolved, *, max_length: int, batch_tokens: int) -> None:
        self.spec = spec
        self.document_form = dict(spec.options).get("input", TITLE_AND_BODY)
        self.threads = model.load.threads
        how = (model.load.backend, model.load.dtype, model.load.device, str(max_length), self.document_form)
        self.fingerprint = fingerprint(*how, model.contents)
        self._model = model
        self._files = model.files
        self._max_length = max_length
        self._batch_tokens = batch_tokens

    @cached_property
    def engine(self) -> Engine:
        """The loaded model, shared by all that score with it alike. Raises ConfigError."""
        return shared_engine(self._model.contents, self._files, self._model.load, self._batch_tokens)

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

    def check(self, online: bool) -> Iterable[Finding]:
        """Backend, precision and threads, and what `auto` measured. Loads nothing."""
        load = self._model.load
        where = "the GPU" if load.device == "cuda" else f"{load.threads} thread{'s' if load.threads > 1 else ''}"
        told = f"{self.spec}: {load.backend}, {load.dtype}, {where}{_measurement(self._model.choice)}"
        yield warn("backend", told, BATCH_MATES) if load.dtype == "int8" else ok("backend", told)

    @cached_property
    def _encoder(self) -> PairEncoder:
        return PairEncoder(self._files.tokenizer, self._max_length)


def _measurement(choice: Choice | None) -> str:
    """What `auto` found, in words."""
    if choice is None:
        return ""
    if not choice.pairs_per_second:
        return "; auto: the only backend that can score it here"
    rates = ", ".join(f"{name} {rate:,.1f}" for name, rate in choice.pairs_per_second.items())
    return f"; auto, pairs/s measured on {choice.measured}: {rates}"


def build(spec: Spec, context: BuildContext) -> OnnxCrossEncoder:
    """`onnx:PATH[,backend=ort|openvino|auto][,dtype=fp32|bf16|fp16|int8][,device=cpu|cuda][,variant=fused|int8w]…`.

    And `max_length=512`, `threads=N`, `batch_tokens=N`, `input=title+body|body`.
    `auto` measures, once per model and machine; what it comes to is what is built.
    """
    options = Options(spec)
    max_length = options.integer("max_length", MAX_LENGTH, minimum=8)
    threads = options.integer("threads", usable_cores())
    batch_tokens = options.integer("batch_tokens", 0)
    backend = options.choice("backend", (*MODULES, AUTO), "ort")
    dtype = options.chosen("dtype", DTYPES)
    device = options.choice("device", DEVICES, "cpu")
    variant = options.chosen("variant", [name for name in VARIANTS if name != "int8"])
    options.choice("input", FORMS, TITLE_AND_BODY)
    options.finish()
    files = _find(spec, _variant(spec, variant, dtype))
    longest = min(max_length, _longest_input(files.model.parent / "config.json"))
    model = _resolved(files, LoadOptions(backend, dtype or "", threads, device), longest)
    budget = batch_tokens or BATCH_TOKENS["cuda" if device == "cuda" else model.load.backend]
    return OnnxCrossEncoder(spec, model, max_length=longest, batch_tokens=budget)


def _resolved(files: OnnxFiles, asked: LoadOptions, max_length: int) -> Resolved:
    """With a real backend and precision in place of `auto` and of what was left open. Raises ConfigError."""
    dtype, contents = asked.dtype or None, files.contents
    if asked.backend != AUTO:
        load = replace(asked, dtype=resolved(asked.backend, dtype, asked.device, files.model))
        return Resolved(files, contents, load, None)
    choice = choose(contents, files, asked, dtype, max_length)
    return Resolved(files, contents, replace(asked, backend=choice.backend, dtype=choice.dtype), choice)


def _variant(spec: Spec, variant: str | None, dtype: str | None) -> str | None:
    """The name of the file of VARIANTS that is asked for; None: model.onnx."""
    if variant and dtype == "int8":
        raise SpecError(f"'{spec}': variant={variant} computes in floats; dtype=int8 is a file of its own")
    return "int8" if dtype == "int8" else variant


def _find(spec: Spec, variant: str | None) -> OnnxFiles:
    if not spec.target:
        raise SpecError("onnx needs a path: onnx:DIRECTORY")
    path = Path(spec.target).expanduser()
    if not path.exists():
        raise ConfigError(f"no model at {path}")
    model = _in_directory(path, variant) if path.is_dir() else path
    if path == model and variant not in {None, "int8"}:
        raise SpecError(f"'{spec}': variant={variant} picks a file of a directory, and a file is named already")
    tokenizer = model.parent / TOKENIZER_FILE
    if not tokenizer.is_file():
        raise ConfigError(f"{model.parent} holds no {TOKENIZER_FILE}; export it with the model")
    return OnnxFiles(model, tokenizer)


def _in_directory(directory: Path, variant: str | None) -> Path:
    model = directory / (VARIANTS[variant] if variant else MODEL_FILE)
    if not model.is_file():
        remedy = f"; make it with: shadowdiff optimize {directory}" if variant else ""
        raise ConfigError(f"{directory} holds no {model.name}{remedy}")
    return model


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
