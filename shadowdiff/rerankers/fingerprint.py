"""Fingerprints: SHA-256 over all that decides a reranker's scores, because a path is not an identity."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def fingerprint(*parts: str, files: Iterable[Path] = ()) -> str:
    """SHA-256 (hex) over the parts and the contents of the files, each with its name, in the order given."""
    digest = hashlib.sha256()
    for part in parts:
        _add(digest, part.encode("utf-8", "surrogatepass"))
    for file in files:
        _add(digest, file.name.encode("utf-8", "surrogatepass"))
        with file.open("rb") as opened:
            _add(digest, hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def _add(digest: hashlib._Hash, part: bytes) -> None:
    digest.update(len(part).to_bytes(8, "big") + part)
