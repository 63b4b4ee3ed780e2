"""Turns of a stored run that a side failed on, and what becomes of them when they are asked for again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import exists, func, insert, select, tuple_

from shadowdiff.records import ReplayedSession, ReplayedTurn
from shadowdiff.store import rows
from shadowdiff.store.runs import RunStore, write
from shadowdiff.store.schema import failures, rankings, run_sessions, run_turns

if TYPE_CHECKING:
    from sqlalchemy import Connection

SESSIONS_AT_ONCE = 16


class FailedTurns:
    """The failures of one run. Every method raises StoreError when the database fails."""

    def __init__(self, store: RunStore, run_id: str) -> None:
        self._store = store
        self._run_id = run_id

    def count(self) -> int:
        """Failures, each of one side on one turn."""
        statement = select(func.count()).select_from(failures).where(failures.c.run_id == self._run_id)
        return int(self._store.transaction("reading the run", lambda connection: connection.scalar(statement) or 0))

    def sessions(self) -> Iterator[list[str]]:
        """Ids of the sessions with a failed turn, in the run's order, some at a time; each once, as they are now."""
        in_session = (run_turns.c.run_id == run_sessions.c.run_id) & (
            run_turns.c.session_id == run_sessions.c.session_id
        )
        failed = (failures.c.run_id == run_turns.c.run_id) & (failures.c.turn_id == run_turns.c.turn_id)
        statement = (
            select(run_sessions.c.session_id)
            .where(run_sessions.c.run_id == self._run_id, exists().where(in_session, failed))
            .order_by(run_sessions.c.position)
        )
        found = self._store.transaction("reading the run", lambda connection: list(connection.scalars(statement)))
        yield from (found[start : start + SESSIONS_AT_ONCE] for start in range(0, len(found), SESSIONS_AT_ONCE))

    def replace(self, again: Sequence[ReplayedSession]) -> None:
        """Store what became of failed turns, each with the sides that were asked again and no others."""
        turns = [turn for session in again for turn in session.turns]
        asked = [(turn.turn.turn_id, side) for turn in turns for side in _sides(turn)]
        if not asked:
            return
        stale = failures.delete().where(
            failures.c.run_id == self._run_id, tuple_(failures.c.turn_id, failures.c.side).in_(asked)
        )

        def work(connection: Connection) -> None:
            connection.execute(stale)
            write(
                connection, insert(rankings), (row for turn in turns for row in rows.ranking_rows(self._run_id, turn))
            )
            write(
                connection, insert(failures), (row for turn in turns for row in rows.failure_rows(self._run_id, turn))
            )

        self._store.transaction("storing rankings", work)


def _sides(turn: ReplayedTurn) -> list[str]:
    return [*turn.rankings, *(failure.side for failure in turn.failures)]
