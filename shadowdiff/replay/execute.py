"""Carry a run out: windows of sessions in, rankings stored as they come, the summary at the end."""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from shadowdiff import __version__
from shadowdiff.errors import ConfigError, SourceError
from shadowdiff.privacy import NO_REDACTION, Redactor, textless
from shadowdiff.protocols import PooledTurn, Source
from shadowdiff.records import ReplayedSession, Session, Window
from shadowdiff.remote.budget import Budget
from shadowdiff.replay.ahead import Ahead
from shadowdiff.replay.coming import Coming
from shadowdiff.replay.kept import RunScores
from shadowdiff.replay.latency import Latency, TurnSample, measure_sides
from shadowdiff.replay.results import spent_usd, summarise
from shadowdiff.replay.retried import Retry
from shadowdiff.replay.score import ScoreCache, Uncached
from shadowdiff.replay.sides import Contender, Loading, asking_sides, close, redacted_sides, stopped_because
from shadowdiff.replay.windows import ReadWindow, WindowRanker, WindowReader
from shadowdiff.runs import Run, RunConfig, RunStatus
from shadowdiff.store.failed import FailedTurns
from shadowdiff.store.runs import Beside, RunStore

FIRST_SESSIONS = 8
"""In the first window, when nothing is known of how long they are."""
TURNS_PER_WINDOW = 64
"""Enough pairs to sort over and few enough statements; all texts of three windows are in memory at once."""
MAX_SESSIONS = 256
"""In one window, however short they are."""
KNOWN_FOR_SECONDS = 600.0
"""How long a run that follows sessions for days believes what it knows of a knowledge base."""
REFUSED = "the provider refused (its words are not stored, as they may quote a text)"


Windows = Iterator[tuple[Sequence[str], ReadWindow]]
"""The ids asked for, and what of them the source still had."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, for a progress bar."""

    sessions_done: float
    """Fractional while a window is being scored."""
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
    use_cache: bool = True
    """Whether scores are looked for in the store and kept there."""
    redact_stored: Redactor = NO_REDACTION
    """What texts pass through before they are stored."""
    loading: Loading = field(default_factory=Loading)
    """Loads models, when they are needed."""
    latency_turns: int = 0
    """How many turns are timed per side once the run is through; 0: none."""
    max_usd: float | None = None
    """What the run may spend on providers; None: whatever it takes."""
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_warning: Callable[[str], None] = lambda text: None
    on_stored: Callable[[Sequence[str]], None] | None = None
    """Told the ids of the sessions just stored, in the run's order; None: they are stored while others are ranked."""

    def start(self, config: RunConfig, session_ids: Sequence[str] | None = None, beside: Beside | None = None) -> Run:
        """Freeze the selection, load the models and store the run, before anything is computed.

        `session_ids` stand in place of what the window selects; `beside` is written in the
        same transaction. Raises ConfigError when nothing is selected or a reranker cannot be loaded.
        """
        if session_ids is None:
            session_ids = selected_sessions(self.source, config.window)
        self.loading.begin(self.contenders)
        sides = tuple(contender.side for contender in self.contenders)
        redacted, asking = redacted_sides(self.contenders), asking_sides(self.contenders)
        config = replace(config, redacted_sides=redacted, asking_sides=asking)
        started_at = datetime.now(UTC)
        run_id = f"{started_at:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        run = Run(run_id, started_at, __version__, config, sides)
        self.store.create(run, session_ids, beside)
        return run

    def finish(self, run: Run, *, retry_failed: bool = False, coming: Coming | None = None) -> Run:
        """Replay the run's pending sessions and return it done, with its summary.

        With `coming` it replays those instead, and plans them, until no more come.
        With `retry_failed` the sides that failed on a turn are asked once more for
        those turns. Ctrl-C leaves the run interrupted, with everything stored that was
        computed, and lets the KeyboardInterrupt through; so does a spending cap that
        is reached, but that run comes back, interrupted, with the summary of what it
        has. Raises SourceError, StoreError.
        """
        budget = Budget(run.config.prices, self.max_usd, spent_usd(run, self.store))
        try:
            timed = self._replay(run, budget, self._windows(run, budget, coming))
            if retry_failed and not budget.is_exhausted:
                self._retry_failed(run, budget)
            latencies = measure_sides(self.contenders, timed, self.latency_turns)
        except KeyboardInterrupt:
            self.store.finish(run.run_id, RunStatus.INTERRUPTED, None, None)
            raise
        finally:
            close(self.contenders)
        return self._ended(run, latencies, RunStatus.INTERRUPTED if budget.is_exhausted else RunStatus.DONE)

    def _ended(self, run: Run, latencies: dict[str, Latency], status: RunStatus) -> Run:
        stopped = {each.side.label: why for each in self.contenders if (why := stopped_because(each.reranker))}
        summary = summarise(run, self.store, latencies, self._stored_reasons(stopped, run.config))
        finished_at = datetime.now(UTC) if status is RunStatus.DONE else None
        self.store.finish(run.run_id, status, summary, finished_at)
        return replace(run, status=status, summary=summary, finished_at=finished_at)

    def _replay(self, run: Run, budget: Budget, windows: Windows) -> list[PooledTurn]:
        """Replay and store; returns a sample of the turns, for timing.

        While a window is ranked, the next one is read and the one before is stored.
        """
        ranker = WindowRanker(self.contenders, run.config, self._scores(run), self.loading.load, budget)
        done, planned = self.store.progress(run.run_id)
        meter = _Meter(self.on_progress, planned, done)
        sample = TurnSample(self.latency_turns)
        with _Saver(self.store, run.run_id) as saver:
            for wanted, window in windows:
                self._drop_gone(run, wanted, window.sessions)
                meter.begin(window, ranker.pairs(window))
                replayed = ranker.rank(window, meter.scored)
                saver.save([self._stored(session, run.config) for session in replayed])
                self._tell_stored(saver, replayed)
                meter.end()
                sample.add(window.pooled)
        return sample.turns

    def _retry_failed(self, run: Run, budget: Budget) -> None:
        """Ask each side once more for the turns that it failed on, over the pools that the others ranked."""
        reader = WindowReader(self.contenders, run.config, self.source)
        retry = Retry(self.contenders, run, self._scores(run), budget)
        failed = FailedTurns(self.store, run.run_id)
        for session_ids in failed.sessions():
            again = retry.rank(reader.read(session_ids), list(self.store.sessions(run.run_id, session_ids)))
            failed.replace([self._stored(session, run.config) for session in again])
            if budget.is_exhausted:
                return

    def _scores(self, run: Run) -> ScoreCache:
        scores = RunScores(self.store, run.run_id)
        return scores if self.use_cache else Uncached(scores)

    def _windows(self, run: Run, budget: Budget, coming: Coming | None) -> Windows:
        """Windows of the run's sessions, the ids asked for beside what was read; pending ones are read ahead."""
        if coming is not None:
            return self._coming(run, budget, coming)
        reader = WindowReader(self.contenders, run.config, self.source)
        return read_windows(reader, self.store.pending(run.run_id), lambda: budget.is_exhausted)

    def _coming(self, run: Run, budget: Budget, coming: Coming) -> Windows:
        """Windows of sessions as they come, planned once they are read: what cannot be read is not pending."""
        made_at = -math.inf
        for session_ids in coming:
            if time.monotonic() - made_at > KNOWN_FOR_SECONDS:
                reader, made_at = WindowReader(self.contenders, run.config, self.source), time.monotonic()
            try:
                window = reader.read(session_ids)
            except SourceError:
                if coming.is_over():
                    return
                raise
            found = [session.session_id for session in window.sessions]
            self.store.plan(run.run_id, found)
            yield found, window
            if budget.is_exhausted:
                return

    def _tell_stored(self, saver: _Saver, replayed: Sequence[ReplayedSession]) -> None:
        if self.on_stored is not None and replayed:
            saver.wait()
            self.on_stored([session.session.session_id for session in replayed])

    def _stored(self, session: ReplayedSession, config: RunConfig) -> ReplayedSession:
        """The session as the store may have it."""
        return self.redact_stored.replayed(session) if config.store_text else textless(session)

    def _stored_reasons(self, reasons: Mapping[str, str], config: RunConfig) -> dict[str, str]:
        """Why sides stopped, as the store may have it: a provider's words may quote what it was sent."""
        if not config.store_text:
            return dict.fromkeys(reasons, REFUSED)
        return {label: self.redact_stored.text(why) for label, why in reasons.items()}

    def _drop_gone(self, run: Run, wanted: Sequence[str], sessions: Sequence[Session]) -> None:
        """Sessions deleted between planning and reading leave the plan, or the run could never be done."""
        gone = sorted(set(wanted) - {session.session_id for session in sessions})
        if gone:
            self.store.drop_sessions(run.run_id, gone)
            planned = self.store.progress(run.run_id)[1] + len(gone)
            self.on_warning(f"no longer in the source, and left out: {len(gone)} of {planned} planned sessions")


class _Saver:
    """Stores a window while the next one is ranked; leaving waits until all is stored, after Ctrl-C too."""

    def __init__(self, store: RunStore, run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self._saving: Ahead[None] | None = None

    def __enter__(self) -> _Saver:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    def save(self, sessions: Sequence[ReplayedSession]) -> None:
        """Store them once the window before is stored. Raises StoreError, of the window before too."""
        self.wait()
        self._saving = Ahead(partial(self._store.save, self._run_id, sessions))

    def wait(self) -> None:
        """Until what was given to it is stored. Raises StoreError."""
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()


def selected_sessions(source: Source, window: Window) -> list[str]:
    """Ids of the sessions that the window selects, oldest first. Raises ConfigError where there is none."""
    session_ids = source.session_ids(window)
    if not session_ids:
        raise ConfigError(f"no sessions {describe_window(window)}; nothing to replay")
    return session_ids


def read_windows(
    reader: WindowReader, session_ids: Sequence[str], is_enough: Callable[[], bool] = lambda: False
) -> Windows:
    """The sessions in windows, the ids asked for beside what was read; one is read ahead. Raises SourceError.

    `is_enough` is asked after each window, and ends it all once what is being read has been.
    """
    if not session_ids:
        return
    size = FIRST_SESSIONS
    wanted, pending = session_ids[:size], session_ids[size:]
    ahead = Ahead(partial(reader.read, wanted))
    while wanted:
        window = ahead.result()
        size = _sessions_per_window(window, size)
        coming, pending = pending[:size], pending[size:]
        if coming:
            ahead = Ahead(partial(reader.read, coming))
        yield wanted, window
        wanted = coming
        if wanted and is_enough():
            ahead.result()
            return


def _sessions_per_window(window: ReadWindow, size: int) -> int:
    """As many as will hold TURNS_PER_WINDOW turns if they are like those just read; never many more than before."""
    turns = sum(len(session.turns) for session in window.sessions)
    wanted = round(TURNS_PER_WINDOW * len(window.sessions) / turns) if turns else size
    return min(max(wanted, 1), size * 4, MAX_SESSIONS)


class _Meter:
    """Turns pairs scored into Progress, a window at a time; may be told from several threads."""

    def __init__(self, on_progress: Callable[[Progress], None], sessions: int, done: int) -> None:
        self._on_progress = on_progress
        self._sessions = sessions
        self._done: float = done
        self._turns = self._pairs = 0
        self._lock = threading.Lock()
        self._window_sessions = self._window_turns = self._window_pairs = self._scored = 0

    def begin(self, window: ReadWindow, pairs: int) -> None:
        self._window_sessions, self._window_turns = len(window.sessions), len(window.pooled)
        self._window_pairs, self._scored = pairs, 0
        self._report()

    def scored(self, pairs: int) -> None:
        with self._lock:
            self._scored = min(self._scored + pairs, self._window_pairs)
            self._report()

    def end(self) -> None:
        self._done += self._window_sessions
        self._turns += self._window_turns
        self._pairs += self._window_pairs
        self._window_sessions = self._window_turns = self._window_pairs = self._scored = 0
        self._report()

    def _report(self) -> None:
        share = self._scored / max(self._window_pairs, 1)
        done, turns = self._done + self._window_sessions * share, self._turns + int(self._window_turns * share)
        self._on_progress(Progress(done, self._sessions, turns, self._pairs + self._scored))


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
