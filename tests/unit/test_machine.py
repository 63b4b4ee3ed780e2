"""What a figure was measured on, from what different machines say of themselves."""

from __future__ import annotations

import platform
from dataclasses import fields
from pathlib import Path

import pytest

from shadowdiff import machine
from shadowdiff.cores import usable_cores
from shadowdiff.machine import identity_in, instructions_in, processor_in, read_cpuinfo, this_machine
from shadowdiff.runs import Machine

INTEL = """\
processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8488C
stepping\t: 8
cpu cores\t: 1
flags\t\t: fpu vme de pse tsc amx_bf16 avx512_bf16 amx_tile amx_int8

processor\t: 1
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8488C
"""
INTEL_DESKTOP = "processor\t: 0\nmodel name\t: Intel(R) Core(TM) i7-8750H CPU @ 2.20GHz\n"
AMD = """\
processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 1
model name\t: AMD EPYC 7R13 Processor
cpu MHz\t\t: 2650.000
"""
GRAVITON_3 = """\
processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm sve i8mm bf16
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd40
CPU revision\t: 1
"""
RASPBERRY_PI = """\
processor\t: 0
model name\t: ARMv7 Processor rev 3 (v7l)
BogoMIPS\t: 108.00
CPU implementer\t: 0x41
CPU part\t: 0xd08

Hardware\t: BCM2711
Serial\t\t: 10000000deadbeef
Model\t\t: Raspberry Pi 4 Model B Rev 1.4
"""
LITTLE_AND_BIG = """\
processor\t: 0
CPU implementer\t: 0x41
CPU part\t: 0xd03

processor\t: 5
CPU implementer\t: 0x41
CPU part\t: 0xd08
"""
APPLE_UNDER_LINUX = "processor\t: 0\nCPU implementer\t: 0x61\nCPU part\t: 0x025\n"
UNHEARD_OF = "processor\t: 0\nCPU implementer\t: 0x7a\nCPU part\t: 0x001\n"


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (INTEL, "Intel Xeon Platinum 8488C"),
        (INTEL_DESKTOP, "Intel Core i7-8750H CPU @ 2.20GHz"),
        (AMD, "AMD EPYC 7R13 Processor"),
        (GRAVITON_3, "Arm Neoverse V1"),
        (RASPBERRY_PI, "ARMv7 Processor rev 3 (v7l)"),
        (LITTLE_AND_BIG, "Arm Cortex-A72"),
        (APPLE_UNDER_LINUX, "Apple part 0x025"),
        (UNHEARD_OF, "Arm implementer 0x7a part 0x001"),
    ],
)
def test_processors_are_named_as_people_know_them(cpuinfo: str, expected: str) -> None:
    """By the name that Linux gives, or by the core's number where it gives none."""
    assert processor_in(cpuinfo) == expected


@pytest.mark.parametrize("cpuinfo", ["", "processor\t: 0\n", "model name\t: unknown\n", "no colon at all\n", ":\n"])
def test_a_processor_without_a_name_has_none(cpuinfo: str) -> None:
    """Rather than a word that means nothing."""
    assert processor_in(cpuinfo) is None


@pytest.mark.parametrize(
    ("cpuinfo", "some"), [(INTEL, {"amx_bf16", "avx512_bf16", "fpu"}), (GRAVITON_3, {"bf16", "i8mm"}), (AMD, set())]
)
def test_instruction_sets_are_the_kernels(cpuinfo: str, some: set[str]) -> None:
    """Whole words, under whichever name the architecture lists them; none where it lists none."""
    found = instructions_in(cpuinfo)
    assert found >= some
    assert bool(found) is bool(some)
    assert "amx" not in found


def test_processors_are_told_apart_by_what_they_can() -> None:
    """Not by what changes while they run; a machine that says nothing has an identity too."""
    warmer, more_able = AMD.replace("2650", "1500"), INTEL.replace("amx_int8", "amx_int8 amx_fp16")
    assert identity_in(AMD) == identity_in(warmer)
    assert len({identity_in(text) for text in (AMD, INTEL, more_able, GRAVITON_3, RASPBERRY_PI, "")}) == 6
    assert len(identity_in("")) == 16


def test_a_machine_without_cpuinfo_says_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rather than failing."""
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "none")
    assert read_cpuinfo() == ""


def test_nothing_tells_one_machine_from_another_of_its_kind() -> None:
    """Processor, cores and system: no host name, no kernel build, no user."""
    found = this_machine()
    assert {item.name for item in fields(Machine)} == {"processor", "cores", "system"}
    assert found.cores == usable_cores()
    assert found.system == f"{platform.system()} {platform.machine()}"


def test_a_mac_is_asked_by_sysctl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it prints is the name; where it cannot be run there is none."""
    sysctl = tmp_path / "sysctl"
    sysctl.write_text('#!/bin/sh\n[ "$*" = "-n machdep.cpu.brand_string" ] && echo "Apple M3 Pro"\n')
    sysctl.chmod(0o755)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(machine, "SYSCTL", str(sysctl))
    assert this_machine().processor == "Apple M3 Pro"
    sysctl.write_text("#!/bin/sh\nexit 1\n")
    assert this_machine().processor is None
    monkeypatch.setattr(machine, "SYSCTL", str(tmp_path / "none"))
    assert this_machine().processor is None
