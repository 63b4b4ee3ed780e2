"""What was configured: the file that was read, and how patient shadowdiff is with the databases."""

from __future__ import annotations

from collections.abc import Iterator

from shadowdiff.checks.checkup import Checkup
from shadowdiff.config import FILE_NAME, ConnectionLimits
from shadowdiff.findings import Finding, ok, warn
from shadowdiff.judging.judges import JUDGES
from shadowdiff.plugins import unknown_schemes
from shadowdiff.rerankers.registry import KINDS


def file(checkup: Checkup) -> Iterator[Finding]:
    """Which file the settings come from."""
    found = checkup.settings.file
    yield ok("file", str(found) if found else f"no {FILE_NAME} here: the environment and the defaults")


def providers(checkup: Checkup) -> Iterator[Finding]:
    """Whether the kinds in [providers] are installed: what is said of others is said to nobody."""
    for name, told in unknown_schemes(checkup.settings.providers, KINDS, JUDGES):
        yield warn("providers", f"[providers.{name}] is not used: {told}", "rename it, or take it out")


def patience(checkup: Checkup) -> Iterator[Finding]:
    """Timeouts and retries."""
    limits = checkup.settings.limits
    unlimited = [
        name
        for name in ("connect_timeout", "statement_timeout", "lock_timeout", "idle_timeout")
        if not getattr(limits, name)
    ]
    if unlimited:
        defaults = ConnectionLimits()
        given = ", ".join(f"{name} = {getattr(defaults, name):g}" for name in unlimited)
        told = f"no limit of ours on {', '.join(unlimited)}: what hangs may hang for as long as the server lets it"
        yield warn("timeouts", told, f"leave them to their defaults in [database]: {given}")
    else:
        yield ok(
            "timeouts",
            f"connect {limits.connect_timeout:g} s, statement {limits.statement_timeout:g} s, lock "
            f"{limits.lock_timeout:g} s, idle {limits.idle_timeout:g} s",
        )
    if limits.retry_for:
        yield ok("retries", f"a lost connection is tried again for {limits.retry_for:g} s")
    else:
        yield warn("retries", "a lost connection ends the run at once (retry_for = 0)", "set [database] retry_for")
