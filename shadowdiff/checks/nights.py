"""Nights: the gate's rules, and whether reports can go where they should. Nothing is sent."""

from __future__ import annotations

import os
import string
from collections.abc import Iterator
from pathlib import Path

from shadowdiff.checks.checkup import Checkup
from shadowdiff.findings import Finding, fail, ok
from shadowdiff.nightly.targets import check_targets


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
