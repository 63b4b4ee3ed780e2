"""`st:MODEL`: a sentence-transformers CrossEncoder, from a local directory or by model id."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from shadowdiff.cores import usable_cores
from shadowdiff.errors import ConfigError, PlainRerankerError, SpecError, first_line
from shadowdiff.protocols import Network, PairScores, ScoreRequest
from shadowdiff.rerankers.documents import FORMS, TITLE_AND_BODY
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.onnx import PADDED_POSITIONS
from shadowdiff.rerankers.pairs import query_too_long, valid_unicode
from shadowdiff.rerankers.registry import BuildContext, install_hint
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "sentence-transformers CrossEncoder: st:DIRECTORY_OR_ID"
EXTRA = ("sentence_transformers", "sentence-transformers")
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""torch's names by those that `onnx:` uses; either may stand in a spec."""
THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Where users say themselves how many threads torch computes with."""
BATCH_SIZE = 32
LIBRARIES = ("huggingface_hub", "sentence_transformers", "transformers")


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How the model is loaded."""

    device: str | None
    dtype: str
    revision: str | None
    max_length: int | None
    batch_size: int


class LibraryReranker:
    """What kinds on a model of the library share: who it is, where it comes from, what it computes with."""

    def __init__(self, spec: Spec, options: LoadOptions) -> None:
        self.spec = spec
        self.document_form = dict(spec.options).get("input", TITLE_AND_BODY)
        self.network = hub_network(spec.target)
        self._options = options
        self._directory = Path(spec.target).expanduser()

    @property
    def threads(self) -> int:
        """Threads that torch computes with on the processor."""
        torch: Any = import_module("torch")
        return int(torch.get_num_threads())

    @property
    def accelerator(self) -> str | None:
        """Name of the GPU that the model lies on, loading it where it is not loaded yet."""
        torch: Any = import_module("torch")
        device = self._model.device
        if device.type == "cpu":
            return None
        return str(torch.cuda.get_device_name(device)) if device.type == "cuda" else str(device.type)

    def prepare(self) -> None:
        """Load the model. Raises ConfigError."""
        self._model  # noqa: B018 a cached property

    @cached_property
    def _model(self) -> Any:
        check_device(self._options.device)
        respect_quota()
        with quiet(), load_errors(self.spec):
            model = self._loaded(
                str(self._directory) if self._directory.is_dir() else self.spec.target,
                local_files_only=self.network is None,
                device=self._options.device,
                revision=self._options.revision,
                model_kwargs={"dtype": self._options.dtype},
            )
        self._fit(model)
        return model

    def _loaded(self, source: str, **options: Any) -> Any:
        """The library's own object. Raises whatever the library does."""
        raise NotImplementedError

    def _fit(self, model: Any) -> None:
        """Check it, and set how long its texts may be. Raises ConfigError."""
        raise NotImplementedError

    def _identified(self, *how: str) -> str:
        """A fingerprint over a directory's files, or the commit of a model id, which is only known once it is loaded.

        Raises ConfigError where it cannot be.
        """
        if not self._directory.is_dir():
            return fingerprint(*how, self.spec.target, self._commit)
        files = _model_files(self._directory)
        return fingerprint(*how, *(file.relative_to(self._directory).as_posix() for file in files), files=files)

    def _snapshot(self) -> Path | None:
        """Where the files of a loaded model lie; None where the library does not say."""
        if self._directory.is_dir():
            return self._directory
        hub: Any = import_module("huggingface_hub")
        cache, revision = os.environ.get("SENTENCE_TRANSFORMERS_HOME"), self._options.revision
        found = hub.try_to_load_from_cache(self.spec.target, "config.json", cache_dir=cache, revision=revision)
        return Path(found).parent if isinstance(found, str) else None

    @cached_property
    def _commit(self) -> str:
        """The commit hash of the snapshot that was loaded; what was asked for where there is none."""
        self.prepare()
        snapshot = self._snapshot()
        return snapshot.name if snapshot else self._options.revision or "main"


class SentenceTransformersReranker(LibraryReranker):
    """Scores pairs by a cross-encoder's raw logit: order only."""

    @cached_property
    def fingerprint(self) -> str:
        """Of the model, and of all that decides how it is used. Raises ConfigError where it cannot be loaded."""
        return self._identified("st/1", str(self._options.max_length), self._options.dtype, self.document_form)

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """Logits in input order. Raises RerankerError where the query leaves no room for a document."""
        return self.score_batch([ScoreRequest(query, tuple(documents))])[0].scores

    def score_batch(self, requests: Sequence[ScoreRequest]) -> Sequence[PairScores]:
        """Logits per request: equal pairs once, sorted by length by the library."""
        cut = [self._cut(request) for request in requests]
        distinct = list(dict.fromkeys(pair for row in cut for pair, _ in row))
        scores = dict(zip(distinct, self._predict(distinct), strict=True))
        return [
            PairScores(tuple(scores[pair] for pair, _ in row), tuple(truncated for _, truncated in row)) for row in cut
        ]

    def truncated(self, requests: Sequence[ScoreRequest]) -> Sequence[Sequence[bool]]:
        """Per request, whether each document would be cut. Tokenises only."""
        return [[truncated for _, truncated in self._cut(request)] for request in requests]

    def _predict(self, pairs: list[tuple[str, str]]) -> list[float]:
        if not pairs:
            return []
        model = self._model
        with quiet():
            logits = model.predict(
                pairs,
                batch_size=self._options.batch_size,
                activation_fn=_as_it_is,
                show_progress_bar=False,
                convert_to_numpy=False,
                convert_to_tensor=True,
            )
        found: list[float] = logits.double().cpu().reshape(len(pairs)).tolist()
        return found

    def _cut(self, request: ScoreRequest) -> list[tuple[tuple[str, str], bool]]:
        """Pairs that the library will cut in the document only, or not at all."""
        tokenizer: Any = self._model.tokenizer
        longest: int = tokenizer.model_max_length
        query = valid_unicode(request.query)
        tokens = len(_offsets(tokenizer, query))
        room = longest - tokenizer.num_special_tokens_to_add(pair=True) - tokens
        if room < 1:
            raise PlainRerankerError(query_too_long(tokens, longest))
        documents = [valid_unicode(document) for document in request.documents]
        return [_fitting(tokenizer, query, document, room, tokens) for document in documents]

    def _loaded(self, source: str, **options: Any) -> Any:
        from sentence_transformers import CrossEncoder

        return CrossEncoder(source, **options)

    def _fit(self, model: Any) -> None:
        if model.num_labels != 1:
            raise ConfigError(f"{self.spec.target} has {model.num_labels} outputs; a reranker has one logit per pair")
        limits = (model.tokenizer.model_max_length, positions(model.model.config), self._options.max_length)
        model.tokenizer.model_max_length = min(int(limit) for limit in limits if limit)


def check_device(device: str | None) -> None:
    """Raise ConfigError where a GPU is asked for and torch has none."""
    torch: Any = import_module("torch")
    if device and device.partition(":")[0] == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"device={device}: torch finds no GPU that it can use here; leave device out, or install torch for CUDA"
        )


def respect_quota() -> None:
    """No more threads than the cores that a container may use: torch counts the host's.

    Only ever fewer: torch itself takes a thread per physical core, and whoever
    has set a number, in the environment or in this process, meant it.
    """
    torch: Any = import_module("torch")
    if torch.get_num_threads() > usable_cores() and not any(os.environ.get(name) for name in THREAD_SETTINGS):
        torch.set_num_threads(usable_cores())


def _as_it_is(logits: Any) -> Any:
    """Instead of the library's sigmoid, which rounds good scores to 1."""
    return logits


def _model_files(directory: Path) -> list[Path]:
    """Everything that can decide scores: not hidden files, and not the card, which may be edited freely."""
    files = (file for file in directory.rglob("*") if file.is_file() and file.suffix != ".md")
    return sorted(file for file in files if not any(part[0] == "." for part in file.relative_to(directory).parts))


def positions(config: Any) -> int | None:
    """How many tokens the model has position embeddings for, if it says."""
    positions: int | None = getattr(config, "max_position_embeddings", None)
    return positions - 2 if positions and config.model_type in PADDED_POSITIONS else positions


def _fitting(tokenizer: Any, query: str, document: str, room: int, query_tokens: int) -> tuple[tuple[str, str], bool]:
    """The pair, and whether its document does not fit.

    The library takes tokens from the longer text. That is the document as long
    as it keeps at least as many as the query has; else it is cut here.
    """
    offsets = _offsets(tokenizer, document)
    if len(offsets) <= room or room >= query_tokens:
        return (query, document), len(offsets) > room
    kept = room
    while len(_offsets(tokenizer, document[: offsets[kept - 1][1]])) > room:
        kept -= 1
    return (query, document[: offsets[kept - 1][1]]), True


def _offsets(tokenizer: Any, text: str) -> list[tuple[int, int]]:
    """Start and end of each token of the text, in characters."""
    encoded = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False, return_offsets_mapping=True)
    offsets: list[tuple[int, int]] = encoded["offset_mapping"]
    return offsets


def build(spec: Spec, context: BuildContext) -> SentenceTransformersReranker:
    """`st:MODEL[,device=…][,dtype=fp32|bf16|fp16][,max_length=N][,revision=…][,batch_size=32][,input=…]`."""
    options = Options(spec)
    load = load_options(options)
    options.finish()
    require_model(spec)
    return SentenceTransformersReranker(spec, load)


def load_options(options: Options) -> LoadOptions:
    """What every kind on a model of the library can be told. Raises SpecError."""
    dtype = options.choice("dtype", [*DTYPES, *DTYPES.values()], "fp32")
    options.choice("input", FORMS, TITLE_AND_BODY)
    return LoadOptions(
        device=options.text("device") or None,
        dtype=DTYPES.get(dtype, dtype),
        revision=options.text("revision") or None,
        max_length=options.integer("max_length", 0, minimum=8) or None,
        batch_size=options.integer("batch_size", BATCH_SIZE),
    )


def require_model(spec: Spec) -> None:
    """Raise SpecError where the spec names no model, ConfigError where the library is missing."""
    if not spec.target:
        raise SpecError(f"{spec.scheme} needs a model: {spec.scheme}:DIRECTORY or {spec.scheme}:MODEL_ID")
    require_extra(spec.scheme)


def hub_network(model: str) -> Network | None:
    """What loading a model connects to: nothing for a local directory, whatever the library would look up for it."""
    if Path(model).expanduser().is_dir():
        return None
    return Network(f"the Hugging Face hub, as there is no directory {model!r}", sends_texts=False)


def require_extra(scheme: str = "st") -> None:
    """Raise ConfigError, saying what to install, where sentence-transformers is missing."""
    from importlib.util import find_spec

    if find_spec(EXTRA[0]) is None:
        raise ConfigError(f"{scheme}: needs sentence-transformers; install it with: {install_hint(EXTRA[1])}")


@contextmanager
def load_errors(spec: Spec) -> Iterator[None]:
    """Turn whatever loading a model raises into a ConfigError."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # the library's hub, safetensors and config errors share no base
        raise ConfigError(
            f"cannot load '{spec}': {first_line(error)}; give a local directory, or check the model id and the network"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Loading and scoring print bars, notes and warnings to stderr, which is ours."""
    hub: Any = import_module("huggingface_hub.utils")
    transformers: Any = import_module("transformers.utils.logging")
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    levels = [logger.level for logger in loggers]
    hub_bars, bars = not hub.are_progress_bars_disabled(), transformers.is_progress_bar_enabled()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    hub.disable_progress_bars()
    transformers.disable_progress_bar()
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if hub_bars:
            hub.enable_progress_bars()
        if bars:
            transformers.enable_progress_bar()
