"""`backend=auto`: which runtime scores a model faster on this machine, measured once and remembered."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from shadowdiff.errors import ConfigError
from shadowdiff.machine import identity_in, read_cpuinfo
from shadowdiff.rerankers.backends import MODULES, LoadOptions, OnnxFiles, load_backend, openvino
from shadowdiff.rerankers.backends.precision import DTYPES, resolved
from shadowdiff.rerankers.backends.remembered import Remembered
from shadowdiff.rerankers.engine import Backend, Engine
from shadowdiff.rerankers.pairs import TOKEN_BYTES, EncodedPair, TextTokenizer, text_tokenizer

EXACT = "ort"
GAIN = 1.1
"""How much faster OpenVINO must be: ONNX Runtime is exact, so that a tie is its."""
ROUNDS = 3
SECONDS_PER_ROUND = 0.25
FEWEST, MOST = 4, 64
"""Pairs per round."""
CALLS = 4
"""Batches per round, so that several streams have work."""
WORDS = "how is customer data encrypted at rest and who holds the keys that open it "
QUERY_TOKENS = 12
DOCUMENT_TOKENS = 100
"""About what a question and a passage of a knowledge base come to."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was decided, and why."""

    backend: str
    dtype: str
    pairs_per_second: Mapping[str, float]
    """By backend and dtype, as in `ort fp32`; empty where there was nothing to choose from."""
    measured: str = ""
    """The date, in UTC; empty where nothing was measured."""


def choose(contents: str, files: OnnxFiles, asked: LoadOptions, dtype: str | None, max_length: int) -> Choice:
    """The faster backend for this model on this machine, with its precision; `dtype` None: each one's own.

    `contents` tells the files from others, and no pair is longer than
    `max_length` tokens. Measures for a second or two where it was not measured
    before. Raises ConfigError where no backend can do what is asked, or load
    the model.
    """
    able = _able(files, asked, dtype)
    if len(able) == 1:
        return Choice(able[0].backend, able[0].dtype, {})
    remembered, key = Remembered("backends.json"), _key(contents, able)
    known = _read(remembered.recall(key))
    if known is None:
        known = _measured(files, able, max_length)
        remembered.keep(key, asdict(known))
    return known


def _able(files: OnnxFiles, asked: LoadOptions, dtype: str | None) -> list[LoadOptions]:
    """What can be loaded here, ONNX Runtime first."""
    backends = [EXACT, *(["openvino"] if openvino.installed() and asked.device == "cpu" else [])]
    able, refused = [], []
    for backend in backends:
        try:
            kind = resolved(backend, dtype, asked.device, files.model)
        except ConfigError as error:
            refused.append(error)
        else:
            able.append(replace(asked, backend=backend, dtype=kind))
    if not able:
        raise refused[0]
    return able


def _key(contents: str, able: list[LoadOptions]) -> str:
    """All that may change which one is faster."""
    runtimes = f"onnxruntime {version('onnxruntime')} openvino {openvino.installed_version()}"
    kinds = " ".join(f"{one.backend}:{one.dtype}" for one in able)
    return f"{contents} {identity_in(read_cpuinfo())} {able[0].threads} threads {kinds} {runtimes}"


def _read(known: Any) -> Choice | None:
    """A remembered choice; None where there is none, or it is not one that we wrote."""
    try:
        rates = {str(name): float(rate) for name, rate in known["pairs_per_second"].items()}
        choice = Choice(str(known["backend"]), str(known["dtype"]), rates, str(known["measured"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return choice if choice.backend in MODULES and choice.dtype in DTYPES else None


def _measured(files: OnnxFiles, able: list[LoadOptions], max_length: int) -> Choice:
    tokenizer = text_tokenizer(files.tokenizer)
    exact = load_backend(files, able[0])
    try:
        other = load_backend(files, able[1])
    except ConfigError:  # a model that OpenVINO cannot read: there is nothing to choose from
        return Choice(able[0].backend, able[0].dtype, {}, _today())
    pairs = _pairs(tokenizer, max_length)
    padded = pairs[0].tokens + tokenizer.template.special_tokens
    seconds = _seconds(_engine(exact, tokenizer, padded), pairs[:1])
    wanted = min(max(math.ceil(SECONDS_PER_ROUND / max(seconds, 1e-6)), FEWEST), MOST)
    engines = [_engine(backend, tokenizer, padded * math.ceil(wanted / CALLS)) for backend in (exact, other)]
    return _decided(able, _rates(engines, pairs[:wanted]))


def _rates(engines: Sequence[Engine], pairs: Sequence[EncodedPair]) -> list[float]:
    """Median pairs per second of each, in turns, so that a busy moment of the machine meets both."""
    found: list[list[float]] = [[] for _ in engines]
    for turn in range(ROUNDS + 1):
        for engine, rates in zip(engines, found, strict=True):
            seconds = _seconds(engine, pairs)
            if turn:  # the first round warms up
                rates.append(len(pairs) / seconds)
    return [statistics.median(rates) for rates in found]


def _decided(able: list[LoadOptions], rates: list[float]) -> Choice:
    chosen = able[1] if rates[1] >= GAIN * rates[0] else able[0]
    told = {_named(one): round(rate, 2) for one, rate in zip(able, rates, strict=True)}
    return Choice(chosen.backend, chosen.dtype, told, _today())


def _seconds(engine: Engine, pairs: Sequence[EncodedPair]) -> float:
    start = time.perf_counter()
    for _ in engine.score(pairs):
        pass
    return time.perf_counter() - start


def _engine(backend: Backend, tokenizer: TextTokenizer, budget: int) -> Engine:
    return Engine(backend, tokenizer.template, tokenizer.pad_id, budget)


def _pairs(tokenizer: TextTokenizer, max_length: int) -> list[EncodedPair]:
    """Different pairs of one length."""
    ids = tokenizer.tokens([WORDS * (QUERY_TOKENS + DOCUMENT_TOKENS + MOST)])[0]
    room = max_length - tokenizer.template.special_tokens
    query = min(QUERY_TOKENS, room // 2)
    document = min(DOCUMENT_TOKENS, room - query) * TOKEN_BYTES
    starts = range(0, MOST * TOKEN_BYTES, TOKEN_BYTES)
    return [EncodedPair(ids[: query * TOKEN_BYTES], ids[start : start + document]) for start in starts]


def _named(options: LoadOptions) -> str:
    return f"{options.backend} {options.dtype}"


def _today() -> str:
    return datetime.now(tz=UTC).date().isoformat()
