"""How many processor cores this process may really use: a container's quota counts, not the host's number of cores."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def usable_cores(root: Path = CGROUPS, own: Path = OWN_CGROUPS) -> int:
    """The least of the cores that the process may run on and its cgroups' CPU quotas, rounded up; at least 1.

    `root` is where cgroups are mounted (version 2, or version 1's hierarchy by
    controller), `own` tells which one the process is in.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [math.ceil(quota) for quota in _quotas(root, own)]
    return max(min([allowed, *quotas]), 1)


def _quotas(root: Path, own: Path) -> list[float]:
    """Every quota that applies, in cores: a cgroup is bound by its parents' too."""
    found = []
    for folder in _folders(root, own):
        quota = _version_2(folder) or _version_1(folder)
        if quota is not None:
            found.append(quota)
    return found


def _folders(root: Path, own: Path) -> list[Path]:
    folders = {root, root / "cpu"}
    for line in _text(own).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        base = root / "cpu" if "cpu" in controllers.split(",") else root
        if not controllers or base != root:
            inner = base / path.strip("/")
            folders |= {inner, *(parent for parent in inner.parents if parent.is_relative_to(base))}
    return sorted(folders)


def _version_2(folder: Path) -> float | None:
    """`cpu.max`: quota and period in microseconds, or `max`."""
    words = _text(folder / "cpu.max").split()
    return _ratio(*words) if len(words) == 2 else None


def _version_1(folder: Path) -> float | None:
    """`cpu.cfs_quota_us` over `cpu.cfs_period_us`; -1 is no quota."""
    return _ratio(_text(folder / "cpu.cfs_quota_us").strip(), _text(folder / "cpu.cfs_period_us").strip())


def _ratio(quota: str, period: str) -> float | None:
    try:
        microseconds, whole = int(quota), int(period)
    except ValueError:
        return None
    return microseconds / whole if microseconds > 0 and whole > 0 else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
