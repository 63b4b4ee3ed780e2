"""One at a time, whoever asks: holds that the server lets go when their holder ends, however it ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from shadowdiff.database import database_errors
from shadowdiff.errors import HeldError, StoreError

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Engine

UNLIMITED_IDLENESS = text("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")
WAITED_IN_VAIN = ("55P03", "57014")
"""SQLSTATEs: the lock was not to be had in time; or in the time of a statement, where somebody gave that less."""
PATIENCE_SECONDS = 2.0
"""A holder that was killed, or cut off, is gone before the server has noticed and let go."""
PATIENCE = text("SELECT set_config('lock_timeout', :patience, true)")

HELD = text(
    """
    SELECT name FROM unnest(CAST(:names AS text[])) AS name
     WHERE EXISTS (
        SELECT FROM pg_locks
         WHERE locktype = 'advisory' AND granted AND objsubid = 1
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND (classid::bigint << 32 | objid::bigint) = hashtextextended(name, 0))
    """
)
"""An advisory lock's key stands in pg_locks in two halves."""


class Hold:
    """An advisory lock, held by an open transaction of its own connection, which a pooler between keeps together."""

    def __init__(self, engine: Engine, what: str, refusal: str) -> None:
        self._engine = engine
        self._what = what
        self._refusal = refusal
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Hold:
        with database_errors(StoreError, f"holding the {self._what}", self._engine.url):
            self._take()
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go()

    def keep(self) -> None:
        """Take the lock again if its connection was lost. Raises HeldError where another process was quicker."""
        with self._lock:
            if not self._is_alive():
                self._take()

    def _is_alive(self) -> bool:
        try:
            return self._connection is not None and self._connection.scalar(select(1)) == 1
        except DBAPIError:
            return False

    def _take(self) -> None:
        self._let_go()
        self._connection = self._engine.connect()
        self._connection.execute(UNLIMITED_IDLENESS)
        self._connection.execute(PATIENCE, {"patience": f"{PATIENCE_SECONDS:g}s"})
        lock = func.hashtextextended(_name(self._what), 0)
        try:
            self._connection.execute(select(func.pg_advisory_xact_lock(lock)))
        except DBAPIError as error:
            self._let_go()
            if getattr(error.orig, "sqlstate", None) in WAITED_IN_VAIN:
                raise HeldError(self._refusal) from None
            raise

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def hold_of(run_id: str) -> str:
    """The name of the hold of whoever carries out a run."""
    return f"run {run_id}"


def held_now(connection: Connection, whats: Collection[str]) -> set[str]:
    """Of these holds, those that somebody has; nobody waits for it."""
    named = {_name(what): what for what in whats}
    return {named[name] for name in connection.scalars(HELD, {"names": list(named)})}


def _name(what: str) -> str:
    """Whose hash is the key of the lock, among all locks of the database."""
    return f"shadowdiff {what}"
