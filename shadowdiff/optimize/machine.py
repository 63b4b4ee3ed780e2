"""What this processor can do that decides how a model is made 8-bit and where bf16 is fast."""

from __future__ import annotations

import platform
import re
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
X86 = frozenset({"x86_64", "amd64"})
BF16 = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
INT8 = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


def has_bf16(cpuinfo: Path = CPUINFO) -> bool:
    """Whether the processor multiplies bf16 itself; False where it does not say."""
    return bool(_flags(cpuinfo) & BF16)


def saturates(cpuinfo: Path = CPUINFO, architecture: str | None = None) -> bool:
    """Whether sums of 8-bit products overflow 16 bits here: x86 without VNNI; weights are kept to 7 bits then."""
    return (architecture or platform.machine()).lower() in X86 and not _flags(cpuinfo) & INT8


def processor(cpuinfo: Path = CPUINFO) -> str:
    """The processor's name."""
    found = re.search(r"^model name\s*:\s*(.+)$", _text(cpuinfo), re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _flags(cpuinfo: Path) -> set[str]:
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", _text(cpuinfo), re.MULTILINE)
    return set(found[1].split()) if found else set()


def _text(cpuinfo: Path) -> str:
    try:
        return cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
