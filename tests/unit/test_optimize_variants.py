"""Variants of real models: written whole, checked, noted, remade when the model changes, refused with a reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from shadowdiff.errors import ConfigError
from shadowdiff.optimize import graphs
from shadowdiff.optimize.report import State, VariantFile
from shadowdiff.optimize.trial import trial_scores
from shadowdiff.optimize.variants import Workshop, saturates, write_variants
from shadowdiff.rerankers.backends.files import VARIANTS
from shadowdiff.rerankers.fingerprint import file_hash
from tests.conftest import MODEL
from tests.contract.tiny_models import save_bag_of_tokens


def write(
    directory: Path, target: Path | None = None, *, force: bool = False, reduced: bool = True
) -> list[VariantFile]:
    """Write beside the model, or elsewhere."""
    return write_variants(Workshop(directory, target or directory, reduced), force=force)


def states(written: list[VariantFile]) -> dict[str, State]:
    """By variant."""
    return {file.variant: file.state for file in written}


@pytest.fixture(scope="module")
def float_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample model in float32, with all its variants: a BERT of six layers."""
    directory = tmp_path_factory.mktemp("model")
    for name in ("tokenizer.json", "config.json"):
        shutil.copy(MODEL / name, directory)
    graphs.folded(MODEL / "model.onnx", directory / "model.onnx")
    assert states(write(directory)) == dict.fromkeys(VARIANTS, State.WRITTEN)
    return directory


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """A model of a few nodes."""
    return save_bag_of_tokens(tmp_path / "bag")


def test_fused_scores_as_the_model_does(float_model: Path) -> None:
    """Attention of every layer is one operator, although config.json does not say how many heads there are."""
    tokenizer = float_model / "tokenizer.json"
    original = trial_scores(float_model / "model.onnx", tokenizer, "fp32")
    assert trial_scores(float_model / "model.fused.onnx", tokenizer, "fp32") == pytest.approx(original, abs=1e-4)
    how = json.loads((float_model / "variants.json").read_text())["variants"]["fused"]["how"]
    assert "Attention ×6" in how
    assert "SkipLayerNormalization ×12" in how
    assert "BiasGelu ×6" in how


def test_weight_only_is_small_and_computes_in_floats(float_model: Path) -> None:
    """A quarter of the size; scores close to the model's."""
    small, large = (float_model / name for name in ("model.int8w.onnx", "model.onnx"))
    assert small.stat().st_size < 0.3 * large.stat().st_size
    tokenizer = float_model / "tokenizer.json"
    original = trial_scores(large, tokenizer, "fp32")
    assert trial_scores(small, tokenizer, "fp32") == pytest.approx(original, abs=0.3)
    assert graphs.keeps_8_bit_weights(small)
    assert not graphs.keeps_8_bit_weights(large)


def test_what_is_there_is_not_written_again(float_model: Path) -> None:
    """Files stay untouched, the heads are found once."""
    before = {name: (float_model / name).stat().st_mtime_ns for name in VARIANTS.values()}
    written = write(float_model)
    assert states(written) == dict.fromkeys(VARIANTS, State.CURRENT)
    assert {name: (float_model / name).stat().st_mtime_ns for name in VARIANTS.values()} == before
    assert [file.size for file in written] == [(float_model / name).stat().st_size for name in VARIANTS.values()]


def test_a_variant_of_an_older_model_is_made_again(bag: Path) -> None:
    """The note says which model.onnx each was made from."""
    write(bag)
    older = json.loads((bag / "variants.json").read_text())["variants"]["fused"]
    assert older["source"] == {"model.onnx": file_hash(bag / "model.onnx")}
    assert older["tools"].keys() == {"onnx", "onnxruntime"}
    save_bag_of_tokens(bag, kind="int32")
    assert set(states(write(bag)).values()) == {State.REMADE}
    newer = json.loads((bag / "variants.json").read_text())["variants"]["fused"]
    assert newer["source"] == {"model.onnx": file_hash(bag / "model.onnx")} != older["source"]
    assert newer["sha256"] == file_hash(bag / "model.fused.onnx")
    assert set(states(write(bag)).values()) == {State.CURRENT}


def test_another_range_of_weights_is_another_int8(bag: Path) -> None:
    """A directory that moves to a processor with VNNI gets the full range; the others stay."""
    write(bag, reduced=True)
    expected = {"fused": State.CURRENT, "int8w": State.CURRENT, "int8": State.REMADE}
    assert states(write(bag, reduced=False)) == expected


def test_a_strangers_file_is_left_alone(bag: Path) -> None:
    """Neither one that was there before, nor one that was changed since; --force replaces both."""
    (bag / "model.int8.onnx").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"model.int8.onnx was not written by shadowdiff optimize; .*--force"):
        write(bag)
    assert sorted(file.name for file in bag.iterdir()) == ["model.int8.onnx", "model.onnx", "tokenizer.json"]
    assert states(write(bag, force=True))["int8"] is State.REMADE
    (bag / "model.fused.onnx").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"model.fused.onnx was not written"):
        write(bag)
    assert set(states(write(bag, force=True)).values()) == {State.REMADE}


def test_weights_that_are_kept_in_8_bits_already(tmp_path: Path) -> None:
    """The sample model's are: no second copy, and one that was left by an older model goes."""
    directory = save_bag_of_tokens(tmp_path / "m")
    write(directory)
    assert (directory / "model.int8w.onnx").exists()
    shutil.copy(directory / "model.int8w.onnx", directory / "model.onnx")
    written = {file.variant: file for file in write(directory)}
    assert written["int8w"].state is State.REFUSED
    assert "keeps its weights in 8 bits already" in written["int8w"].how
    assert not (directory / "model.int8w.onnx").exists()
    assert "int8w" not in json.loads((directory / "variants.json").read_text())["variants"]
    assert written["int8"].state is State.REMADE


def test_into_a_directory_of_its_own(bag: Path, tmp_path: Path) -> None:
    """With the tokenizer beside the variants; the model's directory stays as it was."""
    (bag / "config.json").write_text("{}")
    before = sorted(bag.iterdir())
    target = tmp_path / "deep" / "fast"
    assert set(states(write(bag, target)).values()) == {State.WRITTEN}
    assert sorted(bag.iterdir()) == before
    expected = ["config.json", *sorted(VARIANTS.values()), "tokenizer.json", "variants.json"]
    assert sorted(file.name for file in target.iterdir()) == sorted(expected)
    assert set(states(write(bag, target)).values()) == {State.CURRENT}


def test_weights_outside_the_model_are_part_of_it(tmp_path: Path) -> None:
    """They are read, and noted; the variants are files of their own."""
    directory = save_bag_of_tokens(tmp_path / "m", weights_beside="weights.bin")
    assert set(states(write(directory)).values()) == {State.WRITTEN}
    noted = json.loads((directory / "variants.json").read_text())["variants"]["fused"]["source"]
    assert noted.keys() == {"model.onnx", "weights.bin"}
    (directory / "weights.bin").unlink()
    assert trial_scores(directory / "model.fused.onnx", directory / "tokenizer.json", "fp32")


def test_models_of_more_than_two_gigabytes_are_refused(bag: Path) -> None:
    """By what the graph says of its weights; they need not be there to be counted."""
    import onnx

    model = onnx.load(str(bag / "model.onnx"))
    weight = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(weight, location="weights.bin")
    weight.ClearField("raw_data")
    weight.dims[0] = 600_000_000
    (bag / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ConfigError, match=r"has 2\.4 GB of weights as float32, and one ONNX file holds 2 GB"):
        graphs.refuse_large(bag / "model.onnx")


def test_where_no_model_is(tmp_path: Path, bag: Path) -> None:
    """No directory, nothing in it, no tokenizer, no ONNX, two logits: one line each."""
    with pytest.raises(ConfigError, match="is not a directory"):
        write(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"holds no model.onnx"):
        write(tmp_path)
    no_tokenizer = tmp_path / "n"
    no_tokenizer.mkdir()
    shutil.copy(bag / "model.onnx", no_tokenizer)
    with pytest.raises(ConfigError, match=r"holds no tokenizer.json"):
        write(no_tokenizer)
    two = save_bag_of_tokens(tmp_path / "two", outputs=2)
    with pytest.raises(ConfigError, match="not a single-logit cross-encoder"):
        write(two)
    (two / "model.onnx").write_bytes(b"not onnx")
    with pytest.raises(ConfigError, match="is not an ONNX model"):
        write(two)
    assert sorted(file.name for file in two.iterdir()) == ["model.onnx", "tokenizer.json"]


def test_a_model_that_computes_in_8_bits(float_model: Path, tmp_path: Path) -> None:
    """Nothing is made of it: what it lost does not come back."""
    shutil.copy(float_model / "tokenizer.json", tmp_path)
    shutil.copy(float_model / "model.int8.onnx", tmp_path / "model.onnx")
    with pytest.raises(ConfigError, match="computes in 8 bits already"):
        write(tmp_path)


def test_a_note_that_cannot_be_read(bag: Path) -> None:
    """It may be somebody else's file."""
    (bag / "variants.json").write_text('{"variants": [1]}')
    with pytest.raises(ConfigError, match=r"variants.json is not a note of .shadowdiff optimize"):
        write(bag)


@pytest.mark.parametrize(
    ("flags", "architecture", "expected"),
    [
        ("fma avx2", "x86_64", True),
        ("avx2 avx512f avx512_vnni", "x86_64", False),
        ("avx2 avx_vnni", "AMD64", False),
        ("", "aarch64", False),
    ],
)
def test_which_processors_saturate(flags: str, architecture: str, expected: bool) -> None:
    """x86 without VNNI adds 8-bit products up in 16 bits."""
    assert saturates(f"processor\t: 0\nflags\t\t: {flags}\n", architecture) is expected
