"""Tries a proposed mapping on the database: which parts the server accepts, what they read, and a few sessions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shadowdiff.errors import ConfigError, SourceError
from shadowdiff.records import Entry, Session, Window
from shadowdiff.sources.mapping import SourceMapping, source_mapping
from shadowdiff.sources.parts import Parts, wrapped
from shadowdiff.sources.postgres import PostgresSource
from shadowdiff.sources.role import Table

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Select

    from shadowdiff.sources.proposal import Proposal

SESSIONS_TRIED = 3
ENTRIES_TRIED = 200


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it."""

    broken: Mapping[str, str] = field(default_factory=dict)
    """Why the server refuses a part, by part."""
    sessions: tuple[Session, ...] = ()
    """The newest, oldest first."""
    entries: Mapping[tuple[str, str], Entry] = field(default_factory=dict)
    """Of the entries that their lists name, those that the knowledge base has; by org and entry id."""
    looked_up: int = 0
    """How many entries were asked for."""
    problem: str | None = None
    """Why there are no sessions, where reading them failed."""


def tried(engine: Engine, proposal: Proposal) -> Trial:
    """Read three sessions through the mapping, leaving out the parts that cannot be used."""
    if not proposal.is_usable:
        return Trial()
    source = PostgresSource(engine, source_mapping(proposal.settings()))
    broken = dict(_broken(source))
    if {"sessions", "turns"} & set(broken):
        return Trial(broken)
    left = source_mapping(proposal.settings(without=broken)) if set(broken) <= set(proposal.parts) else source.mapping
    return _sampled(PostgresSource(engine, left), broken)


def _broken(source: PostgresSource) -> Iterator[tuple[str, str]]:
    parts = Parts(source.mapping)
    for part in source.mapping.parts:
        try:
            source.read(f"reading {part}", lambda connection, part=part: parts.get(connection, part))  # type: ignore[misc]
        except (ConfigError, SourceError) as error:
            yield part, str(error)


def _sampled(source: PostgresSource, broken: dict[str, str]) -> Trial:
    try:
        sessions = tuple(source.sessions(Window(last=SESSIONS_TRIED)))
    except (ConfigError, SourceError) as error:
        return Trial(broken, problem=str(error))
    wanted = _listed(sessions)
    count = sum(map(len, wanted.values()))
    try:
        return Trial(broken, sessions, source.entries(wanted) if wanted else {}, count)
    except (ConfigError, SourceError) as error:
        return Trial({**broken, "entries": str(error)}, sessions)


def _listed(sessions: tuple[Session, ...]) -> dict[str, set[str]]:
    """Ids of entries that the sessions' lists name, by org."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for session in sessions:
        for turn in session.turns:
            named = [item.entry_id for item in turn.recorded_pool or ()] + list(turn.served or ())
            wanted[session.org_id].update(named[: ENTRIES_TRIED - len(wanted[session.org_id])])
    return {org_id: entry_ids for org_id, entry_ids in wanted.items() if entry_ids}


def relations_read(engine: Engine, proposal: Proposal, broken: Iterable[str] = ()) -> tuple[list[str], list[Table]]:
    """Schemas and relations that a role must be able to read; no relations: all of the schemas.

    Of proposed parts it is known; a preset's are asked of the planner, which
    names tables behind views as well.
    """
    mapping = source_mapping(proposal.settings())
    if mapping.is_own:
        return ["shadowdiff"], []
    drafts = [where for draft in proposal.parts.values() for where in draft.reads]
    source = PostgresSource(engine, mapping)
    preset = [part for part in mapping.parts if part not in proposal.parts and part not in set(broken)]
    planned = source.read("planning", lambda connection: [t for p in preset for t in _planned(connection, mapping, p)])
    tables = list(dict.fromkeys([*drafts, *planned]))
    return list(dict.fromkeys(schema for schema, _ in tables)), tables


def _planned(connection: Connection, mapping: SourceMapping, part: str) -> Iterator[Table]:
    from sqlalchemy import literal_column, select

    rows = wrapped(mapping.parts[part], part, mapping.parameters, {})
    statement: Select[Any] = select(literal_column("*")).select_from(rows)
    compiled = statement.compile(dialect=connection.dialect)
    spelled = f"EXPLAIN (VERBOSE, FORMAT JSON) {compiled.string}"
    yield from _named(connection.exec_driver_sql(spelled, dict(compiled.params)).scalar_one())


def _named(plan: Any) -> Iterator[Table]:
    """Every relation of a plan."""
    if isinstance(plan, list):
        for item in plan:
            yield from _named(item)
    elif isinstance(plan, dict):
        if "Relation Name" in plan and "Schema" in plan:
            yield plan["Schema"], plan["Relation Name"]
        for item in plan.values():
            yield from _named(item)
