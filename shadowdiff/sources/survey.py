"""Reads the catalogue of a database, and glimpses at a few rows to see how lists and roles are written. Reads only.

However many tables there are, the catalogue is a handful of statements, and a
glimpse reads a bounded number of rows of a bounded number of tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shadowdiff.sources import words
from shadowdiff.sources.catalogue import Catalogue, Column, ForeignKey, ListShape, Relation, identifier
from shadowdiff.sources.stores import COLLECTIONS

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

RELATIONS_READ = 3_000
RELATIONS_GLIMPSED = 24
ROWS_GLIMPSED = 2_000
VALUES_KEPT = 20
SHAPES_KEPT = 200
KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table"}

# A partition or an inheriting table is read through its parent; an extension's tables are nobody's sessions.
RELATIONS = """
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
       CASE WHEN c.relkind = 'p' THEN
                 (SELECT sum(greatest(leaf.reltuples, 0)) FROM pg_partition_tree(c.oid) AS part
                    JOIN pg_class AS leaf ON leaf.oid = part.relid WHERE part.isleaf)
            WHEN c.relkind IN ('r', 'm') AND c.reltuples > 0 THEN c.reltuples
            WHEN c.relkind IN ('r', 'm') AND pg_relation_size(c.oid) = 0 THEN 0 END::bigint AS rows,
       has_schema_privilege(n.oid, 'USAGE')
           AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT')) AS is_readable
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
   AND n.nspname NOT IN ('information_schema', 'shadowdiff') AND n.nspname !~ '^(pg|_timescaledb)_'
   AND NOT EXISTS (SELECT 1 FROM pg_inherits AS i WHERE i.inhrelid = c.oid)
   AND NOT EXISTS (SELECT 1 FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e'
                                                  AND d.classid = 'pg_class'::regclass)
 ORDER BY c.relname ~* %(interesting)s DESC, c.reltuples DESC, n.nspname, c.relname
 LIMIT %(limit)s
"""
COLUMNS = """
SELECT a.attrelid::bigint AS oid, a.attnum AS place, a.attname AS name, NOT a.attnotnull AS nullable,
       format_type(CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END, -1) AS type,
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid)
           AS labels
  FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
 WHERE a.attrelid = ANY(%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
   AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
 ORDER BY a.attrelid, a.attnum
"""
KEYS = """
SELECT conrelid::bigint AS oid, contype::text AS kind, conkey AS places, confrelid::bigint AS target,
       confkey AS target_places
  FROM pg_constraint WHERE conrelid = ANY(%(oids)s::oid[]) AND contype IN ('p', 'f')
 ORDER BY conrelid, conname
"""
INDEXES = """
SELECT indrelid::bigint AS oid, indkey[0] AS place, indisunique AND indnkeyatts = 1 AS is_unique
  FROM pg_index WHERE indrelid = ANY(%(oids)s::oid[]) AND indisvalid AND indpred IS NULL AND indkey[0] > 0
"""
SERVER = """
SELECT current_database() AS database, current_user AS role, current_setting('TimeZone') AS timezone,
       to_regclass('shadowdiff.sessions') IS NOT NULL AS has_own
"""


@dataclass
class _Found:
    """What the statements say of one relation, gathered."""

    row: Row[Any]
    columns: dict[int, Column] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    indexed: set[str] = field(default_factory=set)
    unique: set[str] = field(default_factory=set)

    def names(self, places: Sequence[int]) -> tuple[str, ...]:
        """Columns by their numbers; none where one of them may not be read."""
        return tuple(self.columns[at].name for at in places) if all(at in self.columns for at in places) else ()

    def relation(self) -> Relation:
        """The relation."""
        return Relation(
            schema=self.row.schema,
            name=self.row.name,
            columns=tuple(self.columns.values()),
            kind=KINDS[self.row.kind],
            rows=self.row.rows,
            is_readable=self.row.is_readable,
            key=self.key,
            unique=frozenset(self.unique),
            indexed=frozenset(self.indexed),
            foreign_keys=tuple(self.foreign_keys),
        )


def read_catalogue(connection: Connection, limit: int = RELATIONS_READ) -> Catalogue:
    """All but the system's and shadowdiff's own relations; where there are more than `limit`, the likelier ones."""
    server = connection.exec_driver_sql(SERVER).one()
    parameters = {"interesting": words.INTERESTING, "limit": limit + 1}
    rows = connection.exec_driver_sql(RELATIONS, parameters).all()
    found = {row.oid: _Found(row) for row in rows[:limit]}
    _fill(connection, found)
    own = _has_rows(connection, "shadowdiff.sessions") if server.has_own else None
    return Catalogue(
        tuple(item.relation() for item in found.values()),
        database=server.database,
        role=server.role,
        timezone=_known_zone(server.timezone),
        is_cut=len(rows) > limit,
        own_sessions=own,
    )


def _known_zone(name: str) -> str:
    """The server's zone; UTC where Python has none of that name."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"


def _fill(connection: Connection, found: dict[int, _Found]) -> None:
    parameters = {"oids": list(found)}
    for row in connection.exec_driver_sql(COLUMNS, parameters):
        kind = row.type.rpartition(".")[2] if not row.labels else "text"
        found[row.oid].columns[row.place] = Column(row.name, kind, row.nullable, tuple(row.labels or ()))
    for row in connection.exec_driver_sql(KEYS, parameters):
        _add_key(found, row)
    for row in connection.exec_driver_sql(INDEXES, parameters):
        for name in found[row.oid].names([row.place]):
            found[row.oid].indexed.add(name)
            if row.is_unique:
                found[row.oid].unique.add(name)


def _add_key(found: dict[int, _Found], row: Row[Any]) -> None:
    here, there = found[row.oid], found.get(row.target)
    names = here.names(row.places)
    if row.kind == "p":
        here.key = names
    elif there is not None and names and (targets := there.names(row.target_places)):
        here.foreign_keys.append(ForeignKey(names, (there.row.schema, there.row.name), targets))


def _has_rows(connection: Connection, name: str) -> bool | None:
    from sqlalchemy.exc import DBAPIError

    savepoint = connection.begin_nested()
    try:
        return connection.exec_driver_sql(f"SELECT 1 FROM {name} LIMIT 1").first() is not None  # noqa: S608 our own name
    except DBAPIError:
        return None
    finally:
        savepoint.rollback()


# -- Glimpses ---------------------------------------------------------------------------------------------------------

SHAPES = """
SELECT seen.role, place.kind, place.path, jsonb_typeof(place.item) AS item, fields.held
  FROM (SELECT {column}::jsonb AS value, {role} AS role FROM {relation}{order} LIMIT {rows}) AS seen
 CROSS JOIN LATERAL (
       SELECT 'list' AS kind, NULL AS path, seen.value -> 0 AS item WHERE jsonb_typeof(seen.value) = 'array'
       UNION ALL
       SELECT 'within', inner_.key, inner_.value -> 0
         FROM jsonb_each(CASE jsonb_typeof(seen.value) WHEN 'object' THEN seen.value ELSE '{{}}' END) AS inner_
        WHERE jsonb_typeof(inner_.value) = 'array'
       UNION ALL
       SELECT 'object', NULL, seen.value WHERE jsonb_typeof(seen.value) = 'object') AS place
 CROSS JOIN LATERAL (
       SELECT jsonb_object_agg(each.key, jsonb_build_array(jsonb_typeof(each.value), left(each.value #>> '{{}}', 64)))
              AS held
         FROM jsonb_each(CASE jsonb_typeof(place.item) WHEN 'object' THEN place.item
                         ELSE jsonb_build_object('', place.item) END) AS each) AS fields
 WHERE place.item IS NOT NULL
 LIMIT {kept}
"""
VALUES = """
SELECT DISTINCT left(seen.value, 64) AS value
  FROM (SELECT {column}::text AS value FROM {relation}{order} LIMIT {rows}) AS seen
 WHERE seen.value IS NOT NULL LIMIT {kept}
"""
LINKED = """
SELECT DISTINCT target.{role}::text AS value
  FROM (SELECT {column} AS value FROM {relation} LIMIT {rows}) AS seen
  JOIN {target} AS target ON target.{target_column} = seen.value
 LIMIT {kept}
"""


def glimpsed(connection: Connection, catalogue: Catalogue) -> Catalogue:
    """The catalogue with what a few rows show. A relation that fails, or takes too long, shows nothing more."""
    look = _Look(connection)
    chosen = _worth_a_glimpse(catalogue.relations)
    values = {(*r.where, c.name): look.values(r, c.name) for r in chosen for c in _telling(r)}
    shapes = {(*r.where, c.name): look.shapes(r, c.name) for r in chosen for c in r.columns if _is_json(c)}
    linked = {(*r.where, key.columns[0]): look.linked(r, key, catalogue) for r in chosen for key in r.foreign_keys}
    return replace(
        catalogue,
        values={where: found for where, found in values.items() if found},
        shapes={where: found for where, found in shapes.items() if found},
        linked_roles={where: found for where, found in linked.items() if found},
    )


def _worth_a_glimpse(relations: Sequence[Relation]) -> list[Relation]:
    nouns = (words.SESSION, words.TURN, words.ENTRY, words.POOL, words.SERVED)
    scored = [
        (max(words.name_score(relation.name, noun) for noun in nouns), relation)
        for relation in relations
        if relation.is_readable and relation.rows != 0
    ]
    likely = sorted((item for item in scored if item[0] > 0), key=lambda item: (-item[0], -(item[1].rows or 0)))
    named = [relation for relation in relations if relation.name == COLLECTIONS and relation.is_readable]
    return [*(relation for _, relation in likely[:RELATIONS_GLIMPSED]), *named]


def _telling(relation: Relation) -> list[Column]:
    """Columns of few values that tell rows apart: roles, stages, and the names of LangChain's collections."""
    if relation.name == COLLECTIONS:
        return [column for column in relation.columns if column.name == "name"]
    kinds = words.ROLE | words.STAGE
    return [c for c in relation.columns if words.TEXTS.fullmatch(c.type) and words.weight(c.name, kinds) >= 1.5]


def _is_json(column: Column) -> bool:
    return words.JSONS.fullmatch(column.type) is not None


def _role(relation: Relation) -> str | None:
    found = words.best(relation.columns, words.ROLE, words.TEXTS)
    return found.name if found else None


def _newest_first(relation: Relation) -> str:
    """An order that an index serves, so that recent rows are seen and nothing is sorted."""
    times = words.best(relation.columns, words.ASKED, words.TIMES)
    names = [times.name] if times else []
    names += [c.name for c in relation.columns if c.name in relation.key and words.WHOLE_NUMBERS.fullmatch(c.type)]
    served = next((name for name in names if name in relation.indexed), None)
    return f" ORDER BY {identifier(served)} DESC" if served else ""


class _Look:
    """Looks at a few rows at a time. Its statements are formatted from quoted names and numbers of ours only."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._failed: set[Relation] = set()

    def values(self, relation: Relation, column: str) -> frozenset[str]:
        """The values of a column; none where there are many."""
        rows = self._rows(VALUES, relation, column)
        return frozenset(row.value for row in rows) if len(rows) < VALUES_KEPT else frozenset()

    def shapes(self, relation: Relation, column: str) -> tuple[ListShape, ...]:
        """What a JSON column holds, row by row."""
        role = _role(relation)
        spelled = f"{identifier(role)}::text" if role else "NULL"
        return tuple(_shape(row) for row in self._rows(SHAPES, relation, column, role=spelled, kept=SHAPES_KEPT))

    def linked(self, relation: Relation, key: ForeignKey, catalogue: Catalogue) -> frozenset[str]:
        """The roles of the messages that a foreign key leads to."""
        target = catalogue.by_where.get(key.target)
        role = _role(target) if target and target.is_readable and target != relation else None
        if target is None or role is None or len(key.columns) > 1:
            return frozenset()
        there = identifier(key.target_columns[0])
        names = {"role": identifier(role), "target": target.sql, "target_column": there}
        return frozenset(row.value for row in self._rows(LINKED, relation, key.columns[0], **names) if row.value)

    def _rows(self, statement: str, relation: Relation, column: str, **names: Any) -> list[Row[Any]]:
        from sqlalchemy.exc import DBAPIError

        if relation in self._failed:
            return []
        values = {"kept": VALUES_KEPT, "rows": ROWS_GLIMPSED, "order": _newest_first(relation)} | names
        spelled = statement.format(column=identifier(column), relation=relation.sql, **values)
        savepoint = self._connection.begin_nested()
        try:
            return list(self._connection.exec_driver_sql(spelled, execution_options={"no_parameters": True}))
        except DBAPIError:
            self._failed.add(relation)
            return []
        finally:
            savepoint.rollback()


def _shape(row: Row[Any]) -> ListShape:
    fields = {key: (str(kind), str(value or "")) for key, (kind, value) in (row.held or {}).items()}
    return ListShape(row.path, row.item, fields, row.role, is_list=row.kind != "object")
