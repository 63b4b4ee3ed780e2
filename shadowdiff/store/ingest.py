"""Write a checked bundle into the own schema: all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, and_, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from shadowdiff.database import database_errors
from shadowdiff.errors import ConfigError, StoreError
from shadowdiff.records import Entry, Label, Session, Turn
from shadowdiff.store import schema
from shadowdiff.store.labels import label_row
from shadowdiff.store.statements import batches, texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection, Engine


def ingest(
    engine: Engine,
    entries: Sequence[Entry],
    sessions: Sequence[Session],
    labels: Sequence[Label] = (),
    *,
    entry_vectors: NDArray[np.floating[Any]] | None = None,
    turn_vectors: NDArray[np.floating[Any]] | None = None,
    embedding_model: str | None = None,
    replace_orgs: bool = False,
) -> None:
    """Insert or update entries, sessions, turns and labels in one transaction.

    Vectors stand row by row beside `entries` and beside the sessions' turns; a row of zeros is none.
    What the database holds beyond this is left alone, unless `replace_orgs`
    deletes all that it holds of these orgs first; a session that is there
    already is replaced whole. Without vectors, stored embeddings are kept
    where the text is still the one that was embedded. Raises StoreError, and
    ConfigError where an org's stored embeddings come from another model, or a
    session or turn id is taken by another org or session.
    """
    with database_errors(StoreError, "loading the bundle", engine.url), engine.begin() as connection:
        org_ids = sorted({entry.org_id for entry in entries})
        if replace_orgs:
            connection.execute(delete(schema.orgs).where(schema.orgs.c.org_id == func.any(texts(org_ids))))
        _write_orgs(connection, org_ids, embedding_model)
        _write_entries(connection, entries, entry_vectors)
        kept = _turn_embeddings(connection, sessions) if turn_vectors is None else {}
        _replace_sessions(connection, sessions)
        _write_turns(connection, sessions, _TurnVectors(turn_vectors, kept))
        _write_labels(connection, labels)


def _write_labels(connection: Connection, labels: Sequence[Label]) -> None:
    _upsert(connection, schema.labels, (label_row(label) for label in labels))


def _write_orgs(connection: Connection, org_ids: Sequence[str], embedding_model: str | None) -> None:
    rows = ({"org_id": org_id, "embedding_model": embedding_model} for org_id in org_ids)
    statement = insert(schema.orgs)
    model = func.coalesce(schema.orgs.c.embedding_model, statement.excluded.embedding_model)
    statement = statement.on_conflict_do_update(index_elements=["org_id"], set_={"embedding_model": model})
    for batch in batches(rows):
        connection.execute(statement, batch)
    if embedding_model is not None:
        _refuse_other_model(connection, org_ids, embedding_model)


def _refuse_other_model(connection: Connection, org_ids: Sequence[str], embedding_model: str) -> None:
    """One org's vectors must come from one model, or their cosines mean nothing.

    Asked after the orgs are written, and thereby locked: no other load can set their model any more.
    """
    orgs = schema.orgs.c
    other = connection.execute(
        select(orgs.org_id, orgs.embedding_model)
        .where(orgs.org_id == func.any(texts(org_ids)), orgs.embedding_model != embedding_model)
        .order_by(orgs.org_id)
    ).first()
    if other is not None:
        raise ConfigError(
            f"org {other.org_id!r} holds embeddings of {other.embedding_model!r}; "
            f"to change to {embedding_model!r}, load all of it anew with: shadowdiff load --replace"
        )


def _write_entries(connection: Connection, entries: Sequence[Entry], vectors: NDArray[Any] | None) -> None:
    rows = (
        {
            "org_id": entry.org_id,
            "entry_id": entry.entry_id,
            "title": entry.title,
            "body": entry.body,
            "updated_at": entry.updated_at,
            "embedding": None if vectors is None else _vector(vectors[index]),
        }
        for index, entry in enumerate(entries)
    )
    _upsert(connection, schema.entries, rows)


def _vector(row: NDArray[Any]) -> NDArray[np.float32] | None:
    return row.astype("float32") if row.any() else None


def _replace_sessions(connection: Connection, sessions: Sequence[Session]) -> None:
    table = schema.sessions
    for batch in batches(sessions):
        ids = [session.session_id for session in batch]
        _refuse_other_owner(connection, ids, batch)
        connection.execute(delete(table).where(table.c.session_id == func.any(texts(ids))))
    rows = (
        {"session_id": s.session_id, "org_id": s.org_id, "started_at": s.started_at, "tags": dict(s.tags)}
        for s in sessions
    )
    _insert(connection, table, rows)


def _refuse_other_owner(connection: Connection, ids: Sequence[str], sessions: Sequence[Session]) -> None:
    """A session never changes hands: the same id in another org is another session."""
    table = schema.sessions.c
    stored = connection.execute(select(table.session_id, table.org_id).where(table.session_id == func.any(texts(ids))))
    owners = {row.session_id: row.org_id for row in stored}
    for session in sessions:
        owner = owners.get(session.session_id, session.org_id)
        if owner != session.org_id:
            raise ConfigError(
                f"session {session.session_id!r} is stored for org {owner!r} already; "
                f"the bundle has it for {session.org_id!r}"
            )


def _turn_embeddings(connection: Connection, sessions: Sequence[Session]) -> dict[str, tuple[str, Any]]:
    """What is stored of these sessions' turns: the text that was embedded, and its vector, by turn id."""
    turns = schema.turns.c
    columns = (turns.turn_id, turns.query, turns.search_query, turns.embedding)
    found: dict[str, tuple[str, Any]] = {}
    for batch in batches(sessions):
        ids = texts([session.session_id for session in batch])
        statement = select(*columns).where(turns.session_id == func.any(ids), turns.embedding.is_not(None))
        for row in connection.execute(statement):
            found[row.turn_id] = (row.search_query or row.query, row.embedding)
    return found


@dataclass(frozen=True, slots=True)
class _TurnVectors:
    """Where the vector of a turn comes from: the load's own, else the stored one if the text is still the same."""

    given: NDArray[Any] | None
    kept: Mapping[str, tuple[str, Any]]

    def of(self, index: int, turn: Turn) -> Any:
        if self.given is not None:
            return _vector(self.given[index])
        text, vector = self.kept.get(turn.turn_id, ("", None))
        return vector if text == turn.search_text else None


def _write_turns(connection: Connection, sessions: Sequence[Session], vectors: _TurnVectors) -> None:
    _refuse_taken_turns(connection, sessions)
    _insert(connection, schema.turns, _turn_rows(sessions, vectors))
    _insert(connection, schema.pool_entries, _pool_rows(sessions))
    _insert(connection, schema.served_entries, _served_rows(sessions))


def _refuse_taken_turns(connection: Connection, sessions: Sequence[Session]) -> None:
    """Asked when the sessions that are replaced are gone: a turn that is still there is another session's."""
    turns = schema.turns.c
    for batch in batches(turn.turn_id for session in sessions for turn in session.turns):
        statement = select(turns.turn_id, turns.session_id).where(turns.turn_id == func.any(texts(batch)))
        taken = connection.execute(statement.order_by(turns.turn_id)).first()
        if taken is not None:
            raise ConfigError(
                f"turn {taken.turn_id!r} is stored in session {taken.session_id!r} already; "
                "a turn id may stand in one session only"
            )


def _turn_rows(sessions: Sequence[Session], vectors: _TurnVectors) -> Iterator[dict[str, Any]]:
    turns = ((session, turn) for session in sessions for turn in session.turns)
    for index, (session, turn) in enumerate(turns):
        yield {
            "turn_id": turn.turn_id,
            "session_id": session.session_id,
            "org_id": session.org_id,
            "position": turn.position,
            "query": turn.query,
            "search_query": turn.search_query,
            "asked_at": turn.asked_at,
            "answer": turn.answer,
            "pool_recorded": turn.recorded_pool is not None,
            "served_recorded": turn.served is not None,
            "embedding": vectors.of(index, turn),
        }


def _pool_rows(sessions: Sequence[Session]) -> Iterator[dict[str, Any]]:
    for session in sessions:
        for turn in session.turns:
            for rank, item in enumerate(turn.recorded_pool or (), start=1):
                row = {"turn_id": turn.turn_id, "org_id": session.org_id, "rank": rank}
                yield row | {"entry_id": item.entry_id, "score": item.score}


def _served_rows(sessions: Sequence[Session]) -> Iterator[dict[str, Any]]:
    for session in sessions:
        for turn in session.turns:
            for rank, entry_id in enumerate(turn.served or (), start=1):
                yield {"turn_id": turn.turn_id, "org_id": session.org_id, "rank": rank, "entry_id": entry_id}


def _insert(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    for batch in batches(rows):
        connection.execute(insert(table), batch)


def _upsert(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Insert, or update every column given beside the primary key."""
    keys = [column.name for column in table.primary_key]
    for batch in batches(rows):
        statement = insert(table)
        changed = {name: statement.excluded[name] for name in batch[0] if name not in keys}
        if table is schema.entries:
            changed["embedding"] = _kept_embedding(statement.excluded)
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), batch)


def _kept_embedding(excluded: Any) -> Any:
    """A bundle without embeddings does not erase those that still fit the text."""
    stored = schema.entries.c
    unchanged = and_(stored.title == excluded.title, stored.body == excluded.body)
    return case((and_(excluded.embedding.is_(None), unchanged), stored.embedding), else_=excluded.embedding)
