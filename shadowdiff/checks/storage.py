"""The store: whether it answers and may be written, its tables, where it lies, and room on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, text

from shadowdiff.checks.checkup import Checkup
from shadowdiff.checks.server import place
from shadowdiff.database import database_errors, masked
from shadowdiff.errors import StoreError
from shadowdiff.findings import Finding, fail, ok, warn
from shadowdiff.lexicons_kept import KeptLexicons
from shadowdiff.rerankers.vectors_kept import KEPT_BYTES, kept_bytes, vectors_file
from shadowdiff.store import migrate
from shadowdiff.store.schema import SCHEMA

if TYPE_CHECKING:
    from sqlalchemy import Row

GIGABYTE = 1_000_000_000
LEAST_FREE_BYTES = GIGABYTE
LEAST_FREE_SHARE = 0.05
IDENTITY = text("SELECT pg_postmaster_start_time() AS started, current_database() AS database")
"""The same for two connections only when they lead to the same database of the same server."""
TABLES = text("""
SELECT coalesce(sum(pg_total_relation_size(class.oid)), 0) AS bytes,
       coalesce(bool_and(has_table_privilege(class.oid, 'INSERT')), false) AS is_writable
  FROM pg_class AS class
  JOIN pg_namespace AS space ON space.oid = class.relnamespace
 WHERE nspname = :schema AND relkind = 'r'
   AND relname IN ('runs', 'run_turns', 'rankings', 'entry_texts', 'score_cache')
""")


def store(checkup: Checkup) -> Iterator[Finding]:
    """Whether the store answers."""
    _asked(checkup.store, "connecting")
    yield ok("store", f"answers at {_place(checkup)}")


def _place(checkup: Checkup) -> str:
    if is_embedded(checkup):
        return f"the embedded server in {checkup.settings.home}"
    return place(checkup.store.url)


def is_embedded(checkup: Checkup) -> bool:
    """Whether the store is the embedded server."""
    settings = checkup.settings
    return settings.store_url is None and (settings.database_url is None or settings.source.is_mapped)


def _asked(engine: Engine, what: str) -> Row[tuple[object, object]]:
    with database_errors(StoreError, what, engine.url), engine.connect() as connection:
        return connection.execute(IDENTITY).one()


def migrations(checkup: Checkup) -> Iterator[Finding]:
    """Whether the store's tables are this version's, and may be written."""
    if migrate.status(checkup.store).lacks("store"):
        told = f"{masked(checkup.store.url)} has no store tables of this version"
        yield fail("migrations", told, "run: shadowdiff db upgrade")
        return
    with database_errors(StoreError, "reading sizes", checkup.store.url), checkup.store.connect() as connection:
        row = connection.execute(TABLES, {"schema": SCHEMA}).one()
    if not row.is_writable:
        told = f"the role {checkup.store.url.username!r} may not write the tables in which runs are kept"
        yield fail(
            "migrations", told, f"give the store a role that may: GRANT INSERT, … ON ALL TABLES IN SCHEMA {SCHEMA}"
        )
        return
    yield ok("migrations", f"the store's tables are this version's; they take {_size(int(row.bytes))}")


def separation(checkup: Checkup) -> Iterator[Finding]:
    """Whether runs are kept apart from a production database."""
    if checkup.mapping.is_own:
        return
    source = checkup.ask("connecting", lambda connection: tuple(connection.execute(IDENTITY).one()))
    if source == tuple(_asked(checkup.store, "connecting")):
        told = f"runs are written into the database that sessions come from ({place(checkup.store.url)})"
        yield warn("separation", told, "give [store] url, or SHADOWDIFF_STORE_URL, a database of its own")
    else:
        yield ok("separation", "runs are kept in another database than the one that sessions come from")


def disk(checkup: Checkup) -> Iterator[Finding]:
    """Room where the embedded server keeps its files; the disks of other servers cannot be seen from here."""
    if checkup.is_embedded or is_embedded(checkup):
        yield room(checkup.settings.home)


def lexicons(checkup: Checkup) -> Iterator[Finding]:
    """What is kept of BM25 indexes on this machine; nothing is said where nothing is kept."""
    if checkup.settings.cache is None:
        return
    kept = KeptLexicons(checkup.settings.cache)
    sizes = kept.sizes()
    if sizes:
        told = f"{len(sizes)} kept in {kept.root}; they take {_size(sum(sizes.values()))}"
        yield ok("lexicons", f"{told} of at most {_size(kept.most_bytes)}")


def token_vectors(checkup: Checkup) -> Iterator[Finding]:
    """What late interaction keeps of entries on this machine; nothing is said where nothing is kept."""
    if checkup.settings.cache is None:
        return
    cache, taken = checkup.settings.cache, kept_bytes(checkup.settings.cache)
    if taken:
        told = f"kept in {vectors_file(cache)}; they take {_size(taken)} of at most {_size(KEPT_BYTES)}"
        yield ok("token vectors", told)


def room(directory: Path) -> Finding:
    """How full the disk is that holds this directory."""
    usage = shutil.disk_usage(directory)
    told = f"{_size(usage.free)} of {_size(usage.total)} are free in {directory}"
    if usage.free < LEAST_FREE_BYTES or usage.free < LEAST_FREE_SHARE * usage.total:
        return warn("disk", told, "make room, or put the embedded server elsewhere: SHADOWDIFF_HOME")
    return ok("disk", told)


def _size(count: int) -> str:
    return f"{count / GIGABYTE:,.1f} GB" if count >= GIGABYTE else f"{count / 1_000_000:,.1f} MB"
