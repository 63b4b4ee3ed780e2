"""A reranker that takes its time and no processor, so that a run can be caught in the middle: a plugin distribution."""

from __future__ import annotations

import os
from pathlib import Path

PLUGIN = """
import time
from shadowdiff.testing import KeywordReranker

class Slow(KeywordReranker):
    network = None

    def score(self, query, documents):
        time.sleep(0.05)
        return super().score(query, documents)

def build(spec, context):
    return Slow(spec)
"""


def slow_reranker(directory: Path) -> dict[str, str]:
    """Environment in which `slow` is installed: the share of the query's words, a twentieth of a second a turn."""
    directory.mkdir()
    (directory / "slow_plugin.py").write_text(PLUGIN)
    described = directory / "slow_plugin-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: slow_plugin\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[shadowdiff.rerankers]\nslow = slow_plugin:build\n")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(directory), os.environ.get("PYTHONPATH")]))}
