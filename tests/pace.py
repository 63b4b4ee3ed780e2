"""A reranker that takes its time and no processor, so that a run can be caught in the middle: a plugin distribution."""

from __future__ import annotations

from pathlib import Path

from tests.plugins import installed_plugin

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
    return installed_plugin(directory, "slow", PLUGIN)
