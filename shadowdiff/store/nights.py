"""NightStore: which nights there were, how far each got, and where their reports went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from shadowdiff.nights import GateOutcome, Night, NightStatus, Target
from shadowdiff.runs import Run
from shadowdiff.store.codec import decode_gates, encode
from shadowdiff.store.holds import Hold
from shadowdiff.store.runs import Beside, RunStore
from shadowdiff.store.schema import deliveries, nights, run_sessions
from shadowdiff.store.statements import texts

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row, Select


class NightStore:
    """The nights of all configurations. Every method raises StoreError when the database fails."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def hold(self, configuration: str) -> Hold:
        """One night at a time per configuration; entering raises HeldError where another process is at it."""
        refusal = f"a night of {configuration!r} is under way in another process"
        return self._store.held(f"nightly {configuration}", refusal)

    def nights(self, configuration: str, limit: int, until: datetime | None = None) -> list[Night]:
        """The newest nights, newest first; with `until` those whose watermark is no later."""
        statement = _of(configuration) if until is None else _of(configuration).where(nights.c.until <= until)
        return self._read(statement.order_by(nights.c.number.desc()).limit(limit))

    def configurations(self) -> list[str]:
        """Names of the configurations that have nights, in order."""
        statement = select(nights.c.configuration).distinct().order_by(nights.c.configuration)
        return self._store.transaction("reading nights", lambda connection: list(connection.scalars(statement)))

    def unfinished(self, configuration: str) -> Night | None:
        """The night that was begun and not ended."""
        found = self._read(_of(configuration).where(nights.c.status == NightStatus.RUNNING))
        return found[0] if found else None

    def last_done(self, configuration: str) -> Night | None:
        """The done night whose watermark is the latest."""
        done = _of(configuration).where(nights.c.status == NightStatus.DONE)
        found = self._read(done.order_by(nights.c.until.desc(), nights.c.number.desc()).limit(1))
        return found[0] if found else None

    def night_of(self, run_id: str) -> Night | None:
        """The night that the run is of; None where it is no night's."""
        found = self._read(select(nights).where(nights.c.run_id == run_id))
        return found[0] if found else None

    def begin(self, configuration: str, date: str, since: datetime, until: datetime) -> Night:
        """A new night, named after its date; from the second of a date on with a number. For the holder only."""

        def work(connection: Connection) -> Night:
            taken = set(connection.scalars(select(nights.c.name).where(nights.c.configuration == configuration)))
            night = Night(configuration, _free(date, taken), since, until)
            values = {"configuration": configuration, "name": night.name, "since": since, "until": until}
            connection.execute(insert(nights), values | {"status": night.status})
            return night

        return self._store.transaction("beginning the night", work)

    def attaching(self, night: Night) -> Beside:
        """Records which run the night's is, in the transaction that creates it: a kill leaves both or neither."""
        statement = update(nights).where(_is(night))

        def write(connection: Connection, run: Run) -> None:
            connection.execute(statement.values(run_id=run.run_id))

        return write

    def finish(self, night: Night, gates: Sequence[GateOutcome], targets: Sequence[Target]) -> None:
        """Record that the night is done, what its gates made of it, and where its report is to go."""
        ended = update(nights).where(_is(night)).values(status=NightStatus.DONE, gates=encode(tuple(gates)))
        where = {"configuration": night.configuration, "night": night.name}

        def work(connection: Connection) -> None:
            connection.execute(ended)
            if targets:
                rows = [where | {"target": target} for target in targets]
                connection.execute(upsert(deliveries).on_conflict_do_nothing(), rows)

        self._store.transaction("ending the night", work)

    def undelivered(self, configuration: str, targets: Sequence[Target]) -> list[tuple[Night, Target]]:
        """Reports of done nights that have not reached one of these targets, oldest night first."""
        joined = and_(deliveries.c.configuration == nights.c.configuration, deliveries.c.night == nights.c.name)
        statement = (
            select(nights, deliveries.c.target)
            .join(deliveries, joined)
            .where(nights.c.configuration == configuration, deliveries.c.delivered_at.is_(None))
            .where(deliveries.c.target == func.any(texts([target.value for target in targets])))
            .order_by(nights.c.number, deliveries.c.target)
        )
        found = self._store.transaction("reading nights", lambda connection: list(connection.execute(statement)))
        return [(_night(row), Target(row.target)) for row in found]

    def attempted(self, night: Night, target: Target, problem: str = "") -> None:
        """Record one attempt to deliver; without a problem it arrived."""
        columns = deliveries.c
        arrived = None if problem else datetime.now(UTC)
        statement = (
            update(deliveries)
            .where(columns.configuration == night.configuration, columns.night == night.name, columns.target == target)
            .values(attempts=columns.attempts + 1, problem=problem, delivered_at=arrived)
        )
        self._store.transaction("updating the night", lambda connection: connection.execute(statement))

    def replayed(self, configuration: str, session_ids: Sequence[str], since: datetime) -> set[str]:
        """Of these sessions, all started at or after `since`, those that a night of the configuration replayed."""
        columns = run_sessions.c
        statement = (
            select(columns.session_id)
            .join(nights, nights.c.run_id == columns.run_id)
            .where(nights.c.configuration == configuration, nights.c.until > since)
            .where(columns.session_id == func.any(texts(session_ids)), columns.turns.is_not(None))
        )
        return set(self._store.transaction("reading nights", lambda connection: list(connection.scalars(statement))))

    def drop(self, night: Night) -> None:
        """Forget a night that came to nothing."""
        self._store.transaction(
            "updating the night", lambda connection: connection.execute(delete(nights).where(_is(night)))
        )

    def _read(self, statement: Select[Any]) -> list[Night]:
        found = self._store.transaction("reading nights", lambda connection: list(connection.execute(statement)))
        return [_night(row) for row in found]


def _of(configuration: str) -> Select[Any]:
    return select(nights).where(nights.c.configuration == configuration)


def _is(night: Night) -> ColumnElement[bool]:
    return and_(nights.c.configuration == night.configuration, nights.c.name == night.name)


def _free(date: str, taken: set[str]) -> str:
    number = 1
    while (name := date if number == 1 else f"{date}-{number}") in taken:
        number += 1
    return name


def _night(row: Row[Any]) -> Night:
    return Night(
        configuration=row.configuration,
        name=row.name,
        since=row.since,
        until=row.until,
        run_id=row.run_id,
        status=NightStatus(row.status),
        gates=decode_gates(row.gates),
    )
