"""What can be read off an ONNX file without a runtime."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from shadowdiff.errors import ConfigError

MODEL_FILE = "model.onnx"
VARIANTS = {"fused": "model.fused.onnx", "int8w": "model.int8w.onnx", "int8": "model.int8.onnx"}
"""Files beside MODEL_FILE that `shadowdiff optimize` writes: with fused operators, with weights kept in 8 bits and
computed with in floats, and dynamically quantised: computed with in 8 bits."""
NO_WEIGHTS = frozenset({".json", ".md", ".onnx", ".safetensors", ".txt"})
"""Files that lie beside many models and are never an ONNX model's outside weights."""
QUANTIZED_ACTIVATIONS = b"\x22\x0eQuantizeLinear"
"""A node of operator QuantizeLinear, as protobuf writes it: field 4 of NodeProto, 14 bytes."""
QUANTIZED_AS_THEY_COME = b"\x22\x15DynamicQuantizeLinear"
"""The same of DynamicQuantizeLinear, whose scale is worked out per call, over the whole batch."""


def external_files(model: Path) -> list[Path]:
    """Files beside the model that it names: weights that ONNX keeps outside when they are large. Raises ConfigError."""
    beside = sorted(file for file in model.parent.iterdir() if file.suffix not in NO_WEIGHTS and file.is_file())
    return [file for file in beside if _holds(model, os.fsencode(file.name))]


def quantizes_activations(model: Path) -> bool:
    """Whether the model computes in 8 bits, rather than only keep its weights in them. Raises ConfigError."""
    return _holds(model, QUANTIZED_ACTIVATIONS) or _holds(model, QUANTIZED_AS_THEY_COME)


def _holds(file: Path, needle: bytes) -> bool:
    try:
        with file.open("rb") as opened:
            if not file.stat().st_size:
                return False
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return content.find(needle) >= 0
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror or error}") from error
