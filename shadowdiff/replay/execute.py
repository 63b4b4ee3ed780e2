"""Carry a run out: batches of sessions in, rankings stored as they come, the summary at the end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shadowdiff import __version__
from shadowdiff.errors import ConfigError
from shadowdiff.privacy import NO_REDACTION, Redactor, textless
from shadowdiff.protocols import PooledTurn, Source
from shadowdiff.records import ReplayedSession, Session, Window
from shadowdiff.replay.batch import BatchReplayer
from shadowdiff.replay.latency import measure
from shadowdiff.replay.results import summarise
from shadowdiff.replay.score import ScoreCache
from shadowdiff.replay.sides import Contender, prepare, redacted_sides
from shadowdiff.runs import Run, RunConfig, RunStatus
from shadowdiff.store.runs import RunStore

SESSIONS_PER_BATCH = 8


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, for a progress bar."""

    sessions_done: float
    """Fractional while a batch is being scored."""
    sessions: int
    turns_done: int
    """In this invocation."""
    pairs_done: int
    """By the sides that take the time, in this invocation."""


@dataclass(frozen=True, slots=True)
class Replay:
    """All that one run needs to be carried out."""

    contenders: tuple[Contender, ...]
    source: Source
    store: RunStore
    cache: ScoreCache
    redact_stored: Redactor = NO_REDACTION
    """What texts pass through before they are stored."""
    latency_turns: int = 0
    """How many turns are timed per side once the run is through; 0: none."""
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_warning: Callable[[str], None] = lambda text: None

    def start(self, config: RunConfig) -> Run:
        """Freeze the selection, load the models and store the run, before anything is computed.

        Raises ConfigError when nothing is selected or a reranker cannot be loaded.
        """
        session_ids = self.source.session_ids(config.window)
        if not session_ids:
            raise ConfigError(f"no sessions {describe_window(config.window)}; nothing to replay")
        prepare(self.contenders)
        sides = tuple(contender.side for contender in self.contenders)
        config = replace(config, redacted_sides=redacted_sides(self.contenders))
        started_at = datetime.now(UTC)
        run_id = f"{started_at:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        run = Run(run_id, started_at, __version__, config, sides)
        self.store.create(run, session_ids)
        return run

    def finish(self, run: Run) -> Run:
        """Replay the run's pending sessions and return it done, with its summary.

        Ctrl-C leaves it interrupted, with everything stored that was computed,
        and lets the KeyboardInterrupt through. Raises SourceError, StoreError.
        """
        try:
            timed = self._replay_pending(run)
            latencies = {c.side.label: measure(c.reranker, c.seen(timed)) for c in self.contenders}
        except KeyboardInterrupt:
            self.store.finish(run.run_id, RunStatus.INTERRUPTED, None, None)
            raise
        summary = summarise(run, self.store, latencies)
        finished_at = datetime.now(UTC)
        self.store.finish(run.run_id, RunStatus.DONE, summary, finished_at)
        return replace(run, status=RunStatus.DONE, summary=summary, finished_at=finished_at)

    def _replay_pending(self, run: Run) -> list[PooledTurn]:
        """Replay and store; returns the first turns, for timing."""
        replayer = BatchReplayer(self.contenders, run.config, self.source, self.cache)
        pending = self.store.pending(run.run_id)
        done, planned = self.store.progress(run.run_id)
        meter = _Meter(self.on_progress, planned, done, replayer.passes)
        timed: list[PooledTurn] = []
        for start in range(0, len(pending), SESSIONS_PER_BATCH):
            wanted = pending[start : start + SESSIONS_PER_BATCH]
            sessions = list(self.source.sessions(Window(session_ids=tuple(wanted))))
            self._drop_gone(run, wanted, sessions)
            meter.begin(len(sessions), sum(len(session.turns) for session in sessions))
            batch = replayer.replay(sessions, meter.ranked)
            self.store.save(run.run_id, [self._stored(session, run.config) for session in batch.sessions])
            meter.end()
            timed += batch.pooled[: self.latency_turns - len(timed)]
        return timed

    def _stored(self, session: ReplayedSession, config: RunConfig) -> ReplayedSession:
        """The session as the store may have it."""
        return self.redact_stored.replayed(session) if config.store_text else textless(session)

    def _drop_gone(self, run: Run, wanted: Sequence[str], sessions: Sequence[Session]) -> None:
        """Sessions deleted between planning and reading leave the plan, or the run could never be done."""
        gone = sorted(set(wanted) - {session.session_id for session in sessions})
        if gone:
            self.store.drop_sessions(run.run_id, gone)
            planned = self.store.progress(run.run_id)[1] + len(gone)
            self.on_warning(f"no longer in the source, and left out: {len(gone)} of {planned} planned sessions")


class _Meter:
    """Turns calls of `ranked` into Progress, a batch at a time."""

    def __init__(self, on_progress: Callable[[Progress], None], sessions: int, done: int, passes: int) -> None:
        self._on_progress = on_progress
        self._sessions = sessions
        self._passes = passes
        self._done: float = done
        self._turns = self._pairs = 0
        self._batch_sessions = self._batch_turns = self._batch_ranked = 0

    def begin(self, sessions: int, turns: int) -> None:
        self._batch_sessions, self._batch_turns, self._batch_ranked = sessions, turns, 0
        self._report(0.0)

    def ranked(self, turns: int, pairs: int) -> None:
        self._batch_ranked += turns
        self._pairs += pairs
        self._report(self._batch_ranked / max(self._batch_turns * self._passes, 1))

    def end(self) -> None:
        self._done += self._batch_sessions
        self._turns += self._batch_turns
        self._batch_sessions = self._batch_turns = 0
        self._report(0.0)

    def _report(self, share: float) -> None:
        turns = self._turns + int(self._batch_turns * share)
        done = self._done + self._batch_sessions * share
        self._on_progress(Progress(done, self._sessions, turns, self._pairs))


def describe_window(window: Window) -> str:
    """The selection in words: `since 2026-11-19 00:00 UTC of org 'acme'`."""
    parts = []
    if window.since:
        parts.append(f"since {window.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
    if window.until:
        parts.append(f"until {window.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
    if window.org_ids:
        parts.append(f"of org {', '.join(map(repr, window.org_ids))}")
    return " ".join(parts) or "are stored"
