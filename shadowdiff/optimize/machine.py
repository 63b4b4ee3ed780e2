"""What of this processor decides how a model is made 8-bit, and its name."""

from __future__ import annotations

import platform
import re
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
X86 = frozenset({"x86_64", "amd64"})
VNNI = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


def saturates(cpuinfo: Path = CPUINFO, architecture: str | None = None) -> bool:
    """Whether sums of 8-bit products overflow 16 bits here: x86 without VNNI; weights are kept to 7 bits then."""
    return (architecture or platform.machine()).lower() in X86 and not _flags(cpuinfo) & VNNI


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
