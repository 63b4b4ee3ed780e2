"""ONNX Runtime: exact float32 on any processor, or on a GPU."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from shadowdiff.errors import ConfigError, first_line
from shadowdiff.rerankers.backends.files import quantizes_activations
from shadowdiff.rerankers.backends.graph import LOGITS, check_inputs, check_output, feed, logits_of
from shadowdiff.rerankers.engine import Batch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from shadowdiff.rerankers.backends import LoadOptions, OnnxFiles

INTEGERS = {"tensor(int64)": "int64", "tensor(int32)": "int32"}
PROVIDERS: dict[str, list[Any]] = {
    "cpu": ["CPUExecutionProvider"],
    # Without this, float32 products are rounded to 10 bits of mantissa on newer GPUs.
    "cuda": [("CUDAExecutionProvider", {"use_tf32": "0"})],
}
WAITING = 2
"""Batches per worker: one that is worked on, and one that stands ready behind it."""
SILENT = 4
"""ONNX Runtime's severity for fatal errors only: its errors reach the user through exceptions."""


class OrtBackend:
    """A session whose batches are worked on by one thread each, several at a time.

    Threads that share a batch would wait for each other at every operator,
    spinning: dear where anybody else works on the machine, as the replay itself does.
    """

    name = "ONNX Runtime"

    def __init__(self, files: OnnxFiles, options: LoadOptions) -> None:
        self.dtype = options.dtype
        self._model = files.model
        self._workers = options.threads if options.device == "cpu" else 1
        self._session = _session(files, options)
        self._types = {item.name: INTEGERS.get(item.type, item.type) for item in self._session.get_inputs()}
        check_inputs(files.model, self._types)
        outputs = self._session.get_outputs()
        output = next((item for item in outputs if item.name == LOGITS), outputs[0])
        check_output(files.model, output.shape)
        self._output = output.name

    def run(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, NDArray[np.float64]]]:
        """Logits per batch, in order; the next batch is taken when a worker is free for it."""
        if self._workers == 1:
            yield from ((batch, self._logits(batch)) for batch in batches)
            return
        running: deque[tuple[Batch, Future[NDArray[np.float64]]]] = deque()
        with ThreadPoolExecutor(self._workers, "onnxruntime") as workers:
            try:
                for batch in batches:
                    if len(running) >= WAITING * self._workers:
                        yield _finished(running)
                    running.append((batch, workers.submit(self._logits, batch)))
                while running:
                    yield _finished(running)
            finally:
                for _, future in running:
                    future.cancel()

    def _logits(self, batch: Batch) -> NDArray[np.float64]:
        import numpy as np

        output = np.asarray(self._session.run([self._output], feed(batch, self._types))[0])
        return logits_of(self._model, batch, output)


def _finished(
    running: deque[tuple[Batch, Future[NDArray[np.float64]]]],
) -> tuple[Batch, NDArray[np.float64]]:
    batch, future = running.popleft()
    return batch, future.result()


def load(files: OnnxFiles, options: LoadOptions) -> OrtBackend:
    """Load a cross-encoder. Raises ConfigError where it is none, or no ONNX model."""
    return OrtBackend(files, options)


def _session(files: OnnxFiles, how: LoadOptions) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(SILENT)
    providers = PROVIDERS[how.device]
    try:
        session = onnxruntime.InferenceSession(str(files.model), _options(files, how), providers=providers)
    except Exception as error:
        raise ConfigError(f"{files.model} is not an ONNX model that can be loaded: {first_line(error)}") from error
    if how.device == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
        # ONNX Runtime goes on with the processor where it finds no GPU, and says so to nobody.
        raise ConfigError("device=cuda: ONNX Runtime finds no GPU that it can use here; leave device out")
    return session


def _options(files: OnnxFiles, how: LoadOptions) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = SILENT
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    if not quantizes_activations(files.model):
        # Weight-only 8-bit models are expanded to float32 once at load, instead of at every call.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if how.dtype == "bf16":
        options.add_session_config_entry("mlas.enable_gemm_fastmath_arm64_bfloat16", "1")
    return options
