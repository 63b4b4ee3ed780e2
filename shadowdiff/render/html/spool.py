"""What a page carries, compressed on disk while the page's head is not known yet. Memory stays flat."""

from __future__ import annotations

import gzip
import json
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

CHUNK = 3 * (1 << 14)
"""Bytes that are encoded at a time: base64 takes three at once."""


class Spool:
    """Lines of JSON, gzip on gzip's own terms: the same lines always come to the same bytes."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 closed by __exit__
        self._gzip = gzip.GzipFile(filename="", mode="wb", fileobj=self._file, mtime=0, compresslevel=6)
        self.lines = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gzip.close()
        self._file.close()

    @property
    def size(self) -> int:
        """Compressed bytes written so far; what the compressor still holds is not in it."""
        return self._file.tell()

    def add(self, value: Any) -> int:
        """Write one value as a line of ASCII; gives its place, counted from 0."""
        self._gzip.write(json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n")
        self.lines += 1
        return self.lines - 1

    def base64(self) -> Iterator[str]:
        """All of it, in pieces. Nothing can be added after."""
        self._gzip.close()
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            yield b64encode(chunk).decode("ascii")
