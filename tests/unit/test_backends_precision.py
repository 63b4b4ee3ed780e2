"""Which precision is computed in: what may be asked for where, what is taken where nothing is said, and 8-bit files."""

from __future__ import annotations

import json
import platform
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shadowdiff import machine
from shadowdiff.errors import ConfigError, SpecError
from shadowdiff.findings import Status
from shadowdiff.machine import identity_in, read_cpuinfo
from shadowdiff.rerankers.backends import precision
from shadowdiff.rerankers.backends.files import VARIANTS, quantizes_activations
from shadowdiff.rerankers.backends.openvino import computes_in
from shadowdiff.rerankers.backends.precision import resolved, rounds_products
from shadowdiff.rerankers.backends.remembered import Remembered
from shadowdiff.rerankers.onnx import OnnxCrossEncoder
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import Spec
from tests.contract.tiny_models import save_bag_of_tokens

X86 = "model name\t: A Processor\nflags\t\t: fpu avx2 {flags}\nflags\t\t: fpu avx2 {flags}\ncpu MHz\t: {mhz}\n"
ARM = "BogoMIPS\t: 50.00\nFeatures\t: fp asimd {features}\nCPU part\t: 0xd40\n"


def onnx_of(path: Path, **options: object) -> OnnxCrossEncoder:
    """The kind over a path, on one thread."""
    spec = Spec("onnx", str(path), tuple((key, str(value)) for key, value in {"threads": 1, **options}.items()))
    reranker = build(spec)
    assert isinstance(reranker, OnnxCrossEncoder)
    return reranker


def save_quantized(file: Path) -> None:
    """A cross-encoder of eight weights per token that multiplies in 8 bits, with scales over the whole batch."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(3)
    weights: dict[str, Any] = {
        "table": random.normal(size=(30_522, 8)).astype(np.float32),
        "head": random.integers(-100, 100, size=(8, 1)).astype(np.int8),
        "axis": np.array([1]),
        "last": np.array([2]),
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["looked_up"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["looked_up", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "axis"], ["pooled"], keepdims=0),
        helper.make_node("DynamicQuantizeLinear", ["pooled"], ["eighth", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["eighth", "head", "zero"], ["products"]),
        helper.make_node("Cast", ["products"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["logits"]),
    ]
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["b", "s"]) for n in ("input_ids", "attention_mask")]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", 1])]
    tensors = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "quantized", inputs, outputs, tensors)
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with the files that `shadowdiff optimize` would leave beside it."""
    made = save_bag_of_tokens(tmp_path_factory.mktemp("bag"))
    save_quantized(made / VARIANTS["int8"])
    other = save_bag_of_tokens(tmp_path_factory.mktemp("other"), kind="int32")
    for name in ("fused", "int8w"):
        shutil.copy(other / "model.onnx", made / VARIANTS[name])
    return made


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test remembers."""
    monkeypatch.setenv("SHADOWDIFF_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "cache"


def with_capabilities(*names: str) -> None:
    """As if OpenVINO had said this of the processor."""
    from shadowdiff.rerankers.backends.openvino import installed_version

    Remembered("processors.json").keep(f"{identity_in(read_cpuinfo())} openvino {installed_version()}", list(names))


def test_openvino_takes_bf16_where_the_processor_has_it(directory: Path, own_cache: Path) -> None:
    """Else fp32; either can be asked for, but not what the processor would only imitate."""
    model = directory / "model.onnx"
    with_capabilities("FP32", "BF16")
    assert resolved("openvino", None, "cpu", model) == "bf16"
    assert resolved("openvino", "bf16", "cpu", model) == "bf16"
    assert resolved("openvino", "fp32", "cpu", model) == "fp32"
    with_capabilities("FP32", "INT8")
    assert resolved("openvino", None, "cpu", model) == "fp32"
    for dtype in ("bf16", "fp16"):
        with pytest.raises(ConfigError, match=f"^dtype={dtype}: this processor does not compute in {dtype} by itself"):
            resolved("openvino", dtype, "cpu", model)


def test_defaults_share_the_fingerprint_of_what_they_come_to(directory: Path, own_cache: Path) -> None:
    """A default is resolved before it is an identity."""
    with_capabilities("FP32", "BF16")
    default = onnx_of(directory, backend="openvino").fingerprint
    assert default == onnx_of(directory, backend="openvino", dtype="bf16").fingerprint
    with_capabilities("FP32")
    assert onnx_of(directory, backend="openvino").fingerprint != default
    assert (
        onnx_of(directory, backend="openvino").fingerprint
        == onnx_of(directory, backend="openvino", dtype="fp32").fingerprint
    )


def test_what_openvino_says_is_remembered(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor is asked for once; what is broken in the file is asked for again."""
    pytest.importorskip("openvino")
    said = computes_in("bf16")
    file = own_cache / "processors.json"
    assert next(iter(json.loads(file.read_text()).values())).count("FP32") == 1
    for broken in ("{", "[]", json.dumps(dict.fromkeys(json.loads(file.read_text()), 7))):
        file.write_text(broken)
        assert computes_in("bf16") == said
    monkeypatch.setattr("shadowdiff.rerankers.backends.openvino._core", lambda: pytest.fail("asked again"))
    assert computes_in("bf16") == said


@pytest.mark.parametrize(
    ("system", "architecture", "cpuinfo", "expected"),
    [
        pytest.param("Linux", "aarch64", ARM.format(features="bf16 sve"), True, id="Arm with bfloat16"),
        pytest.param("Linux", "aarch64", ARM.format(features="asimddp"), False, id="Arm without"),
        pytest.param("Darwin", "arm64", ARM.format(features="bf16"), False, id="macOS"),
        pytest.param("Linux", "x86_64", X86.format(flags="avx512_bf16 amx_bf16", mhz=1), False, id="x86"),
    ],
)
def test_onnx_runtime_rounds_on_some_arm_only(
    directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    architecture: str,
    cpuinfo: str,
    expected: bool,
) -> None:
    """Its option for bfloat16 products exists on Linux on Arm; elsewhere it would be taken and do nothing."""
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: architecture)
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "nothing")
    assert not rounds_products()
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    assert rounds_products() is expected
    monkeypatch.setattr(precision, "rounds_products", lambda: expected)
    if expected:
        assert resolved("ort", "bf16", "cpu", directory / "model.onnx") == "bf16"
    else:
        with pytest.raises(
            ConfigError, match=r"^dtype=bf16 cannot be had with backend=ort here, which computes in fp32"
        ):
            resolved("ort", "bf16", "cpu", directory / "model.onnx")


def test_onnx_runtime_is_exact_by_default(directory: Path) -> None:
    """And has no fp16 on a processor."""
    assert resolved("ort", None, "cpu", directory / "model.onnx") == "fp32"
    with pytest.raises(ConfigError, match="dtype=fp16 cannot be had with backend=ort"):
        onnx_of(directory, dtype="fp16")


def test_int8_is_a_file_of_its_own(directory: Path) -> None:
    """Beside the model; named by itself it is the same reranker, and is taken for what it is."""
    quantized = directory / VARIANTS["int8"]
    asked, named = onnx_of(directory, dtype="int8"), onnx_of(quantized)
    assert asked.engine.backend.dtype == named.engine.backend.dtype == "int8"
    assert asked.fingerprint == named.fingerprint == onnx_of(quantized, dtype="int8").fingerprint
    assert asked.score("how", ["price", "data"]) == named.score("how", ["price", "data"])
    (finding,) = asked.check(online=False)
    assert finding.status is Status.WARN
    assert "a pair's score depends on the pairs beside it" in finding.do


def test_int8_is_refused_where_it_cannot_be_had(directory: Path, tmp_path: Path) -> None:
    """Without the file, with a file that computes in floats, on OpenVINO, and under a false name."""
    bare = save_bag_of_tokens(tmp_path)
    with pytest.raises(ConfigError, match=rf"holds no model\.int8\.onnx; make it with: shadowdiff optimize {bare}$"):
        onnx_of(bare, dtype="int8")
    with pytest.raises(ConfigError, match=r"model\.onnx does not compute in int8; make one"):
        onnx_of(bare / "model.onnx", dtype="int8")
    with pytest.raises(ConfigError, match="computes in int8, which is for backend=ort"):
        onnx_of(directory, dtype="int8", backend="openvino")
    with pytest.raises(ConfigError, match="computes in int8, whatever dtype says; for fp32 name the model"):
        onnx_of(directory / VARIANTS["int8"], dtype="fp32")


@pytest.mark.parametrize("variant", ["fused", "int8w"])
def test_variants_are_files_beside_the_model(directory: Path, tmp_path: Path, variant: str) -> None:
    """Each is the file of that name, with that file's fingerprint; where it is missing, how to make it is said."""
    asked = onnx_of(directory, variant=variant)
    assert asked.fingerprint == onnx_of(directory / VARIANTS[variant]).fingerprint != onnx_of(directory).fingerprint
    bare = save_bag_of_tokens(tmp_path)
    with pytest.raises(ConfigError, match=rf"holds no model\.{variant}\.onnx; make it with: shadowdiff optimize "):
        onnx_of(bare, variant=variant)
    with pytest.raises(SpecError, match=f"variant={variant} picks a file of a directory, and a file is named already"):
        onnx_of(bare / "model.onnx", variant=variant)
    with pytest.raises(SpecError, match=f"variant={variant} computes in floats; dtype=int8 is a file of its own"):
        onnx_of(directory, variant=variant, dtype="int8")
    with pytest.raises(SpecError, match=r"must be one of fused, int8w$"):
        onnx_of(directory, variant="int8")


def test_both_ways_of_quantising_are_recognised(directory: Path) -> None:
    """Scales worked out per call as much as scales in the file."""
    assert quantizes_activations(directory / VARIANTS["int8"])
    assert not quantizes_activations(directory / "model.onnx")


def test_a_gpu_is_never_replaced_in_silence(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CUDA in the package what to install is said; with it but without a GPU, that there is none."""
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(ConfigError, match=r"pip uninstall onnxruntime && pip install onnxruntime-gpu$"):
        onnx_of(directory, device="cuda")
    with pytest.raises(ConfigError, match="device=cuda is for backend=ort"):
        onnx_of(directory, device="cuda", backend="openvino")
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    on_gpu: Any = onnx_of(directory, device="cuda")
    assert on_gpu.fingerprint != onnx_of(directory).fingerprint
    with pytest.warns(UserWarning, match="CUDA"), pytest.raises(ConfigError, match="finds no GPU that it can use here"):
        on_gpu.prepare()
