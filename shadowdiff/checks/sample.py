"""The newest sessions as the mapping gives them, with what a replay would tidy away: repeats, gaps, odd times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from shadowdiff.records import RecordedEntry, Window
from shadowdiff.sources import statements
from shadowdiff.sources.mapping import DEFAULT_ORG
from shadowdiff.sources.parts import Parts
from shadowdiff.sources.postgres import PostgresSource
from shadowdiff.sources.values import distinct, listed, moment

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Select

SESSIONS_PER_BATCH = 64
ROWS_PER_FETCH = 2_000
IDS_PER_STATEMENT = 5_000
Named = tuple[str, str]
"""Org and entry id."""
Lists = Mapping[str, Sequence[RecordedEntry]]


@dataclass(frozen=True, slots=True)
class SampledSession:
    """A session as it is stored."""

    session_id: str
    org_id: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class SampledTurn:
    """A turn as it is stored; entry ids are distinct, in order."""

    turn_id: str
    session_id: str
    org_id: str
    query: str
    """The text that rerankers get as the query."""
    asked_at: datetime | None
    pool: tuple[str, ...] | None
    """None: none was recorded."""
    served: tuple[str, ...] | None
    without_text: frozenset[str]
    """Entries of the pool whose text only the knowledge base has."""
    repeats: int
    """How often the pool names an entry that it has named already."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The newest sessions, newest first, with their turns."""

    sessions: tuple[SampledSession, ...]
    """Rows as they come: an id that stands in several rows is here as often."""
    turns: tuple[SampledTurn, ...]


def read_sample(source: PostgresSource, parts: Parts, sessions: int) -> Sample:
    """The newest `sessions` sessions, a batch at a time. Raises SourceError, ConfigError."""

    def selected(connection: Connection) -> list[str]:
        part = parts.get(connection, "sessions")
        statement = statements.selection(part, Window(last=sessions), source.mapping.timezone)
        return list(dict.fromkeys(row.session_id for row in _stream(connection, statement)))

    session_ids = source.read("selecting sessions", selected)
    starts = range(0, len(session_ids), SESSIONS_PER_BATCH)
    batches = [session_ids[start : start + SESSIONS_PER_BATCH] for start in starts]
    found = [source.read("reading sessions", partial(_batch, parts=parts, session_ids=batch)) for batch in batches]
    newest_first = [session for sample in found for session in sample.sessions[::-1]]
    return Sample(tuple(newest_first), tuple(turn for sample in found for turn in sample.turns))


def held_entries(source: PostgresSource, parts: Parts, sample: Sample) -> dict[Named, datetime | None]:
    """When each entry that the sample names was changed, by org and id; absent where it is not there.

    An entry whose text stands in the pool itself is held by that pool.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    held: dict[Named, datetime | None] = {}
    for turn in sample.turns:
        wanted[turn.org_id].update(turn.without_text, turn.served or ())
        held.update(
            {(turn.org_id, entry_id): None for entry_id in turn.pool or () if entry_id not in turn.without_text}
        )
    if parts.has("entries"):
        for org_id, entry_ids in wanted.items():
            for some in _slices(sorted(entry_ids)):
                work = partial(_changes, parts=parts, org_id=org_id, entry_ids=some)
                held.update(source.read("looking for entries", work))
    return held


def _changes(
    connection: Connection, parts: Parts, org_id: str, entry_ids: Sequence[str]
) -> dict[Named, datetime | None]:
    zone = parts.mapping.timezone
    wanted = {org_id: set(entry_ids)}
    rows = _stream(connection, statements.entries_held(parts.get(connection, "entries"), wanted))
    return {(org_id, row.entry_id): row.updated_at and moment(row.updated_at, zone) for row in rows}


def _slices(values: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(values)
    while some := list(islice(iterator, IDS_PER_STATEMENT)):
        yield some


def _batch(connection: Connection, parts: Parts, session_ids: Sequence[str]) -> Sample:
    zone = parts.mapping.timezone
    heads = [
        SampledSession(row.session_id, row.org_id or DEFAULT_ORG, moment(row.started_at, zone))
        for row in _stream(connection, statements.session_heads(parts.get(connection, "sessions"), session_ids))
    ]
    rows = list(_stream(connection, statements.turns_of(parts.get(connection, "turns"), session_ids)))
    turn_ids = list(dict.fromkeys(row.turn_id for row in rows if row.turn_id is not None))
    pools, served = (_listed(connection, parts, name, turn_ids) for name in ("pool", "served"))
    orgs = {head.session_id: head.org_id for head in heads}
    read = _Reader(parts.mapping.json_keys, zone, orgs, pools, served)
    return Sample(tuple(heads), tuple(read.turn(row) for row in rows))


def _listed(connection: Connection, parts: Parts, name: str, turn_ids: Sequence[str]) -> Lists | None:
    """Lists by turn id, from a part of their own, repeats and all; None where the mapping has no such part."""
    if not parts.has(name):
        return None
    part = parts.get(connection, name)
    grouped: dict[str, list[RecordedEntry]] = defaultdict(list)
    for row in _stream(connection, statements.listing(part, turn_ids)):
        body = (row.body or "") if part.has("body") else None
        grouped[row.turn_id].append(RecordedEntry(row.entry_id, body=body))
    return grouped


@dataclass(frozen=True, slots=True)
class _Reader:
    """From a row of turns to a sampled turn."""

    json_keys: Mapping[str, str]
    zone: tzinfo
    orgs: Mapping[str, str]
    pools: Lists | None
    served: Lists | None

    def turn(self, row: Row[Any]) -> SampledTurn:
        """The turn as it is stored. Raises SourceError where a list cannot be read."""
        items, repeats = self._list(row, "pool", row.pool_recorded, self.pools)
        shown, _ = self._list(row, "served", row.served_recorded, self.served)
        return SampledTurn(
            turn_id=row.turn_id,
            session_id=row.session_id,
            org_id=self.orgs.get(row.session_id, DEFAULT_ORG),
            query=row.search_query or row.query or "",
            asked_at=row.asked_at and moment(row.asked_at, self.zone),
            pool=_ids(items),
            served=_ids(shown),
            without_text=frozenset(item.entry_id for item in items or () if item.body is None),
            repeats=repeats,
        )

    def _list(
        self, row: Row[Any], name: str, flag: bool | None, lists: Lists | None
    ) -> tuple[Sequence[RecordedEntry] | None, int]:
        if lists is None:
            value = getattr(row, name)
            items = listed(value, self.json_keys, f"{name} of turn {row.turn_id!r}")
            return items, 0 if items is None else _length(value) - len(items)
        found = lists.get(row.turn_id)
        if flag is False or (found is None and flag is None):
            return None, 0
        kept = distinct(found or ())
        return kept, len(found or ()) - len(kept)


def _length(value: Any) -> int:
    import json

    items: Iterable[Any] = json.loads(value) if isinstance(value, str) else value
    return sum(item is not None for item in items)


def _ids(items: Sequence[RecordedEntry] | None) -> tuple[str, ...] | None:
    return None if items is None else tuple(item.entry_id for item in items)


def _stream(connection: Connection, statement: Select[Any]) -> Iterator[Row[Any]]:
    yield from connection.execute(statement, execution_options={"yield_per": ROWS_PER_FETCH})
