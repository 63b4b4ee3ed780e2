"""The statements that a source reads with: a mapping's parts, with filters, order and limit pushed down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    CTE,
    ColumnElement,
    DateTime,
    Float,
    LargeBinary,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from shadowdiff.records import Window
from shadowdiff.sources.parts import Part, ServerType
from shadowdiff.sources.values import stored_moment
from shadowdiff.store.statements import texts

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

SQL_VECTORS = frozenset({"vector", "halfvec"})
"""Types whose nearest neighbours the server finds by itself."""
FOUND_PER_WANTED = 2
"""Entries that an approximate index is asked for per entry of a pool; the rest only helps to rank the last places."""
LOOKED_AT_PER_WANTED = 8
"""Entries of an approximate index that are looked at per entry of a pool: recall grows with it, and time."""
LEAST_LOOKED_AT, MOST_LOOKED_AT = 100, 1_000
"""pgvector takes no more."""


def selection(sessions: Part, window: Window, zone: tzinfo) -> Select[Any]:
    """Session ids, newest first, so that an index on the start serves `last` without reading the rest."""
    rows = sessions.rows.c
    statement = select(sessions.as_text("session_id")).where(
        rows.started_at.is_not(None), *_bounds(sessions, window, zone)
    )
    if window.org_ids and sessions.has("org_id"):
        statement = statement.where(sessions.is_among("org_id", window.org_ids))
    if window.session_ids:
        statement = statement.where(sessions.is_among("session_id", window.session_ids))
    statement = statement.order_by(rows.started_at.desc(), rows.session_id.desc())
    return statement if window.last is None else statement.limit(window.last)


def _bounds(sessions: Part, window: Window, zone: tzinfo) -> list[ColumnElement[bool]]:
    kind = sessions.kind("started_at")
    stored = DateTime(timezone=kind.endswith("with time zone"))

    def bound(moment: Any) -> ColumnElement[Any]:
        return bindparam(None, stored_moment(moment, zone, kind), type_=stored)

    column = sessions.rows.c.started_at
    return [
        *([column >= bound(window.since)] if window.since is not None else []),
        *([column < bound(window.until)] if window.until is not None else []),
    ]


def session_heads(sessions: Part, session_ids: Sequence[str]) -> Select[Any]:
    """Sessions without their turns, oldest first."""
    rows = sessions.rows.c
    columns = [sessions.as_text("session_id"), sessions.as_text("org_id"), rows.started_at, sessions.value("tags")]
    return (
        select(*columns)
        .where(sessions.is_among("session_id", session_ids), rows.started_at.is_not(None))
        .order_by(rows.started_at, rows.session_id)
    )


TURN_TEXTS = ("session_id", "turn_id", "query", "search_query", "answer", "served_by")
TURN_VALUES = ("asked_at", "pool", "served", "pool_recorded", "served_recorded")


def turns_of(turns: Part, session_ids: Sequence[str]) -> Select[Any]:
    """The turns of these sessions, by session and position, or in the order in which they were asked."""
    rows = turns.rows.c
    columns = [turns.as_text(name) for name in TURN_TEXTS] + [turns.value(name) for name in TURN_VALUES]
    place = [rows.position] if turns.has("position") else []
    order = [rows.session_id, *place, rows.asked_at, rows.turn_id]
    return select(*columns).where(turns.is_among("session_id", session_ids)).order_by(*order)


def activity(turns: Part, session_ids: Sequence[str]) -> Select[Any]:
    """Per session that has any: how many turns, and the time of the last one; null where turns have no times."""
    last_asked = func.max(turns.value("asked_at")).label("last_asked")
    return (
        select(turns.as_text("session_id"), func.count().label("turns"), last_asked)
        .where(turns.is_among("session_id", session_ids))
        .group_by(turns.rows.c.session_id)
    )


def listing(listed: Part, turn_ids: Sequence[str]) -> Select[Any]:
    """Rows of a pool or served list, by turn and rank."""
    rows = listed.rows.c
    columns = [
        *(listed.as_text(name) for name in ("turn_id", "entry_id", "title", "body")),
        cast(listed.value("score"), Float).label("score"),
    ]
    statement = select(*columns).where(listed.is_among("turn_id", turn_ids), rows.entry_id.is_not(None))
    return statement.order_by(rows.turn_id, rows.rank, listed.in_text_order("entry_id"))


def _entry_columns(entries: Part) -> list[ColumnElement[Any]]:
    return [*(entries.as_text(name) for name in ("org_id", "entry_id", "title", "body")), entries.value("updated_at")]


def _is_wanted(entries: Part, wanted: Mapping[str, set[str]]) -> ColumnElement[bool]:
    """One term per org, each of which an index on (org, entry) or on the entry serves."""
    if not entries.has("org_id"):
        return entries.is_among("entry_id", sorted(set().union(*wanted.values())))
    terms = (
        and_(entries.is_among("org_id", [org_id]), entries.is_among("entry_id", sorted(entry_ids)))
        for org_id, entry_ids in sorted(wanted.items())
    )
    return or_(false(), *terms)


def entries_by_id(entries: Part, wanted: Mapping[str, set[str]]) -> Select[Any]:
    """The entries wanted, by org."""
    return select(*_entry_columns(entries)).where(_is_wanted(entries, wanted))


def entries_held(entries: Part, wanted: Mapping[str, set[str]]) -> Select[Any]:
    """Which of the entries wanted are there, and when they were changed; no texts."""
    columns = [entries.as_text("org_id"), entries.as_text("entry_id"), entries.value("updated_at")]
    return select(*columns).where(_is_wanted(entries, wanted))


def owners(entries: Part, entry_ids: Sequence[str], limit: int) -> Select[Any]:
    """Orgs that have entries of these ids, whichever org that is."""
    columns = [entries.as_text("org_id"), entries.as_text("entry_id")]
    return select(*columns).where(entries.is_among("entry_id", entry_ids)).limit(limit)


def some_vectors(entries: Part, limit: int) -> Select[Any]:
    """Embeddings of whichever entries come first, those without one among them."""
    columns = [entries.as_text("org_id"), entries.as_text("entry_id"), readable_vector(entries, "embedding")]
    return select(*columns).limit(limit)


def started_since(sessions: Part, window: Window, zone: tzinfo) -> Select[Any]:
    """How many sessions the window selects, up to its `last`, and when the oldest of them started."""
    counted: Any = selection(sessions, window, zone).add_columns(sessions.rows.c.started_at).subquery("counted")
    return select(func.count().label("count"), func.min(counted.c.started_at).label("oldest")).select_from(counted)


def without_start(sessions: Part) -> Select[Any]:
    """A session that has no start, if there is one."""
    return select(sessions.as_text("session_id")).where(sessions.rows.c.started_at.is_(None)).limit(1)


def _is_of_org(entries: Part, org_id: str) -> ColumnElement[bool]:
    return entries.is_among("org_id", [org_id]) if entries.has("org_id") else true()


def entries_of_org(entries: Part, org_id: str) -> Select[Any]:
    """An org's whole knowledge base, by entry id."""
    statement = select(*_entry_columns(entries)).where(_is_of_org(entries, org_id))
    return statement.order_by(entries.in_text_order("entry_id"))


def readable_vector(part: Part, name: str) -> ColumnElement[Any]:
    """An embedding as `values.vector` reads it: bytes as they are, all else as text."""
    return part.value(name) if part.kind(name) == "bytea" else part.as_text(name)


def vectors_by_id(entries: Part, wanted: Mapping[str, set[str]]) -> Select[Any]:
    """Embeddings of the entries wanted."""
    columns = [entries.as_text("org_id"), entries.as_text("entry_id"), readable_vector(entries, "embedding")]
    return select(*columns).where(_is_wanted(entries, wanted), entries.rows.c.embedding.is_not(None))


def vectors_of_org(entries: Part, org_id: str) -> Select[Any]:
    """Embeddings of an org's whole knowledge base."""
    columns = [entries.as_text("entry_id"), readable_vector(entries, "embedding")]
    return select(*columns).where(_is_of_org(entries, org_id), entries.rows.c.embedding.is_not(None))


def vectors_of_turns(turns: Part, turn_ids: Sequence[str]) -> Select[Any]:
    """Embeddings of queries."""
    columns = [turns.as_text("turn_id"), readable_vector(turns, "query_embedding")]
    return select(*columns).where(turns.is_among("turn_id", turn_ids), turns.rows.c.query_embedding.is_not(None))


def nearest(entries: Part, org_id: str | None, asked: Sequence[tuple[str, str]], limit: int) -> Select[Any]:
    """For each (turn id, vector as text): the org's nearest entries by cosine, best first, ties by entry id. Exact.

    `org_id` None: the knowledge base is shared by all orgs.
    """
    turn = _asked(asked, {"vector": ServerType("vector")})
    # The sum keeps the server from an approximate index, which may find too few and not always the same.
    distance = (_distance(entries, turn) + 0.0).label("distance")
    best = (
        select(cast(entries.rows.c.entry_id, Text).label("entry_id"), distance)
        .where(true() if org_id is None else _is_of_org(entries, org_id), entries.rows.c.embedding.is_not(None))
        .order_by(distance, entries.in_text_order("entry_id"))
        .limit(limit)
        .lateral("best")
    )
    columns = (turn.c.turn_id, best.c.entry_id, best.c.distance)
    found = select(*columns).join_from(turn, best, true()).subquery("found")
    return _scored(found.c, select())


def nearest_by_index(
    entries: Part, org_id: str, dimensions: int, asked: Sequence[tuple[str, str]], limit: int
) -> Select[Any]:
    """As `nearest`, through the org's approximate index of the own schema (`store.approximate`).

    The index finds twice as many entries as are wanted by half-precision
    distances; they are ranked by the embeddings themselves.
    """
    half = HALFVEC(dimensions)
    turn = _asked(asked, {"vector": ServerType("vector"), "half": half})
    rows = entries.rows.c
    found = (
        select(rows.entry_id, _distance(entries, turn).label("distance"))
        .where(rows.org_id == org_id, func.vector_dims(rows.embedding) == dimensions)
        .order_by(cast(rows.embedding, half).op("<=>", return_type=Float())(turn.c.half))
        .limit(FOUND_PER_WANTED * limit)
        .lateral("found")
    )
    place = func.row_number().over(
        partition_by=turn.c.turn_id, order_by=(found.c.distance, found.c.entry_id.collate("C"))
    )
    columns = (turn.c.turn_id, found.c.entry_id, found.c.distance, place.label("place"))
    ranked = select(*columns).join_from(turn, found, true()).subquery("ranked")
    return _scored(ranked.c, select().where(ranked.c.place <= limit))


def search_settings(limit: int) -> Select[Any]:
    """For this transaction: how far an approximate index is searched, on until there are enough."""
    breadth = min(max(LOOKED_AT_PER_WANTED * limit, LEAST_LOOKED_AT), MOST_LOOKED_AT)
    settings = {"hnsw.ef_search": str(breadth), "hnsw.iterative_scan": "strict_order"}
    return select(*(func.set_config(name, value, true()) for name, value in settings.items()))


def _asked(asked: Sequence[tuple[str, str]], forms: Mapping[str, TypeEngine[Any]]) -> CTE:
    """Turn ids with their vectors in these forms, each read from its text once and not once per entry."""
    turn_ids, vectors = (texts([item[place] for item in asked]) for place in range(2))
    given = func.unnest(turn_ids, vectors).table_valued("turn_id", "vector").render_derived("given")
    vector = cast(given.c.vector, ServerType("vector"))
    columns = (cast(vector, form).label(name) for name, form in forms.items())
    return select(given.c.turn_id, *columns).cte("asked").prefix_with("MATERIALIZED")


def _distance(entries: Part, turn: CTE) -> ColumnElement[Any]:
    return cast(entries.rows.c.embedding, ServerType("vector")).op("<=>", return_type=Float())(turn.c.vector)


def _scored(rows: Any, statement: Select[Any]) -> Select[Any]:
    """Turn id, entry id and cosine, by turn, best first."""
    score = (literal(1.0) - rows.distance).label("score")
    return statement.add_columns(rows.turn_id, rows.entry_id, score).order_by(
        rows.turn_id, rows.distance, rows.entry_id.collate("C")
    )


def version_of_org(entries: Part, org_id: str, least: int) -> Select[Any]:
    """One row with a hash over ids and texts of an org's entries, whatever their order; no row for fewer than `least`.

    Made of the texts themselves: not every knowledge base keeps the time of a change, or keeps it right.
    """
    of_org = _is_of_org(entries, org_id)
    columns = [func.coalesce(entries.as_text(name), "") for name in ("entry_id", "title", "body")]
    sizes = [part for column in columns for part in (cast(func.length(column), Text), literal(":"))]
    content = func.sha256(func.convert_to(func.concat(*sizes, *columns), "UTF8"))
    hashes = select(content.label("content")).where(of_org).subquery("hashes")
    joined = func.string_agg(hashes.c.content, aggregate_order_by(literal(b"", LargeBinary), hashes.c.content))
    version = select(func.encode(func.sha256(joined), "hex")).scalar_subquery()
    some = select(literal(1)).select_from(entries.rows).where(of_org).limit(least).subquery("some")
    count = select(func.count()).select_from(some).scalar_subquery()
    return select(version.label("version")).where(count >= least)


def known(part: Part, name: str, value: str) -> Select[Any]:
    """Whether the part has any row with this value, without reading the others."""
    return select(part.as_text(name)).where(part.is_among(name, [value])).limit(1)


def newest(sessions: Part, name: str, limit: int) -> Select[Any]:
    """A column of the newest sessions."""
    rows = sessions.rows.c
    return (
        select(sessions.as_text(name)).where(rows.started_at.is_not(None)).order_by(rows.started_at.desc()).limit(limit)
    )
