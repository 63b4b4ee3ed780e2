"""A mapping on one database: each part's statement with the columns and types that the server says it has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    String,
    Subquery,
    Text,
    TextClause,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import NullType, UserDefinedType

from shadowdiff.errors import ConfigError, first_line
from shadowdiff.sources.mapping import NEEDED, OPTIONAL, SourceMapping, shape_problems
from shadowdiff.store.statements import texts

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine

PLACEHOLDER = re.compile(r"(?<![:\w]):(\w+)")
READ_ONLY_VIOLATION = "25006"
TYPE_NAMES = text(
    "SELECT oid::bigint, format_type(CASE typtype WHEN 'd' THEN typbasetype ELSE oid END, -1) "
    "FROM pg_type WHERE oid = ANY(CAST(:oids AS bigint[]))"
)


class ServerType(UserDefinedType[Any]):
    """A type by the name that the server itself gave it."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """As the server spells it, quoted where it must be."""
        return self.name


@dataclass(frozen=True)
class Part:
    """One part of a mapping on one database."""

    name: str
    statement: str
    columns: Mapping[str, str]
    """Type by column, of the columns that shadowdiff knows."""
    parameters: Mapping[str, str]

    def has(self, name: str) -> bool:
        """Whether the statement gives this column."""
        return name in self.columns

    def kind(self, name: str) -> str:
        """The column's type without its schema; empty where the statement does not give the column."""
        return self.columns.get(name, "").rpartition(".")[2]

    @cached_property
    def rows(self) -> Subquery:
        """The statement in brackets, to select from: `FROM (…) AS part`."""
        return wrapped(self.statement, self.name, self.parameters, self.columns)

    def value(self, name: str) -> ColumnElement[Any]:
        """The column as it is; null where the statement does not give it."""
        return self.rows.c[name] if self.has(name) else literal_column("NULL").label(name)

    def as_text(self, name: str) -> ColumnElement[Any]:
        """The column as text, whatever its type; null where the statement does not give it."""
        return cast(self.value(name), Text).label(name)

    def is_among(self, name: str, values: Sequence[str]) -> ColumnElement[bool]:
        """The column is one of these: the values take the column's type, so that its index is used."""
        bound: ColumnElement[Any] = texts(values)
        if self.columns[name] != "text":
            bound = cast(bound, ServerType(f"{self.columns[name]}[]"))
        return self.rows.c[name] == func.any(bound)

    def in_text_order(self, name: str) -> ColumnElement[Any]:
        """The column as text in the one order that every server shares."""
        return cast(self.rows.c[name], Text).collate("C")


class UserStatement(TextClause):
    """A user's SQL as it was written: only `:name` of a parameter is bound, every other colon stands for itself."""

    inherit_cache = True

    def __init__(self, statement: str, parameters: Mapping[str, str]) -> None:
        super().__init__("")
        used = {found[1] for found in PLACEHOLDER.finditer(statement)}
        self.text = statement
        self._bindparams = {
            name: bindparam(name, value, type_=String) for name, value in parameters.items() if name in used
        }


@compiles(UserStatement)
def _as_written(element: UserStatement, compiler: SQLCompiler, **how: Any) -> str:
    written, end = [], 0
    for found in PLACEHOLDER.finditer(element.text):
        bound = element._bindparams.get(found[1])  # noqa: SLF001
        if bound is not None:
            written += [_raw(compiler, element.text[end : found.start()]), compiler.process(bound, **how)]
            end = found.end()
    return "".join([*written, _raw(compiler, element.text[end:])])


def _raw(compiler: SQLCompiler, written: str) -> str:
    """Text that the driver hands on as it is: per cent signs are its placeholders."""
    return str(compiler.post_process_text(written))  # type: ignore[no-untyped-call]


def wrapped(statement: str, name: str, parameters: Mapping[str, str], columns: Mapping[str, str]) -> Subquery:
    """A user's statement as a table expression."""
    # The line break ends a comment that the statement may end in.
    clause = UserStatement(f"{statement}\n", parameters)
    return clause.columns(*(column(key, _type(kind)) for key, kind in columns.items())).subquery(name)


def _type(kind: str) -> TypeEngine[Any]:
    if kind.startswith("timestamp"):
        return DateTime(timezone=kind.endswith("with time zone"))
    return NullType()


class Parts:
    """The parts of one mapping, described by the server when they are first used."""

    def __init__(self, mapping: SourceMapping) -> None:
        self.mapping = mapping
        self._known: dict[str, Part] = {}

    def has(self, name: str) -> bool:
        """Whether the mapping has this part at all."""
        return name in self.mapping.parts

    def get(self, connection: Connection, name: str) -> Part:
        """The part, described. Raises ConfigError where it cannot be used as it is."""
        if name not in self._known:
            self._known[name] = self._checked(connection, name)
        return self._known[name]

    def _checked(self, connection: Connection, name: str) -> Part:
        found = self.described(connection, name)
        problems = shape_problems(name, found)
        if problems:
            raise ConfigError(f"[source] {name} {problems[0]}; see: shadowdiff doctor")
        known = {*NEEDED[name], *OPTIONAL[name]}
        columns = {column: kind for column, kind in found if column in known}
        return Part(name, self.mapping.parts[name], columns, self.mapping.parameters)

    def described(self, connection: Connection, name: str) -> list[tuple[str, str]]:
        """Columns with their types, as the statement gives them; reads no row. Raises ConfigError."""
        source = wrapped(self.mapping.parts[name], name, self.mapping.parameters, {})
        try:
            result: CursorResult[Any] = connection.execute(select(literal_column("*")).select_from(source).limit(0))
            found = [(str(item[0]), int(item[1])) for item in result.cursor.description or ()]  # type: ignore[call-overload]
            result.close()
        except DBAPIError as error:
            if self.mapping.is_own or not is_the_statements_fault(error):
                raise
            raise ConfigError(f"[source] {name}: {said(error)}") from error
        kinds = _type_names(connection, (oid for _, oid in found))
        return [(column, kinds.get(oid, "unknown")) for column, oid in found]


def is_the_statements_fault(error: DBAPIError) -> bool:
    """Whether the server refused the SQL itself: syntax, names, rights, or an attempt to write."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return state.startswith(("42", "0A")) or state == READ_ONLY_VIOLATION


def said(error: DBAPIError) -> str:
    """What the server said, with what to do where the statement tried to write."""
    line = first_line(error.orig) if isinstance(error.orig, Exception) else first_line(error)
    is_write = getattr(error.orig, "sqlstate", None) == READ_ONLY_VIOLATION or "data-modifying" in line
    return f"{line}; a mapping may only read" if is_write else line


def _type_names(connection: Connection, oids: Iterable[int]) -> dict[int, str]:
    rows = connection.execute(TYPE_NAMES, {"oids": sorted(set(oids))})
    return {int(row[0]): str(row[1]) for row in rows}
