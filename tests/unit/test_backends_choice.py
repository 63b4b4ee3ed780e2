"""`backend=auto`: measured once, remembered until something changes, and the same reranker as what it comes to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from shadowdiff.errors import ConfigError
from shadowdiff.rerankers.backends import LoadOptions, OnnxFiles, choice, load_backend, openvino
from shadowdiff.rerankers.backends.choice import GAIN, Choice, choose
from shadowdiff.rerankers.engine import Backend
from shadowdiff.rerankers.onnx import OnnxCrossEncoder
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import Spec
from tests.contract.tiny_models import save_bag_of_tokens

pytest.importorskip("openvino")
ASKED = LoadOptions("auto", "", 1)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a cross-encoder whose logit is a sum of token weights."""
    return save_bag_of_tokens(tmp_path_factory.mktemp("bag"))


@pytest.fixture(autouse=True)
def remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which this test's choices are kept."""
    monkeypatch.setenv("SHADOWDIFF_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "cache" / "backends.json"


def auto(directory: Path, **options: object) -> OnnxCrossEncoder:
    """`backend=auto` over a directory."""
    given = {"backend": "auto", "threads": 1, **options}
    reranker = build(Spec("onnx", str(directory), tuple((key, str(value)) for key, value in given.items())))
    assert isinstance(reranker, OnnxCrossEncoder)
    return reranker


def files_of(directory: Path) -> OnnxFiles:
    """The files of a model."""
    return OnnxFiles(directory / "model.onnx", directory / "tokenizer.json")


def never(*_: object) -> Choice:
    """In place of a measurement that must not be made."""
    pytest.fail("measured again")


def told(reranker: OnnxCrossEncoder) -> str:
    """What the doctor would show."""
    (finding,) = reranker.check(online=False)
    return finding.what


def test_both_are_measured_and_the_result_is_kept(bag: Path, remembered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first time measures; from then on the file decides, and the doctor shows what was found."""
    first = auto(bag)
    ((key, kept),) = json.loads(remembered.read_text()).items()
    assert kept["backend"] in {"ort", "openvino"}
    assert all(rate > 0 for rate in kept["pairs_per_second"].values())
    assert set(kept["pairs_per_second"]) >= {"ort fp32"}
    assert "1 threads ort:fp32 openvino:" in key
    monkeypatch.setattr(choice, "_measured", never)
    again = auto(bag)
    assert again.fingerprint == first.fingerprint
    assert told(again) == told(first)
    assert "; auto, pairs/s measured on 20" in told(again)
    assert f"{kept['pairs_per_second']['ort fp32']:,.1f}" in told(again)
    assert remembered.read_text() == json.dumps({key: kept}, indent=1)


@pytest.mark.parametrize("backend", ["ort", "openvino"])
def test_it_is_what_it_comes_to(bag: Path, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """One fingerprint with the backend asked for by name, so that scores kept of one serve the other."""
    monkeypatch.setattr(choice, "_measured", lambda *_: Choice(backend, "fp32", {"ort fp32": 1.0}, "2026-01-01"))
    found, named = auto(bag), auto(bag, backend=backend, dtype="fp32")
    assert found.fingerprint == named.fingerprint
    assert found.score("how", ["price", "data"]) == named.score("how", ["price", "data"])
    assert found.engine is named.engine
    assert f": {backend}, fp32, 1 thread; auto, pairs/s measured on 2026-01-01: ort fp32 1.0" in told(found)
    assert told(named).endswith(f": {backend}, fp32, 1 thread")


def test_what_changes_is_measured_again(bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another model, another number of threads, another precision, another version of a runtime; not another place."""
    measured: list[int] = []

    def measure(*_: object) -> Choice:
        measured.append(1)
        return Choice("ort", "fp32", {"ort fp32": 1.0}, "2026-01-01")

    monkeypatch.setattr(choice, "_measured", measure)
    copy = shutil.copytree(bag, tmp_path / "copy")
    auto(bag), auto(bag), auto(copy), auto(copy, max_length=99)
    assert len(measured) == 1
    auto(bag, threads=2)
    assert len(measured) == 2
    with (copy / "model.onnx").open("ab") as file:
        file.write(b"\n")
    auto(copy)
    assert len(measured) == 3
    monkeypatch.setattr(openvino, "installed_version", lambda: "next year's")
    auto(bag)
    assert len(measured) == 4


@pytest.mark.parametrize(
    "broken",
    ["", "{", "[1]", "null", '{"KEY": 1}', '{"KEY": {"backend": "tvm", "dtype": "fp32", "pairs_per_second": {}}}'],
)
def test_a_broken_file_is_measured_again(
    bag: Path, remembered: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Whatever stands there, the next choice is right and mends it."""
    found = Choice("openvino", "fp32", {"ort fp32": 1.0, "openvino fp32": 3.0}, "2026-01-01")
    monkeypatch.setattr(choice, "_measured", lambda *_: found)
    auto(bag)
    (key,) = json.loads(remembered.read_text())
    remembered.write_text(broken.replace("KEY", key))
    assert choose(files_of(bag).contents, files_of(bag), ASKED, None, 512) == found
    monkeypatch.setattr(choice, "_measured", never)
    assert choose(files_of(bag).contents, files_of(bag), ASKED, None, 512) == found


def test_a_tie_is_onnx_runtimes() -> None:
    """It is exact: OpenVINO must be a tenth faster."""
    able = [LoadOptions("ort", "fp32", 1), LoadOptions("openvino", "bf16", 1)]
    assert choice._decided(able, [100.0, 100.0 * GAIN - 0.1]).backend == "ort"
    faster = choice._decided(able, [100.0, 100.0 * GAIN + 0.1])
    assert (faster.backend, faster.dtype) == ("openvino", "bf16")
    assert faster.pairs_per_second == {"ort fp32": 100.0, "openvino bf16": 110.1}


def test_without_openvino_there_is_nothing_to_measure(
    bag: Path, remembered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ONNX Runtime, at once."""
    monkeypatch.setattr(choice, "_measured", never)
    monkeypatch.setattr(openvino, "installed", lambda: False)
    assert told(auto(bag)).endswith(": ort, fp32, 1 thread; auto: the only backend that can score it here")
    assert not remembered.exists()


def test_only_what_can_do_what_is_asked_is_chosen_from(bag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A precision that one of them has; one that none has is refused as that of ONNX Runtime."""
    monkeypatch.setattr(choice, "_measured", never)
    monkeypatch.setattr("shadowdiff.rerankers.backends.precision.rounds_products", lambda: False)
    monkeypatch.setattr("shadowdiff.rerankers.backends.openvino.computes_in", lambda dtype: dtype == "bf16")
    found = choose("", files_of(bag), ASKED, "bf16", 512)
    assert (found.backend, found.dtype) == ("openvino", "bf16")
    with pytest.raises(ConfigError, match="dtype=fp16 cannot be had with backend=ort"):
        choose("", files_of(bag), ASKED, "fp16", 512)


def test_a_model_that_openvino_cannot_load_is_onnx_runtimes(bag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is a choice too, and is not tried again."""

    def load(files: OnnxFiles, options: LoadOptions) -> Backend:
        if options.backend == "openvino":
            raise ConfigError("an operator that it does not know")
        return load_backend(files, options)

    monkeypatch.setattr(choice, "load_backend", load)
    assert choose("c", files_of(bag), ASKED, None, 512).backend == "ort"
    monkeypatch.setattr(choice, "_measured", never)
    assert choose("c", files_of(bag), ASKED, None, 512).backend == "ort"


def test_pairs_to_measure_with_fit_the_model(bag: Path) -> None:
    """Distinct, of one length, and never longer than the model reads."""
    from shadowdiff.rerankers.pairs import text_tokenizer

    tokenizer: Any = text_tokenizer(bag / "tokenizer.json")
    for longest in (512, 40, 8):
        pairs = choice._pairs(tokenizer, longest)
        (tokens,) = {pair.tokens for pair in pairs}
        assert tokens + tokenizer.template.special_tokens <= longest
        assert len(set(pairs)) > choice.FEWEST
