"""What the processor can do, and what else it is doing."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

import psutil

CPUINFO = Path("/proc/cpuinfo")
BUSY = ("user", "nice", "system", "irq", "softirq", "steal")
BF16 = frozenset({"amx_bf16", "avx512_bf16"})


def processor_name() -> str:
    """Model name as the kernel tells it."""
    names = [line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def processor_flags() -> frozenset[str]:
    """Instruction sets as the kernel names them; empty where it does not tell."""
    lines = [line.split(":", 1)[1] for line in _cpuinfo() if line.startswith("flags")]
    return frozenset(lines[0].split()) if lines else frozenset()


def computes_bf16() -> bool:
    """Whether bf16 products are computed by instructions of their own."""
    return bool(BF16 & processor_flags())


def _cpuinfo() -> list[str]:
    return CPUINFO.read_text(encoding="ascii", errors="replace").splitlines() if CPUINFO.exists() else []


@dataclass(frozen=True, slots=True)
class Busy:
    """Processor seconds of the whole machine so far, by everybody, and stolen by the hypervisor."""

    total: float
    stolen: float

    @classmethod
    def now(cls) -> Busy:
        """As the kernel counts them."""
        times = psutil.cpu_times()
        return cls(sum(getattr(times, name, 0.0) for name in BUSY), getattr(times, "steal", 0.0))


def share_of_others(before: Busy, after: Busy, own: float, wall: float) -> float:
    """What part of the machine's processor time others used meanwhile, ours being `own` seconds; 0 to 1."""
    cores = psutil.cpu_count() or 1
    return max(after.total - before.total - own, 0.0) / (wall * cores) if wall > 0 else 0.0
