"""Runtimes that carry out an ONNX cross-encoder, and the engines that share what is loaded.

One module per runtime, with `load(files, options) -> Backend`; heavy imports happen inside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from weakref import WeakValueDictionary

from shadowdiff.rerankers.backends.files import external_files
from shadowdiff.rerankers.engine import Backend, Engine
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.pairs import text_tokenizer

MODULES = {
    "ort": "shadowdiff.rerankers.backends.ort",
    "openvino": "shadowdiff.rerankers.backends.openvino",
}
_ENGINES: WeakValueDictionary[tuple[object, ...], Engine] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class OnnxFiles:
    """Where the model lies."""

    model: Path
    tokenizer: Path

    @property
    def contents(self) -> str:
        """SHA-256 of everything that decides the scores. Reads it all. Raises ConfigError."""
        return fingerprint("onnx/2", files=self.fingerprinted)

    @property
    def fingerprinted(self) -> list[Path]:
        """Everything that decides the scores, external weights included."""
        return [self.model, *external_files(self.model), self.tokenizer]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a model is loaded."""

    backend: str
    """A key of MODULES."""
    dtype: str
    """What it computes in: fp32, bf16, fp16 or int8."""
    threads: int
    device: str = "cpu"
    """cpu or cuda."""


def load_backend(files: OnnxFiles, options: LoadOptions) -> Backend:
    """The model in its runtime. Raises ConfigError where it is no cross-encoder, or the runtime cannot load it."""
    backend: Backend = import_module(MODULES[options.backend]).load(files, options)
    return backend


def shared_engine(contents: str, files: OnnxFiles, options: LoadOptions, batch_tokens: int) -> Engine:
    """The engine of files with these contents under these options: the same one while anybody holds it.

    Raises ConfigError.
    """
    key = (contents, options, batch_tokens)
    engine = _ENGINES.get(key)
    if engine is None:
        tokenizer = text_tokenizer(files.tokenizer)
        engine = Engine(load_backend(files, options), tokenizer.template, tokenizer.pad_id, batch_tokens)
        _ENGINES[key] = engine
    return engine
