"""The sample cross-encoder in the forms that peers read: plain float32 ONNX, and a transformers directory.

The model is shipped as one ONNX file with 8-bit weights. Here they are multiplied out once, so that every
variant computes with the same float32 numbers, and nobody is slowed down by expanding them at every call.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEQUANTIZE = "DequantizeLinear"
EXPORTED_PREFIX = "m."
"""What the exporter put before the names of transformers' own parameters."""
LINEAR = re.compile(r"^/m/(?P<module>.+)/MatMul$")
HEADS = 12
LAYER_NORM_EPSILON = 1e-12


def float32_onnx(model: Path, target: Path) -> Path:
    """Write `target`/model.onnx, a plain float32 copy of the graph, and its tokenizer and config beside it."""
    import onnx

    target.mkdir(parents=True, exist_ok=True)
    onnx.save(_dequantized(onnx.load(model / "model.onnx")), target / "model.onnx")
    for name in ("tokenizer.json", "config.json"):
        shutil.copy(model / name, target / name)
    return target


def transformers_directory(model: Path, target: Path) -> Path:
    """Write a BertForSequenceClassification with its tokenizer, from the graph's parameters."""
    import onnx
    from safetensors.numpy import save_file

    target.mkdir(parents=True, exist_ok=True)
    graph = _dequantized(onnx.load(model / "model.onnx")).graph
    parameters = _parameters(graph)
    save_file(parameters, target / "model.safetensors", metadata={"format": "pt"})
    (target / "config.json").write_text(json.dumps(_config(model, parameters), indent=1), encoding="utf-8")
    write_tokenizer(model, target)
    return target


def write_tokenizer(model: Path, target: Path) -> None:
    """The tokenizer's files as transformers, FlashRank and fastembed want to find them."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(model / "tokenizer.json", target / "tokenizer.json")
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": 512, "do_lower_case": True, **special}
    (target / "tokenizer_config.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
    (target / "special_tokens_map.json").write_text(json.dumps(special, indent=1), encoding="utf-8")


def _dequantized(model: Any) -> Any:
    """The model with every DequantizeLinear of constants replaced by the constant it gives."""
    from onnx import numpy_helper

    graph = model.graph
    held = {item.name: item for item in graph.initializer}
    folded = [node for node in graph.node if node.op_type == DEQUANTIZE and all(name in held for name in node.input)]
    spent = {name for node in folded for name in node.input}
    for node in folded:
        quantized, scale, zero = (numpy_helper.to_array(held[name]) for name in node.input)
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
        value = multiplied_out(quantized, scale, zero, axis)
        graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        graph.node.remove(node)
    for name in spent:
        graph.initializer.remove(held[name])
    return model


def multiplied_out(quantized: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any], axis: int) -> NDArray[np.float32]:
    """What DequantizeLinear computes: (quantized - zero) * scale along `axis`; shapes (…), (n,), (n,)."""
    import numpy as np

    if scale.ndim == 1:
        shape = [1] * quantized.ndim
        shape[axis] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    value: NDArray[np.float32] = (quantized.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)
    return np.ascontiguousarray(value)


def _parameters(graph: Any) -> dict[str, NDArray[np.float32]]:
    """Parameters by transformers' names. Linear weights lost their names in the export; their nodes kept them."""
    import numpy as np
    from onnx import numpy_helper

    held = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    named = {
        name.removeprefix(EXPORTED_PREFIX): array for name, array in held.items() if name.startswith(EXPORTED_PREFIX)
    }
    for node in graph.node:
        linear = LINEAR.match(node.name) if node.op_type == "MatMul" else None
        if linear is not None and node.input[1] in held:
            module = linear["module"].replace("/", ".")
            named[f"{module}.weight"] = np.ascontiguousarray(held[node.input[1]].T)
    return {name: array for name, array in named.items() if array.dtype == np.float32}


def _config(model: Path, parameters: dict[str, NDArray[np.float32]]) -> dict[str, object]:
    described = json.loads((model / "config.json").read_text(encoding="utf-8"))
    words, width = parameters["bert.embeddings.word_embeddings.weight"].shape
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "vocab_size": words,
        "hidden_size": width,
        "num_hidden_layers": described["num_hidden_layers"],
        "num_attention_heads": HEADS,
        "intermediate_size": parameters["bert.encoder.layer.0.intermediate.dense.weight"].shape[0],
        "hidden_act": "gelu",
        "layer_norm_eps": LAYER_NORM_EPSILON,
        "max_position_embeddings": described["max_position_embeddings"],
        "type_vocab_size": 2,
        "pad_token_id": 0,
        "id2label": {"0": "relevance"},
        "label2id": {"relevance": 0},
        "torch_dtype": "float32",
    }
