"""The mapping: whether every part gives the columns that are needed, of usable types, and what is not mapped at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from shadowdiff.checks.checkup import Checkup
from shadowdiff.database import masked
from shadowdiff.findings import Finding, fail, ok, warn
from shadowdiff.sources.mapping import NEEDED, OPTIONAL, shape_problems
from shadowdiff.sources.parts import Part
from shadowdiff.store import migrate

if TYPE_CHECKING:
    from sqlalchemy import Connection

NAMES_SHOWN = 5
SHORT_TYPES = (
    (" without time zone", ""),
    ("timestamp with time zone", "timestamptz"),
    ("double precision", "float8"),
    ("character varying", "varchar"),
)
Columns = Mapping[str, Part | None]


def named(checkup: Checkup) -> Iterator[Finding]:
    """Which mapping is used."""
    mapping = checkup.mapping
    parts = ", ".join(mapping.parts)
    told = "shadowdiff's own tables" if mapping.is_own else f"{mapping.name}: {parts}"
    yield ok("mapping", told)


def tables(checkup: Checkup) -> Iterator[Finding]:
    """Whether shadowdiff's own source tables are this version's, where they are the source."""
    if not checkup.mapping.is_own:
        return
    if migrate.status(checkup.engine).lacks("source"):
        told = f"{masked(checkup.engine.url)} has no source tables of this version"
        yield fail("tables", told, "run: shadowdiff db upgrade; or map your own tables: shadowdiff init")
    else:
        yield ok("tables", "the source tables are this version's")


def part(name: str) -> Callable[[Checkup], Iterator[Finding]]:
    """The check of one part's columns; nothing is said of a part that is not mapped."""

    def look(checkup: Checkup) -> Iterator[Finding]:
        if not checkup.parts.has(name):
            return
        found = checkup.read(f"describing {name}", lambda connection: checkup.parts.described(connection, name))
        problems = shape_problems(name, found)
        yield from (fail(name, problem, _remedy(name, problem)) for problem in problems)
        if not problems:
            yield ok(name, _described(name, found))

    return look


def _remedy(name: str, problem: str) -> str:
    column = (re.findall(r"'([^']*)'", problem) or ["…"])[0]
    if problem.startswith("has no column"):
        return f"select it under that name in [source] {name}: … AS {column}"
    if problem.endswith("twice"):
        return f"select it once in [source] {name}"
    return f"convert it in [source] {name}: CAST(… AS …) AS {column}"


def _described(name: str, found: Sequence[tuple[str, str]]) -> str:
    known = {*NEEDED[name], *OPTIONAL[name]}
    used = ", ".join(f"{column} {_short(kind)}" for column, kind in found if column in known)
    others = [column for column, _ in found if column not in known]
    more = f" and {len(others) - NAMES_SHOWN} more" if len(others) > NAMES_SHOWN else ""
    return used + (f"; not used: {', '.join(others[:NAMES_SHOWN])}{more}" if others else "")


def _short(kind: str) -> str:
    for long, short in SHORT_TYPES:
        kind = kind.replace(long, short)
    return kind


def unmapped(checkup: Checkup) -> Iterator[Finding]:
    """What replays must do without, because nothing is mapped for it."""
    columns: Columns = checkup.read("describing the mapping", lambda connection: _columns(checkup, connection))
    for is_missing, check, told, remedy in _gaps(columns):
        if is_missing:
            yield warn(check, f"not mapped: {told}", remedy)


def _columns(checkup: Checkup, connection: Connection) -> Columns:
    return {name: checkup.part(connection, name) for name in NEEDED}


def _gaps(columns: Columns) -> Iterator[tuple[bool, str, str, str]]:
    """Whether something is missing, and what it is, what does not work without it, and what to do."""

    def has(name: str, column: str) -> bool:
        found = columns[name]
        return found is not None and found.has(column)

    def is_listed(name: str) -> bool:
        return columns[name] is not None or has("turns", name)

    with_texts = columns["entries"] is not None or has("pool", "body") or has("turns", "pool")
    yield (
        not is_listed("pool"),
        "pool",
        "no turn says which entries its rerankers chose from",
        "map [source] pool, or a json or array column `pool` of turns; or replay with --pool-from cosine, bm25, hybrid",
    )
    yield (
        not is_listed("served"),
        "served",
        "`-A served` has nothing to show, and no replay can be held against what production did",
        "map [source] served, or a json or array column `served` of turns",
    )
    yield (
        columns["entries"] is None,
        "entries",
        "texts come from recorded pools only, if they hold any" if with_texts else "no side has a text to read",
        "map [source] entries",
    )
    yield (
        not (has("entries", "embedding") and has("turns", "query_embedding")),
        "embeddings",
        "the side `cosine` and --pool-from cosine or hybrid do not work",
        "map `embedding` of entries and `query_embedding` of turns, where production keeps them",
    )
    yield (
        columns["entries"] is not None and not has("entries", "updated_at"),
        "updated_at",
        "entries that changed after they were served cannot be told from others",
        "map `updated_at` of entries",
    )


def time_zone(checkup: Checkup) -> Iterator[Finding]:
    """In which zone times are read that are stored without one."""

    def naive(connection: Connection) -> list[str]:
        found = _columns(checkup, connection).items()
        kinds = [(f"{name}.{column}", kind) for name, part in found if part for column, kind in part.columns.items()]
        return [column for column, kind in kinds if kind in {"timestamp without time zone", "date"}]

    columns = checkup.read("describing the mapping", naive)
    zone = checkup.mapping.timezone.key
    if columns and checkup.settings.source.timezone is None and not checkup.settings.source.presets:
        told = f"{', '.join(columns)}: stored without zone, and read as {zone} because none is configured"
        yield warn("time zone", told, 'say which zone production writes: [source] timezone = "Europe/Berlin", or "UTC"')
    elif columns:
        yield ok("time zone", f"{', '.join(columns)}: stored without zone, read as {zone}")
    else:
        yield ok("time zone", "every time is stored with its zone")
