"""Postgres as a source: whole sessions and knowledge bases through a mapping, in few statements, never written."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from shadowdiff.database import database_errors
from shadowdiff.errors import ConfigError, SourceError
from shadowdiff.records import Activity, Entry, RecordedEntry, Session, Turn, Window
from shadowdiff.retry import Retries
from shadowdiff.sources import statements
from shadowdiff.sources.listening import Listener
from shadowdiff.sources.mapping import DEFAULT_ORG, SourceMapping, source_mapping
from shadowdiff.sources.parts import Parts, is_the_statements_fault, said
from shadowdiff.sources.retrieval import Retrieval
from shadowdiff.sources.values import distinct, listed, moment, tags, vector
from shadowdiff.store.approximate import usable_indexes
from shadowdiff.store.schema import orgs
from shadowdiff.store.statements import texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection, Engine, Row, Select

SESSIONS_PER_BATCH = 64
ROWS_PER_FETCH = 2_000
ORGS_SHOWN = 5
VERSIONED_FROM = 2_000
"""Entries from which a lexicon that was made before is worth asking for: fewer are indexed in a moment."""
ALIKE = (
    "ids and orgs of one part are looked up in the others: their types must fit "
    f"(sessions without org_id are of the org {DEFAULT_ORG!r})"
)
VALUE_IS_NO_SUCH_TYPE = ("22P02", "22003", "22007")
T = TypeVar("T")


class PostgresSource:
    """Sessions and knowledge bases through a read-only engine (`database.source_engine`).

    `mapping` says which SQL gives them; the own schema unless given. Every
    method raises SourceError when the database fails, after `retries` gave up,
    and ConfigError where the mapping does not fit the database. `approximate`:
    whether `nearest` may search an index that finds nearly all. `cache_directory`:
    where what is made of the entries' texts may be kept; None: nowhere.
    """

    def __init__(
        self,
        engine: Engine,
        mapping: SourceMapping | None = None,
        *,
        retries: Retries | None = None,
        sessions_per_batch: int = SESSIONS_PER_BATCH,
        approximate: bool = True,
        cache_directory: Path | None = None,
    ) -> None:
        self.mapping = mapping or source_mapping()
        self._engine = engine
        self._retries = retries or Retries()
        self._parts = Parts(self.mapping)
        self._sessions_per_batch = sessions_per_batch
        self._approximate = approximate
        self._found_by: Retrieval | None = None
        self.cache_directory = cache_directory

    def session_ids(self, window: Window) -> list[str]:
        """Ids of the selected sessions, oldest first. Raises ConfigError for an org or session that is not stored."""
        self.read("selecting sessions", lambda connection: self._require(connection, window))
        return self.selected(window)

    def selected(self, window: Window) -> list[str]:
        """As `session_ids`, but an org or a session that is not stored selects nothing."""

        def work(connection: Connection) -> list[str]:
            part = self._parts.get(connection, "sessions")
            if window.org_ids and not part.has("org_id") and DEFAULT_ORG not in window.org_ids:
                return []
            statement = statements.selection(part, window, self.mapping.timezone)
            return [row.session_id for row in self._stream(connection, statement)]

        newest_first = list(dict.fromkeys(self.read("selecting sessions", work)))
        return _sampled(newest_first[::-1], window)

    def session_orgs(self, window: Window) -> dict[str, str]:
        """Orgs by the id of every session that the window selects, oldest first. Raises ConfigError as session_ids."""

        def work(connection: Connection) -> list[tuple[str, str]]:
            self._require(connection, window)
            part = self._parts.get(connection, "sessions")
            statement = statements.selection(part, window, self.mapping.timezone).add_columns(part.as_text("org_id"))
            return [(row.session_id, row.org_id or DEFAULT_ORG) for row in self._stream(connection, statement)]

        return dict(reversed(self.read("selecting sessions", work)))

    def sessions(self, window: Window) -> Iterator[Session]:
        """Whole sessions, oldest first; a batch is a few statements in one snapshot, however many turns it has.

        Ids of the window that are not stored (any more) yield nothing.
        """
        # A batch's ids need no selecting: they are read in order, and those that are not there yield nothing.
        is_one_batch = window == Window(session_ids=window.session_ids) and self._is_a_batch(window.session_ids)
        selected = list(dict.fromkeys(window.session_ids)) if is_one_batch else self.selected(window)
        for start in range(0, len(selected), self._sessions_per_batch):
            yield from self._batch(selected[start : start + self._sessions_per_batch])

    def last_asked(self, session_ids: Sequence[str]) -> dict[str, datetime]:
        """When the last turn of each of these sessions was asked; absent where the source does not say."""
        found = self.activity(session_ids)[1] if session_ids else {}
        return {name: session.last_asked for name, session in found.items() if session.last_asked is not None}

    def activity(self, session_ids: Sequence[str]) -> tuple[datetime, dict[str, Activity]]:
        """The server's time, and what has been asked in each session by then; absent where nothing has."""

        def work(connection: Connection) -> tuple[datetime, dict[str, Activity]]:
            now: datetime = connection.execute(select(func.now())).scalar_one()
            if not session_ids:
                return now, {}
            part, zone = self._parts.get(connection, "turns"), self.mapping.timezone
            rows = self._stream(connection, statements.activity(part, session_ids))
            times = ((row.session_id, row.turns, row.last_asked) for row in rows)
            return now, {name: Activity(turns, last and moment(last, zone)) for name, turns, last in times}

        return self.read("reading turns", work)

    def listener(self, hear: Callable[[str], None]) -> Listener:
        """What calls `hear` as sessions are written into the own schema; no mapped database announces anything."""
        return Listener(self._engine, hear)

    def _is_a_batch(self, session_ids: Sequence[str]) -> bool:
        return 0 < len(session_ids) <= self._sessions_per_batch

    def entries(self, wanted: Mapping[str, set[str]]) -> dict[tuple[str, str], Entry]:
        """Entries by (org id, entry id); ids that are not stored are absent. One statement."""

        def work(connection: Connection) -> dict[tuple[str, str], Entry]:
            part = self._parts.get(connection, "entries")
            rows = self._stream(connection, statements.entries_by_id(part, wanted))
            return dict(_by_org(rows, wanted, self._entry, shared=not part.has("org_id")))

        return self.read("reading entries", work) if self._parts.has("entries") else {}

    def org_entries(self, org_id: str) -> list[Entry]:
        """Every entry of an org, ordered by entry id. One statement."""

        def work(connection: Connection) -> list[Entry]:
            part = self._parts.get(connection, "entries")
            rows = self._stream(connection, statements.entries_of_org(part, org_id))
            return [self._entry(row, org_id) for row in rows]

        return self.read("reading a knowledge base", work) if self._parts.has("entries") else []

    def entry_vectors(self, wanted: Mapping[str, set[str]]) -> dict[tuple[str, str], NDArray[np.float32]]:
        """Stored embeddings by (org id, entry id). One statement."""

        def work(connection: Connection) -> dict[tuple[str, str], NDArray[np.float32]]:
            part = self._parts.get(connection, "entries")
            if not part.has("embedding"):
                return {}
            rows = self._stream(connection, statements.vectors_by_id(part, wanted))
            found = _by_org(rows, wanted, lambda row, _: vector(row.embedding), shared=not part.has("org_id"))
            return {key: value for key, value in found if value is not None}

        return self.read("reading embeddings", work) if self._parts.has("entries") else {}

    def turn_vectors(self, turn_ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Stored embeddings of queries by turn id. One statement."""

        def work(connection: Connection) -> dict[str, NDArray[np.float32]]:
            part = self._parts.get(connection, "turns")
            if not part.has("query_embedding"):
                return {}
            rows = self._stream(connection, statements.vectors_of_turns(part, turn_ids))
            found = {row.turn_id: vector(row.query_embedding) for row in rows}
            return {turn_id: value for turn_id, value in found.items() if value is not None}

        return self.read("reading embeddings", work)

    def embedding_models(self, org_ids: Sequence[str]) -> dict[str, str]:
        """Names of the models by org id; only the own schema says them. One statement."""
        statement = select(orgs.c.org_id, orgs.c.embedding_model).where(
            orgs.c.org_id == func.any(texts(org_ids)), orgs.c.embedding_model.is_not(None)
        )

        def work(connection: Connection) -> dict[str, str]:
            return {row.org_id: row.embedding_model for row in connection.execute(statement)}

        return self.read("reading embedding models", work) if self.mapping.is_own else {}

    def nearest(self, org_of: Mapping[str, str], limit: int) -> dict[str, list[RecordedEntry]]:
        """The org's entries nearest to each turn by cosine, best first, ties by entry id; `org_of` by turn id.

        Exact, but for large orgs of the own schema that have an approximate
        index (`approximate_orgs`). The server compares pgvector's own types; for
        embeddings of other types an org's are streamed once per turn and
        compared here.
        """
        queries = self.turn_vectors(list(org_of))

        def work(connection: Connection) -> dict[str, list[RecordedEntry]]:
            part = self._parts.get(connection, "entries")
            if not part.has("embedding") or not queries:
                return {}
            return self._retrieval(connection).nearest(connection, part, queries, org_of, limit)

        return self.read("retrieving pools by cosine", work) if self._parts.has("entries") else {}

    @property
    def approximate_orgs(self) -> frozenset[str]:
        """Orgs for which `nearest` has searched an approximate index."""
        return frozenset(self._found_by.approximate_orgs) if self._found_by else frozenset()

    def _retrieval(self, connection: Connection) -> Retrieval:
        """How entries are found, decided when it is first asked: all pools of a source are found in one way."""
        if self._found_by is None:
            may = self.mapping.is_own and self._approximate
            self._found_by = Retrieval(self._stream, usable_indexes(connection) if may else frozenset())
        return self._found_by

    def kb_version(self, org_id: str) -> str | None:
        """A hash over what an org's lexicon is made of; None where its entries are fewer than a lexicon is kept for."""

        def work(connection: Connection) -> str | None:
            part = self._parts.get(connection, "entries")
            row = connection.execute(statements.version_of_org(part, org_id, VERSIONED_FROM)).first()
            return None if row is None else str(row.version)

        return self.read("reading a knowledge base's version", work) if self._parts.has("entries") else None

    def read(self, what: str, work: Callable[[Connection], T]) -> T:
        """What `work` makes of one READ ONLY, REPEATABLE READ transaction; all of it again where the server went away.

        `work` must leave no row unread. `what` is said where it fails.
        """

        def once() -> T:
            with database_errors(SourceError, what, self._engine.url), self._engine.connect() as connection:
                return self._worked(connection, what, work)

        return self._retries.run(once)

    def _worked(self, connection: Connection, what: str, work: Callable[[Connection], T]) -> T:
        try:
            return work(connection)
        except DBAPIError as error:
            if self.mapping.is_own:
                raise
            if getattr(error.orig, "sqlstate", None) in VALUE_IS_NO_SUCH_TYPE:
                raise ConfigError(f"{what} through [source] failed: {said(error)}; {ALIKE}") from error
            if is_the_statements_fault(error):
                raise ConfigError(f"{what} through [source] failed: {said(error)}") from error
            raise

    @staticmethod
    def _stream(connection: Connection, statement: Select[Any]) -> Iterator[Row[Any]]:
        """Rows through a server-side cursor."""
        yield from connection.execute(statement, execution_options={"yield_per": ROWS_PER_FETCH})

    def _batch(self, session_ids: Sequence[str]) -> list[Session]:
        def work(connection: Connection) -> list[Session]:
            part = self._parts.get(connection, "sessions")
            heads = list(self._stream(connection, statements.session_heads(part, session_ids)))
            turns = self._turns(connection, session_ids)
            zone = self.mapping.timezone
            return [
                Session(
                    head.session_id,
                    head.org_id or DEFAULT_ORG,
                    moment(head.started_at, zone),
                    _numbered(turns[head.session_id], moment(head.started_at, zone)),
                    tags(head.tags),
                )
                for head in heads
            ]

        return self.read("reading sessions", work)

    def _turns(self, connection: Connection, session_ids: Sequence[str]) -> dict[str, list[Turn]]:
        part = self._parts.get(connection, "turns")
        rows = list(self._stream(connection, statements.turns_of(part, session_ids)))
        _refuse_repeated(rows)
        turn_ids = [row.turn_id for row in rows]
        pools = self._listed(connection, "pool", turn_ids)
        served = self._listed(connection, "served", turn_ids)
        grouped: dict[str, list[Turn]] = defaultdict(list)
        for row in rows:
            grouped[row.session_id].append(self._turn(row, pools, served))
        return grouped

    def _listed(
        self, connection: Connection, name: str, turn_ids: Sequence[str]
    ) -> dict[str, tuple[RecordedEntry, ...]] | None:
        """Lists by turn id from a part of their own; None where the mapping has no such part."""
        if not self._parts.has(name):
            return None
        part = self._parts.get(connection, name)
        grouped: dict[str, list[RecordedEntry]] = defaultdict(list)
        for row in self._stream(connection, statements.listing(part, turn_ids)):
            title, body = (row.title or "", row.body or "") if part.has("body") else (None, None)
            grouped[row.turn_id].append(RecordedEntry(row.entry_id, row.score, title, body))
        return {turn_id: distinct(items) for turn_id, items in grouped.items()}

    def _turn(
        self,
        row: Row[Any],
        pools: Mapping[str, tuple[RecordedEntry, ...]] | None,
        served: Mapping[str, tuple[RecordedEntry, ...]] | None,
    ) -> Turn:
        pool = self._list(row, "pool", row.pool_recorded, pools)
        shown = self._list(row, "served", row.served_recorded, served)
        return Turn(
            turn_id=row.turn_id,
            position=1,
            query=row.query or "",
            asked_at=row.asked_at and moment(row.asked_at, self.mapping.timezone),
            search_query=row.search_query or None,
            answer=row.answer,
            recorded_pool=pool,
            served=None if shown is None else tuple(item.entry_id for item in shown),
            served_by=row.served_by,
        )

    def _list(
        self, row: Row[Any], name: str, flag: bool | None, lists: Mapping[str, tuple[RecordedEntry, ...]] | None
    ) -> tuple[RecordedEntry, ...] | None:
        """A turn's pool or served list; None where production recorded none."""
        if lists is None:
            return listed(getattr(row, name), self.mapping.json_keys, f"{name} of turn {row.turn_id!r}")
        found = lists.get(row.turn_id)
        return (found or ()) if flag else None if flag is not None else found

    def _entry(self, row: Row[Any], org_id: str) -> Entry:
        updated_at = None if row.updated_at is None else moment(row.updated_at, self.mapping.timezone)
        return Entry(org_id, row.entry_id, row.title or "", row.body or "", updated_at)

    def _require(self, connection: Connection, window: Window) -> None:
        """Refuse orgs and sessions that are not there, naming some that are."""
        for noun, name, wanted in (("org", "org_id", window.org_ids), ("session", "session_id", window.session_ids)):
            unknown = [value for value in wanted if not self._is_known(connection, name, value)]
            if unknown:
                plural = "s" if len(unknown) > 1 else ""
                nearby = self._nearby(connection, name, noun)
                raise ConfigError(f"unknown {noun}{plural}: {', '.join(map(repr, unknown))}{nearby}")

    def _is_known(self, connection: Connection, name: str, value: str) -> bool:
        holders = ["sessions", "entries"] if name == "org_id" and self._parts.has("entries") else ["sessions"]
        parts = [part for part in (self._parts.get(connection, holder) for holder in holders) if part.has(name)]
        if not parts:
            return value == DEFAULT_ORG
        return any(self._holds(connection, statements.known(part, name, value)) for part in parts)

    @staticmethod
    def _holds(connection: Connection, statement: Select[Any]) -> bool:
        """Whether there is a row; a value that the column's type cannot hold stands in no row."""
        savepoint = connection.begin_nested()
        try:
            return connection.execute(statement).first() is not None
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in VALUE_IS_NO_SUCH_TYPE:
                raise
            return False
        finally:
            savepoint.rollback()

    def _nearby(self, connection: Connection, name: str, noun: str) -> str:
        part = self._parts.get(connection, "sessions")
        rows = connection.execute(statements.newest(part, name, 200)) if part.has(name) else ()
        known = sorted({row[0] for row in rows if row[0] is not None})
        if not known:
            return f"; the database holds no {noun} at all"
        shown = ", ".join(map(repr, known[:ORGS_SHOWN])) + (", …" if len(known) > ORGS_SHOWN else "")
        return f"; it holds {shown}"


def _sampled(session_ids: list[str], window: Window) -> list[str]:
    if window.sample is None or window.sample >= len(session_ids):
        return session_ids
    chosen = random.Random(window.seed).sample(range(len(session_ids)), window.sample)  # noqa: S311 sampling, not secrecy
    return [session_ids[index] for index in sorted(chosen)]


def _numbered(turns: Sequence[Turn], started_at: Any) -> tuple[Turn, ...]:
    """Positions from 1 without gaps, whatever numbers production gives to its messages."""
    return tuple(
        replace(turn, position=place, asked_at=turn.asked_at or started_at) for place, turn in enumerate(turns, start=1)
    )


def _refuse_repeated(rows: Sequence[Row[Any]]) -> None:
    seen: set[str] = set()
    for row in rows:
        if row.turn_id is None or row.turn_id in seen:
            raise ConfigError(
                f"[source] turns gives turn_id {row.turn_id!r} more than once or null; an id must name one turn of all "
                "sessions: make it unique in the SQL, say session_id || ':' || position"
            )
        seen.add(row.turn_id)


def _by_org(
    rows: Iterator[Row[Any]], wanted: Mapping[str, set[str]], made: Callable[[Row[Any], str], T], *, shared: bool
) -> Iterator[tuple[tuple[str, str], T]]:
    """Rows under the orgs that asked for them: a shared knowledge base answers every org."""
    for row in rows:
        orgs = [org for org, ids in wanted.items() if row.entry_id in ids] if shared else [row.org_id]
        for org_id in orgs:
            yield (org_id, row.entry_id), made(row, org_id)
