"""Rerankers that ask a provider which is only a file: a plugin distribution that writes down each call it is sent."""

from __future__ import annotations

from pathlib import Path

from tests.plugins import installed_plugin

PLUGIN = """
import os
from pathlib import Path
from shadowdiff.testing import AskingReranker

class Written(AskingReranker):
    def ask(self, request):
        with Path(os.environ["CALLS"]).open("a") as calls:
            calls.write(f"{len(request.documents)}\\n")
        return super().ask(request)

def build(spec, context):
    return Written(spec)
"""


def paid_reranker(directory: Path) -> dict[str, str]:
    """Environment in which `paid` is installed; its calls are written to `calls` in the directory."""
    return installed_plugin(directory, "paid", PLUGIN) | {"CALLS": str(directory / "calls")}


def calls_made(environment: dict[str, str]) -> int:
    """How often the provider was asked so far."""
    calls = Path(environment["CALLS"])
    return len(calls.read_text().splitlines()) if calls.exists() else 0
