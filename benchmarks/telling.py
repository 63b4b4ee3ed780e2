"""What a benchmark tells while it runs: results to stdout, what it is doing to stderr."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """A result."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def narrate(line: str) -> None:
    """What is being done."""
    sys.stderr.write(f"{line}\n")
