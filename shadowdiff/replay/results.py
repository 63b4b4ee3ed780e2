"""What is stored of a run, diffed and summed up: the same whether it ran through, was resumed or is shown later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from shadowdiff.diff import diff_session
from shadowdiff.machine import this_machine
from shadowdiff.records import ScoreCounts, SessionOutcome
from shadowdiff.replay.latency import Latency
from shadowdiff.runs import Run, RunSummary, Side, SideSummary
from shadowdiff.store.runs import RunStore
from shadowdiff.summary import SummaryBuilder


def outcomes(run: Run, store: RunStore, session_ids: Sequence[str] | None = None) -> Iterator[SessionOutcome]:
    """A stored run's sessions with their diffs, in the order given or in the run's own."""
    for replayed in store.sessions(run.run_id, session_ids):
        yield diff_session(replayed, run.sides, run.config)


def summarise(run: Run, store: RunStore, latencies: dict[str, Latency] | None = None) -> RunSummary:
    """Sum up what is stored of a run: the same figures whether it ran through, was resumed or is shown years later.

    `latencies`, by label, were measured just now, on this machine.
    """
    builder = SummaryBuilder(run.config, run.sides)
    tally = _SideTally(run.sides)
    for replayed in store.sessions(run.run_id, with_pools=False):
        outcome = diff_session(replayed, run.sides, run.config)
        builder.add(outcome)
        tally.add(outcome)
    summary = builder.finish(
        tally.summaries(latencies or {}),
        unpooled_turns=tally.unpooled_turns,
        missing_entries=tally.missing_entries,
    )
    timed = any(latency.turns for latency in (latencies or {}).values())
    return replace(summary, machine=this_machine() if timed else None)


class _SideTally:
    """What each side's rankings took, added up over sessions, by field of SideSummary."""

    def __init__(self, sides: Sequence[Side]) -> None:
        self._sums: dict[str, Counter[str]] = {side.label: Counter() for side in sides}
        self.unpooled_turns = 0
        self.missing_entries = 0

    def add(self, outcome: SessionOutcome) -> None:
        for turn in outcome.turns:
            replayed = turn.replayed
            self.unpooled_turns += replayed.unpooled
            self.missing_entries += replayed.missing_entries
            for label, sums in self._sums.items():
                sums.update(_taken(replayed.counts.get(label)))

    def summaries(self, latencies: dict[str, Latency]) -> dict[str, SideSummary]:
        return {label: _side_summary(sums, latencies.get(label, Latency())) for label, sums in self._sums.items()}


def _taken(counts: ScoreCounts | None) -> dict[str, int]:
    if counts is None:
        return {"failed_turns": 1}
    return {
        "ranked_turns": 1,
        "pairs": counts.pairs,
        "cached_pairs": counts.cached,
        "truncated_pairs": counts.truncated,
        "outside_pool": counts.outside_pool,
    }


def _side_summary(sums: Counter[str], latency: Latency) -> SideSummary:
    return SideSummary(
        ranked_turns=sums["ranked_turns"],
        failed_turns=sums["failed_turns"],
        pairs=sums["pairs"],
        cached_pairs=sums["cached_pairs"],
        truncated_pairs=sums["truncated_pairs"],
        outside_pool=sums["outside_pool"],
        latency_turns=latency.turns,
        latency_failed_turns=latency.failed_turns,
        latency_p50_seconds=latency.p50_seconds,
        latency_p95_seconds=latency.p95_seconds,
        latency_p99_seconds=latency.p99_seconds,
        latency_threads=latency.threads,
        latency_accelerator=latency.accelerator,
    )
