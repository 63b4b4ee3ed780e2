"""What is stored of a run, diffed and summed up: the same whether it ran through, was resumed or is shown later."""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from shadowdiff.diff import diff_session
from shadowdiff.machine import this_machine
from shadowdiff.records import NOISE_SIDE, Asked, ScoreCounts, SessionOutcome, TurnAsked
from shadowdiff.replay.latency import Latency, latency_of
from shadowdiff.replay.reasons import FailureReasons
from shadowdiff.runs import Run, RunConfig, RunSummary, Side, SideSummary
from shadowdiff.store.runs import RunStore
from shadowdiff.summary import SummaryBuilder, turns_per_month


def outcomes(
    run: Run, store: RunStore, session_ids: Sequence[str] | None = None, *, with_pools: bool = True
) -> Iterator[SessionOutcome]:
    """A stored run's sessions with their diffs, in the order given or in the run's own."""
    for replayed in store.sessions(run.run_id, session_ids, with_pools=with_pools):
        yield diff_session(replayed, run.sides, run.config)


def summarise(
    run: Run,
    store: RunStore,
    latencies: Mapping[str, Latency] | None = None,
    stopped: Mapping[str, str] | None = None,
) -> RunSummary:
    """Sum up what is stored of a run: the same figures whether it ran through, was resumed or is shown years later.

    `latencies`, by label, were measured just now, on this machine; `stopped` says
    why sides ask their providers no more.
    """
    builder = SummaryBuilder(run.config, run.sides)
    tally, rate = _SideTally(run.sides), _Rate()
    for replayed in store.sessions(run.run_id, with_pools=False):
        outcome = diff_session(replayed, run.sides, run.config)
        builder.add(outcome)
        tally.add(outcome)
        rate.add(outcome)
    asks = _AskTally(run)
    for asked in store.asks(run.run_id):
        asks.add(asked)
    sides = tally.summaries({**(latencies or {}), **asks.latencies()})
    sides = {label: asks.completed(label, side, (stopped or {}).get(label)) for label, side in sides.items()}
    summary = builder.finish(sides, unpooled_turns=tally.unpooled_turns, missing_entries=tally.missing_entries)
    timed = any(latency.turns for latency in (latencies or {}).values())
    return replace(
        summary,
        machine=this_machine() if timed else None,
        turns_per_month=_turns_per_month(run.config, rate),
    )


def spent_usd(run: Run, store: RunStore) -> float:
    """What the run's providers were paid so far, by the run's prices."""
    if not run.config.prices:
        return 0.0
    asks = _AskTally(run)
    for asked in store.asks(run.run_id):
        asks.add(asked)
    return math.fsum(asks.usd(label) or 0.0 for label in run.config.prices)


class _Rate:
    """How often production is asked."""

    def __init__(self) -> None:
        self._turns = 0
        self._first: datetime | None = None
        self._last: datetime | None = None

    def add(self, outcome: SessionOutcome) -> None:
        times = [turn.replayed.turn.asked_at for turn in outcome.turns]
        if times:
            self._turns += len(times)
            self._first = min([*times, self._first] if self._first else times)
            self._last = max([*times, self._last] if self._last else times)

    @property
    def turns_per_month(self) -> float | None:
        """None where the turns say nothing of a month."""
        if self._first is None or self._last is None:
            return None
        return turns_per_month(self._turns, self._first, self._last)


def _turns_per_month(config: RunConfig, rate: _Rate) -> float | None:
    """As it was counted where the run's turns were drawn; turns that were picked say nothing of it themselves."""
    if config.turns_per_month is not None or config.window.is_selective:
        return config.turns_per_month
    return rate.turns_per_month


class _AskTally:
    """What asking providers took each side, the noise pass counted with the baseline, whose second pass it is."""

    def __init__(self, run: Run) -> None:
        self._prices = run.config.prices
        self._baseline = run.baseline.label
        self._taken: dict[str, Asked] = defaultdict(Asked)
        self._seconds: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self._turns: Counter[str] = Counter()

    def add(self, turn: TurnAsked) -> None:
        label = self._baseline if turn.side == NOISE_SIDE else turn.side
        self._taken[label] += turn.asked
        self._turns[label] += bool(turn.asked.usage.calls)
        if turn.asked.seconds is not None and turn.side != NOISE_SIDE:
            self._seconds[label].append(turn.asked.seconds)

    def latencies(self) -> dict[str, Latency]:
        return {label: latency_of(seconds, from_calls=True) for label, seconds in self._seconds.items()}

    def usd(self, label: str) -> float | None:
        price = self._prices.get(label)
        return price.usd(self._taken[label].usage) if price else None

    def completed(self, label: str, side: SideSummary, stopped: str | None) -> SideSummary:
        taken = self._taken[label]
        return replace(
            side,
            asked_turns=self._turns[label],
            attempts=taken.attempts,
            usage=taken.usage,
            waited_seconds=taken.waited_seconds,
            repairs=taken.repairs,
            cost_usd=self.usd(label),
            stopped=stopped,
        )


class _SideTally:
    """What each side's rankings took, added up over sessions, by field of SideSummary."""

    def __init__(self, sides: Sequence[Side]) -> None:
        self._sums: dict[str, Counter[str]] = {side.label: Counter() for side in sides}
        self._reasons = FailureReasons()
        self.unpooled_turns = 0
        self.missing_entries = 0

    def add(self, outcome: SessionOutcome) -> None:
        for turn in outcome.turns:
            replayed = turn.replayed
            self.unpooled_turns += replayed.unpooled
            self.missing_entries += replayed.missing_entries
            for label, sums in self._sums.items():
                sums.update(_taken(replayed.counts.get(label)))
            for failure in replayed.failures:
                self._reasons.add(failure)

    def summaries(self, latencies: Mapping[str, Latency]) -> dict[str, SideSummary]:
        found = {label: _side_summary(sums, latencies.get(label, Latency())) for label, sums in self._sums.items()}
        return {
            label: replace(side, failure_reasons=self._reasons.most_frequent(label)) for label, side in found.items()
        }


def _taken(counts: ScoreCounts | None) -> dict[str, int]:
    if counts is None:
        return {"failed_turns": 1}
    return {
        "ranked_turns": 1,
        "pairs": counts.pairs,
        "cached_pairs": counts.cached,
        "truncated_pairs": counts.truncated,
        "outside_pool": counts.outside_pool,
        **_gated(counts),
    }


def _gated(counts: ScoreCounts) -> dict[str, int]:
    """What a cascade's gate made of the turn; nothing where the side is none."""
    if counts.escalated is None:
        return {}
    return {
        "gated_turns": 1,
        "escalated_turns": int(counts.escalated),
        "spared_pairs": 0 if counts.escalated else counts.pairs,
        "altered_turns": int(counts.altered),
    }


def _side_summary(sums: Counter[str], latency: Latency) -> SideSummary:
    return SideSummary(
        ranked_turns=sums["ranked_turns"],
        failed_turns=sums["failed_turns"],
        pairs=sums["pairs"],
        cached_pairs=sums["cached_pairs"],
        truncated_pairs=sums["truncated_pairs"],
        outside_pool=sums["outside_pool"],
        escalated_turns=sums["escalated_turns"] if sums["gated_turns"] else None,
        spared_pairs=sums["spared_pairs"],
        altered_turns=sums["altered_turns"],
        latency_turns=latency.turns,
        latency_failed_turns=latency.failed_turns,
        latency_p50_seconds=latency.p50_seconds,
        latency_p95_seconds=latency.p95_seconds,
        latency_p99_seconds=latency.p99_seconds,
        latency_threads=latency.threads,
        latency_accelerator=latency.accelerator,
        latency_from_calls=latency.from_calls,
        latency_histogram=latency.histogram,
    )
