"""The ways of scoring that are compared: files of the model, on the runtimes that may be there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from shadowdiff.optimize.report import State, VariantFile, Way
from shadowdiff.rerankers.backends.files import MODEL_FILE
from shadowdiff.rerankers.spec import Spec

VARIANT_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "fused": {"variant": "fused"},
    "int8w": {"variant": "int8w"},
    "int8": {"dtype": "int8"},
}
"""How a spec asks for each variant."""


def ways(source: Path, target: Path, written: Sequence[VariantFile], max_length: int | None) -> list[Way]:
    """The reference first: model.onnx on ONNX Runtime in float32. `max_length` goes into every spec."""
    cut = {"max_length": str(max_length)} if max_length else {}
    size = (source / MODEL_FILE).stat().st_size
    return [
        Way(f"{MODEL_FILE}, ort fp32", _spec(source, cut | {"backend": "ort", "dtype": "fp32"}), size),
        *(_of_variant(target, file, cut) for file in written),
        Way("openvino fp32", _spec(source, cut | {"backend": "openvino", "dtype": "fp32"}), size),
        Way("openvino bf16", _spec(source, cut | {"backend": "openvino", "dtype": "bf16"}), size),
    ]


def _of_variant(target: Path, file: VariantFile, cut: Mapping[str, str]) -> Way:
    there = file.state is not State.REFUSED
    spec = _spec(target, {**cut, **VARIANT_OPTIONS[file.variant]})
    return Way(f"{file.variant}, ort", spec, file.size if there else None, unavailable=None if there else file.how)


def _spec(directory: Path, options: Mapping[str, str]) -> str:
    return str(Spec("onnx", str(directory), tuple(options.items())))
