"""Stored embeddings: whether queries and entries have them, of one size, and none of them empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shadowdiff.checks.checkup import Checkup
from shadowdiff.findings import Finding, fail, ok, warn
from shadowdiff.sources import statements
from shadowdiff.sources.values import vector

if TYPE_CHECKING:
    from sqlalchemy import Connection

LOOKED_AT = 200
"""Queries, and entries, whose embeddings are read."""
NO_COSINE = "the side `cosine` and --pool-from cosine cannot use them"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a look at some embeddings found."""

    noun: str
    asked: int
    """Queries or entries looked at."""
    present: int
    """Of these, with an embedding."""
    sizes: Mapping[int, int]
    """How many have this many dimensions."""
    zero: int
    unreadable: int


def embeddings(checkup: Checkup) -> Iterator[Finding]:
    """Dimensions, gaps and zero vectors of a sample of queries and entries."""
    looks = checkup.read("reading embeddings", lambda connection: _looks(checkup, connection))
    for stored in looks:
        yield from _gaps(stored)
    yield from _dimensions(looks)


def _gaps(stored: Stored) -> Iterator[Finding]:
    lacking = stored.asked - stored.present
    if lacking:
        told = f"{lacking} of {stored.asked} {stored.noun} have none ({lacking / stored.asked:.1%})"
        yield warn("embeddings", told, f"{NO_COSINE}; embed what is missing")
    if stored.unreadable:
        told = f"{stored.unreadable} of {stored.present} embeddings of {stored.noun} hold no vector of finite numbers"
        yield warn("embeddings", told, f"{NO_COSINE}; embed these anew")
    if stored.zero:
        told = f"{stored.zero} of {stored.present} embeddings of {stored.noun} are all zeros"
        yield warn("embeddings", told, "a zero vector is similar to nothing; embed these anew")


def _dimensions(looks: Sequence[Stored]) -> Iterator[Finding]:
    sizes = {stored.noun: stored.sizes for stored in looks if stored.sizes}
    mixed = {noun: found for noun, found in sizes.items() if len(found) > 1}
    for noun, found in mixed.items():
        told = f"{noun} have several: {', '.join(f'{size} ({count})' for size, count in sorted(found.items()))}"
        yield fail("dimensions", told, "all embeddings must come from one model: embed the others anew")
    if mixed or not sizes:
        return
    one = {noun: next(iter(found)) for noun, found in sizes.items()}
    if len(set(one.values())) > 1:
        told = " and ".join(f"{size} for {noun}" for noun, size in one.items())
        yield fail("dimensions", told, "queries and entries must be embedded by one model; check [source]")
    else:
        yield ok("dimensions", f"{next(iter(one.values()))} for {' and '.join(one)}")


def _looks(checkup: Checkup, connection: Connection) -> list[Stored]:
    found = []
    turns, entries = checkup.parts.get(connection, "turns"), checkup.part(connection, "entries")
    turn_ids = [turn.turn_id for turn in checkup.sample.turns[:LOOKED_AT]]
    if turns.has("query_embedding"):
        rows = connection.execute(statements.vectors_of_turns(turns, turn_ids))
        found.append(_stored("queries", len(turn_ids), [row.query_embedding for row in rows]))
    if entries is not None and entries.has("embedding"):
        keys = list(checkup.held)[:LOOKED_AT]
        if keys:
            wanted: dict[str, set[str]] = {}
            for org_id, entry_id in keys:
                wanted.setdefault(org_id, set()).add(entry_id)
            rows = connection.execute(statements.vectors_by_id(entries, wanted))
            values = [row.embedding for row in rows]
            asked = len(keys) if entries.has("org_id") else len({entry_id for _, entry_id in keys})
        else:
            values = [row.embedding for row in connection.execute(statements.some_vectors(entries, LOOKED_AT))]
            asked = len(values)
        found.append(_stored("entries", asked, values))
    return found


def _stored(noun: str, asked: int, values: Sequence[Any]) -> Stored:
    present = [value for value in values if value is not None]
    vectors = [found for value in present if (found := vector(value)) is not None]
    return Stored(
        noun=noun,
        asked=asked,
        present=len(present),
        sizes=Counter(len(found) for found in vectors),
        zero=sum(not found.any() for found in vectors),
        unreadable=len(present) - len(vectors),
    )
