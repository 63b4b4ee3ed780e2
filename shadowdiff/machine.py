"""What a figure was measured on, and what its processor can do. Never whose machine it is: no host name, no address.

Reading is apart from understanding, so that other machines' answers can be tested here.
"""

from __future__ import annotations

import hashlib
import platform
import re
from pathlib import Path

from shadowdiff.cores import usable_cores
from shadowdiff.runs import Machine

CPUINFO = Path("/proc/cpuinfo")
SYSCTL = "/usr/sbin/sysctl"
SYSCTL_SECONDS = 5
NOT_A_NAME = frozenset({"", "-", "0", "unknown"})
"""What virtual machines give as a model's name when they hide it."""
TRADEMARKS = re.compile(r"\((?:R|TM|C)\)", re.IGNORECASE)

ARM_MAKERS = {"0x41": "Arm", "0x46": "Fujitsu", "0x48": "HiSilicon", "0x4e": "NVIDIA", "0x51": "Qualcomm"}
ARM_MAKERS |= {"0x61": "Apple", "0xc0": "Ampere"}
ARM_CORES = {
    ("0x41", "0xd03"): "Arm Cortex-A53",
    ("0x41", "0xd08"): "Arm Cortex-A72",
    ("0x41", "0xd0b"): "Arm Cortex-A76",
    ("0x41", "0xd0c"): "Arm Neoverse N1",
    ("0x41", "0xd40"): "Arm Neoverse V1",
    ("0x41", "0xd49"): "Arm Neoverse N2",
    ("0x41", "0xd4f"): "Arm Neoverse V2",
    ("0xc0", "0xac3"): "Ampere-1",
}
"""By implementer and part, as Linux prints them on Arm servers and boards, which carry no name."""

INSTRUCTIONS = frozenset({"flags", "Features"})
"""Fields that list instruction sets, on x86 and on Arm."""
X86_KIND = frozenset({"vendor_id", "cpu family", "model", "model name", "stepping", "flags"})
ARM_KIND = frozenset({"CPU implementer", "CPU part", "CPU variant", "Features"})
DISTINCTIVE = X86_KIND | ARM_KIND
"""Fields that tell processors apart; clouds hide the name, and the instruction sets still tell."""


def this_machine() -> Machine:
    """The machine that this process runs on, as far as it tells."""
    system = platform.system()
    found = _sysctl("machdep.cpu.brand_string") if system == "Darwin" else processor_in(read_cpuinfo())
    return Machine(
        processor=found or None,
        cores=usable_cores(),
        system=" ".join(part for part in (system, platform.machine()) if part),
    )


def read_cpuinfo() -> str:
    """What Linux says of its processors; empty on other systems."""
    try:
        return CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def processor_in(cpuinfo: str) -> str | None:
    """The processor's name in the text of Linux's /proc/cpuinfo; of mixed cores, the last and usually largest kind.

    None where it gives none.
    """
    fields = dict(_field(line) for line in cpuinfo.splitlines())
    name = tidy(fields.get("model name", ""))
    if name.lower() not in NOT_A_NAME:
        return name
    maker, part = fields.get("CPU implementer", ""), fields.get("CPU part", "")
    if not maker:
        return None
    return ARM_CORES.get((maker, part)) or f"{ARM_MAKERS.get(maker, f'Arm implementer {maker}')} part {part}".strip()


def instructions_in(cpuinfo: str) -> frozenset[str]:
    """Instruction sets by the kernel's names, such as `amx_bf16`; empty where it does not tell."""
    listed = (value for name, value in map(_field, cpuinfo.splitlines()) if name in INSTRUCTIONS)
    return frozenset(next(listed, "").split())


def identity_in(cpuinfo: str) -> str:
    """Sixteen hexadecimal digits that are the same on machines with the same kind of processor."""
    lines = {" ".join(line.split()) for line in cpuinfo.splitlines() if _field(line)[0] in DISTINCTIVE}
    told = [platform.machine(), *(sorted(lines) or [platform.platform()])]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def tidy(name: str) -> str:
    """A processor's name without trademark signs and runs of spaces."""
    return " ".join(TRADEMARKS.sub(" ", name).split())


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _sysctl(name: str) -> str:
    """One of macOS's own facts; empty where it cannot be had."""
    import subprocess

    asked = [SYSCTL, "-n", name]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=SYSCTL_SECONDS, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return tidy(answer.stdout)
