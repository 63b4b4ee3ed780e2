"""Latency as production would feel it: one turn's pool per call, cache off, after a warm-up.

What is timed is one call with texts (or recorded facts) in and a ranking out:
not the database, not the retrieval of the pool, and never a share of a batch of
many turns. What production computes when it indexes an entry (the token vectors
of late interaction) is at hand. The sides take turns, so that a noisy moment of
the machine hits all of them alike.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import nsmallest

from shadowdiff.latencies import histogram
from shadowdiff.protocols import (
    Accelerated,
    Composed,
    ListingReranker,
    PooledTurn,
    PoolReranker,
    PreparesEntries,
    Reranker,
    Threaded,
)
from shadowdiff.ranking import rank_pool
from shadowdiff.records import Ranking
from shadowdiff.replay.score import guarded, has_no_text, reads_text
from shadowdiff.replay.sides import Contender, asking_parts
from shadowdiff.rerankers.scoring import request_of, score_turn

TURNS_FOR_P95 = 20
"""Below this a 95th percentile is just the slowest turn, so none is given."""
TURNS_FOR_P99 = 100
"""The same for a 99th."""

Side = tuple[Reranker | PoolReranker, Sequence[PooledTurn]]
"""A reranker, and the turns as it may see them."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds per turn, and what the side says it computed with."""

    turns: int = 0
    """Turns timed."""
    failed_turns: int = 0
    """Turns that were called for and not ranked: they are in no percentile."""
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    """None below TURNS_FOR_P95 turns."""
    p99_seconds: float | None = None
    """None below TURNS_FOR_P99 turns."""
    threads: int | None = None
    """None where the side does not say."""
    accelerator: str | None = None
    histogram: tuple[tuple[float, int], ...] = ()
    """Turns by upper bound in seconds."""
    from_calls: bool = False
    """Of a run's own calls to a provider."""


class TurnSample:
    """Turns to time, drawn from all that pass by: the same ones in whatever windows they come."""

    def __init__(self, timed: int) -> None:
        """`timed` turns and one to warm up with; none where none is to be timed."""
        self._size = timed + 1 if timed else 0
        self.turns: list[PooledTurn] = []

    def add(self, turns: Sequence[PooledTurn]) -> None:
        """Let these pass by."""
        self.turns = nsmallest(self._size, [*self.turns, *turns], key=_lot)


def _lot(turn: PooledTurn) -> bytes:
    """As good as random, and always the same: those with the least are drawn."""
    return hashlib.sha256(turn.turn.turn_id.encode("utf-8", "surrogatepass")).digest()


def measure_sides(
    contenders: Sequence[Contender], turns: Sequence[PooledTurn], timed: int | None = None
) -> dict[str, Latency]:
    """A run's sides by label, each on the turns as it may see them: see `measure_all`.

    Sides that ask a provider are left out: they were timed as they were asked, and asking again costs money.
    """
    local = [contender for contender in contenders if not asking_parts(contender.reranker)]
    sides = [(contender.reranker, contender.seen(turns)) for contender in local]
    labels = [contender.side.label for contender in local]
    return dict(zip(labels, measure_all(sides, timed), strict=True))


def measure(reranker: Reranker | PoolReranker, turns: Sequence[PooledTurn]) -> Latency:
    """One side by itself: see `measure_all`."""
    return measure_all([(reranker, turns)])[0]


def measure_all(sides: Sequence[Side], timed: int | None = None) -> list[Latency]:
    """Time one call per turn for each side, turn by turn; the side that begins changes from turn to turn.

    Every side gets the same turns, in one order. The first `timed` of them are timed,
    all where it is None; the last one warms every side up, and is timed as well
    only where there are no more. A turn on which a reranker fails counts as failed.
    Sides that list entries by themselves only look up what was recorded: they are not timed.
    """
    calls: list[list[float | None]] = [[] for _ in sides]
    computing = [at for at, (reranker, _) in enumerate(sides) if not isinstance(reranker, ListingReranker)]
    for reranker, turns in (sides[side] for side in computing):
        for turn in turns[-1:]:
            _seconds(reranker, turn)
    for at in range(min([len(sides[side][1][:timed]) for side in computing], default=0)):
        first = at % len(computing)
        for side in computing[first:] + computing[:first]:
            reranker, turns = sides[side]
            calls[side].append(_seconds(reranker, turns[at]))
    return [_latency(reranker, taken) for (reranker, _), taken in zip(sides, calls, strict=True)]


def _seconds(reranker: Reranker | PoolReranker, turn: PooledTurn) -> float | None:
    """What one call took, past every cache and with nothing to share it; None where it failed, as in a replay."""
    if reads_text(reranker) and has_no_text(turn):
        return None
    _prepare_entries(reranker, turn)
    started = time.perf_counter()
    result = guarded(lambda: rank_pool(turn.pool, score_turn(reranker, turn).scores))
    taken = time.perf_counter() - started
    return taken if isinstance(result, Ranking) else None


def _prepare_entries(reranker: Reranker | PoolReranker, turn: PooledTurn) -> None:
    """Before the clock runs; what fails here fails in the call itself, too."""
    for part in _with_parts(reranker):
        if isinstance(part, PreparesEntries) and not isinstance(part, PoolReranker):
            guarded(partial(part.prepare_entries, request_of(part, turn).documents))


def _latency(reranker: Reranker | PoolReranker, calls: Sequence[float | None]) -> Latency:
    seconds = [taken for taken in calls if taken is not None]
    found = replace(latency_of(seconds), failed_turns=len(calls) - len(seconds))
    if not seconds:
        return found
    return replace(found, threads=_threads(reranker), accelerator=_accelerator(reranker))


def latency_of(seconds: Sequence[float], *, from_calls: bool = False) -> Latency:
    """Percentiles and histogram of what turns took."""
    ordered = sorted(seconds)
    if not ordered:
        return Latency()
    return Latency(
        turns=len(ordered),
        p50_seconds=percentile(ordered, 50),
        p95_seconds=percentile(ordered, 95) if len(ordered) >= TURNS_FOR_P95 else None,
        p99_seconds=percentile(ordered, 99) if len(ordered) >= TURNS_FOR_P99 else None,
        histogram=histogram(ordered),
        from_calls=from_calls,
    )


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile of ascending values, at least one: a value that was really measured."""
    return ordered[max(math.ceil(percent * len(ordered) / 100) - 1, 0)]


def _threads(reranker: Reranker | PoolReranker) -> int | None:
    """Its own, or the most that any of its parts computes with: they score one after the other."""
    said = [part.threads for part in _with_parts(reranker) if isinstance(part, Threaded)]
    return max(said, default=None)


def _accelerator(reranker: Reranker | PoolReranker) -> str | None:
    said = [part.accelerator for part in _with_parts(reranker) if isinstance(part, Accelerated)]
    return next(filter(None, said), None)


def _with_parts(reranker: Reranker | PoolReranker) -> Iterator[Reranker | PoolReranker]:
    yield reranker
    if isinstance(reranker, Composed):
        for _, part in reranker.parts:
            yield from _with_parts(part)
