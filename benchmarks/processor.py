"""What the processor can do, and what else it is doing."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from shadowdiff.machine import instructions_in, read_cpuinfo
from shadowdiff.optimize.variants import VNNI

BUSY = ("user", "nice", "system", "irq", "softirq", "steal")
BF16 = frozenset({"amx_bf16", "avx512_bf16"})


def computes_bf16() -> bool:
    """Whether bf16 products are computed by instructions of their own."""
    return bool(BF16 & instructions_in(read_cpuinfo()))


def computes_int8() -> bool:
    """Whether products of 8 bits are added up in 32."""
    return bool(VNNI & instructions_in(read_cpuinfo()))


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
