"""Measurements of `shadowdiff optimize` of the tests' own making, for the rule and the renderer."""

from __future__ import annotations

from shadowdiff.optimize.recommend import recommend
from shadowdiff.optimize.report import Comparison, Likeness, Mates, Measured, Speed, State, VariantFile, Way

HOSTILE = "models/\x1b[2J [bold red]loud[/] \u202egnp"

WRITTEN = (
    VariantFile("fused", "model.fused.onnx", State.WRITTEN, "Attention ×6, BiasGelu ×6", 90_872_352),
    VariantFile(
        "int8w", "model.int8w.onnx", State.REFUSED, "not written: model.onnx keeps its weights in 8 bits already"
    ),
    VariantFile("int8", "model.int8.onnx", State.CURRENT, "matrix products in 8 bits, weights of 7 bits", 23_068_288),
)


def measured(
    ratio: float = 1.0,
    *,
    least: float | None = None,
    overlap: float = 1.0,
    changed: int = 0,
    shift: float = 0.0,
    turns: int = 40,
) -> Measured:
    """A way that ranks exactly like the reference and is as fast in every round, unless it is said otherwise.

    Scores spread over 10.
    """
    likeness = Likeness(turns, overlap, overlap, changed, changed // 2, overlap, 1 - overlap)
    return Measured(likeness, Mates(shift, 10.0), Speed(100 * ratio, ratio, ratio if least is None else least))


def way(name: str, found: Measured | None, *, spec: str = "", unavailable: str | None = None) -> Way:
    """A way by that name."""
    return Way(name, spec or f"onnx:models/v3,variant={name}", 90_872_352, found, unavailable)


def comparison(directory: str = "models/v3") -> Comparison:
    """Four ways, one of which is faster and ranks alike, one that is a trap, and one that cannot be had."""
    ways = (
        way("model.onnx, ort fp32", measured(), spec=f"onnx:{directory}"),
        way("fused, ort", measured(1.24), spec=f"onnx:{directory},variant=fused"),
        way("int8, ort", measured(1.91, overlap=0.883, changed=31, shift=0.71), spec=f"onnx:{directory},dtype=int8"),
        way("openvino bf16", None, unavailable="not available: this processor does not compute in bf16 by itself"),
    )
    return Comparison(
        ways=ways,
        sessions=20,
        turns=40,
        left_out=2,
        pairs=1_964,
        timed_pairs=150,
        rounds=3,
        top_k=10,
        machine="Some Processor, 2 threads",
        recommendation=recommend(ways),
    )
