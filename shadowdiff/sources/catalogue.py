"""What a database holds, as its catalogue tells: tables, columns, keys, and a glimpse of the shapes in some columns.

Pure: `survey.py` reads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type` is Postgres' name of it, without schema; a domain's is that of its base."""

    name: str
    type: str
    nullable: bool = True
    labels: tuple[str, ...] = ()
    """Of an enum, in order."""


@dataclass(frozen=True, slots=True)
class Link:
    """A column whose values are identities of rows of another relation."""

    column: str
    target: Relation
    target_column: str
    is_declared: bool
    """Whether a foreign key says so, and not only the names."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns here, and in the same order the columns that they refer to there."""

    columns: tuple[str, ...]
    target: tuple[str, str]
    """Schema and name."""
    target_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListShape:
    """What a JSON column holds, as far as one row shows."""

    path: str | None
    """Key of the object that holds the list; None where the column is the list itself."""
    item: str
    """JSON type of the first item, or of the object."""
    fields: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """JSON type and beginning of each value of the first item, by key; the item itself under an empty key."""
    role: str | None = None
    """What the row's role column says."""
    is_list: bool = True
    """False: no list, but an object; `fields` are its own."""


@dataclass(frozen=True)
class Relation:
    """A table, or whatever else can be selected from."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    kind: str = "table"
    rows: int | None = None
    """The planner's estimate; None where it has none, 0 where there is certainly nothing."""
    is_readable: bool = True
    key: tuple[str, ...] = ()
    """Columns of the primary key."""
    unique: frozenset[str] = frozenset()
    """Columns that are unique on their own."""
    indexed: frozenset[str] = frozenset()
    """Columns that some index starts with."""
    foreign_keys: tuple[ForeignKey, ...] = ()

    def __hash__(self) -> int:
        return hash(self.where)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Relation) and self.where == other.where

    @property
    def where(self) -> tuple[str, str]:
        """Schema and name: what tells relations apart."""
        return self.schema, self.name

    @property
    def label(self) -> str:
        """Schema and name as a person writes them; not for SQL."""
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        """Schema and name as Postgres reads them."""
        return f"{identifier(self.schema)}.{identifier(self.name)}"

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """Columns by name."""
        return {column.name: column for column in self.columns}


@dataclass(frozen=True)
class Catalogue:
    """The relations of one database that could be mapped."""

    relations: tuple[Relation, ...]
    database: str = ""
    role: str = ""
    timezone: str = "UTC"
    """The server's zone, which is what times without one were most likely written in."""
    is_cut: bool = False
    """Whether there were more relations than were read."""
    own_sessions: bool | None = None
    """Whether shadowdiff's own tables hold sessions; None where they are not there."""
    values: Mapping[tuple[str, str, str], frozenset[str]] = field(default_factory=dict)
    """Values seen, by schema, name and column, of columns that look as if they held few."""
    shapes: Mapping[tuple[str, str, str], tuple[ListShape, ...]] = field(default_factory=dict)
    """Shapes seen, by schema, name and column, of JSON columns."""
    linked_roles: Mapping[tuple[str, str, str], frozenset[str]] = field(default_factory=dict)
    """Roles of the messages that a link (schema, name, column) leads to."""

    @cached_property
    def by_where(self) -> Mapping[tuple[str, str], Relation]:
        """Relations by schema and name."""
        return {relation.where: relation for relation in self.relations}

    def named(self, text: str) -> list[Relation]:
        """The relations that a person may mean: `schema.name`, or a name that stands in any schema."""
        return [relation for relation in self.relations if text in (relation.label, relation.name)]

    def values_of(self, relation: Relation, column: str) -> frozenset[str]:
        """Values that a column was seen to hold, or can hold."""
        return self.values.get((*relation.where, column)) or frozenset(relation.by_name[column].labels)

    def shapes_of(self, relation: Relation, column: str) -> tuple[ListShape, ...]:
        """Shapes that a JSON column was seen to hold."""
        return self.shapes.get((*relation.where, column), ())


def identifier(name: str) -> str:
    """One name as Postgres reads it, in quotes only where it needs them."""
    from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS

    if PLAIN_NAME.fullmatch(name) and name not in RESERVED_WORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as Postgres reads it in a statement that is written into a file."""
    quoted = "'" + text.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted
