"""What the score cache holds by reranker, and taking out of it what nobody needs any more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import cast, delete, func, literal, select
from sqlalchemy.dialects.postgresql import REGCLASS

from shadowdiff.runs import ScoresHeld, Side
from shadowdiff.store.runs import RunStore
from shadowdiff.store.schema import run_sides, runs, score_cache

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

PAIRS_PER_STATEMENT = 20_000
"""Looked at by one statement, which is a transaction: no lock is held for long, and a kill loses little."""


class HeldScores:
    """The score cache of a store. Every method raises StoreError when the database fails."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def by_reranker(self, before: datetime | None = None) -> list[ScoresHeld]:
        """What is held of each reranker, the one used last first; with `before`, what was scored before then.

        Sizes are shares of the table's, indexes included. Reads the whole cache.
        """
        table = cast(literal(str(score_cache)), REGCLASS)
        held = select(func.pg_total_relation_size(table), func.count()).select_from(score_cache)
        by_reranker = (
            select(
                func.encode(score_cache.c.fingerprint, "hex").label("fingerprint"),
                func.count().label("pairs"),
                func.min(score_cache.c.scored_at).label("oldest"),
                func.max(score_cache.c.scored_at).label("newest"),
            )
            .where(*_scored_before(before))
            .group_by(score_cache.c.fingerprint)
            .order_by(func.max(score_cache.c.scored_at).desc(), score_cache.c.fingerprint)
        )

        def work(connection: Connection) -> list[ScoresHeld]:
            size, pairs = connection.execute(held).one()
            return [_held(row, size, pairs) for row in connection.execute(by_reranker)]

        return self._store.transaction("reading the score cache", work)

    def sides_of_runs(self) -> list[tuple[Side, int]]:
        """Sides of stored runs, one per fingerprint as its newest run calls it, and in how many runs it played."""
        number = func.count().over(partition_by=run_sides.c.fingerprint).label("runs")
        statement = (
            select(run_sides, number)
            .join(runs, runs.c.run_id == run_sides.c.run_id)
            .distinct(run_sides.c.fingerprint)
            .order_by(run_sides.c.fingerprint, runs.c.number.desc())
        )
        found = self._store.transaction("reading runs", lambda connection: list(connection.execute(statement)))
        return [(Side(row.label, row.name, row.spec, row.fingerprint, row.min_score), row.runs) for row in found]

    def remove(
        self, fingerprint: str, before: datetime | None = None, on_removed: Callable[[int], None] = lambda pairs: None
    ) -> int:
        """Remove a reranker's scores, some at a time, or those scored before a time; returns how many pairs went."""
        after: bytes | None = b""
        removed = 0
        while after is not None:
            work = partial(_remove_some, fingerprint=bytes.fromhex(fingerprint), after=after, before=before)
            after, gone = self._store.transaction("pruning the score cache", work)
            removed += gone
            on_removed(gone)
        return removed


def _held(row: Row[Any], size: int, pairs: int) -> ScoresHeld:
    return ScoresHeld(row.fingerprint, row.pairs, round(size * row.pairs / pairs), row.oldest, row.newest)


def _scored_before(before: datetime | None) -> list[ColumnElement[bool]]:
    return [] if before is None else [score_cache.c.scored_at < before]


def _remove_some(
    connection: Connection, fingerprint: bytes, after: bytes, before: datetime | None
) -> tuple[bytes | None, int]:
    """Go through the next pairs in order of their keys; the last one looked at (None: there are no more) and a count.

    In order, so that what stays is never looked at twice.
    """
    pair = score_cache.c.pair
    ours = [score_cache.c.fingerprint == fingerprint, pair > after]
    last = connection.scalar(select(pair).where(*ours).order_by(pair).offset(PAIRS_PER_STATEMENT - 1).limit(1))
    upto = [] if last is None else [pair <= last]
    gone = connection.execute(delete(score_cache).where(*ours, *upto, *_scored_before(before))).rowcount
    return last, gone
