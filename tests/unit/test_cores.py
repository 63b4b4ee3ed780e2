"""How many cores a process may use: its affinity and every quota of its cgroups, as files that a kernel writes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from shadowdiff.cores import usable_cores

ALLOWED = 6
"""Cores that the process may run on in these tests."""


@pytest.fixture(autouse=True)
def _six_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(ALLOWED)), raising=False)


def cores_under(folder: Path, own: str, files: Mapping[str, str | bytes]) -> int:
    """Cores that are found with these files below the mount, and `own` in /proc/self/cgroup."""
    root, told = folder / "cgroup", folder / "self"
    root.mkdir(exist_ok=True)
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    told.write_text(own)
    return usable_cores(root, told)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        pytest.param("150000 100000\n", 2, id="a core and a half is two"),
        pytest.param("200000 100000\n", 2, id="two"),
        pytest.param("10000 100000\n", 1, id="a tenth is one"),
        pytest.param("max 100000\n", ALLOWED, id="no quota"),
        pytest.param("3200000 100000\n", ALLOWED, id="more than there are"),
    ],
)
def test_version_2(tmp_path: Path, limit: str, expected: int) -> None:
    """`cpu.max` of the process's own cgroup, as a container sees it: at the mount."""
    assert cores_under(tmp_path, "0::/\n", {"cpu.max": limit}) == expected


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        pytest.param("150000\n", 2, id="a core and a half is two"),
        pytest.param("-1\n", ALLOWED, id="no quota"),
        pytest.param("0\n", ALLOWED, id="nothing at all is no quota"),
    ],
)
def test_version_1(tmp_path: Path, quota: str, expected: int) -> None:
    """Quota and period of the cpu controller's own hierarchy, also where it is mounted with others."""
    files = {"cpu/cpu.cfs_quota_us": quota, "cpu/cpu.cfs_period_us": "100000\n"}
    assert cores_under(tmp_path, "4:cpu,cpuacct:/\n", files) == expected
    nested = {"cpu/docker/ab/cpu.cfs_quota_us": "300000\n", "cpu/docker/ab/cpu.cfs_period_us": "100000\n"}
    assert cores_under(tmp_path, "4:cpu,cpuacct:/docker/ab\n", {**files, **nested}) == min(expected, 3)


@pytest.mark.parametrize("strict", ["", "a", "a/b", "a/b/c"])
def test_every_parent_binds(tmp_path: Path, strict: str) -> None:
    """The strictest cgroup between the mount and the process decides, and no other."""
    files = {f"{folder}/cpu.max".lstrip("/"): "500000 100000" for folder in ("", "a", "a/b", "a/b/c")}
    files[f"{strict}/cpu.max".lstrip("/")] = "300000 100000"
    files["a/other/cpu.max"] = files["elsewhere/cpu.max"] = "100000 100000"
    assert cores_under(tmp_path, "0::/a/b/c\n", files) == 3


def test_affinity_binds_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer cores to run on than the quota is worth are fewer cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert cores_under(tmp_path, "0::/\n", {"cpu.max": "400000 100000"}) == 1


def test_systems_without_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none on macOS: then the machine's cores count; where even those are not known, one."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert cores_under(tmp_path, "", {}) == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores_under(tmp_path, "", {}) == 1


@pytest.mark.parametrize("limit", [b"", b"\n", b"many few", b"1 2 3", b"-5 100000", b"100000 0", b"1.5 1", b"\xff\xfe"])
def test_what_no_kernel_writes_is_no_quota(tmp_path: Path, limit: bytes) -> None:
    """Whatever stands there, there is an answer."""
    files: dict[str, str | bytes] = {"cpu.max": limit, "cpu/cpu.cfs_quota_us": limit, "cpu/cpu.cfs_period_us": limit}
    assert cores_under(tmp_path, "0::/\n", files) == ALLOWED


@pytest.mark.parametrize(
    "own", ["", "garbage\n", "0::\n", "::::\n", "0::/gone/away\n", "0::/../..\n", "1:name=systemd:/x\n"]
)
def test_whatever_tells_the_own_cgroup(tmp_path: Path, own: str) -> None:
    """Lines that say nothing, and cgroups that are not below the mount, leave what is at the mount."""
    assert cores_under(tmp_path, own, {"cpu.max": "200000 100000"}) == 2


def test_nothing_mounted(tmp_path: Path) -> None:
    """No cgroups at all."""
    assert usable_cores(tmp_path / "nowhere", tmp_path / "nothing") == ALLOWED


def test_this_machine() -> None:
    """The real thing gives between one and the cores that the process may run on."""
    assert 1 <= usable_cores() <= ALLOWED
