"""An ONNX file as a cross-encoder: what lies beside it, how it is loaded, whether it is one at all."""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shadowdiff.errors import ConfigError, first_line

REQUIRED_INPUTS = frozenset({"input_ids", "attention_mask"})
KNOWN_INPUTS = REQUIRED_INPUTS | {"token_type_ids"}
INTEGERS = {"tensor(int64)": "int64", "tensor(int32)": "int32"}
LOGITS = "logits"
NO_WEIGHTS = frozenset({".json", ".md", ".onnx", ".safetensors", ".txt"})
"""Files that lie beside many models and are never an ONNX model's outside weights."""
QUANTIZED_ACTIVATIONS = b"\x22\x0eQuantizeLinear"
"""A node of operator QuantizeLinear, as protobuf writes it: field 4 of NodeProto, 14 bytes."""
SILENT = 4
"""ONNX Runtime's severity for fatal errors only: its errors reach the user through exceptions."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A loaded model that takes token ids and gives one logit per pair."""

    session: Any
    inputs: Mapping[str, str]
    """The model's inputs, each with its integer type."""
    output: str


def load_graph(model: Path, threads: int) -> Graph:
    """Load a cross-encoder. Raises ConfigError where it is none, or no ONNX model."""
    session = _session(model, threads)
    inputs = {item.name: item.type for item in session.get_inputs()}
    if not inputs.keys() >= REQUIRED_INPUTS or not inputs.keys() <= KNOWN_INPUTS:
        raise ConfigError(
            f"{model} has the inputs {', '.join(sorted(inputs))}; a cross-encoder has "
            "input_ids, attention_mask and, for some, token_type_ids"
        )
    odd = sorted(name for name, kind in inputs.items() if kind not in INTEGERS)
    if odd:
        raise ConfigError(f"{model} takes {odd[0]} as {inputs[odd[0]]}; expected int64 or int32")
    output = next((item for item in session.get_outputs() if item.name == LOGITS), session.get_outputs()[0])
    if not _may_be_logit(output.shape):
        raise ConfigError(no_logit(model, output.shape))
    return Graph(session, {name: INTEGERS[kind] for name, kind in inputs.items()}, output.name)


def external_files(model: Path) -> list[Path]:
    """Files beside the model that it names: weights that ONNX keeps outside when they are large. Raises ConfigError."""
    beside = sorted(file for file in model.parent.iterdir() if file.suffix not in NO_WEIGHTS and file.is_file())
    return [file for file in beside if _holds(model, os.fsencode(file.name))]


def quantizes_activations(model: Path) -> bool:
    """Whether the model computes in 8 bits, rather than only keep its weights in them. Raises ConfigError."""
    return _holds(model, QUANTIZED_ACTIVATIONS)


def no_logit(model: Path, shape: object) -> str:
    """What to tell somebody whose model gives something else than one logit per pair."""
    return (
        f"{model} gives an output of shape {shape}; it is not a single-logit cross-encoder, "
        "which gives one score per pair: shape (batch, 1)"
    )


def _session(model: Path, threads: int) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(SILENT)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = SILENT
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    if not quantizes_activations(model):
        # Weight-only 8-bit models are expanded to float32 once at load, instead of at every call.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ConfigError(f"{model} is not an ONNX model that can be loaded: {first_line(error)}") from error


def _may_be_logit(shape: list[Any]) -> bool:
    """Dimensions with a name are only known once a pair was scored."""
    return len(shape) == 1 or (len(shape) == 2 and (shape[1] == 1 or not isinstance(shape[1], int)))


def _holds(file: Path, needle: bytes) -> bool:
    try:
        with file.open("rb") as opened:
            if not file.stat().st_size:
                return False
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return content.find(needle) >= 0
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror or error}") from error
