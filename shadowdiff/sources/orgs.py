"""Where the org of sessions and of entries stands: both must speak of the same, or an org finds no entry. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shadowdiff.sources import words
from shadowdiff.sources.catalogue import Link, Relation
from shadowdiff.sources.likeness import Links

ONE_STEP_AWAY = 100
"""An org of the relation's own comes before one that has to be joined."""


@dataclass(frozen=True, slots=True)
class OrgPath:
    """A column that holds the org: the relation's own, or one of what it links to."""

    column: str
    via: Link | None = None
    leads_to: tuple[str, str] | None = None
    """What the column itself leads to."""

    @property
    def rank(self) -> int:
        """The likeliest first, from 0."""
        noun = words.org_rank(self.column)
        return (len(words.ORG) if noun is None else noun) + (ONE_STEP_AWAY if self.via else 0)

    @property
    def label(self) -> str:
        """As a person writes it."""
        return f"{self.via.target.label}.{self.column}" if self.via else self.column

    def means(self, other: OrgPath) -> bool:
        """Whether both hold the same kind of org: by where they lead, or by what they are called."""
        if self.leads_to and other.leads_to:
            return self.leads_to == other.leads_to
        return words.org_rank(self.column) == words.org_rank(other.column)


def org_paths(relation: Relation | None, links: Links) -> list[OrgPath]:
    """Where a relation's org may stand, the likeliest first."""
    if relation is None:
        return []
    named = [column.name for column in words.org_columns(relation)]
    leading = [link.column for link in links.of(relation) if words.org_rank(link.target.name) is not None]
    found = [OrgPath(name, None, _leads(relation, name, links)) for name in dict.fromkeys([*named, *leading])]
    for link in links.of(relation):
        found += [
            OrgPath(c.name, link, _leads(link.target, c.name, links))
            for c in words.org_columns(link.target)
            if c.name != link.target_column and link.target.is_readable
        ]
    return sorted(found, key=lambda path: path.rank)


def _leads(relation: Relation, column: str, links: Links) -> tuple[str, str] | None:
    return next((link.target.where for link in links.of(relation) if link.column == column), None)


def agreed(
    of_sessions: Sequence[OrgPath], of_entries: Sequence[OrgPath], wanted: str | None
) -> tuple[OrgPath | None, OrgPath | None]:
    """The org of sessions, and that of entries where it means the same; else entries are shared by all orgs.

    `wanted` is a column, or `table.column`, that the user named; `none` for no org.
    """
    if wanted == "none":
        return None, None
    sessions = [path for path in of_sessions if wanted in (None, path.column, path.label)]
    pairs = [(one, other) for one in sessions for other in of_entries if one.means(other)]
    pairs.sort(key=lambda pair: (pair[0].rank, pair[1].rank))
    if pairs:
        return pairs[0]
    return (sessions[0] if sessions else None), None
