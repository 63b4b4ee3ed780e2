"""`st:MODEL`: a sentence-transformers CrossEncoder, from a local directory or by model id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from shadowdiff.errors import ConfigError, RerankerError, SpecError
from shadowdiff.protocols import PairScores, ScoreRequest
from shadowdiff.rerankers.documents import FORMS, TITLE_AND_BODY
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.registry import BuildContext, install_hint
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "sentence-transformers CrossEncoder: a local directory or a model id"
EXTRA = ("sentence_transformers", "sentence-transformers")
DTYPES = ("float32", "bfloat16", "float16")
BATCH_SIZE = 32


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How the model is loaded."""

    device: str | None
    dtype: str
    revision: str | None
    max_length: int | None
    batch_size: int


class SentenceTransformersReranker:
    """Scores pairs by a cross-encoder's raw logit: order only."""

    def __init__(self, spec: Spec, options: LoadOptions) -> None:
        self.spec = spec
        self.document_form = dict(spec.options).get("input", TITLE_AND_BODY)
        self._options = options
        self._directory = Path(spec.target).expanduser()
        identity = (str(options.max_length), options.dtype, self.document_form)
        if self._directory.is_dir():
            files = sorted(file for file in self._directory.rglob("*") if file.is_file())
            self.fingerprint = fingerprint("st/1", *identity, files=files)
        else:
            self.fingerprint = fingerprint("st/1", spec.target, options.revision or "main", *identity)

    def prepare(self) -> None:
        """Load the model. Raises ConfigError."""
        self._model  # noqa: B018 a cached property

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

    def _predict(self, pairs: list[tuple[str, str]]) -> list[float]:
        if not pairs:
            return []
        import torch

        logits = self._model.predict(
            pairs,
            batch_size=self._options.batch_size,
            activation_fn=torch.nn.Identity(),
            show_progress_bar=False,
            convert_to_numpy=False,
            convert_to_tensor=True,
        )
        found: list[float] = logits.to(torch.float64).cpu().reshape(len(pairs)).tolist()
        return found

    def _cut(self, request: ScoreRequest) -> list[tuple[tuple[str, str], bool]]:
        """Pairs whose document is cut to fit beside the whole query: the library would cut the longer of the two."""
        tokenizer, longest = self._model.tokenizer, self._longest
        query = _storable(request.query)
        documents = [_storable(document) for document in request.documents]
        room = longest - tokenizer.num_special_tokens_to_add(pair=True) - _count(tokenizer, query)
        if room < 1:
            raise RerankerError(f"the query alone fills max_length={longest}; no document fits beside it")
        return [((query, kept), kept is not text) for text in documents for kept in [_head(tokenizer, text, room)]]

    @cached_property
    def _longest(self) -> int:
        limits = (self._model.max_length, self._model.tokenizer.model_max_length, self._options.max_length)
        return min(int(limit) for limit in limits if limit)

    @cached_property
    def _model(self) -> Any:
        from sentence_transformers import CrossEncoder

        source = str(self._directory) if self._directory.is_dir() else self.spec.target
        with _quiet(), _load_errors(self.spec):
            model = CrossEncoder(
                source,
                device=self._options.device,
                revision=self._options.revision,
                max_length=self._options.max_length,
                model_kwargs={"dtype": self._options.dtype},
            )
        if model.num_labels != 1:
            raise ConfigError(f"{source} has {model.num_labels} outputs; a reranker has one logit per pair")
        return model


def build(spec: Spec, context: BuildContext) -> SentenceTransformersReranker:
    """`st:MODEL[,device=…][,dtype=float32|bfloat16|float16][,max_length=N][,revision=…][,batch_size=32][,input=…]`."""
    options = Options(spec)
    longest = options.integer("max_length", 0, minimum=0)
    load = LoadOptions(
        device=options.text("device") or None,
        dtype=options.choice("dtype", DTYPES, "float32"),
        revision=options.text("revision") or None,
        max_length=longest or None,
        batch_size=options.integer("batch_size", BATCH_SIZE),
    )
    options.choice("input", FORMS, TITLE_AND_BODY)
    options.finish()
    if not spec.target:
        raise SpecError("st needs a model: st:DIRECTORY or st:MODEL_ID")
    require_extra()
    return SentenceTransformersReranker(spec, load)


def require_extra() -> None:
    """Raise ConfigError, saying what to install, where sentence-transformers is missing."""
    from importlib.util import find_spec

    if find_spec(EXTRA[0]) is None:
        raise ConfigError(f"st needs sentence-transformers; install it with: {install_hint(EXTRA[1])}")


def _storable(text: str) -> str:
    """Lone surrogates become question marks: tokenizers take valid Unicode only."""
    return text.encode("utf-8", "replace").decode()


def _count(tokenizer: Any, text: str) -> int:
    return len(tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"])


def _head(tokenizer: Any, text: str, room: int) -> str:
    """The text itself if it fits, else what its first `room` tokens cover."""
    encoded = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False, return_offsets_mapping=True)
    offsets = encoded["offset_mapping"]
    return text if len(offsets) <= room else text[: offsets[room - 1][1]]


@contextmanager
def _load_errors(spec: Spec) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the library's hub, safetensors and config errors share no base
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ConfigError(
            f"cannot load '{spec}': {reason}; give a local directory, or check the model id and the network"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Loading prints bars and notes to stderr, which is ours."""
    import logging

    from transformers.utils import logging as transformers_logging

    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    yield
