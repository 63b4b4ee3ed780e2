"""How `--pool-from cosine` finds the nearest entries: by comparing all of an org's, or through an approximate index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from shadowdiff.checks.checkup import Checkup
from shadowdiff.findings import Finding, ok, warn
from shadowdiff.store.approximate import LARGE_ORG, LargeOrg, large_orgs, usable_indexes

if TYPE_CHECKING:
    from sqlalchemy import Connection


def pools_by_cosine(checkup: Checkup) -> Iterator[Finding]:
    """Which orgs' pools are exact, and which large orgs lack an index. Nothing where no entry can have an embedding."""
    if checkup.mapping.is_own:
        large, indexes = checkup.read("looking for large orgs", _large)
        yield from _own(large, indexes)
    elif checkup.read("describing entries", lambda connection: _has_embeddings(checkup, connection)):
        yield ok("pools by cosine", "exact: all entries of the org are compared, whatever indexes there are")


def _has_embeddings(checkup: Checkup, connection: Connection) -> bool:
    entries = checkup.part(connection, "entries")
    return entries is not None and entries.has("embedding")


def _large(connection: Connection) -> tuple[list[LargeOrg], frozenset[str]]:
    return large_orgs(connection), usable_indexes(connection)


def _own(large: Sequence[LargeOrg], indexes: frozenset[str]) -> Iterator[Finding]:
    lacking = [org for org in large if org.index not in indexes]
    indexed = [org for org in large if org.index in indexes]
    if lacking:
        told = f"all {lacking[0].entries:,} entries of org {lacking[0].org_id!r} are compared for each turn"
        others = f", and so for {len(lacking) - 1} more orgs" if len(lacking) > 1 else ""
        remedy = "the next `shadowdiff load`, of anything, makes the index; it needs pgvector 0.8"
        yield warn("pools by cosine", f"{told}{others}: exact, and slow", remedy)
    if indexed:
        names = ", ".join(f"{org.org_id!r} ({org.entries:,} entries)" for org in indexed[:5])
        more = f" and {len(indexed) - 5} more" if len(indexed) > 5 else ""
        yield ok("pools by cosine", f"approximate (HNSW) for org {names}{more}; exact for all others")
    if not large:
        yield ok("pools by cosine", f"exact: no org has {LARGE_ORG:,} entries with an embedding")
