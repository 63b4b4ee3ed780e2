"""Latency as production would feel it: one turn's pool per call, cache off, after a warm-up."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from shadowdiff.protocols import PooledTurn, PoolReranker, Reranker
from shadowdiff.replay.plan import rank_turns
from shadowdiff.replay.score import NoCache, RankedTurn

TURNS_FOR_P95 = 20
"""Below this a 95th percentile is just the slowest turn, so none is given."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds per turn."""

    turns: int = 0
    p50_seconds: float | None = None
    p95_seconds: float | None = None


def measure(reranker: Reranker | PoolReranker, turns: Sequence[PooledTurn]) -> Latency:
    """Time one call per turn. Turns on which the reranker fails are not timed."""
    if not turns:
        return Latency()
    rank_turns(reranker, turns[:1], NoCache())
    seconds = sorted(taken for turn in turns if (taken := _timed(reranker, turn)) is not None)
    if not seconds:
        return Latency()
    p95 = _quantile(seconds, 0.95) if len(seconds) >= TURNS_FOR_P95 else None
    return Latency(len(seconds), _quantile(seconds, 0.5), p95)


def _timed(reranker: Reranker | PoolReranker, turn: PooledTurn) -> float | None:
    started = time.perf_counter()
    result = rank_turns(reranker, [turn], NoCache())[0]
    return time.perf_counter() - started if isinstance(result, RankedTurn) else None


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Nearest-rank quantile: a value that was really measured."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]
