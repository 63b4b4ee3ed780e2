"""Which precision a backend computes in: what was asked for, or the best that is safe here, set and never left open."""

from __future__ import annotations

import platform
from pathlib import Path

from shadowdiff.errors import ConfigError
from shadowdiff.machine import instructions_in, read_cpuinfo
from shadowdiff.rerankers.backends import openvino
from shadowdiff.rerankers.backends.files import quantizes_activations

DTYPES = ("fp32", "bf16", "fp16", "int8")
DEVICES = ("cpu", "cuda")
ARM = frozenset({"aarch64", "arm64"})
CUDA = "CUDAExecutionProvider"


def resolved(backend: str, dtype: str | None, device: str, model: Path) -> str:
    """The type that this backend, of MODULES, computes this file in on this machine.

    Raises ConfigError, saying what can be had, where it is not the one asked for.
    """
    if device != "cpu" and backend != "ort":
        raise ConfigError(f"device={device} is for backend=ort; backend={backend} computes on the processor")
    if device == "cuda":
        check_cuda()
    if quantizes_activations(model):
        return _of_quantized(backend, dtype, model)
    if dtype == "int8":
        raise ConfigError(f"{model} does not compute in int8; make one that does with: shadowdiff optimize DIRECTORY")
    return _on_openvino(dtype) if backend == "openvino" else _on_ort(dtype, device)


def check_cuda() -> None:
    """Raise ConfigError where ONNX Runtime was built without CUDA: it would compute on the processor, silently."""
    import onnxruntime

    if CUDA not in onnxruntime.get_available_providers():
        raise ConfigError(
            "device=cuda needs ONNX Runtime for CUDA, and this one has none; install it in place of onnxruntime with: "
            "pip uninstall onnxruntime && pip install onnxruntime-gpu"
        )


def _of_quantized(backend: str, dtype: str | None, model: Path) -> str:
    if dtype not in {None, "int8"}:
        raise ConfigError(f"{model} computes in int8, whatever dtype says; for {dtype} name the model it was made from")
    if backend != "ort":
        raise ConfigError(f"{model} computes in int8, which is for backend=ort; {backend} takes fp32 and bf16")
    return "int8"


def _on_openvino(dtype: str | None) -> str:
    if dtype is None:
        return "bf16" if openvino.computes_in("bf16") else "fp32"
    if not openvino.computes_in(dtype):
        raise ConfigError(
            f"dtype={dtype}: this processor does not compute in {dtype} by itself, and imitating it is slow; "
            "use dtype=fp32"
        )
    return dtype


def _on_ort(dtype: str | None, device: str) -> str:
    if dtype in {None, "fp32"}:
        return "fp32"
    if dtype == "bf16" and device == "cpu" and rounds_products():
        return "bf16"
    others = "fp32, or int8 with a model that `shadowdiff optimize` made"
    also = "" if dtype == "fp16" else "; backend=openvino computes in bf16 where the processor does"
    raise ConfigError(f"dtype={dtype} cannot be had with backend=ort here, which computes in {others}{also}")


def rounds_products() -> bool:
    """Whether ONNX Runtime can multiply in bfloat16 here: on Linux on Arm processors that have it, nowhere else."""
    on_arm = platform.system() == "Linux" and platform.machine() in ARM
    return on_arm and "bf16" in instructions_in(read_cpuinfo())
