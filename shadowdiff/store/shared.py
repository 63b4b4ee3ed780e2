"""Sessions that two runs share: what can be compared one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from shadowdiff.store.runs import RunStore
from shadowdiff.store.schema import run_sessions, run_turns

if TYPE_CHECKING:
    from sqlalchemy import FromClause


@dataclass(frozen=True, slots=True)
class SharedSessions:
    """The sessions that both runs have replayed."""

    alike: tuple[str, ...]
    """Ids of those with the same turns and the same pool for each, in the later run's order."""
    apart: int
    """How many others there are: they went on meanwhile, or their pools are not the same."""


def shared_sessions(store: RunStore, before: str, after: str) -> SharedSessions:
    """Which sessions two runs, by id, share. The server compares the pools' hashes. Raises StoreError."""
    one, other = run_sessions.alias("earlier"), run_sessions.alias("later")
    is_alike = _pools(one).is_not_distinct_from(_pools(other))
    statement = (
        select(other.c.session_id, is_alike.label("is_alike"))
        .join(one, one.c.session_id == other.c.session_id)
        .where(one.c.run_id == before, other.c.run_id == after)
        .where(one.c.turns.is_not(None), other.c.turns.is_not(None))
        .order_by(other.c.position)
    )
    found = store.transaction("reading the runs", lambda connection: list(connection.execute(statement)))
    alike = tuple(row.session_id for row in found if row.is_alike)
    return SharedSessions(alike, len(found) - len(alike))


def _pools(session: FromClause) -> Any:
    """Ids and pool hashes of a session's turns, in order."""
    turn = func.jsonb_build_array(run_turns.c.turn_id, func.encode(run_turns.c.pool_hash, "hex"))
    return (
        select(func.jsonb_agg(aggregate_order_by(turn, run_turns.c.position)))
        .where(run_turns.c.run_id == session.c.run_id, run_turns.c.session_id == session.c.session_id)
        .scalar_subquery()
    )
