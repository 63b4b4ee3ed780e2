"""`onnx:PATH`: what it scores with, what it refuses, and that nothing but the pair decides a score."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from shadowdiff.errors import ConfigError, RerankerError, SpecError
from shadowdiff.protocols import ScoreRequest
from shadowdiff.rerankers.backends.files import quantizes_activations
from shadowdiff.rerankers.onnx import OnnxCrossEncoder
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import Spec
from shadowdiff.sources.bundle import Bundle
from tests.conftest import MODEL
from tests.contract.tiny_models import save_bag_of_tokens, write_config

BACKENDS = pytest.mark.parametrize("backend", ["ort", "openvino"])
"""What must hold whichever runtime computes."""


def onnx_of(path: Path, **options: object) -> OnnxCrossEncoder:
    """The kind over a path, on one thread unless told otherwise."""
    given = {"threads": 1, **options}
    spec = Spec("onnx", str(path), tuple((key, str(value)) for key, value in given.items()))
    reranker = build(spec)
    assert isinstance(reranker, OnnxCrossEncoder)
    return reranker


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a cross-encoder whose logit is a sum of token weights."""
    return save_bag_of_tokens(tmp_path_factory.mktemp("bag"))


@BACKENDS
def test_canonical_scores_of_the_sample_model(backend: str) -> None:
    """The sample model's logits are these, whichever machine computes them."""
    documents = [
        "Customer data is encrypted at rest with AES-256.",
        "Our offices are closed on public holidays.",
        "Pricing starts at 40 dollars per seat and month.",
    ]
    scores = onnx_of(MODEL, backend=backend, dtype="fp32").score("How is customer data encrypted at rest?", documents)
    assert list(scores) == pytest.approx([3.8521, -4.0620, -3.7053], abs=1e-3)


@BACKENDS
def test_logit_is_that_of_the_pair(bag: Path, backend: str) -> None:
    """The score is the model's output for [CLS] query [SEP] document [SEP], worked out by hand."""
    weights = np.random.default_rng(7).normal(size=(30_522, 1)).astype(np.float32)
    cls, sep, data, price = 101, 102, 2951, 3976
    expected = weights[[cls, data, sep, price, sep], 0].sum()
    assert onnx_of(bag, backend=backend, dtype="fp32").score("data", ["price"])[0] == pytest.approx(
        float(expected), abs=1e-5
    )


def test_batches_do_not_move_scores(sample: Bundle) -> None:
    """Many turns together, one document alone, and tiny batches: the same scores to 1e-4."""
    documents = tuple(entry.body for entry in sample.entries[::29][:12])
    requests = [ScoreRequest("how do you encrypt data", documents), ScoreRequest("sso", documents[::-1])]
    reranker = onnx_of(MODEL, max_length=64)
    together = reranker.score_batch(requests)
    alone = [reranker.score(requests[0].query, [document])[0] for document in documents]
    small = onnx_of(MODEL, max_length=64, batch_tokens=1).score_batch(requests)
    assert list(together[0].scores) == pytest.approx(alone, abs=1e-4)
    for one, other in zip(together, small, strict=True):
        assert list(one.scores) == pytest.approx(list(other.scores), abs=1e-4)


@BACKENDS
@pytest.mark.parametrize("threads", [1, 2])
def test_scores_come_back_in_order(bag: Path, backend: str, threads: int) -> None:
    """Pairs are sorted by length and freed of repeats inside, and every score finds its place again."""
    words = ("data", "price", "a much longer document about data and prices", "data", "", "office hours")
    requests = [ScoreRequest(query, words) for query in ("how", "why is that so", "how")]
    reranker = onnx_of(bag, batch_tokens=24, backend=backend, threads=threads)
    for request, answer in zip(requests, reranker.score_batch(requests), strict=True):
        one_by_one = [reranker.score(request.query, [document])[0] for document in words]
        assert list(answer.scores) == pytest.approx(one_by_one, abs=1e-5)


@BACKENDS
def test_no_documents_no_scores(bag: Path, backend: str) -> None:
    """Empty requests are answered with nothing, beside others that are not empty."""
    reranker = onnx_of(bag, backend=backend)
    assert list(reranker.score("data", [])) == []
    assert [
        len(answer.scores) for answer in reranker.score_batch([ScoreRequest("a", ()), ScoreRequest("b", ("c",))])
    ] == [0, 1]
    assert list(reranker.score_batch([])) == []


def test_truncation_is_counted_per_pair(bag: Path) -> None:
    """A document is marked as cut for the queries beside which it does not fit, and for no other."""
    reranker = onnx_of(bag, max_length=16)
    documents = ("data " * 12, "data")
    short, long = reranker.score_batch([ScoreRequest("a", documents), ScoreRequest("a b c d e", documents)])
    assert short.truncated == (False, False)
    assert long.truncated == (True, False)


def test_query_without_room_fails_the_turn(bag: Path) -> None:
    """A query is never cut: one that leaves no token for a document is that turn's failure."""
    reranker = onnx_of(bag, max_length=16)
    assert reranker.score("data " * 12, ["price and more"])
    with pytest.raises(RerankerError, match="the query alone has 13 tokens; with max_length=16 no document fits"):
        reranker.score("data " * 13, ["price"])


def test_path_of_a_file_is_as_good_as_its_directory(bag: Path, tmp_path: Path) -> None:
    """`onnx:DIR/other.onnx` takes that file, with the tokenizer beside it, and is the same reranker."""
    shutil.copytree(bag, tmp_path / "copy")
    (tmp_path / "copy" / "model.onnx").rename(tmp_path / "copy" / "other.onnx")
    named = onnx_of(tmp_path / "copy" / "other.onnx")
    assert named.score("data", ["price"]) == onnx_of(bag).score("data", ["price"])
    assert named.fingerprint == onnx_of(bag).fingerprint


@BACKENDS
def test_models_with_int32_inputs_are_fed_int32(bag: Path, tmp_path: Path, backend: str) -> None:
    """Exports differ in their integer type; the scores do not."""
    save_bag_of_tokens(tmp_path, kind="int32")
    given = {"backend": backend, "dtype": "fp32"}
    assert onnx_of(tmp_path, **given).score("data", ["price"]) == onnx_of(bag, **given).score("data", ["price"])


@BACKENDS
def test_outputs_of_unknown_size_are_judged_by_scoring(bag: Path, tmp_path: Path, backend: str) -> None:
    """An output whose second dimension only has a name is judged by what it turns out to be."""
    given = {"backend": backend, "dtype": "fp32"}
    reranker = onnx_of(save_bag_of_tokens(tmp_path, declared=("batch", "labels")), **given)
    reranker.prepare()
    assert reranker.score("data", ["price"]) == onnx_of(bag, **given).score("data", ["price"])


@pytest.mark.parametrize(
    ("changed", "options"),
    [
        pytest.param("model.onnx", {}, id="model"),
        pytest.param("tokenizer.json", {}, id="tokenizer"),
        pytest.param(None, {"max_length": 100}, id="max_length"),
        pytest.param(None, {"input": "body"}, id="input"),
        pytest.param(None, {"backend": "openvino"}, id="backend"),
    ],
)
def test_fingerprint_changes_with_what_decides_scores(
    bag: Path, tmp_path: Path, changed: str | None, options: dict[str, object]
) -> None:
    """Model, tokenizer, max_length, input form and backend are the fingerprint."""
    copy = shutil.copytree(bag, tmp_path / "copy")
    if changed:
        with (copy / changed).open("ab") as file:
            file.write(b"\n")
    assert onnx_of(copy, **options).fingerprint != onnx_of(bag).fingerprint


def test_fingerprint_ignores_what_does_not(bag: Path, tmp_path: Path) -> None:
    """Where the files lie, how many threads work and how batches are cut change no score and no fingerprint."""
    copy = shutil.copytree(bag, tmp_path / "elsewhere")
    (copy / "README.md").write_text("a card")
    same = {"threads": 2, "batch_tokens": 99, "backend": "ort", "dtype": "fp32", "device": "cpu"}
    assert onnx_of(copy, **same).fingerprint == onnx_of(bag).fingerprint


@pytest.mark.parametrize("name", ["model.onnx_data", "weights.bin"])
def test_weights_beside_the_model_are_fingerprinted(tmp_path: Path, name: str) -> None:
    """Large models keep their weights in a file of any name; another content is another reranker."""
    save_bag_of_tokens(tmp_path, weights_beside=name)
    before = onnx_of(tmp_path)
    assert before.score("data", ["price"])
    content = bytearray((tmp_path / name).read_bytes())
    content[2951 * 4] ^= 1
    (tmp_path / name).write_bytes(content)
    assert onnx_of(tmp_path).fingerprint != before.fingerprint


def test_max_length_stops_at_the_model_s_positions(bag: Path, tmp_path: Path) -> None:
    """config.json says how many positions there are; RoBERTa's kin keep two for themselves."""
    copy = shutil.copytree(bag, tmp_path / "copy")
    write_config(copy, max_position_embeddings=24)
    bert = onnx_of(copy)
    write_config(copy, model_type="xlm-roberta", max_position_embeddings=26)
    roberta = onnx_of(copy)
    for reranker in (bert, roberta):
        fits, cut = reranker.score_batch([ScoreRequest("a", ("data " * 20,)), ScoreRequest("a", ("data " * 21,))])
        assert (fits.truncated, cut.truncated) == ((False,), (True,))
    assert bert.fingerprint == roberta.fingerprint == onnx_of(bag, max_length=24).fingerprint


def test_refuses_a_missing_path(tmp_path: Path) -> None:
    """Nothing there."""
    with pytest.raises(ConfigError, match=r"^no model at .*/nowhere$"):
        onnx_of(tmp_path / "nowhere")


def test_refuses_a_directory_without_model(tmp_path: Path) -> None:
    """A directory, but of something else."""
    with pytest.raises(ConfigError, match=r"holds no model\.onnx$"):
        onnx_of(tmp_path)


def test_refuses_a_model_without_tokenizer(bag: Path, tmp_path: Path) -> None:
    """A model alone cannot read text."""
    shutil.copy(bag / "model.onnx", tmp_path)
    with pytest.raises(ConfigError, match=r"holds no tokenizer\.json; export it with the model$"):
        onnx_of(tmp_path)


@BACKENDS
@pytest.mark.parametrize("content", [b"", b"not onnx", b"\x08" * 4096])
def test_refuses_what_is_not_onnx(
    bag: Path, tmp_path: Path, content: bytes, backend: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A broken file is one line, before the first turn, and the runtime writes nothing of its own."""
    (tmp_path / "model.onnx").write_bytes(content)
    shutil.copy(bag / "tokenizer.json", tmp_path)
    with pytest.raises(ConfigError, match="is not an ONNX model that can be loaded") as refused:
        onnx_of(tmp_path, backend=backend).prepare()
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


def test_refuses_what_is_no_tokenizer(bag: Path, tmp_path: Path) -> None:
    """A broken tokenizer.json is named."""
    shutil.copy(bag / "model.onnx", tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"tokenizer\.json is not a tokenizer file"):
        onnx_of(tmp_path).prepare()


@BACKENDS
@pytest.mark.parametrize(
    "inputs", [("pixels", "attention_mask"), ("input_ids", "attention_mask", "position_ids"), ("input_ids",)]
)
def test_refuses_wrong_inputs(tmp_path: Path, inputs: tuple[str, ...], backend: str) -> None:
    """A model that reads anything else is told apart by the names of its inputs."""
    save_bag_of_tokens(tmp_path, inputs=inputs)
    with pytest.raises(ConfigError) as refused:
        onnx_of(tmp_path, backend=backend).prepare()
    assert f"has the inputs {', '.join(sorted(inputs))}; a cross-encoder has input_ids" in str(refused.value)


@BACKENDS
def test_refuses_inputs_of_a_wrong_type(tmp_path: Path, backend: str) -> None:
    """Token ids are integers."""
    save_bag_of_tokens(tmp_path, kind="float")
    with pytest.raises(ConfigError, match=r"as (tensor\(float\)|f32); expected int64 or int32"):
        onnx_of(tmp_path, backend=backend).prepare()


@BACKENDS
@pytest.mark.parametrize(
    ("outputs", "declared"),
    [
        pytest.param(2, None, id="two classes"),
        pytest.param(384, None, id="embeddings"),
        pytest.param(2, ("batch", "labels"), id="two classes, found out by scoring"),
    ],
)
def test_refuses_wrong_outputs(
    tmp_path: Path, outputs: int, declared: tuple[str | int, ...] | None, backend: str
) -> None:
    """Two classes or an embedding are no relevance score, and the shape is told before any turn is replayed."""
    save_bag_of_tokens(tmp_path, outputs=outputs, declared=declared)
    with pytest.raises(ConfigError, match=rf"shape \[.*{outputs}\]; it is not a single-logit cross-encoder"):
        onnx_of(tmp_path, backend=backend).prepare()


def test_refuses_a_broken_config(bag: Path, tmp_path: Path) -> None:
    """A config.json that says nothing sensible about positions is not guessed around."""
    copy = shutil.copytree(bag, tmp_path / "copy")
    write_config(copy, max_position_embeddings="many")
    with pytest.raises(ConfigError, match=r"cannot read .*config\.json"):
        onnx_of(copy)


def test_quantised_activations_are_told_from_quantised_weights(tmp_path: Path) -> None:
    """The sample keeps its weights in 8 bits and computes in float32; a model with QuantizeLinear nodes does not."""
    import onnx
    from onnx import helper

    kinds = {"input": onnx.TensorProto.FLOAT, "output": onnx.TensorProto.UINT8}
    values = [helper.make_tensor_value_info(name, kind, [1]) for name, kind in kinds.items()]
    scale = helper.make_tensor("scale", onnx.TensorProto.FLOAT, [], [0.5])
    node = helper.make_node("QuantizeLinear", ["input", "scale"], ["output"])
    graph = helper.make_graph([node], "quantised", values[:1], values[1:], [scale])
    onnx.save_model(helper.make_model(graph), tmp_path / "quantised.onnx")
    assert quantizes_activations(tmp_path / "quantised.onnx")
    assert not quantizes_activations(MODEL / "model.onnx")


def test_options(bag: Path) -> None:
    """Unknown options, unknown forms and a missing path are refused at build."""
    with pytest.raises(SpecError, match="unknown option 'fast'"):
        onnx_of(bag, fast=1)
    with pytest.raises(SpecError, match=r"backend=tvm in .*: must be one of ort, openvino, auto"):
        onnx_of(bag, backend="tvm")
    with pytest.raises(SpecError, match=r"dtype=float32 in .*: must be one of fp32, bf16, fp16, int8"):
        onnx_of(bag, dtype="float32")
    with pytest.raises(SpecError, match=r"must be one of title\+body, body"):
        onnx_of(bag, input="title")
    with pytest.raises(SpecError, match="onnx needs a path"):
        build(Spec("onnx"))
