"""The entries nearest to a query by cosine: compared by the server, through an index where an org has one, or here."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shadowdiff.records import RecordedEntry
from shadowdiff.sources import statements
from shadowdiff.sources.values import array_text, vector
from shadowdiff.store.approximate import index_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection, Row, Select

    from shadowdiff.sources.parts import Part

    Vector = NDArray[np.float32]

Stream = Callable[["Connection", "Select[Any]"], Iterator["Row[Any]"]]
Found = dict[str, list[RecordedEntry]]


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How one source's nearest entries are found."""

    stream: Stream
    indexes: frozenset[str] = frozenset()
    """Names of the approximate indexes of `store.approximate` that may be searched."""
    approximate_orgs: set[str] = field(default_factory=set)
    """Orgs for which such an index has been searched."""

    def nearest(
        self,
        connection: Connection,
        entries: Part,
        queries: Mapping[str, Vector],
        org_of: Mapping[str, str],
        limit: int,
    ) -> Found:
        """The nearest entries by turn id, best first, ties by entry id; one or two statements per org."""
        found: Found = {}
        for org_id, own in _by_org(queries, org_of, shared=not entries.has("org_id")).items():
            if entries.kind("embedding") in statements.SQL_VECTORS:
                found |= self._compared_there(connection, entries, org_id, own, limit)
            else:
                found |= {
                    turn: self._compared_here(connection, entries, org_of[turn], own[turn], limit) for turn in own
                }
        return found

    def _compared_there(
        self, connection: Connection, entries: Part, org_id: str | None, queries: Mapping[str, Vector], limit: int
    ) -> Found:
        """Through the org's index, and exactly where there is none or it answered with fewer than were asked for."""
        found: Found = {}
        for size, own in _by_size(queries).items():
            if org_id is not None and index_name(org_id, size) in self.indexes:
                found |= self._by_index(connection, entries, org_id, size, own, limit)
        rest = _as_text({turn: query for turn, query in queries.items() if len(found.get(turn, ())) < limit})
        return found | self._rows(connection, statements.nearest(entries, org_id, rest, limit)) if rest else found

    def _by_index(
        self,
        connection: Connection,
        entries: Part,
        org_id: str,
        dimensions: int,
        queries: Mapping[str, Vector],
        limit: int,
    ) -> Found:
        self.approximate_orgs.add(org_id)
        connection.execute(statements.search_settings(limit))
        asked = _as_text(queries)
        return self._rows(connection, statements.nearest_by_index(entries, org_id, dimensions, asked, limit))

    def _rows(self, connection: Connection, statement: Select[Any]) -> Found:
        found: Found = defaultdict(list)
        for row in self.stream(connection, statement):
            found[row.turn_id].append(RecordedEntry(row.entry_id, row.score))
        return dict(found)

    def _compared_here(
        self, connection: Connection, entries: Part, org_id: str, query: Vector, limit: int
    ) -> list[RecordedEntry]:
        import numpy as np

        wanted = query.astype(np.float64)

        def scored() -> Iterator[tuple[float, str]]:
            for row in self.stream(connection, statements.vectors_of_org(entries, org_id)):
                found = vector(row.embedding)
                if found is not None and found.shape == query.shape and found.any() and query.any():
                    held = found.astype(np.float64)
                    yield float(held @ wanted / np.linalg.norm(held) / np.linalg.norm(wanted)), row.entry_id

        best = heapq.nsmallest(limit, scored(), key=lambda item: (-item[0], item[1]))
        return [RecordedEntry(entry_id, score) for score, entry_id in best]


def _by_org(
    queries: Mapping[str, Vector], org_of: Mapping[str, str], *, shared: bool
) -> dict[str | None, dict[str, Vector]]:
    grouped: dict[str | None, dict[str, Vector]] = defaultdict(dict)
    for turn_id, query in queries.items():
        grouped[None if shared else org_of[turn_id]][turn_id] = query
    return grouped


def _by_size(queries: Mapping[str, Vector]) -> dict[int, dict[str, Vector]]:
    """Queries by dimensions; one of zeros is near to nothing, and no index knows it."""
    grouped: dict[int, dict[str, Vector]] = defaultdict(dict)
    for turn_id, query in queries.items():
        if query.any():
            grouped[len(query)][turn_id] = query
    return grouped


def _as_text(queries: Mapping[str, Vector]) -> Sequence[tuple[str, str]]:
    return [(turn_id, array_text(query)) for turn_id, query in queries.items()]
