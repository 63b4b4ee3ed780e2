"""A reranker that takes its time and no processor, so that a run can be caught in the middle: a plugin distribution."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.plugins import installed_plugin

TURNS_BEFORE = 36
"""More than the first window's eight sessions have in the sample."""
PLUGIN = f"""
import os
import time
from shadowdiff.testing import KeywordReranker

class Slow(KeywordReranker):
    network = None
    turns = 0

    def score(self, query, documents):
        time.sleep(0.05)
        Slow.turns += 1
        while Slow.turns > {TURNS_BEFORE} and not os.path.exists(os.environ.get("SLOW_HELD_UNTIL", "/")):
            time.sleep(0.01)
        return super().score(query, documents)

def build(spec, context):
    return Slow(spec)
"""


def slow_reranker(directory: Path) -> dict[str, str]:
    """Environment in which `slow` is installed: the share of the query's words, a twentieth of a second a turn."""
    return installed_plugin(directory, "slow", PLUGIN)


def held(environment: Mapping[str, str], until: Path) -> dict[str, str]:
    """With `slow` held in the second window of a run until that file is there: whoever looks on is never too late."""
    return {**environment, "SLOW_HELD_UNTIL": str(until)}
