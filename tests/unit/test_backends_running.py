"""Backends at work: nothing is lost when they are interrupted; OpenVINO's cache and what it would tell others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shadowdiff.errors import ConfigError
from shadowdiff.rerankers.backends import MODULES, LoadOptions, OnnxFiles, load_backend, openvino
from shadowdiff.rerankers.backends.openvino import WAITING
from shadowdiff.rerankers.engine import Backend, Batch
from shadowdiff.rerankers.onnx import OnnxCrossEncoder
from shadowdiff.rerankers.pairs import EncodedPair
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import Spec
from tests.conftest import MODEL, clean_environment
from tests.contract.tiny_models import save_bag_of_tokens

pytest.importorskip("openvino")
WEIGHTS = np.random.default_rng(7).normal(size=(30_522, 1)).astype(np.float32)
"""Those of save_bag_of_tokens."""


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a cross-encoder whose logit is a sum of token weights."""
    return save_bag_of_tokens(tmp_path_factory.mktemp("bag"))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's compiled models are kept."""
    monkeypatch.setenv("SHADOWDIFF_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "cache" / "openvino"


def backend_of(directory: Path, threads: int = 1, name: str = "openvino") -> Backend:
    """The model of a directory in exact fp32."""
    files = OnnxFiles(directory / "model.onnx", directory / "tokenizer.json")
    return load_backend(files, LoadOptions(name, "fp32", threads))


def batch_of(*token_ids: int, rows: int = 1) -> Batch:
    """A batch of equal rows."""
    ids = np.array([token_ids] * rows, dtype=np.int64)
    return Batch([EncodedPair(b"", b"")] * rows, ids, np.ones_like(ids), np.zeros_like(ids))


def expected(batch: Batch) -> list[float]:
    """The logits, worked out by hand."""
    return [float(WEIGHTS[row, 0].sum()) for row in batch.input_ids]


def scored(backend: Backend, batches: list[Batch]) -> list[list[float]]:
    """Logits in the order of the batches."""
    found = {id(batch): logits.tolist() for batch, logits in backend.run(batches)}
    return [found[id(batch)] for batch in batches]


def assert_right(backend: Backend, first: int = 1000) -> None:
    """Every batch of several shapes gets its own logits."""
    batches = [batch_of(*range(first + n, first + 2 * n + 1), rows=n) for n in range(1, 12)]
    for batch, logits in zip(batches, scored(backend, batches), strict=True):
        assert logits == pytest.approx(expected(batch), abs=1e-4)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("threads", [1, 2])
def test_batches_are_taken_as_requests_get_free(bag: Path, threads: int, name: str) -> None:
    """However many batches there are, only as many are made as can be worked on."""
    taken: list[int] = []

    def batches() -> Iterator[Batch]:
        for number in range(20):
            taken.append(number)
            yield batch_of(number + 1)

    running = backend_of(bag, threads, name).run(batches())
    for number, (batch, logits) in enumerate(running):
        assert logits.tolist() == pytest.approx(expected(batch), abs=1e-5)
        assert len(taken) <= number + 1 + WAITING * threads
    assert len(taken) == 20


@pytest.mark.parametrize("name", MODULES)
def test_stopping_early_leaves_nothing_behind(bag: Path, name: str) -> None:
    """Who takes one result and goes leaves a backend that scores rightly."""
    backend = backend_of(bag, 2, name)
    running: Any = backend.run(batch_of(number + 1) for number in range(20))
    next(running)
    running.close()
    assert_right(backend)


@pytest.mark.parametrize("name", MODULES)
def test_a_failure_inside_the_runtime_is_raised(bag: Path, name: str) -> None:
    """An inference that fails ends in an exception where the results are read, and the next run is not touched."""
    backend = backend_of(bag, 2, name)
    good = batch_of(1, 2, 3)
    uneven = replace(good, attention_mask=np.ones((1, 2), dtype=np.int64))
    with pytest.raises(Exception, match=r"(?i)shape|dimension|broadcast"):
        list(backend.run([good, uneven, good]))
    assert_right(backend)


@pytest.mark.parametrize("name", MODULES)
def test_several_threads_may_score_at_once(bag: Path, name: str) -> None:
    """One loaded model, shared: nobody reads another's logits."""
    backend = backend_of(bag, 2, name)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda first: assert_right(backend, first), [1000, 2000, 3000, 4000] * 3))


def test_compiled_models_are_kept_and_never_stale(own_cache: Path, tmp_path: Path) -> None:
    """What was compiled is read back; other weights under the same path are another model."""
    directory = save_bag_of_tokens(tmp_path / "model")
    assert_right(backend_of(directory))
    kept = set(own_cache.glob("*.blob"))
    assert_right(backend_of(directory))
    assert set(own_cache.glob("*.blob")) == kept
    content = bytearray((directory / "model.onnx").read_bytes())
    start = content.find(WEIGHTS[:4].tobytes())
    content[start : start + 4] = np.float32(WEIGHTS[0, 0] + 1).tobytes()
    (directory / "model.onnx").write_bytes(content)
    assert scored(backend_of(directory), [batch_of(0)])[0] == pytest.approx([float(WEIGHTS[0, 0]) + 1], abs=1e-5)


@pytest.mark.parametrize("left", [0, 100, 5000])
def test_a_broken_file_in_the_cache_is_not_needed(own_cache: Path, bag: Path, left: int) -> None:
    """One that a killed process left half-written is compiled again."""
    backend_of(bag)
    (kept,) = own_cache.glob("*.blob")
    content = kept.read_bytes()
    kept.unlink()
    kept.write_bytes(content[:left])
    assert_right(backend_of(bag))


def test_a_cache_that_cannot_be_written_is_not_needed(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where the directory should be: the model is compiled, and scores."""
    (tmp_path / "home").write_text("in the way")
    monkeypatch.setenv("SHADOWDIFF_HOME", str(tmp_path / "home"))
    assert_right(backend_of(bag))


def test_the_cache_is_bounded(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its size, what was longest not used goes first."""
    backend_of(save_bag_of_tokens(tmp_path / "one"))
    (first,) = own_cache.glob("*.blob")
    monkeypatch.setattr(openvino, "KEPT_BYTES", first.stat().st_size * 3 // 2)
    backend_of(save_bag_of_tokens(tmp_path / "two", kind="int32"))
    assert len(list(own_cache.glob("*.blob"))) == 1
    assert not first.exists()


def test_a_missing_package_says_what_to_install(bag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command, before anything is read."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ConfigError, match=r"pip install 'shadowdiff\[openvino\]'$"):
        build(Spec("onnx", str(bag), (("backend", "openvino"),)))


def test_same_scores_as_onnx_runtime() -> None:
    """Of the sample, whose weights are kept in 8 bits: computed in float32 by both, on short and long documents."""
    documents = ["Customer data is encrypted. " * n for n in (1, 5, 20, 60)] + ["offices", "", "a price list " * 9]
    both: list[Any] = [build(Spec("onnx", str(MODEL), (("backend", name), ("dtype", "fp32")))) for name in MODULES]
    one, other = (reranker.score("How is customer data encrypted?", documents) for reranker in both)
    assert list(one) == pytest.approx(list(other), abs=1e-4)
    assert isinstance(both[1], OnnxCrossEncoder)
    assert (both[1].engine.backend.name, both[1].engine.backend.dtype) == ("OpenVINO", "fp32")


def test_nothing_is_reported_to_anybody(bag: Path, tmp_path: Path) -> None:
    """Importing, compiling and scoring opens no connection, asks for no name, and writes nothing to the home."""
    environment = {**clean_environment(tmp_path), "HOME": str(tmp_path), "CI": ""}
    environment = {name: value for name, value in environment.items() if name != "XDG_CACHE_HOME"}
    finished = subprocess.run(
        [sys.executable, "-c", ALONE, str(bag)], env=environment, capture_output=True, text=True, check=False
    )
    assert (finished.stdout, finished.stderr) == ("scored\n", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["unused-home"]


ALONE = """
import sys, time
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import Spec

def refuse(event, arguments):
    if event.startswith("socket.") and event != "socket.__new__" or event == "subprocess.Popen":
        print(event, arguments, file=sys.stderr)

sys.addaudithook(refuse)
reranker = build(Spec("onnx", sys.argv[1], (("backend", "openvino"),)))
reranker.prepare()
assert "openvino" in sys.modules and "openvino_telemetry" not in sys.modules
time.sleep(1)
print("scored")
"""
