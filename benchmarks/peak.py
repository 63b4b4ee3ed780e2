"""What the processor could do at most: the best measured product of matrices of the model's shapes, and nothing else.

The model's own arithmetic is counted without padding, so a share of this limit holds padding against a variant too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.material import ROOT, Material
from benchmarks.processor import computes_bf16, computes_int8
from shadowdiff.rerankers.pairs import PairEncoder

WIDTH, INNER, LAYERS = 384, 1536, 6
ROWS = (512, 1024, 2048, 4096)
SHAPES = ((WIDTH, WIDTH), (WIDTH, 3 * WIDTH), (WIDTH, INNER), (INNER, WIDTH))
REPEATS = 15
LONGEST = 512


def pair_tokens(material: Material) -> list[int]:
    """Tokens of every pair, special ones counted."""
    rows = PairEncoder(material.model / "tokenizer.json", LONGEST).encode(material.requests)
    return [pair.tokens for row in rows for pair in row]


def operations(tokens: Iterable[int]) -> float:
    """Floating-point operations of scoring pairs of these lengths: the linear layers, and attention's two products."""
    linear = 2 * LAYERS * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER)
    return float(sum(linear * count + 4 * LAYERS * WIDTH * count * count for count in tokens))


def measured_peaks(threads: int) -> dict[str, float]:
    """GFLOP/s by precision, measured in a process of its own; without torch none, without the instructions not all."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.peak", str(threads)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found: dict[str, float] = json.loads(done.stdout) if done.returncode == 0 else {}
    return found


def _best(torch: Any, dtype: Any, rows: Sequence[int]) -> float:
    best = 0.0
    for count in rows:
        for inner, outer in SHAPES:
            left, right = (torch.randn(*shape).to(dtype) for shape in ((count, inner), (inner, outer)))
            for _ in range(REPEATS):
                begun = time.perf_counter()
                left @ right
                best = max(best, 2 * count * inner * outer / (time.perf_counter() - begun) / 1e9)
    return best


def _best_int8(torch: Any) -> float:
    best = 0.0
    for count in ROWS:
        for inner, outer in SHAPES:
            sizes = ((count, inner), (inner, outer))
            left, right = (torch.randint(-127, 127, size, dtype=torch.int8) for size in sizes)
            for _ in range(REPEATS):
                begun = time.perf_counter()
                torch._int_mm(left, right)  # noqa: SLF001 torch's only product of 8-bit matrices
                best = max(best, 2 * count * inner * outer / (time.perf_counter() - begun) / 1e9)
    return best


def main(threads: int) -> None:
    """Print the peaks as JSON. bf16 and int8 only where the processor has instructions for them."""
    import torch

    torch.set_num_threads(threads)
    peaks = {"fp32": _best(torch, torch.float32, ROWS)}
    if computes_bf16():
        peaks["bf16"] = _best(torch, torch.bfloat16, ROWS)
    if computes_int8():
        peaks["int8"] = _best_int8(torch)
    sys.stdout.write(json.dumps(peaks))


if __name__ == "__main__":
    main(int(sys.argv[1]))
