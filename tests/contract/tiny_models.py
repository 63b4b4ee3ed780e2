"""Models small enough to be made in a test: an ONNX bag of tokens, and a BERT cross-encoder of random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import MODEL

VOCABULARY = 30_522
"""Of the sample tokenizer, which these models borrow."""


def save_bag_of_tokens(
    directory: Path,
    *,
    inputs: tuple[str, ...] = ("input_ids", "attention_mask"),
    kind: str = "int64",
    outputs: int = 1,
    declared: tuple[str | int, ...] | None = None,
    weights_beside: str | None = None,
) -> Path:
    """An ONNX model whose logits are sums of token weights, shape (batch, outputs), with the sample tokenizer.

    `declared` is the output shape that the file states; `weights_beside` names
    a file that holds the weights outside the model.
    """
    import onnx
    from onnx import helper, numpy_helper

    integer = {"int64": onnx.TensorProto.INT64, "int32": onnx.TensorProto.INT32, "float": onnx.TensorProto.FLOAT}[kind]
    weights = np.random.default_rng(7).normal(size=(VOCABULARY, outputs)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", [inputs[0]], ["ids"], to=onnx.TensorProto.INT64),
        helper.make_node("Gather", ["weights", "ids"], ["looked_up"]),
        helper.make_node("Cast", [inputs[-1]], ["mask"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last_axis"], ["column"]),
        helper.make_node("Mul", ["looked_up", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle_axis"], ["logits"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "bag",
        [helper.make_tensor_value_info(name, integer, ["batch", "sequence"]) for name in inputs],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, list(declared or ("batch", outputs)))],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([2]), "last_axis"),
            numpy_helper.from_array(np.array([1]), "middle_axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    directory.mkdir(parents=True, exist_ok=True)
    onnx.save_model(
        model, directory / "model.onnx", save_as_external_data=weights_beside is not None, location=weights_beside
    )
    shutil.copy(MODEL / "tokenizer.json", directory)
    return directory


def save_tiny_cross_encoder(directory: Path, *, labels: int = 1) -> Path:
    """A BERT of one layer, 64 positions and random weights, as sentence-transformers loads it."""
    return _save_tiny_bert(directory, "BertForSequenceClassification", labels=labels)


def save_tiny_encoder(directory: Path) -> Path:
    """The same BERT without any head: a plain transformers model."""
    return _save_tiny_bert(directory, "BertModel")


def save_tiny_late_interaction(
    directory: Path,
    *,
    expansion: dict[str, object] | None = None,
    document_length: int | None = None,
    similarity: str = "maxsim",
    skipped: tuple[str, ...] = (".", ","),
) -> Path:
    """The same BERT under a projection to 8 dimensions, as MultiVectorEncoder saves it.

    `expansion` is what queries are filled up with; tokens `skipped` in documents have no vector.
    """
    reason = "needs the extra sentence-transformers"
    library: Any = pytest.importorskip("sentence_transformers", reason=reason)
    modules: Any = pytest.importorskip("sentence_transformers.base.modules", reason=reason)
    masks: Any = pytest.importorskip("sentence_transformers.multi_vector_encoder.modules", reason=reason)
    bert = save_tiny_encoder(directory / "bert")
    stack = [
        modules.Transformer(str(bert), query_expansion=expansion, document_length=document_length),
        modules.Dense(16, 8, bias=False, activation_function=None, module_input_name="token_embeddings"),
        masks.MultiVectorMask(skiplist_words=list(skipped)),
        modules.Normalize(module_input_name="token_embeddings"),
    ]
    prompts = {"query": "query: ", "document": "document: "}
    model = library.MultiVectorEncoder(modules=stack, device="cpu", prompts=prompts, similarity_fn_name=similarity)
    model.save_pretrained(str(directory / "model"), create_model_card=False)
    return directory / "model"


def _save_tiny_bert(directory: Path, kind: str, *, labels: int = 1) -> Path:
    reason = "needs the extra sentence-transformers"
    torch: Any = pytest.importorskip("torch", reason=reason)
    transformers: Any = pytest.importorskip("transformers", reason=reason)
    torch.manual_seed(7)
    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=labels,
        initializer_range=0.5,
    )
    getattr(transformers, kind)(config).save_pretrained(directory)
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    special |= {"mask_token": "[MASK]"} if kind == "BertModel" else {}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(MODEL / "tokenizer.json"), **special)
    tokenizer.save_pretrained(directory)
    return directory


def write_config(directory: Path, **settings: object) -> None:
    """A config.json beside the model."""
    (directory / "config.json").write_text(json.dumps(settings))
