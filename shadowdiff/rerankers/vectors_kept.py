"""Token vectors on disk: computed once per text and model, read back in later commands.

One SQLite file, so that any number of processes may use it at once and one that
dies in the middle leaves nothing half written. Vectors give away much of the
text that they were made of: only their owner can read them. Nothing here ever
fails a run: what cannot be read is computed anew, what cannot be written is not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDER = "token-vectors"
FILE = "vectors-1.sqlite3"
"""With the number of the format."""
KEPT_BYTES = 2 << 30
"""All kept vectors together take at most this much; the least recently used go first."""
WAIT_SECONDS = 10.0
"""How long another process may write before this one goes on without."""
USED_SECONDS = 86_400
"""What was used within a day counts as just used: reading must not write every time."""
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS kept (
        key BLOB PRIMARY KEY, used INTEGER NOT NULL, size INTEGER NOT NULL, tokens INTEGER NOT NULL,
        dtype TEXT NOT NULL, truncated INTEGER NOT NULL, digest BLOB NOT NULL, vectors BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS by_use ON kept (used, size)",
)
READ = "SELECT used, tokens, dtype, truncated, digest, vectors FROM kept WHERE key = ?"
WRITE = "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """A document as late interaction reads it."""

    vectors: NDArray[np.floating]
    """Shape (tokens, dimensions); float32, or float16 where the model computes in that."""
    truncated: bool
    """Whether the document was cut to fit the model."""

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return int(self.vectors.nbytes)


@dataclass(frozen=True, slots=True)
class KeptVectors:
    """The token vectors of one model, among those of all that are kept under one cache directory."""

    cache: Path
    model: str
    """Names what decides the vectors beside the text."""
    most_bytes: int = KEPT_BYTES

    @property
    def file(self) -> Path:
        """Where the vectors of all models lie."""
        return vectors_file(self.cache)

    def opened(self, texts: Sequence[bytes]) -> dict[bytes, TokenVectors]:
        """What is kept, by the texts' hashes; what is damaged is left out."""
        found: dict[bytes, TokenVectors] = {}
        if self.file.is_file():
            with self._unfailing(), self._connected() as connection:
                self._read(connection, texts, found)
        return found

    def keep(self, fresh: Mapping[bytes, TokenVectors]) -> None:
        """Keep these, by the texts' hashes, and let go of what there is no more room for."""
        now = int(time.time())
        rows = [_row(self._key(text), now, vectors) for text, vectors in fresh.items()]
        with self._unfailing(), self._connected() as connection, connection:
            connection.executemany(WRITE, rows)
            _make_room(connection, self.most_bytes)

    def _read(self, connection: sqlite3.Connection, texts: Iterable[bytes], found: dict[bytes, TokenVectors]) -> None:
        now, stale = int(time.time()), []
        for text in texts:
            row = connection.execute(READ, (self._key(text),)).fetchone()
            vectors = _vectors(row) if row else None
            if vectors is not None:
                found[text] = vectors
                if now - row[0] > USED_SECONDS:
                    stale.append((now, self._key(text)))
        if stale:
            with connection:
                connection.executemany("UPDATE kept SET used = ? WHERE key = ?", stale)

    def _key(self, text: bytes) -> bytes:
        return hashlib.sha256(self.model.encode() + b"\0" + text).digest()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.file, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite's own would be readable to others
        with contextlib.closing(
            sqlite3.connect(self.file, timeout=WAIT_SECONDS, isolation_level="IMMEDIATE")
        ) as connection:
            for statement in SCHEMA:
                connection.execute(statement)
            yield connection

    @contextlib.contextmanager
    def _unfailing(self) -> Iterator[None]:
        """Go on without the file; one that is no database any more is thrown away."""
        try:
            yield
        except (OSError, sqlite3.OperationalError):  # no room, no right, or another process writes for long
            return
        except sqlite3.Error:
            self.file.unlink(missing_ok=True)


def vectors_file(cache: Path) -> Path:
    """Where token vectors are kept under a cache directory."""
    return cache / FOLDER / FILE


def kept_bytes(cache: Path) -> int:
    """What those that are kept take on disk."""
    with contextlib.suppress(OSError):
        return vectors_file(cache).stat().st_size
    return 0


def _make_room(connection: sqlite3.Connection, most_bytes: int) -> None:
    (taken,) = connection.execute("SELECT coalesce(sum(size), 0) FROM kept").fetchone()
    if taken <= most_bytes:
        return
    gone = []
    for row, size in connection.execute("SELECT rowid, size FROM kept ORDER BY used, rowid"):
        if taken <= most_bytes:
            break
        gone.append((row,))
        taken -= size
    connection.executemany("DELETE FROM kept WHERE rowid = ?", gone)


def _row(key: bytes, now: int, kept: TokenVectors) -> tuple[object, ...]:
    blob = kept.vectors.tobytes()
    dtype, tokens = kept.vectors.dtype.str, len(kept.vectors)
    return key, now, len(blob), tokens, dtype, int(kept.truncated), _digest(blob, tokens, dtype, kept.truncated), blob


def _vectors(row: tuple[int, int, str, int, bytes, bytes]) -> TokenVectors | None:
    """What a row holds; None where it is not what was written."""
    import numpy as np

    _, tokens, dtype, truncated, digest, blob = row
    if _digest(blob, tokens, dtype, bool(truncated)) != digest:
        return None
    return TokenVectors(np.frombuffer(blob, dtype=dtype).reshape(tokens, -1 if tokens else 0), bool(truncated))


def _digest(blob: bytes, tokens: int, dtype: str, truncated: bool) -> bytes:
    head = f"{tokens} {dtype} {truncated} ".encode()
    return hashlib.sha256(head + blob).digest()[:16]
