"""Every way of scoring on the same turns: how each ranks, and how fast it is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from shadowdiff.errors import ConfigError, RerankerError
from shadowdiff.machine import this_machine
from shadowdiff.optimize.likeness import likeness, spread
from shadowdiff.optimize.recommend import recommend
from shadowdiff.optimize.report import Comparison, Mates, Measured, Speed, Way
from shadowdiff.optimize.timing import ROUNDS, first_within, paired
from shadowdiff.protocols import PooledTurn, PoolReranker, Prepares, Reranker, ScoreRequest, Truncates
from shadowdiff.records import Pool
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.scoring import request_of, score_requests
from shadowdiff.rerankers.spec import parse
from shadowdiff.runs import RunConfig

ALONE = 8
"""Pairs that are scored alone as well, to see what their batch mates do."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is scored: a request per turn, and the pools to rank by it."""

    requests: tuple[ScoreRequest, ...]
    pools: tuple[Pool, ...]
    config: RunConfig

    @property
    def pairs(self) -> int:
        """Pairs over all turns."""
        return sum(len(request.documents) for request in self.requests)


@dataclass(frozen=True, slots=True)
class _Reference:
    """The way that the others are held against, and what it gave."""

    reranker: Reranker
    rows: list[tuple[float, ...]]
    timed: tuple[ScoreRequest, ...]

    @property
    def timed_pairs(self) -> int:
        return sum(len(request.documents) for request in self.timed)


def compare(
    ways: Sequence[Way],
    turns: Sequence[PooledTurn],
    config: RunConfig,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Measure every way, the first as the reference; a way that cannot be had says why.

    Raises ConfigError where the reference cannot be had, or no turn can be scored.
    """
    reranker = _loaded(ways[0])
    sample = _sample(reranker, turns, config)
    reference = _measured_reference(reranker, sample)
    on_progress(1, len(ways))
    rates: list[float] = []
    others = []
    for place, way in enumerate(ways[1:], start=2):
        others.append(_way(way, reference, sample, rates))
        on_progress(place, len(ways))
    first = replace(ways[0], measured=_of_reference(reference, sample, rates))
    compared = (first, *others)
    return Comparison(
        ways=compared,
        sessions=len({turn.session_id for turn in turns}),
        turns=len(sample.requests),
        left_out=len(turns) - len(sample.requests),
        pairs=sample.pairs,
        timed_pairs=reference.timed_pairs,
        rounds=ROUNDS,
        top_k=config.top_k,
        machine=_measured_on(),
        recommendation=recommend(compared),
    )


def _measured_on() -> str:
    machine = this_machine()
    return f"{machine.processor or machine.system}, {machine.cores} threads"


def _loaded(way: Way) -> Reranker:
    """Raises ConfigError."""
    reranker = build(parse(way.spec))
    if isinstance(reranker, PoolReranker):
        raise ConfigError(f"{way.spec} does not score texts")
    if isinstance(reranker, Prepares):
        reranker.prepare()
    return reranker


def _sample(reranker: Reranker, turns: Sequence[PooledTurn], config: RunConfig) -> Sample:
    asked = [(request_of(reranker, turn), turn.pool) for turn in turns]
    kept = [(request, pool) for request, pool in asked if _can_be_scored(reranker, request)]
    if not kept:
        raise ConfigError(
            f"none of the {len(turns)} turns has a pool with texts that the model can read; "
            "retrieve pools with --pool-from bm25, or write the variants alone with --no-compare"
        )
    requests, pools = zip(*kept, strict=True)
    return Sample(requests, pools, config)


def _can_be_scored(reranker: Reranker, request: ScoreRequest) -> bool:
    """Whether there is something to read, and the query leaves room for it."""
    if not any(request.documents):
        return False
    try:
        return not isinstance(reranker, Truncates) or bool(reranker.truncated([request]))
    except RerankerError:
        return False


def _measured_reference(reranker: Reranker, sample: Sample) -> _Reference:
    rows, seconds = [], []
    for request in sample.requests:
        started = time.perf_counter()
        rows += _rows(reranker, [request])
        seconds.append(time.perf_counter() - started)
    return _Reference(reranker, rows, sample.requests[: first_within(seconds)])


def _rows(reranker: Reranker, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
    return [scored.scores for scored in score_requests(reranker, requests)]


def _way(way: Way, reference: _Reference, sample: Sample, rates: list[float]) -> Way:
    """The way with what it measured, or why it could not be; `rates` takes the reference's speed meanwhile."""
    if way.unavailable is not None:
        return way
    try:
        reranker = _loaded(way)
        rows = _rows(reranker, sample.requests)
        alike = likeness(sample.pools, reference.rows, rows, sample.config)
        mates = _mates(reranker, sample, rows)
        rate, speed = paired(
            _pass(reference.reranker, reference.timed), _pass(reranker, reference.timed), reference.timed_pairs
        )
    except (ConfigError, RerankerError) as error:
        return replace(way, unavailable=f"not available: {error}")
    rates.append(rate)
    return replace(way, measured=Measured(alike, mates, speed))


def _pass(reranker: Reranker, requests: Sequence[ScoreRequest]) -> Callable[[], None]:
    """Text in, scores out: scoring in one call tokenises anew."""

    def work() -> None:
        _rows(reranker, requests)

    return work


def _mates(reranker: Reranker, sample: Sample, rows: Sequence[Sequence[float]]) -> Mates:
    """Pairs of the first turns, one of each: alone against among all."""
    shifts = []
    for request, row in list(zip(sample.requests, rows, strict=True))[:ALONE]:
        place = len(row) // 2
        (alone,) = _rows(reranker, [ScoreRequest(request.query, (request.documents[place],))])
        shifts.append(abs(alone[0] - row[place]))
    return Mates(max(shifts), spread(rows))


def _of_reference(reference: _Reference, sample: Sample, rates: Sequence[float]) -> Measured:
    """Held against itself: its own batch mates are the only thing to find out. Median speed over all alternations."""
    rate = statistics.median(rates) if rates else _alone_rate(reference)
    alike = likeness(sample.pools, reference.rows, reference.rows, sample.config)
    return Measured(alike, _mates(reference.reranker, sample, reference.rows), Speed(rate, 1.0, 1.0))


def _alone_rate(reference: _Reference) -> float:
    """Where nothing could be timed beside it."""
    work = _pass(reference.reranker, reference.timed)
    return paired(work, work, reference.timed_pairs)[0]
