"""Nights: the gate's rules, and whether reports can go where they should. Nothing is sent."""

from __future__ import annotations

import os
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shadowdiff.checks.checkup import Checkup
from shadowdiff.findings import Finding, fail, ok, warn
from shadowdiff.nightly.settings import NightlySettings
from shadowdiff.nightly.targets import check_targets
from shadowdiff.replay.latency import TURNS_FOR_P95, TURNS_FOR_P99

if TYPE_CHECKING:
    from shadowdiff.gates.rules import Rule

TIMED = {"latency_p50_seconds": 1, "latency_p95_seconds": TURNS_FOR_P95, "latency_p99_seconds": TURNS_FOR_P99}
"""Turns that a percentile takes, by figure."""


def gate(checkup: Checkup) -> Iterator[Finding]:
    """Whether every rule can be read, and is of a side that a night has."""
    from shadowdiff.gates.rules import check_sides, parse_rules

    settings = checkup.settings
    if settings.gate.rules:
        rules = parse_rules(settings.gate.rules)
        others = settings.nightly.others or settings.others
        if others:
            check_sides(rules, string.ascii_uppercase[: 1 + len(others)])
        plural = "" if len(rules) == 1 else "s"
        yield ok("gate", f"{len(rules)} rule{plural}, judged by {settings.gate.strict.value}")
        if settings.nightly != NightlySettings():
            yield from _timed_too_seldom(rules, settings.nightly.latency)


def _timed_too_seldom(rules: Sequence[Rule], turns: int) -> Iterator[Finding]:
    """Rules over a latency that so few timed turns do not give: a night would cross them, whatever it measured."""
    for rule in rules:
        least = TIMED.get(rule.figure.name, 0)
        if turns < least:
            told = (
                f"{rule.text!r} takes {least} timed turns, and [nightly] latency is {turns}; it is crossed every night"
            )
            yield warn(
                "gate", f"{told} but for a side that asks a provider", f"set [nightly] latency = {least} or more"
            )


def reports(checkup: Checkup) -> Iterator[Finding]:
    """Whether there is a directory to write to."""
    from shadowdiff.delivery.directory import not_ours

    nightly = checkup.settings.nightly
    if nightly.directory is None:
        return
    reason = not_ours(nightly.directory, nightly.name)
    yield fail("reports", *reason.split("; ", 1)) if reason else _directory(nightly.directory)


def deliveries(checkup: Checkup) -> Iterator[Finding]:
    """Whether S3 and the webhook are named as they must be."""
    nightly = checkup.settings.nightly
    if nightly.s3 or nightly.webhook_env:
        check_targets(nightly, checkup.settings.privacy)
        named = [nightly.s3] if nightly.s3 else []
        named += [f"the webhook of ${nightly.webhook_env}"] if nightly.webhook_env else []
        yield ok("deliveries", f"{' and '.join(named)}; not tried")


def _directory(directory: Path) -> Finding:
    """It, or the nearest folder above it that there is."""
    there = directory
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        return fail("reports", f"{there} is a file, and reports are to go to {directory}", "name another directory")
    if not os.access(there, os.W_OK | os.X_OK):
        return fail("reports", f"{there} may not be written by this user", "name another directory in [nightly]")
    return ok("reports", f"{directory}")
