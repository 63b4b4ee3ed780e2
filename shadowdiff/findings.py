"""What `shadowdiff doctor` says of one thing that it looked at. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    """Replays work; something about them should be known or mended."""
    FAIL = "fail"
    """Replays fail, or their figures are wrong, until this is mended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it stands, and what to do."""

    check: str
    """A word or three, such as `pool size`."""
    status: Status
    what: str
    """What was seen, with figures."""
    do: str = ""
    """What to do; empty where there is nothing to do. Line breaks stand between commands."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A finding with the area that it belongs to, such as `source`."""

    area: str
    finding: Finding


def ok(check: str, what: str) -> Finding:
    """All is well."""
    return Finding(check, Status.OK, what)


def warn(check: str, what: str, do: str) -> Finding:
    """Something to know or to mend."""
    return Finding(check, Status.WARN, what, do)


def fail(check: str, what: str, do: str = "") -> Finding:
    """Something that must be mended. `do` may be empty where `what` says it already."""
    return Finding(check, Status.FAIL, what, do)


def counts(findings: Iterable[Finding]) -> dict[Status, int]:
    """How many findings ended in each way; every status is there."""
    statuses = [finding.status for finding in findings]
    return {status: statuses.count(status) for status in Status}
