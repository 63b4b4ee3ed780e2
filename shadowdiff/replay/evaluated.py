"""Stored runs, put together for one evaluation: which they are, and what is stored of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from shadowdiff.errors import ConfigError
from shadowdiff.evaluation.runs import EvaluatedRuns, alike
from shadowdiff.records import ReplayedSession
from shadowdiff.runs import Run, RunStatus
from shadowdiff.store.prune import require_sessions
from shadowdiff.store.runs import LATEST, RunStore
from shadowdiff.store.since import newest_sessions, progress


def runs_to_evaluate(store: RunStore, name: str | None = None, since: datetime | None = None) -> EvaluatedRuns:
    """The run of this name, by default the newest; with `since` all that started from then on and are like it.

    Raises ConfigError where there is no such run, or a prune has left none of their sessions.
    """
    if since is None:
        run = store.get(name or LATEST)
        require_sessions(run, store)
        return _stored(store, EvaluatedRuns(run, {}), [run])
    started = store.newest(since=since)
    if not started:
        raise ConfigError(f"no run has started since {_moment(since)}; list them with: shadowdiff runs")
    run = store.get(name) if name else started[0]
    found, others = alike(reversed(started), run)
    if not found:
        raise ConfigError(
            f"no run with the sides and the setting of run {run.run_id} has started since {_moment(since)}, "
            f"and {len(started):,} with others: name one of these, or list them with: shadowdiff runs"
        )
    return _stored(store, EvaluatedRuns(run, {}, since, others=others), found)


def _stored(store: RunStore, runs: EvaluatedRuns, found: Sequence[Run]) -> EvaluatedRuns:
    """With what is stored of the runs that were found, oldest first."""
    stored = progress(store, [run.run_id for run in found])
    kept = [run for run in found if run.summary is None or run.summary.sessions <= stored[run.run_id].replayed]
    if not kept:
        raise ConfigError(
            f"the sessions of all {len(found):,} runs like run {runs.run.run_id} were pruned, "
            "and only their summaries are left"
        )
    sessions = newest_sessions(store, [run.run_id for run in kept])
    return replace(
        runs,
        sessions=sessions,
        repeated=tuple(run.run_id for run in kept if run.run_id not in sessions),
        pruned=tuple(run.run_id for run in found if run not in kept),
        unfinished={run.run_id: stored[run.run_id] for run in kept if run.status is not RunStatus.DONE},
    )


def replayed_sessions(runs: EvaluatedRuns, store: RunStore, *, with_pools: bool = True) -> Iterator[ReplayedSession]:
    """Every session that counts, a batch in memory at a time. Raises StoreError."""
    for run_id, session_ids in runs.sessions.items():
        yield from store.sessions(run_id, session_ids, with_pools=with_pools)


def _moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
