"""OpenVINO: reads the same ONNX file, and computes in bfloat16 where the processor has it."""

from __future__ import annotations

import sys
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shadowdiff.errors import ConfigError, first_line
from shadowdiff.machine import identity_in, read_cpuinfo
from shadowdiff.rerankers.backends.graph import KNOWN_INPUTS, LOGITS, check_inputs, check_output, feed, logits_of
from shadowdiff.rerankers.backends.remembered import Remembered, cache_directory
from shadowdiff.rerankers.engine import Batch
from shadowdiff.rerankers.registry import install_hint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from shadowdiff.rerankers.backends import LoadOptions, OnnxFiles

PACKAGE = "openvino"
TELEMETRY = "openvino_telemetry"
PRECISIONS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
CAPABILITIES = {"bf16": "BF16", "fp16": "FP16"}
"""What OpenVINO calls a type that the processor computes in by itself."""
SPELLED = {"i64": "int64", "i32": "int32"}
WAITING = 2
"""Requests per stream: one that runs, and one that stands ready behind it."""
KEPT_BYTES = 2**30
"""Compiled models that stay on disk, the newest ones."""


class OpenVinoBackend:
    """A compiled model with as many streams as threads: each batch is worked on by one thread, several at a time."""

    name = "OpenVINO"

    def __init__(self, files: OnnxFiles, options: LoadOptions) -> None:
        self.dtype = options.dtype
        self._model = files.model
        self._compiled = _compiled(files, options)
        self._types = _types(self._compiled)
        self._output = self._output_index()
        self._most = WAITING * options.threads
        self._idle: deque[Any] = deque()

    def run(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, NDArray[np.float64]]]:
        """Logits per batch, in order; the next batch is taken when a request is free for it."""
        running: deque[tuple[Any, Batch]] = deque()
        try:
            for batch in batches:
                if len(running) >= self._most:
                    yield self._finished(running)
                request = self._idle.pop() if self._idle else self._compiled.create_infer_request()
                request.start_async(feed(batch, self._types))
                running.append((request, batch))
            while running:
                yield self._finished(running)
        finally:
            # Whoever stops early must not leave requests behind that still write into their tensors.
            for request, _ in running:
                _settle(request)

    def _finished(self, running: deque[tuple[Any, Batch]]) -> tuple[Batch, NDArray[np.float64]]:
        request, batch = running[0]
        request.wait()
        logits = logits_of(self._model, batch, request.get_output_tensor(self._output).data)
        running.popleft()
        self._idle.append(request)
        return batch, logits

    def _output_index(self) -> int:
        names = [item.get_names() for item in self._compiled.outputs]
        return next((index for index, known in enumerate(names) if LOGITS in known), 0)


def load(files: OnnxFiles, options: LoadOptions) -> OpenVinoBackend:
    """Load a cross-encoder. Raises ConfigError where it is none, or OpenVINO cannot read it or is not installed."""
    return OpenVinoBackend(files, options)


def installed() -> bool:
    """Whether the package is there. Imports nothing of it."""
    try:
        return find_spec(PACKAGE) is not None
    except ValueError:  # a module without spec stands in its place
        return False


def installed_version() -> str:
    """Of the package. Imports nothing of it. Raises ConfigError where it is not installed."""
    if not installed():
        raise ConfigError(f"backend=openvino needs OpenVINO; install it with: {install_hint(PACKAGE)}")
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "unknown"


def computes_in(dtype: str) -> bool:
    """Whether this processor computes in a type by itself, asked of OpenVINO once and remembered. Raises ConfigError.

    Elsewhere OpenVINO would widen every value, which gives the type's errors without its speed.
    """
    if dtype not in CAPABILITIES:
        return dtype in PRECISIONS
    remembered = Remembered("processors.json")
    key = f"{identity_in(read_cpuinfo())} openvino {installed_version()}"
    known = remembered.recall(key)
    if not (isinstance(known, list) and all(isinstance(item, str) for item in known)):
        known = sorted(_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        remembered.keep(key, known)
    return CAPABILITIES[dtype] in known


def _compiled(files: OnnxFiles, options: LoadOptions) -> Any:
    core = _core()
    try:
        model = _read(files.model)
    except Exception as error:  # the runtime's errors share no base but this
        raise ConfigError(f"{files.model} is not an ONNX model that can be loaded: {_reason(error)}") from error
    _check(files, model)
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": PRECISIONS[options.dtype],
        "INFERENCE_NUM_THREADS": options.threads,
        "NUM_STREAMS": options.threads,
        # Under a CPU quota every process would be pinned to the same first cores of the host.
        "ENABLE_CPU_PINNING": False,
        # Weights that are kept in 8 bits are computed with in floats: activations are never rounded to 8 bits.
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
    }
    try:
        return _with_kept(core, model, settings)
    except Exception as error:
        raise ConfigError(f"OpenVINO cannot compile {files.model}: {_reason(error)}") from error


def _read(file: Path) -> Any:
    """By the reader of ONNX alone: the others, asked what a broken file may be, write to stderr."""
    from openvino.frontend import FrontEndManager

    reader = FrontEndManager().load_by_framework("onnx")
    model = reader.convert(reader.load(str(file)))
    if not model.inputs:
        raise ValueError("it holds no graph")
    return model


def _check(files: OnnxFiles, model: Any) -> None:
    check_inputs(files.model, _types(model))
    outputs = model.outputs
    output = next((item for item in outputs if LOGITS in item.get_names()), outputs[0])
    shape = [size.get_length() if size.is_static else str(size) for size in output.get_partial_shape()]
    check_output(files.model, shape)


def _types(model: Any) -> dict[str, str]:
    """Types of the inputs by name."""
    kinds = {_name(item): item.get_element_type().get_type_name() for item in model.inputs}
    return {name: SPELLED.get(kind, kind) for name, kind in kinds.items()}


def _name(item: Any) -> str:
    """An input's own name: it also has the names of what its conversions came to, where OpenVINO dropped those."""
    known: list[str] = sorted(KNOWN_INPUTS & item.get_names())
    return known[0] if known else str(item.get_node().get_friendly_name())


def _with_kept(core: Any, model: Any, settings: dict[str, Any]) -> Any:
    """Compiled, or read back as it was compiled before: OpenVINO knows a model by its contents and settings."""
    try:
        folder = cache_directory() / "openvino"
        folder.mkdir(parents=True, exist_ok=True)
        compiled = core.compile_model(model, "CPU", {**settings, "CACHE_DIR": str(folder)})
        _forget_oldest(folder)
    except Exception:  # a full disk, a file of a process that was killed: what is kept is never needed
        return core.compile_model(model, "CPU", settings)
    return compiled


def _forget_oldest(folder: Path) -> None:
    """Delete compiled models, those longest not used first, beyond what may stay."""
    kept = 0
    found = [(file, file.stat()) for file in folder.glob("*.blob")]
    for file, stat in sorted(found, key=lambda item: max(item[1].st_atime, item[1].st_mtime), reverse=True):
        kept += stat.st_size
        if kept > KEPT_BYTES:
            file.unlink(missing_ok=True)


@cache
def _core() -> Any:
    """The runtime, without its telemetry: importing OpenVINO would send an event to a web service, unasked."""
    installed_version()
    hidden = sys.modules.get(TELEMETRY)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # as if it were not installed; OpenVINO has a stub for that
    try:
        with warnings.catch_warnings(action="ignore"):
            import openvino
        return openvino.Core()
    except Exception as error:
        raise ConfigError(f"OpenVINO is installed, and cannot be used: {first_line(error)}") from error
    finally:
        del sys.modules[TELEMETRY]
        if hidden is not None:
            sys.modules[TELEMETRY] = hidden


def _settle(request: Any) -> None:
    with suppress(Exception):  # another failure is being told already
        request.wait()


def _reason(error: Exception) -> str:
    """OpenVINO's reason: the first lines of its messages say where in its source it was found."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Exception from ", "Check "))]
    return (told or lines or [type(error).__name__])[-1][:200]
