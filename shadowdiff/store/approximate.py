"""Approximate indexes over the embeddings of large orgs: which there are, and bringing them up to date after a load.

One partial HNSW index per large org, so that a search needs no filter by org
(which HNSW can only apply afterwards) and small orgs cost nothing. The index
holds half-precision copies: half the memory, up to 4,000 dimensions; whoever
searches it ranks what it finds by the embeddings themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, text, true

from shadowdiff.database import database_errors
from shadowdiff.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

LARGE_ORG = 20_000
"""Entries of one dimension from which an org gets an index. Below, comparing all of them costs tens of milliseconds
a turn (benchmarks/pools.py), and is exact."""
MOST_DIMENSIONS = 4_000
"""pgvector's limit for an HNSW index over halfvec."""
LEAST_PGVECTOR = (0, 8)
"""The first version that goes on searching where an index answered with too few."""
PREFIX = "ix_entries_hnsw_"
BUILD_BYTES = (1 << 26, 1 << 30)
"""Least and most memory that building one index may take; beyond it the build goes on, slower, on disk."""
GRAPH_BYTES = 512
"""Of one entry's neighbours while an index is built, about."""

COUNTED = text("""
SELECT org_id, vector_dims(embedding) AS dimensions, count(*) AS entries
  FROM shadowdiff.entries
 WHERE embedding IS NOT NULL
 GROUP BY org_id, vector_dims(embedding)
HAVING count(*) >= :large AND vector_dims(embedding) <= :most
 ORDER BY org_id, dimensions
""")
NAMES = text("""
SELECT relname, indisvalid
  FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
 WHERE indrelid = to_regclass('shadowdiff.entries') AND starts_with(relname, :prefix)
""")
PGVECTOR = text("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
# The condition on the dimensions keeps an embedding of another size from failing at the index.
WRITTEN = text("""
SELECT format('CREATE INDEX %I ON shadowdiff.entries USING hnsw ((embedding::halfvec(%s)) halfvec_cosine_ops)'
              ' WHERE org_id = %L AND vector_dims(embedding) = %s',
              CAST(:name AS text), CAST(:dimensions AS int), CAST(:org_id AS text), CAST(:dimensions AS int))
""")
"""CREATE INDEX takes no bound values, so the server itself quotes them."""


@dataclass(frozen=True, slots=True)
class LargeOrg:
    """An org whose nearest entries are worth an index."""

    org_id: str
    dimensions: int
    entries: int
    """With an embedding of these dimensions."""

    @property
    def index(self) -> str:
        """The name of its index."""
        return index_name(self.org_id, self.dimensions)


def index_name(org_id: str, dimensions: int) -> str:
    """The name of the index over an org's embeddings of these dimensions, whether there is one or not."""
    digest = hashlib.sha256(org_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{PREFIX}{digest[:24]}_{dimensions}"


def large_orgs(connection: Connection, large: int = LARGE_ORG) -> list[LargeOrg]:
    """Orgs with at least `large` embeddings of one dimension, by org id. Reads every entry's embedding."""
    rows = connection.execute(COUNTED, {"large": large, "most": MOST_DIMENSIONS})
    return [LargeOrg(row.org_id, row.dimensions, row.entries) for row in rows]


def usable_indexes(connection: Connection) -> frozenset[str]:
    """Names of the indexes that are whole; none where pgvector is too old to search them well."""
    if not _is_new_enough(connection):
        return frozenset()
    rows = connection.execute(NAMES, {"prefix": PREFIX})
    return frozenset(row.relname for row in rows if row.indisvalid)


def bring_up_to_date(
    engine: Engine, on_build: Callable[[LargeOrg], None] = lambda org: None, large: int = LARGE_ORG
) -> list[LargeOrg]:
    """Make the indexes that large orgs lack, drop those that no large org needs any more; returns those made.

    An index is a transaction of its own, during which nothing else is loaded
    but everything can be read. Raises StoreError; what was made until then stays.
    """
    with database_errors(StoreError, "indexing embeddings", engine.url):
        with engine.connect() as connection:
            wanted = large_orgs(connection, large) if _is_new_enough(connection) else []
            there = {row.relname for row in connection.execute(NAMES, {"prefix": PREFIX}) if row.indisvalid}
        lacking = [org for org in wanted if org.index not in there]
        _drop_others(engine, {org.index for org in wanted})
        for org in lacking:
            on_build(org)
            with engine.begin() as connection:
                build(connection, org)
    return lacking


def _is_new_enough(connection: Connection) -> bool:
    version = str(connection.scalar(PGVECTOR) or "0")
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) >= LEAST_PGVECTOR


def _drop_others(engine: Engine, wanted: set[str]) -> None:
    with engine.begin() as connection:
        rows = list(connection.execute(NAMES, {"prefix": PREFIX}))
        for name in (row.relname for row in rows if not row.indisvalid or row.relname not in wanted):
            statement = connection.scalar(
                text("SELECT format('DROP INDEX IF EXISTS shadowdiff.%I', CAST(:name AS text))"), {"name": name}
            )
            _as_it_is(connection, str(statement))


def build(connection: Connection, org: LargeOrg) -> None:
    """Make this org's index, unless it is there; in a transaction that the caller commits."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('shadowdiff.approximate'))"))
    if org.index in {row.relname for row in connection.execute(NAMES, {"prefix": PREFIX})}:
        return
    least, most = BUILD_BYTES
    kilobytes = min(max(org.entries * (2 * org.dimensions + GRAPH_BYTES) * 3 // 2, least), most) >> 10
    # Workers would share a graph of this size through /dev/shm, which containers keep at 64 MB.
    for name, value in (("maintenance_work_mem", f"{kilobytes}kB"), ("max_parallel_maintenance_workers", "0")):
        connection.execute(select(func.set_config(name, value, true())))
    values = {"name": org.index, "dimensions": org.dimensions, "org_id": org.org_id}
    _as_it_is(connection, str(connection.scalar(WRITTEN, values)))
    # Without statistics the server may take reading the whole org for cheaper than the new index.
    connection.execute(text("ANALYZE shadowdiff.entries"))


def _as_it_is(connection: Connection, statement: str) -> None:
    """Execute what the server wrote: a per cent sign in it is no placeholder."""
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
