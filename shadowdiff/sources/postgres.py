"""The own schema as a source: whole sessions and knowledge bases, read in few statements, never written."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, func, literal, select, true

from shadowdiff.database import database_errors
from shadowdiff.errors import ConfigError, SourceError
from shadowdiff.records import Entry, RecordedEntry, Session, Turn, Window
from shadowdiff.store.schema import entries, orgs, pool_entries, served_entries, sessions, turns
from shadowdiff.store.statements import texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection, Engine, Row

SESSIONS_PER_BATCH = 64
ROWS_PER_FETCH = 2_000


class PostgresSource:
    """Sessions and knowledge bases from the own schema, through a read-only engine (`database.source_engine`)."""

    def __init__(self, engine: Engine, sessions_per_batch: int = SESSIONS_PER_BATCH) -> None:
        self._engine = engine
        self._sessions_per_batch = sessions_per_batch

    def session_ids(self, window: Window) -> list[str]:
        """Ids of the selected sessions, oldest first. Raises ConfigError for an org or session that is not stored."""
        with self._reading("selecting sessions") as connection:
            _require(connection, orgs.c.org_id, window.org_ids, "org")
            _require(connection, sessions.c.session_id, window.session_ids, "session")
        return self._selected(window)

    def sessions(self, window: Window) -> Iterator[Session]:
        """Whole sessions, oldest first; four statements a batch however many turns it has, one snapshot each.

        Ids of the window that are not stored (any more) yield nothing.
        """
        selected = self._selected(window)
        for start in range(0, len(selected), self._sessions_per_batch):
            yield from self._batch(selected[start : start + self._sessions_per_batch])

    def entries(self, wanted: Mapping[str, set[str]]) -> dict[tuple[str, str], Entry]:
        """Entries by (org id, entry id); ids that are not stored are absent. One statement."""
        columns = (entries.c.org_id, entries.c.entry_id, entries.c.title, entries.c.body, entries.c.updated_at)
        with self._reading("reading entries") as connection:
            rows = self._stream(connection, _of_wanted(select(*columns), wanted))
            return {(row.org_id, row.entry_id): Entry(*row) for row in rows}

    def org_entries(self, org_id: str) -> list[Entry]:
        """Every entry of an org, ordered by entry id. One statement."""
        columns = (entries.c.org_id, entries.c.entry_id, entries.c.title, entries.c.body, entries.c.updated_at)
        statement = select(*columns).where(entries.c.org_id == org_id).order_by(entries.c.entry_id.collate("C"))
        with self._reading("reading a knowledge base") as connection:
            return [Entry(*row) for row in self._stream(connection, statement)]

    def entry_vectors(self, wanted: Mapping[str, set[str]]) -> dict[tuple[str, str], NDArray[np.float32]]:
        """Stored embeddings by (org id, entry id). One statement."""
        columns = select(entries.c.org_id, entries.c.entry_id, entries.c.embedding)
        statement = _of_wanted(columns, wanted).where(entries.c.embedding.is_not(None))
        with self._reading("reading embeddings") as connection:
            rows = self._stream(connection, statement)
            return {(row.org_id, row.entry_id): _vector(row.embedding) for row in rows}

    def turn_vectors(self, turn_ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Stored embeddings of queries by turn id. One statement."""
        statement = select(turns.c.turn_id, turns.c.embedding).where(
            turns.c.turn_id == func.any(texts(turn_ids)), turns.c.embedding.is_not(None)
        )
        with self._reading("reading embeddings") as connection:
            return {row.turn_id: _vector(row.embedding) for row in self._stream(connection, statement)}

    def nearest(self, turn_ids: Sequence[str], limit: int) -> dict[str, list[RecordedEntry]]:
        """The org's entries nearest to each turn by cosine, best first, ties by entry id. One statement."""
        with self._reading("retrieving pools by cosine") as connection:
            found: dict[str, list[RecordedEntry]] = defaultdict(list)
            for row in self._stream(connection, _nearest(turn_ids, limit)):
                found[row.turn_id].append(RecordedEntry(row.entry_id, row.score))
            return dict(found)

    def _selected(self, window: Window) -> list[str]:
        with self._reading("selecting sessions") as connection:
            newest_first = [row.session_id for row in self._stream(connection, _selection(window))]
        return _sampled(newest_first[::-1], window)

    def _batch(self, session_ids: Sequence[str]) -> list[Session]:
        with self._reading("reading sessions") as connection:
            heads = self._stream(
                connection,
                select(sessions)
                .where(sessions.c.session_id == func.any(texts(session_ids)))
                .order_by(sessions.c.started_at, sessions.c.session_id),
            )
            pools = self._listed(connection, session_ids, pool_entries)
            served = self._listed(connection, session_ids, served_entries)
            grouped = self._turns(connection, session_ids, pools, served)
            return [
                Session(head.session_id, head.org_id, head.started_at, tuple(grouped[head.session_id]), head.tags)
                for head in heads
            ]

    def _turns(
        self,
        connection: Connection,
        session_ids: Sequence[str],
        pools: Mapping[str, list[Row[Any]]],
        served: Mapping[str, list[Row[Any]]],
    ) -> dict[str, list[Turn]]:
        columns = [column for column in turns.c if column.name != "embedding"]
        statement = (
            select(*columns)
            .where(turns.c.session_id == func.any(texts(session_ids)))
            .order_by(turns.c.session_id, turns.c.position)
        )
        grouped: dict[str, list[Turn]] = defaultdict(list)
        for row in self._stream(connection, statement):
            grouped[row.session_id].append(_turn(row, pools.get(row.turn_id, []), served.get(row.turn_id, [])))
        return grouped

    def _listed(self, connection: Connection, session_ids: Sequence[str], table: Any) -> dict[str, list[Row[Any]]]:
        columns = [table.c[name] for name in ("turn_id", "entry_id", "score") if name in table.c]
        statement = (
            select(*columns)
            .join(turns, turns.c.turn_id == table.c.turn_id)
            .where(turns.c.session_id == func.any(texts(session_ids)))
            .order_by(table.c.turn_id, table.c.rank)
        )
        grouped: dict[str, list[Row[Any]]] = defaultdict(list)
        for row in self._stream(connection, statement):
            grouped[row.turn_id].append(row)
        return grouped

    @contextmanager
    def _reading(self, what: str) -> Iterator[Connection]:
        """One READ ONLY, REPEATABLE READ transaction, ended as soon as its rows are in."""
        with database_errors(SourceError, what, self._engine.url), self._engine.connect() as connection:
            yield connection

    @staticmethod
    def _stream(connection: Connection, statement: Select[Any]) -> Any:
        """Rows through a server-side cursor."""
        return connection.execution_options(yield_per=ROWS_PER_FETCH).execute(statement)


def _selection(window: Window) -> Select[Any]:
    """Newest first, so that the index serves `last` without reading the rest."""
    statement = select(sessions.c.session_id).order_by(sessions.c.started_at.desc(), sessions.c.session_id.desc())
    if window.since is not None:
        statement = statement.where(sessions.c.started_at >= window.since)
    if window.until is not None:
        statement = statement.where(sessions.c.started_at < window.until)
    if window.org_ids:
        statement = statement.where(sessions.c.org_id == func.any(texts(window.org_ids)))
    if window.session_ids:
        statement = statement.where(sessions.c.session_id == func.any(texts(window.session_ids)))
    return statement if window.last is None else statement.limit(window.last)


def _sampled(session_ids: list[str], window: Window) -> list[str]:
    if window.sample is None or window.sample >= len(session_ids):
        return session_ids
    chosen = random.Random(window.seed).sample(range(len(session_ids)), window.sample)  # noqa: S311 sampling, not secrecy
    return [session_ids[index] for index in sorted(chosen)]


def _require(connection: Connection, column: Any, wanted: Sequence[str], noun: str) -> None:
    if not wanted:
        return
    found = set(connection.scalars(select(column).where(column == func.any(texts(wanted)))))
    unknown = [name for name in wanted if name not in found]
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        raise ConfigError(f"unknown {noun}{plural}: {', '.join(map(repr, unknown))}{_nearby(connection, column, noun)}")


def _nearby(connection: Connection, column: Any, noun: str) -> str:
    known = list(connection.scalars(select(column).order_by(column).limit(6)))
    if not known:
        return f"; the database holds no {noun} at all"
    shown = ", ".join(map(repr, known[:5])) + (", …" if len(known) > 5 else "")
    return f"; it holds {shown}"


def _of_wanted(statement: Select[Any], wanted: Mapping[str, set[str]]) -> Select[Any]:
    pairs = [(org_id, entry_id) for org_id in sorted(wanted) for entry_id in sorted(wanted[org_id])]
    named = (
        func.unnest(texts([pair[0] for pair in pairs]), texts([pair[1] for pair in pairs]))
        .table_valued("org_id", "entry_id")
        .render_derived("wanted")
    )
    return statement.join(named, (entries.c.org_id == named.c.org_id) & (entries.c.entry_id == named.c.entry_id))


def _nearest(turn_ids: Sequence[str], limit: int) -> Select[Any]:
    distance = entries.c.embedding.cosine_distance(turns.c.embedding)
    best = (
        select(entries.c.entry_id, (literal(1.0) - distance).label("score"))
        .where(entries.c.org_id == turns.c.org_id, entries.c.embedding.is_not(None))
        .order_by(distance, entries.c.entry_id.collate("C"))
        .limit(limit)
        .lateral("best")
    )
    return (
        select(turns.c.turn_id, best.c.entry_id, best.c.score)
        .join(best, true())
        .where(turns.c.turn_id == func.any(texts(turn_ids)), turns.c.embedding.is_not(None))
        .order_by(turns.c.turn_id, best.c.score.desc(), best.c.entry_id.collate("C"))
    )


def _turn(row: Row[Any], pool: list[Row[Any]], served: list[Row[Any]]) -> Turn:
    return Turn(
        turn_id=row.turn_id,
        position=row.position,
        query=row.query,
        asked_at=row.asked_at,
        search_query=row.search_query,
        answer=row.answer,
        recorded_pool=tuple(RecordedEntry(r.entry_id, r.score) for r in pool) if row.pool_recorded else None,
        served=tuple(r.entry_id for r in served) if row.served_recorded else None,
    )


def _vector(values: Any) -> NDArray[np.float32]:
    import numpy as np

    return np.asarray(values, dtype=np.float32)
