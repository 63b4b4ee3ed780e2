"""How the server would carry out the statements of a replay: by index, or by reading whole tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Select, text

from shadowdiff.checks.checkup import Checkup
from shadowdiff.checks.relations import Plan, nodes, plan_of
from shadowdiff.findings import Finding, ok, warn
from shadowdiff.records import Window
from shadowdiff.sources import statements
from shadowdiff.sources.role import Table, quoted

if TYPE_CHECKING:
    from sqlalchemy import Connection

LARGE = 10_000
"""Rows from which reading a whole table is worth a warning."""
LAST = 10
NAME = r'(?:"(?:[^"]|"")+"|\w+)'
PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_$]*")
PLAIN_COLUMN = re.compile(rf"(?:{NAME}\.)?(?P<column>{NAME})(?P<order>(?: DESC)?(?: NULLS (?:FIRST|LAST))?)")
COMPARED = re.compile(rf"(?:{NAME}\.)?(?P<column>{NAME})(?P<cast>\)::[\w ]+)?\)* = ")
LITERAL = re.compile(r"'(?:[^']|'')*'")
"""A value in a condition: whatever it holds is no name."""
TABLE = text("""
SELECT CASE WHEN reltuples < 0 THEN pg_relation_size(class.oid) / 100 ELSE reltuples END AS rows,
       ARRAY(SELECT attname FROM pg_attribute
              WHERE attrelid = class.oid AND atttypid = CAST('varchar' AS regtype)) AS varchars
  FROM pg_class AS class
 WHERE class.oid = to_regclass(format('%I.%I', CAST(:schema AS text), CAST(:name AS text)))
""")
"""Rows as the server estimates them; of a table that was never analyzed, a guess from its size."""


class Scan(NamedTuple):
    """A large table that would be read whole."""

    node: Plan
    table: Table
    rows: float
    varchars: frozenset[str]
    """Columns that the server compares as text by itself: a cast around them is nobody's mistake."""


Planned = Callable[["Connection", Checkup], Select[Any] | None]


def newest_sessions(checkup: Checkup) -> Iterator[Finding]:
    """Whether `--last 10` reads an index from its end."""
    yield from _planned(checkup, "newest sessions", _selection)


def by_id(name: str, what: str, statement: Planned) -> Callable[[Checkup], Iterator[Finding]]:
    """The check of a statement that looks up rows of a part by id; nothing where there is nothing to look up."""

    def look(checkup: Checkup) -> Iterator[Finding]:
        if checkup.parts.has(name):
            yield from _planned(checkup, what, statement)

    return look


def _planned(checkup: Checkup, what: str, statement: Planned) -> Iterator[Finding]:
    def work(connection: Connection) -> tuple[Plan, list[Scan]] | None:
        planned = statement(connection, checkup)
        if planned is None:
            return None
        plan = plan_of(connection, planned)
        return plan, list(_large_scans(connection, plan))

    found = checkup.read(f"planning {what}", work)
    if found is None:
        return
    plan, scans = found
    yield from (_warning(what, plan, scan) for scan in scans)
    if not scans:
        yield ok(what, _how(plan))


def _large_scans(connection: Connection, plan: Plan) -> Iterator[Scan]:
    """Whole tables that would be read although they are large, each once."""
    seen: set[Table] = set()
    for node in nodes(plan):
        table = (node.get("Schema", ""), node.get("Relation Name", ""))
        if node["Node Type"] == "Seq Scan" and table not in seen:
            seen.add(table)
            found = connection.execute(TABLE, {"schema": table[0], "name": table[1]}).first()
            if found is not None and found.rows > LARGE:
                yield Scan(node, table, found.rows, frozenset(map(quoted_if_needed, found.varchars)))


def quoted_if_needed(name: str) -> str:
    """The name as plans write it."""
    return name if PLAIN_NAME.fullmatch(name) else quoted(name)


def _warning(what: str, plan: Plan, scan: Scan) -> Finding:
    told = f"all of {'.'.join(scan.table)} is read ({scan.rows:,.0f} rows)"
    purpose = f"to find the newest {LAST}" if what == "newest sessions" else "for each batch"
    return warn(what, f"{told} {purpose}", _suggestion(plan, scan))


def _suggestion(plan: Plan, scan: Scan) -> str:
    """An index as SQL where the plan shows plain columns, else what keeps the server from using one."""
    compared = list(COMPARED.finditer(LITERAL.sub("''", scan.node.get("Filter", ""))))
    columns = _filtered(compared, scan.varchars) if compared else _sorted(plan, str(scan.node.get("Alias", "")))
    if columns:
        return f"CREATE INDEX CONCURRENTLY ON {'.'.join(map(quoted, scan.table))} ({', '.join(columns)});"
    return (
        "let the SQL of [source] give the column as it is stored, so that the filter and the order reach the table: "
        "no expression or cast around it, and no DISTINCT, LIMIT or window function over other columns above it"
    )


def _filtered(compared: Sequence[re.Match[str]], varchars: frozenset[str]) -> list[str]:
    """The columns that the scan compares; none where it compares an expression."""
    is_plain = all(comparison["cast"] is None or comparison["column"] in varchars for comparison in compared)
    return list(dict.fromkeys(comparison["column"] for comparison in compared)) if is_plain else []


def _sorted(plan: Plan, alias: str) -> list[str]:
    """The scanned table's columns at the head of the order of which only the first rows are wanted."""
    if plan["Node Type"] != "Limit":
        return []
    keys: Sequence[str] = next((node["Sort Key"] for node in nodes(plan) if "Sort Key" in node), ())
    columns: list[str] = []
    for key in keys:
        found = PLAIN_COLUMN.fullmatch(key)
        owner = key.rpartition(".")[0].strip('"')
        if found is None or owner not in {"", alias}:
            break
        columns.append(found["column"] + found["order"])
    return columns


def _how(plan: Plan) -> str:
    """Which indexes serve the statement; small tables need none."""
    names = [node["Index Name"] for node in nodes(plan) if "Index Name" in node]
    if names:
        return f"through {', '.join(dict.fromkeys(names))}"
    return f"no table that is read has more than {LARGE:,} rows"


def _selection(connection: Connection, checkup: Checkup) -> Select[Any]:
    part = checkup.parts.get(connection, "sessions")
    return statements.selection(part, Window(last=LAST), checkup.mapping.timezone)


def turns_of_sessions(connection: Connection, checkup: Checkup) -> Select[Any] | None:
    """The turns of a few sampled sessions."""
    session_ids = [session.session_id for session in checkup.sample.sessions[:LAST]]
    return statements.turns_of(checkup.parts.get(connection, "turns"), session_ids) if session_ids else None


def lists_of_turns(name: str) -> Planned:
    """The pools, or served lists, of a few sampled turns."""

    def planned(connection: Connection, checkup: Checkup) -> Select[Any] | None:
        turn_ids = [turn.turn_id for turn in checkup.sample.turns[:LAST]]
        return statements.listing(checkup.parts.get(connection, name), turn_ids) if turn_ids else None

    return planned


def entries_of_pools(connection: Connection, checkup: Checkup) -> Select[Any] | None:
    """The entries of a few sampled pools."""
    turns = [turn for turn in checkup.sample.turns if turn.pool or turn.served][:LAST]
    wanted: dict[str, set[str]] = {}
    for turn in turns:
        wanted.setdefault(turn.org_id, set()).update(turn.pool or turn.served or ())
    return statements.entries_by_id(checkup.parts.get(connection, "entries"), wanted) if wanted else None
