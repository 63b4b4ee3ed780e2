"""Fingerprints: SHA-256 over all that decides a reranker's scores, because a path is not an identity."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from shadowdiff.errors import ConfigError


def fingerprint(*parts: str, files: Iterable[Path] = ()) -> str:
    """SHA-256 (hex) over the parts and the contents of the files, in the order given; file names do not count.

    Raises ConfigError where a file cannot be read.
    """
    digest = hashlib.sha256()
    for part in parts:
        _add(digest, part.encode("utf-8", "surrogatepass"))
    for file in files:
        _add(digest, bytes.fromhex(file_hash(file)))
    return digest.hexdigest()


def file_hash(file: Path) -> str:
    """SHA-256 (hex) of a file's contents, as `sha256sum` prints it. Raises ConfigError where it cannot be read."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror or error}") from error


def _add(digest: hashlib._Hash, part: bytes) -> None:
    digest.update(len(part).to_bytes(8, "big") + part)
