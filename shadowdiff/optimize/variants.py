"""Writes the variants of a model beside it, each checked before it takes its place, and each noted in variants.json."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from shadowdiff.errors import ConfigError, first_line
from shadowdiff.machine import instructions_in, read_cpuinfo
from shadowdiff.optimize import graphs
from shadowdiff.optimize.note import NOTE_FILE, Made, note_text, read_note
from shadowdiff.optimize.report import State, VariantFile
from shadowdiff.optimize.trial import trial_scores
from shadowdiff.rerankers.backends.files import MODEL_FILE, VARIANTS, external_files, quantizes_activations
from shadowdiff.rerankers.fingerprint import file_hash
from shadowdiff.rerankers.registry import install_hint

T = TypeVar("T")
FOLDED = "folded.onnx"
TOKENIZER = "tokenizer.json"
BESIDE = (TOKENIZER, "config.json")
"""What a directory of variants needs beside them."""
TOOLS = ("onnx", "onnxruntime")
PACKAGES = ("onnx", "sympy")
X86 = frozenset({"x86_64", "amd64"})
VNNI = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
EXACT = 1e-3
"""How far a fused model's logits may lie from the original's: the same float operations in another order."""


def saturates(cpuinfo: str, architecture: str) -> bool:
    """Whether sums of 8-bit products overflow 16 bits: on x86 without VNNI; weights are kept to 7 bits then."""
    return architecture.lower() in X86 and not instructions_in(cpuinfo) & VNNI


def _saturates_here() -> bool:
    return saturates(read_cpuinfo(), platform.machine())


@dataclass(frozen=True)
class Workshop:
    """One model, and where its variants go."""

    source: Path
    """The directory that holds model.onnx."""
    target: Path
    reduce_range: bool = field(default_factory=_saturates_here)

    @property
    def model(self) -> Path:
        """What the variants are made from."""
        return self.source / MODEL_FILE

    @cached_property
    def origin(self) -> dict[str, str]:
        """SHA-256 by name of the model and its outside weights. Raises ConfigError."""
        return {file.name: file_hash(file) for file in [self.model, *external_files(self.model)]}

    def method(self, variant: str) -> str:
        """The way of making: another one is another variant. Weights of 7 bits are for processors that need them."""
        return f"{variant}/1" + ("/reduced" if variant == "int8" and self.reduce_range else "")


def write_variants(
    workshop: Workshop, *, force: bool = False, on_note: Callable[[str], None] = lambda text: None
) -> list[VariantFile]:
    """Write what is missing or was made otherwise; `force` writes all. In the order of VARIANTS.

    Raises ConfigError where the directory is no model's or cannot be written, a
    file by that name is not ours, or the packages are missing; nothing is half written.
    """
    check_model(workshop.source)
    noted = read_note(workshop.target)
    current = [] if force else [name for name in VARIANTS if _is_current(workshop, name, noted)]
    if not force:
        _refuse_strangers(workshop, noted)
    if set(current) == set(VARIANTS):
        return [_found(workshop, name, noted[name]) for name in VARIANTS]
    _require_packages()
    graphs.refuse_large(workshop.model)
    original = _original(workshop)
    with _bench(workshop.target) as bench, graphs.quiet():
        _copy_beside(workshop, bench)
        on_note(f"unfolding {workshop.model}")
        _made(lambda: graphs.folded(workshop.model, bench / FOLDED), bench / FOLDED)
        job = _Job(workshop, bench, noted, original, on_note)
        return [_found(workshop, name, noted[name]) if name in current else _written(job, name) for name in VARIANTS]


def check_model(directory: Path) -> None:
    """Raise ConfigError where the directory does not hold a model with its tokenizer."""
    if not directory.is_dir():
        raise ConfigError(f"{directory} is not a directory; name the one that holds {MODEL_FILE}")
    for name in (MODEL_FILE, TOKENIZER):
        if not (directory / name).is_file():
            raise ConfigError(f"{directory} holds no {name}; optimize takes a model exported to ONNX")


def _is_current(workshop: Workshop, variant: str, noted: dict[str, Made]) -> bool:
    made, file = noted.get(variant), workshop.target / VARIANTS[variant]
    if made is None or made.method != workshop.method(variant) or dict(made.source) != workshop.origin:
        return False
    return file.is_file() and file_hash(file) == made.sha256


def _refuse_strangers(workshop: Workshop, noted: dict[str, Made]) -> None:
    """A file that the note does not tell of, or not as it is, is somebody's own."""
    for variant, name in VARIANTS.items():
        file = workshop.target / name
        if file.exists() and (variant not in noted or file_hash(file) != noted[variant].sha256):
            raise ConfigError(f"{file} was not written by shadowdiff optimize; replace it with --force")


def _require_packages() -> None:
    try:
        for name in PACKAGES:
            import_module(name)
    except ImportError as error:
        raise ConfigError(f"writing variants needs {' and '.join(PACKAGES)}: {install_hint('optimize')}") from error


@contextmanager
def _bench(target: Path) -> Iterator[Path]:
    """A directory beside the variants' places, on the same file system, gone at the end."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        bench = Path(tempfile.mkdtemp(dir=target, prefix=".optimize."))
    except OSError as error:
        raise ConfigError(
            f"cannot write to {target}: {error.strerror or error}; name a directory with --output DIR"
        ) from error
    try:
        yield bench
    except OSError as error:
        raise ConfigError(f"cannot write to {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(bench, ignore_errors=True)


def _copy_beside(workshop: Workshop, bench: Path) -> None:
    """The tokenizer, for trying a variant on the bench, and for a directory of its own."""
    for name in BESIDE:
        if (workshop.source / name).is_file():
            shutil.copyfile(workshop.source / name, bench / name)
            if workshop.target.resolve() != workshop.source.resolve():
                _placed(bench / name, workshop.target / name, keep=True)


@dataclass(frozen=True, slots=True)
class _Job:
    """What writing one variant after the other needs."""

    workshop: Workshop
    bench: Path
    noted: dict[str, Made]
    original: list[float]
    """Scores of the model itself, for a fused one to be held against."""
    on_note: Callable[[str], None]


def _written(job: _Job, variant: str) -> VariantFile:
    """Made on the bench, tried there, then put in its place and noted."""
    file, place = job.bench / VARIANTS[variant], job.workshop.target / VARIANTS[variant]
    if variant == "int8w" and graphs.keeps_8_bit_weights(job.workshop.model):
        return _refused(job, variant, f"not written: {MODEL_FILE} keeps its weights in 8 bits already")
    job.on_note(f"writing {place}")
    try:
        how = _made(lambda: _make(job.workshop, variant, job.bench / FOLDED, file), place)
        _try(variant, file, job)
    except ConfigError as error:
        return _refused(job, variant, f"not written: {error}")
    state = State.REMADE if place.exists() else State.WRITTEN
    _put(job, variant, file, how)
    return VariantFile(variant, place.name, state, how, place.stat().st_size)


def _put(job: _Job, variant: str, file: Path, how: str) -> None:
    tools = {name: version(name) for name in TOOLS}
    method, origin = job.workshop.method(variant), job.workshop.origin
    job.noted[variant] = Made(file.name, file_hash(file), how, method, origin, tools)
    _placed(file, job.workshop.target / file.name)
    _save_note(job)


def _make(workshop: Workshop, variant: str, folded: Path, file: Path) -> str:
    if variant == "fused":
        return graphs.fuse(folded, file, workshop.source / "config.json")
    if variant == "int8w":
        return graphs.keep_weights_in_8_bits(folded, file)
    return graphs.quantize(folded, file, reduce_range=workshop.reduce_range)


def _made(work: Callable[[], T], what: Path) -> T:
    """Whatever a tool raises, in one line."""
    try:
        return work()
    except (ConfigError, OSError):
        raise
    except Exception as error:
        raise ConfigError(f"cannot write {what}: {type(error).__name__}: {first_line(error)}") from error


def _try(variant: str, file: Path, job: _Job) -> None:
    """Load the variant and score with it. Raises ConfigError where it is no cross-encoder any more."""
    scores = trial_scores(file, job.bench / TOKENIZER, "int8" if variant == "int8" else "fp32")
    off = max(abs(one - other) for one, other in zip(scores, job.original, strict=True))
    if variant == "fused" and off > EXACT:
        raise ConfigError(f"fusing changed its scores by {off:.3g}, where rounding explains {EXACT}")


def _original(workshop: Workshop) -> list[float]:
    """Raises ConfigError where the model is no cross-encoder, or in 8 bits already."""
    if quantizes_activations(workshop.model):
        raise ConfigError(f"{workshop.model} computes in 8 bits already; variants are made from a float model")
    return trial_scores(workshop.model, workshop.source / TOKENIZER, "fp32")


def _refused(job: _Job, variant: str, why: str) -> VariantFile:
    """An older file of ours goes too: it is not this model's."""
    place = job.workshop.target / VARIANTS[variant]
    if job.noted.pop(variant, None) is not None:
        place.unlink(missing_ok=True)
        _save_note(job)
    return VariantFile(variant, place.name, State.REFUSED, why)


def _found(workshop: Workshop, variant: str, made: Made) -> VariantFile:
    file = workshop.target / VARIANTS[variant]
    return VariantFile(variant, file.name, State.CURRENT, made.how, file.stat().st_size)


def _placed(file: Path, place: Path, *, keep: bool = False) -> None:
    """Whole or not at all; readable by whoever may read the model."""
    if keep:
        copy = file.with_name(f"{file.name}.copy")
        shutil.copyfile(file, copy)
        file = copy
    file.chmod(0o644)
    file.replace(place)


def _save_note(job: _Job) -> None:
    draft = job.bench / NOTE_FILE
    draft.write_text(note_text(job.noted), encoding="utf-8")
    _placed(draft, job.workshop.target / NOTE_FILE)
