"""The ways to score that are raced against each other: ours by spec, each peer as its README says to use it."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.convert import float32_onnx, transformers_directory, write_tokenizer
from benchmarks.processor import computes_bf16
from shadowdiff.protocols import ScoreRequest
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse

Rows = list[list[float]]
Scorer = Callable[[Sequence[ScoreRequest]], Rows]
Precision = Literal["fp32", "bf16", "int8"]
BASELINE = "st"
OPENVINO_DEFAULT: Precision = "bf16" if computes_bf16() else "fp32"
"""What OpenVINO computes in unless it is told: whatever is fastest on the processor."""
FLASHRANK_NAME = "ms-marco-MiniLM-L-12-v2"
"""FlashRank and its table of file names know no others; the directory of that name holds our model."""
FLASHRANK_FILE = "flashrank-MiniLM-L-12-v2_Q.onnx"


class UnavailableError(Exception):
    """A variant that cannot run here, and why."""


@dataclass(frozen=True, slots=True)
class Places:
    """The same model in three forms."""

    shipped: Path
    """As shipped: ONNX with 8-bit weights."""
    plain: Path
    """Float32 ONNX."""
    torch: Path
    """A transformers directory."""
    peers: Path
    """Where peers' own layouts are made."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to score. `load` raises UnavailableError, or what the library raises."""

    key: str
    label: str
    reads: str
    """Which form of the model it reads."""
    precision: Precision
    load: Callable[[Places, int], Scorer]
    """Takes the places and the number of threads."""


def prepare_places(model: Path, home: Path) -> Places:
    """Convert the model into every form, once."""
    places = Places(model, home / "plain", home / "torch", home / "peers")
    if not (places.torch / "config.json").exists():
        float32_onnx(model, places.plain)
        write_tokenizer(model, places.plain)
        transformers_directory(model, places.torch)
    return places


def ours(options: str) -> Callable[[Places, int], Scorer]:
    """`onnx:MODEL` with more options, through the registry, all turns in one call."""

    def load(places: Places, threads: int) -> Scorer:
        if options.endswith("bf16") and not computes_bf16():
            raise UnavailableError("this processor has neither AMX-BF16 nor AVX512-BF16")
        reranker: Any = build(parse(f"onnx:{places.shipped},threads={threads}{options}"))
        reranker.prepare()
        return lambda requests: [list(found.scores) for found in reranker.score_batch(requests)]

    return load


def sentence_transformers(*, dtype: str | None = None, backend: str | None = None) -> Callable[[Places, int], Scorer]:
    """CrossEncoder.predict over all pairs of all turns in one call: it sorts by length itself, within the call."""

    def load(places: Places, threads: int) -> Scorer:
        torch = _library("torch")
        torch.set_num_threads(threads)
        if backend:
            _optimum("optimum.intel" if backend == "openvino" else "optimum.onnxruntime")
        how: dict[str, Any] = {"backend": backend} if backend else {}
        if dtype:
            how["model_kwargs"] = {"dtype": getattr(torch, dtype)}
        model = _library("sentence_transformers").CrossEncoder(str(places.torch), device="cpu", **how)

        def score(requests: Sequence[ScoreRequest]) -> Rows:
            pairs = [(request.query, document) for request in requests for document in request.documents]
            found = iter(model.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False))
            return [[float(next(found)) for _ in request.documents] for request in requests]

        return score

    return load


def flashrank(places: Places, threads: int) -> Scorer:
    """Ranker.rerank, one turn a call. Its scores are sigmoids of the logits."""
    del threads  # it has no setting; the worker's processor affinity bounds it
    library = _library("flashrank")
    home = places.peers / FLASHRANK_NAME
    if not home.exists():
        write_tokenizer(places.shipped, home)
        (home / "config.json").write_bytes((places.torch / "config.json").read_bytes())
        (home / FLASHRANK_FILE).symlink_to((places.plain / "model.onnx").resolve())
    ranker = library.Ranker(model_name=FLASHRANK_NAME, cache_dir=str(places.peers), log_level="ERROR")

    def score(requests: Sequence[ScoreRequest]) -> Rows:
        return [_flashrank_turn(library, ranker, request) for request in requests]

    return score


def _flashrank_turn(library: Any, ranker: Any, request: ScoreRequest) -> list[float]:
    passages = [{"id": place, "text": text} for place, text in enumerate(request.documents)]
    found = ranker.rerank(library.RerankRequest(query=request.query, passages=passages))
    by_place = {passage["id"]: float(passage["score"]) for passage in found}
    return [by_place[place] for place in range(len(passages))]


def fastembed(places: Places, threads: int) -> Scorer:
    """TextCrossEncoder.rerank, one turn a call."""
    encoder = _library("fastembed.rerank.cross_encoder").TextCrossEncoder
    source = _library("fastembed.common.model_description").ModelSource
    if not (places.plain / "special_tokens_map.json").exists():
        write_tokenizer(places.shipped, places.plain)
    (places.plain / "config.json").write_bytes((places.torch / "config.json").read_bytes())
    encoder.add_custom_model(model="bench/sample", model_file="model.onnx", sources=source(hf="bench/sample"))
    model = encoder("bench/sample", threads=threads, specific_model_path=str(places.plain))
    return lambda requests: [
        [float(score) for score in model.rerank(request.query, request.documents)] for request in requests
    ]


def rerankers(places: Places, threads: int) -> Scorer:
    """Reranker(…, model_type="cross-encoder").rank, one turn a call."""
    _library("torch").set_num_threads(threads)
    ranker = _library("rerankers").Reranker(str(places.torch), model_type="cross-encoder", device="cpu", verbose=0)

    def turn(request: ScoreRequest) -> list[float]:
        found = ranker.rank(query=request.query, docs=list(request.documents))
        by_place = {item.document.doc_id: float(item.score) for item in found.results}
        return [by_place[place] for place in range(len(request.documents))]

    return lambda requests: [turn(request) for request in requests]


def _optimum(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError as error:
        raise UnavailableError(f"{error}; why it is not installed: pyproject.toml, group bench") from error


def _library(name: str) -> Any:
    logging.disable(logging.WARNING)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UnavailableError(f"{error}") from error


VARIANTS = (
    Variant(BASELINE, "st CrossEncoder, default", "torch", "fp32", sentence_transformers()),
    Variant("st-bf16", "st, torch bf16", "torch", "bf16", sentence_transformers(dtype="bfloat16")),
    Variant("st-ov", "st, OpenVINO backend", "torch", OPENVINO_DEFAULT, sentence_transformers(backend="openvino")),
    Variant("st-onnx", "st, ONNX backend", "torch", "fp32", sentence_transformers(backend="onnx")),
    Variant("flashrank", "FlashRank", "plain", "fp32", flashrank),
    Variant("fastembed", "fastembed", "plain", "fp32", fastembed),
    Variant("rerankers", "rerankers", "torch", "fp32", rerankers),
    Variant("ort", "shadowdiff, ORT fp32", "shipped", "fp32", ours("")),
    Variant("ort-int8", "shadowdiff, ORT int8", "shipped", "int8", ours(",dtype=int8")),
    Variant("ov-fp32", "shadowdiff, OV fp32", "shipped", "fp32", ours(",backend=openvino,dtype=fp32")),
    Variant("ov-bf16", "shadowdiff, OV bf16", "shipped", "bf16", ours(",backend=openvino,dtype=bf16")),
    Variant("ov-int8", "shadowdiff, OV int8", "shipped", "int8", ours(",backend=openvino,dtype=int8")),
)
"""The baseline first: every ratio is against it."""
BY_KEY = {variant.key: variant for variant in VARIANTS}
