"""Blessed runs: the one that a configuration's nights are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from shadowdiff.errors import ConfigError
from shadowdiff.runs import Run, RunStatus
from shadowdiff.store.runs import RunStore
from shadowdiff.store.schema import blessed_runs


@dataclass(frozen=True, slots=True)
class Blessing:
    """Which run a configuration's nights are compared with, and who said so when."""

    configuration: str
    run: Run
    by: str
    at: datetime


class BlessedRuns:
    """At most one run per configuration. Every method raises StoreError when the database fails."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def bless(self, configuration: str, run_id: str, by: str) -> Run:
        """Take a run in place of the one before, if any. Raises ConfigError for a run that is not done."""
        run = self._store.get(run_id)
        if run.status is not RunStatus.DONE:
            raise ConfigError(
                f"run {run.run_id} is {run.status.value}, and nights are compared with a whole run; "
                f"end it first with: shadowdiff replay --resume {run.run_id}"
            )
        given = {"run_id": run.run_id, "blessed_by": by, "blessed_at": func.now()}
        statement = (
            upsert(blessed_runs)
            .values(configuration=configuration, **given)
            .on_conflict_do_update(index_elements=[blessed_runs.c.configuration], set_=given)
        )
        self._store.transaction("blessing the run", lambda connection: connection.execute(statement))
        return run

    def blessing(self, configuration: str) -> Blessing | None:
        """Which run is blessed, by whom and when; None where none is."""
        statement = select(blessed_runs).where(blessed_runs.c.configuration == configuration)
        row = self._store.transaction("reading runs", lambda connection: connection.execute(statement).one_or_none())
        if row is None:
            return None
        return Blessing(configuration, self._store.get(row.run_id), row.blessed_by, row.blessed_at)

    def blessed(self, configuration: str) -> Run | None:
        """The run that nights are compared with; None where none is."""
        blessing = self.blessing(configuration)
        return None if blessing is None else blessing.run

    def clear(self, configuration: str) -> bool:
        """Bless none. Returns whether one was."""
        statement = delete(blessed_runs).where(blessed_runs.c.configuration == configuration)
        result = self._store.transaction("blessing the run", lambda connection: connection.execute(statement))
        return bool(result.rowcount)
