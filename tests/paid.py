"""Rerankers that ask a provider which is only a file: a plugin distribution that writes down each call it is sent."""

from __future__ import annotations

import os
from pathlib import Path

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
    directory.mkdir()
    (directory / "paid_plugin.py").write_text(PLUGIN)
    described = directory / "paid_plugin-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: paid_plugin\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[shadowdiff.rerankers]\npaid = paid_plugin:build\n")
    path = os.pathsep.join(filter(None, [str(directory), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "CALLS": str(directory / "calls")}


def calls_made(environment: dict[str, str]) -> int:
    """How often the provider was asked so far."""
    calls = Path(environment["CALLS"])
    return len(calls.read_text().splitlines()) if calls.exists() else 0
