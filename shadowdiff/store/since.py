"""What several runs have replayed, of which a session counts once: from the newest of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select

from shadowdiff.store.runs import RunStore
from shadowdiff.store.schema import run_sessions, runs
from shadowdiff.store.statements import texts


class Progress(NamedTuple):
    """How many sessions of a run are stored."""

    replayed: int
    planned: int
    """The replayed ones among them."""


def progress(store: RunStore, run_ids: Sequence[str]) -> dict[str, Progress]:
    """By run id. One statement. Raises StoreError."""
    columns = run_sessions.c
    statement = (
        select(columns.run_id, func.count(columns.turns).label("replayed"), func.count().label("planned"))
        .where(columns.run_id == func.any(texts(run_ids)))
        .group_by(columns.run_id)
    )
    found = store.transaction("reading the runs", lambda connection: list(connection.execute(statement)))
    of_run = {row.run_id: Progress(row.replayed, row.planned) for row in found}
    return {run_id: of_run.get(run_id, Progress(0, 0)) for run_id in run_ids}


def newest_sessions(store: RunStore, run_ids: Sequence[str]) -> dict[str, list[str]]:
    """Ids of replayed sessions by the newest of these runs that has them, oldest run first, in each run's order.

    One statement; each session once. Runs of which no session is the newest are left out. Raises StoreError.
    """
    columns = run_sessions.c
    place = func.row_number().over(partition_by=columns.session_id, order_by=runs.c.number.desc())
    replayed = (
        select(columns.run_id, columns.session_id, columns.position, runs.c.number, place.label("place"))
        .join(runs, runs.c.run_id == columns.run_id)
        .where(columns.run_id == func.any(texts(run_ids)), columns.turns.is_not(None))
        .subquery()
        .c
    )
    newest = select(replayed.run_id, replayed.session_id).where(replayed.place == 1)
    statement = newest.order_by(replayed.number, replayed.position)
    found: dict[str, list[str]] = defaultdict(list)
    for row in store.transaction("reading the runs", lambda connection: list(connection.execute(statement))):
        found[row.run_id].append(row.session_id)
    return dict(found)
