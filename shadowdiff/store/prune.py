"""Taking old runs out of the store, piece by piece, so that a kill costs nothing and nobody waits for long.

A run of a night keeps its row, its sides and its summary, of which histories are
made; any other goes as a whole. Which sessions the last nights replayed stays
known, or later nights would replay them again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, cast, delete, exists, func, literal, or_, select, text
from sqlalchemy.dialects.postgresql import REGCLASS

from shadowdiff.errors import ConfigError, HeldError
from shadowdiff.runs import Run, RunHeld
from shadowdiff.store.holds import hold_of
from shadowdiff.store.runs import RunStore
from shadowdiff.store.schema import (
    asks,
    blessed_runs,
    entry_texts,
    failures,
    nights,
    rankings,
    run_sessions,
    run_turns,
    runs,
)
from shadowdiff.store.statements import batches, hashes, texts

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row, Select

NIGHTS_KEPT = timedelta(days=30)
"""Before the last night of a configuration: sessions of these nights may well be met again."""
SESSIONS_PER_STATEMENT = 200
"""With their turns, rankings and failures."""
TEXTS_PER_PASS = 500_000
"""Hashes in memory at a time."""
OF_RUNS = (run_sessions, run_turns, rankings, failures, asks)
NO_NEW_TEXTS = text(f"LOCK TABLE {entry_texts} IN SHARE ROW EXCLUSIVE MODE")


@dataclass(frozen=True, slots=True)
class Removed:
    """What has gone of a run."""

    sessions: int = 0
    turns: int = 0

    def __add__(self, other: Removed) -> Removed:
        """Both together."""
        return Removed(self.sessions + other.sessions, self.turns + other.turns)


class OldRuns:
    """Stored runs from before some time of which something may go. Methods raise StoreError when the database fails."""

    def __init__(self, store: RunStore, before: datetime, nights_kept: timedelta = NIGHTS_KEPT) -> None:
        """Nights stay whole that ended less than `nights_kept` before the last done one of their configuration."""
        self._store = store
        self._before = before
        self._nights_kept = nights_kept

    def listed(self) -> list[RunHeld]:
        """Oldest first: without blessed runs, nights that are not done, the last nights, and those that are pruned."""
        sizes = [func.pg_total_relation_size(cast(literal(str(table)), REGCLASS)) for table in OF_RUNS]
        size = select(sum(sizes[1:], sizes[0]), func.coalesce(func.sum(run_sessions.c.turns), 0))

        def work(connection: Connection) -> list[RunHeld]:
            size_bytes, turns = connection.execute(size).one()
            found = connection.execute(self._prunable().order_by(runs.c.number))
            return [_held(row, size_bytes / max(turns, 1)) for row in found]

        return self._store.transaction("reading runs", work)

    def remove(self, run_id: str, on_removed: Callable[[int], None] = lambda sessions: None) -> Removed | None:
        """Remove a run, some sessions at a time; None where it may not go any more, or is being carried out."""
        removed = Removed()
        try:
            with self._store.held(hold_of(run_id), f"run {run_id} is being carried out"):
                while True:
                    work = partial(self._remove_some, run_id=run_id)
                    gone = self._store.transaction("pruning runs", work)
                    if gone is None:
                        return removed if removed.sessions else None
                    removed += gone
                    on_removed(gone.sessions)
                    if not gone.sessions:
                        return removed
        except HeldError:
            return None

    def _remove_some(self, connection: Connection, run_id: str) -> Removed | None:
        """The next sessions, and with none left the rest of the run."""
        row = connection.execute(self._prunable().where(runs.c.run_id == run_id)).one_or_none()
        if row is None:
            return None
        sessions = run_sessions.c
        some = select(sessions.position).where(sessions.run_id == run_id).order_by(sessions.position)
        chosen = sessions.position.in_(some.limit(SESSIONS_PER_STATEMENT))
        statement = delete(run_sessions).where(sessions.run_id == run_id, chosen).returning(sessions.turns)
        gone = list(connection.scalars(statement))
        if not gone:
            connection.execute(delete(asks).where(asks.c.run_id == run_id))
            if row.night is None:
                connection.execute(delete(runs).where(runs.c.run_id == run_id))
        return Removed(len(gone), sum(turns or 0 for turns in gone))

    def _prunable(self) -> Select[Any]:
        """Runs that may go, with what is held of them."""
        held = (
            select(func.count().label("sessions"), func.coalesce(func.sum(run_sessions.c.turns), 0).label("turns"))
            .where(run_sessions.c.run_id == runs.c.run_id)
            .lateral()
        )
        is_blessed = exists().where(blessed_runs.c.run_id == runs.c.run_id)
        of_night = nights.c.run_id.is_not(None)
        return (
            select(
                runs.c.run_id,
                runs.c.started_at,
                (nights.c.configuration + " " + nights.c.name).label("night"),
                held.c.sessions,
                held.c.turns,
            )
            .select_from(runs.outerjoin(nights, nights.c.run_id == runs.c.run_id).join(held, literal(value=True)))
            .where(runs.c.started_at < self._before, ~is_blessed, or_(~of_night, and_(*self._of_old_nights(held.c))))
        )

    def _of_old_nights(self, held: Any) -> list[ColumnElement[bool]]:
        """What must hold of a night's run: it is done and summed up, another came long after it, there is something."""
        later = nights.alias("later")
        is_later = (later.c.configuration == nights.c.configuration) & (later.c.status == "done")
        last = select(func.max(later.c.until)).where(is_later).scalar_subquery()
        has_asks = exists().where(asks.c.run_id == runs.c.run_id)
        return [
            nights.c.status == "done",
            runs.c.summary.is_not(None),
            nights.c.until < last - self._nights_kept,
            or_(held.sessions > 0, has_asks),
        ]


class UnusedTexts:
    """Entry texts that no stored turn names. Methods raise StoreError when the database fails."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def without(self, run_ids: Sequence[str]) -> int:
        """How many there would be if these runs' sessions were gone."""
        unused = _unused(run_turns.c.run_id != func.all(texts(run_ids)))
        statement = select(func.count()).select_from(unused.subquery())
        return int(self._store.transaction("reading entry texts", lambda connection: connection.scalar(statement)) or 0)

    def remove(self, on_removed: Callable[[int], None] = lambda number: None) -> int:
        """Remove them; returns how many went. Runs that are carried out meanwhile keep what they name."""
        removed, unused = 0, True
        while unused:
            found, since = self._store.transaction("reading entry texts", _looked_through)
            for some in batches(found):
                gone = self._store.transaction("pruning entry texts", partial(_remove_texts, some=some, since=since))
                removed += gone
                on_removed(gone)
            unused = len(found) == TEXTS_PER_PASS
        return removed


def require_sessions(run: Run, store: RunStore) -> None:
    """Raise ConfigError for a run of which a prune has left the summary."""
    if sessions_gone(run, store):
        raise ConfigError(f"the sessions of run {run.run_id} were pruned, and only its summary is left")


def sessions_gone(run: Run, store: RunStore) -> int:
    """How many of the sessions that a run has summed up are stored no more: a prune takes them, and nothing else."""
    if run.summary is None:
        return 0
    replayed, _ = store.progress(run.run_id)
    return max(0, run.summary.sessions - replayed)


def _held(row: Row[Any], bytes_per_turn: float) -> RunHeld:
    size = round(bytes_per_turn * row.turns)
    return RunHeld(row.run_id, row.started_at, row.night, int(row.sessions), int(row.turns), size)


def _unused(of_turns: ColumnElement[bool]) -> Select[Any]:
    """Hashes of texts that none of these turns names."""
    named = select(func.unnest(run_turns.c.pool_contents).label("content_hash")).where(of_turns).distinct().subquery()
    is_named = exists().where(named.c.content_hash == entry_texts.c.content_hash)
    return select(entry_texts.c.content_hash).where(~is_named)


def _looked_through(connection: Connection) -> tuple[list[bytes], ColumnElement[bool]]:
    """Texts that no turn names, and of which runs turns may come that do: those that are not done, and later ones."""
    newest = connection.scalar(select(func.coalesce(func.max(runs.c.number), 0)))
    open_runs = list(connection.scalars(select(runs.c.run_id).where(runs.c.status != "done")))
    statement = _unused(literal(value=True)).order_by(entry_texts.c.content_hash).limit(TEXTS_PER_PASS)
    since = or_(runs.c.number > newest, runs.c.run_id == func.any(texts(open_runs)))
    return list(connection.scalars(statement)), since


def _remove_texts(connection: Connection, some: Sequence[bytes], since: ColumnElement[bool]) -> int:
    """Those of these that are still unused. A run writes its texts before the turns that name them: it waits here."""
    connection.execute(NO_NEW_TEXTS)
    of_open_runs = run_turns.c.run_id.in_(select(runs.c.run_id).where(since))
    unused = _unused(of_open_runs).where(entry_texts.c.content_hash == func.any(hashes(some)))
    return connection.execute(delete(entry_texts).where(entry_texts.c.content_hash.in_(unused))).rowcount
