"""Lexicons on disk: made once per version of a knowledge base, mapped into memory when they are needed again.

What lies there are the stemmed words of somebody's knowledge base and its
entry ids, so that only their owner can read it. Nothing here ever fails a run:
what cannot be read is made anew, what cannot be written is not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from shadowdiff.lexical import K1, B, LexiconParts, OrgLexicon

FORMAT = "lexicon/1"
FOLDER = "lexicons"
KEPT_BYTES = 1 << 30
"""All kept lexicons together take at most this much; the least recently used go first."""
ABANDONED_SECONDS = 3_600.0
"""A folder that is still unfinished after this long was left by a process that died."""
ARRAYS = ("entry_ids", "id_ends", "digests", "places")
MANIFEST = "lexicon.json"
UNFINISHED = ".unfinished-"


@dataclass(frozen=True, slots=True)
class KeptLexicons:
    """The lexicons kept under one cache directory; any number of processes may use it at once."""

    cache: Path
    most_bytes: int = KEPT_BYTES

    def opened(self, kb_version: str) -> OrgLexicon | None:
        """The lexicon of this version of a knowledge base; None where none is kept, or it is damaged."""
        folder = self._folder(kb_version)
        if not folder.is_dir():
            return None
        try:
            lexicon = _read(folder)
            os.utime(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError):
            shutil.rmtree(folder, ignore_errors=True)
            return None
        return lexicon

    def keep(self, kb_version: str, lexicon: OrgLexicon) -> OrgLexicon:
        """Write it, and return it as it lies on disk; the same object where it cannot be kept."""
        if lexicon.parts.index is None:
            return lexicon
        with contextlib.suppress(OSError):
            self._write(self._folder(kb_version), lexicon.parts)
            self._make_room(kb_version)
        return self.opened(kb_version) or lexicon

    @property
    def root(self) -> Path:
        """Where the lexicons lie, a folder each."""
        return self.cache / FOLDER

    def sizes(self) -> dict[Path, int]:
        """Bytes of every lexicon, by folder, the least recently used first."""
        folders = [path for path in self._folders() if not path.name.startswith(UNFINISHED)]
        return {folder: _size(folder) for folder in sorted(folders, key=_used)}

    def _folder(self, kb_version: str) -> Path:
        makers = [f"{name} {version(name)}" for name in ("bm25s", "PyStemmer", "numpy")]
        named = json.dumps([FORMAT, K1, B, *makers, kb_version])
        return self.root / hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()

    def _folders(self) -> list[Path]:
        try:
            return [path for path in self.root.iterdir() if path.is_dir()]
        except OSError:
            return []

    def _write(self, folder: Path, parts: LexiconParts) -> None:
        """In a folder beside it, which then takes its name: whoever looks sees all of it or nothing."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self.root))
        try:
            _fill(unfinished, parts)
            with contextlib.suppress(OSError):  # another process was quicker
                unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _make_room(self, kb_version: str) -> None:
        for path in self._folders():
            if path.name.startswith(UNFINISHED) and time.time() - _used(path) > ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        sizes = self.sizes()
        taken = sum(sizes.values())
        for folder, size in sizes.items():
            if taken > self.most_bytes and folder != self._folder(kb_version):
                shutil.rmtree(folder, ignore_errors=True)
                taken -= size


def _fill(folder: Path, parts: LexiconParts) -> None:
    import numpy as np

    parts.index.save(str(folder), show_progress=False)
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(parts, name), allow_pickle=False)
    for file in _files(folder):
        file.chmod(0o600)
    hashes = {file.name: _hash(file) for file in _files(folder)}
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({"mean_length": parts.mean_length, "files": hashes}), encoding="utf-8")
    manifest.chmod(0o600)


def _read(folder: Path) -> OrgLexicon:
    import bm25s
    import numpy as np

    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if {file.name: _hash(file) for file in _files(folder)} != manifest["files"]:
        raise ValueError(f"{folder} is not what was written")
    arrays: dict[str, Any] = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    index = bm25s.BM25.load(str(folder), mmap=True, show_progress=False)
    return OrgLexicon.of(LexiconParts(index=index, mean_length=float(manifest["mean_length"]), **arrays))


def _files(folder: Path) -> Iterator[Path]:
    """Everything but the manifest, which says what the rest must be."""
    return (file for file in sorted(folder.iterdir()) if file.name != MANIFEST)


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _size(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return sum(file.stat().st_size for file in folder.iterdir())
    return 0


def _used(folder: Path) -> float:
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0
