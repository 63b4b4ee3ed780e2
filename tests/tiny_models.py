"""Models small enough to be built inside a test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

WORDS = ["data", "is", "encrypted", "at", "rest", "how", "our", "pricing", "office", "the", "word", "number", "and"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [letter for plain in "abcdefghijklmnopqrstuvwxyz0123456789?.,-" for letter in (plain, f"##{plain}")]


def save_tokenizer(directory: Path, pairs: bool = True, **padding_and_truncation: int) -> Path:
    """A WordPiece tokenizer.json over WORDS and single letters, with BERT's template for pairs if asked."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = {token: place for place, token in enumerate([*SPECIAL, *LETTERS, *WORDS])}
    tokenizer: Any = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 not a password
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if pairs:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
    if padding_and_truncation:
        tokenizer.enable_padding(length=padding_and_truncation["padding"])
        tokenizer.enable_truncation(padding_and_truncation["truncation"])
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"))
    return directory


def save_graph(
    directory: Path,
    inputs: Sequence[str] = ("input_ids", "attention_mask", "token_type_ids"),
    logits: int = 1,
    integer: str = "INT64",
    flat: bool = False,
    tokenwise: bool = False,
) -> Path:
    """A model.onnx whose logit is the mean of the second text's token ids; its wrong kin by the options.

    `logits` columns in the output, none if `flat`, one per token if `tokenwise`.
    """
    from onnx import TensorProto, helper, save

    kind = getattr(TensorProto, integer)
    nodes = [helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT) for name in inputs]
    nodes += _product([f"{name}_float" for name in inputs])
    if tokenwise:
        nodes.append(helper.make_node("Unsqueeze", ["product", "last"], ["logits"]))
        shape: list[str | int] = ["batch", "tokens", 1]
    elif flat:
        nodes.append(helper.make_node("ReduceSum", ["product", "axis"], ["logits"], keepdims=0))
        shape = ["batch"]
    else:
        nodes.append(helper.make_node("ReduceSum", ["product", "axis"], ["sum"], keepdims=1))
        nodes.append(helper.make_node("Concat", ["sum"] * logits, ["logits"], axis=1))
        shape = ["batch", logits]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, ["batch", "tokens"]) for name in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
            helper.make_tensor("last", TensorProto.INT64, [1], [2]),
        ],
    )
    directory.mkdir(parents=True, exist_ok=True)
    opsets = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(directory / "model.onnx"))
    return directory


def _product(names: Sequence[str]) -> list[Any]:
    """Nodes that multiply the inputs, so that padding and the query (type 0) count as nothing."""
    from onnx import helper

    nodes = [helper.make_node("Identity", [names[0]], ["product_0"])]
    for place, name in enumerate(names[1:], start=1):
        nodes.append(helper.make_node("Mul", [f"product_{place - 1}", name], [f"product_{place}"]))
    return [*nodes, helper.make_node("Identity", [f"product_{len(names) - 1}"], ["product"])]


def save_cross_encoder(directory: Path, labels: int = 1, positions: int = 64) -> Path:
    """A BERT of two layers with seeded random weights and its tokenizer, as sentence-transformers loads it."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast
    from transformers.utils import logging as transformers_logging

    save_tokenizer(directory)
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_file=str(directory / "tokenizer.json"),
        model_max_length=positions,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **special,
    )
    tokenizer.save_pretrained(directory)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=positions,
        num_labels=labels,
        initializer_range=0.5,
    )
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(17)
        model: Any = BertForSequenceClassification(config)
    model.save_pretrained(directory)
    return directory
