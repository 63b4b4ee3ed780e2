"""Which tables and views the parts of a mapping read, by what the server plans, and what its role may do to them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ClauseElement, Executable, Select, literal_column, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles

from shadowdiff.sources.parts import Parts, wrapped
from shadowdiff.sources.role import Table

if TYPE_CHECKING:
    from sqlalchemy import Connection

Plan = Mapping[str, Any]
"""A node of a plan as `EXPLAIN (FORMAT JSON)` writes it."""

REACHED = text("""
WITH RECURSIVE read(oid) AS (
    SELECT DISTINCT CAST(to_regclass(format('%I.%I', part.schema, part.name)) AS oid)
      FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS part(schema, name)
), reached(oid) AS (
    SELECT oid FROM read
    UNION
    SELECT above.oid
      FROM reached
     CROSS JOIN LATERAL (
           SELECT rule.ev_class AS oid
             FROM pg_depend AS use
             JOIN pg_rewrite AS rule ON rule.oid = use.objid AND use.classid = CAST('pg_rewrite' AS regclass)
            WHERE use.refobjid = reached.oid AND use.refclassid = CAST('pg_class' AS regclass)
           UNION ALL
           SELECT inhparent FROM pg_inherits WHERE inhrelid = reached.oid
           ) AS above
)
SELECT nspname, relname, class.oid IN (SELECT oid FROM read) AS is_read,
       has_table_privilege(class.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') AS is_writable
  FROM reached
  JOIN pg_class AS class USING (oid)
  JOIN pg_namespace AS space ON space.oid = class.relnamespace
 ORDER BY nspname, relname
""")
"""Tables that are read, and the views and partitioned tables above them, through which a statement may name them."""


class Explain(Executable, ClauseElement):
    """`EXPLAIN` of a statement, with its values bound. Reads no row."""

    inherit_cache = False

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement


@compiles(Explain)
def _explain(element: Explain, compiler: Any, **how: Any) -> str:
    return f"EXPLAIN (VERBOSE, FORMAT JSON) {compiler.process(element.statement, **how)}"


def plan_of(connection: Connection, statement: Select[Any]) -> Plan:
    """The root of the plan that the server would carry out."""
    written: Any = connection.execute(Explain(statement)).scalar()
    found = json.loads(written) if isinstance(written, str) else written
    root: Plan = found[0]["Plan"]
    return root


def nodes(plan: Plan) -> Iterator[Plan]:
    """The plan's nodes, each before those below it."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


@dataclass(frozen=True, slots=True)
class Relations:
    """Tables and views behind a mapping, each with its schema, by name."""

    read: tuple[Table, ...]
    """Tables whose rows are read."""
    writable: tuple[Table, ...]
    """Of these, those that the role may write."""
    granted: tuple[Table, ...]
    """What a role needs rights on: the tables and views that the statements name."""


def relations(connection: Connection, parts: Parts) -> Relations:
    """What the mapping's parts read. A part that the server refuses counts as reading nothing."""
    planned = [table for name in parts.mapping.parts for table in _planned(connection, parts, name)]
    names = {"schemas": [schema for schema, _ in planned], "names": [name for _, name in planned]}
    rows = connection.execute(REACHED, names).all()
    written = "\n".join(parts.mapping.parts.values())
    read = tuple((row.nspname, row.relname) for row in rows if row.is_read)
    named = tuple((row.nspname, row.relname) for row in rows if _stands_in(row.relname, written))
    writable = tuple((row.nspname, row.relname) for row in rows if row.is_read and row.is_writable)
    return Relations(read, writable, named or read)


def _planned(connection: Connection, parts: Parts, name: str) -> list[Table]:
    """Tables in the plan of a part as it stands."""
    mapping = parts.mapping
    source = wrapped(mapping.parts[name], name, mapping.parameters, {})
    savepoint = connection.begin_nested()
    try:
        plan = plan_of(connection, select(literal_column("*")).select_from(source))
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return []
    else:
        return [(node["Schema"], node["Relation Name"]) for node in nodes(plan) if "Relation Name" in node]
    finally:
        if not connection.invalidated:
            savepoint.rollback()


def _stands_in(name: str, sql: str) -> bool:
    """Whether the SQL names it, quoted or not."""
    return re.search(rf"(?<!\w){re.escape(name.replace(chr(34), chr(34) * 2))}(?!\w)", sql, re.IGNORECASE) is not None
