"""From one ONNX graph to another, with the runtimes' own tools. All of it needs the extra `optimize`."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shadowdiff.errors import ConfigError, first_line

LARGEST = 2 * 1024**3 - 64 * 1024**2
"""Bytes of weights that fit an ONNX file: protobuf holds 2 GiB, the graph itself takes some of it."""
SMALLEST_WEIGHT = 4096
"""Values below which a weight is left as it is: nothing is saved."""
FLOAT_BYTES = 4
INT8_LIMIT = 127


@contextmanager
def quiet() -> Iterator[None]:
    """The tools narrate through the root logger; what goes wrong reaches the user as an error instead."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def refuse_large(model: Path) -> None:
    """Raise ConfigError where the weights, as floats, do not fit one ONNX file."""
    import onnx

    try:
        graph = onnx.load(str(model), load_external_data=False).graph
    except Exception as error:
        raise ConfigError(f"{model} is not an ONNX model: {first_line(error)}") from error
    size = sum(math.prod(weight.dims) for weight in graph.initializer) * FLOAT_BYTES
    if size > LARGEST:
        raise ConfigError(
            f"{model} has {size / 1e9:.1f} GB of weights as float32, and one ONNX file holds 2 GB; "
            "variants of models that large are not written, score with the model as it is"
        )


def folded(model: Path, target: Path) -> None:
    """The model in float32, constants worked out: weights that are kept in 8 bits become floats again."""
    import onnx
    import onnxruntime

    # ONNX Runtime would leave outside weights outside, by names that mean nothing beside the target.
    onnx.save_model(onnx.load(str(model)), str(target))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(target), options, providers=["CPUExecutionProvider"])


def keeps_8_bit_weights(model: Path) -> bool:
    """Whether there are weights that the model itself turns from integers into floats."""
    import onnx

    graph = onnx.load(str(model), load_external_data=False).graph
    weights = {weight.name for weight in graph.initializer}
    constants = {output for node in graph.node if node.op_type == "Constant" for output in node.output}
    return any(node.op_type == "DequantizeLinear" and node.input[0] in weights | constants for node in graph.node)


def fuse(model: Path, target: Path, config: Path) -> str:
    """Fused operators, float32; which ones and how many of each. `model` must be folded."""
    from onnxruntime.transformers import optimizer

    heads, hidden = attention_shape(model, config)
    fused = optimizer.optimize_model(
        str(model), model_type="bert", num_heads=heads, hidden_size=hidden, opt_level=0, use_gpu=False
    )
    fused.save_model_to_file(str(target))
    counts = {name: count for name, count in fused.get_fused_operator_statistics().items() if count}
    return ", ".join(f"{name} ×{count}" for name, count in sorted(counts.items())) or "nothing in it can be fused"


def attention_shape(model: Path, config: Path) -> tuple[int, int]:
    """Heads and hidden size as config.json states them, else as the graph shows them; 0 where neither does."""
    stated = _stated(config)
    hidden, heads = stated.get("hidden_size", 0), stated.get("num_attention_heads", 0)
    if hidden and not heads:
        size = _head_size(model)
        heads = hidden // size if size and hidden % size == 0 else 0
    return (heads, hidden) if heads else (0, 0)


def _stated(config: Path) -> dict[str, int]:
    try:
        described = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    numbers = described.items() if isinstance(described, dict) else ()
    return {key: value for key, value in numbers if isinstance(value, int) and value > 0}


def _head_size(model: Path) -> int:
    """The last part of the shape (batch, tokens, heads, head size) that queries are brought into, else 0."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(model)).graph
    small = {item.name: item for item in graph.initializer if math.prod(item.dims) <= 4}
    for node in graph.node:
        if node.op_type == "Concat" and len(node.input) == 4 and node.input[3] in small:
            size = int(numpy_helper.to_array(small[node.input[3]]).reshape(-1)[0])
            if size > 1:
                return size
    return 0


def keep_weights_in_8_bits(model: Path, target: Path) -> str:
    """Weights as 8-bit integers with one scale per channel, computed with as floats. `model` must be folded."""
    import onnx

    loaded = onnx.load(str(model))
    graph = loaded.graph
    axes = _channel_axes(graph.node)
    chosen = [weight for weight in graph.initializer if weight.name in axes and _worth_it(weight)]
    added = [node for weight in chosen for node in _dequantized(graph, weight, axes[weight.name])]
    nodes = [*added, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    for weight in chosen:
        graph.initializer.remove(weight)
    onnx.save_model(loaded, str(target))
    return f"{len(chosen)} weights as 8-bit integers, one scale per channel; computed with as float32"


def _channel_axes(nodes: Iterable[Any]) -> dict[str, int]:
    """By weight, the axis that its output channels, or rows to be looked up, lie on."""
    axes: dict[str, int] = {}
    for node in nodes:
        if node.op_type == "Gather":
            axes.setdefault(node.input[0], 0)
        elif node.op_type in {"MatMul", "Gemm"}:
            transposed = any(item.name == "transB" and item.i for item in node.attribute)
            axes.setdefault(node.input[1], 0 if transposed else 1)
    return axes


def _worth_it(weight: Any) -> bool:
    import onnx

    is_float = weight.data_type == onnx.TensorProto.FLOAT
    return is_float and len(weight.dims) == 2 and math.prod(weight.dims) >= SMALLEST_WEIGHT


def _dequantized(graph: Any, weight: Any, axis: int) -> list[Any]:
    """The node that gives the weight, by its old name, from integers and scales that join the graph."""
    import numpy as np
    from onnx import helper, numpy_helper

    values = numpy_helper.to_array(weight)
    scales = np.abs(values).max(axis=1 - axis, keepdims=True).astype(np.float32) / INT8_LIMIT
    scales[scales == 0] = 1.0
    integers = np.clip(np.rint(values / scales), -INT8_LIMIT, INT8_LIMIT).astype(np.int8)
    names = f"{weight.name}.int8", f"{weight.name}.scale"
    parts = zip((integers, scales.reshape(-1)), names, strict=True)
    graph.initializer.extend(numpy_helper.from_array(array, name) for array, name in parts)
    return [helper.make_node("DequantizeLinear", list(names), [weight.name], axis=axis)]


def quantize(model: Path, target: Path, *, reduce_range: bool) -> str:
    """Dynamically quantised: matrix products in 8 bits, activations scaled anew per call. `model` must be folded."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(model),
        str(target),
        per_channel=True,
        reduce_range=reduce_range,
        weight_type=QuantType.QInt8,
    )
    return f"matrix products in 8 bits, per channel, weights of {7 if reduce_range else 8} bits"
