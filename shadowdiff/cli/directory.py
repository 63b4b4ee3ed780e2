"""A directory of output that appears whole or not at all."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shadowdiff.cli.output import umask
from shadowdiff.errors import ConfigError

EXPORTED = re.compile(r"[A-Z]\.trec|qrels\.txt|kb_entries\.jsonl|sessions\.jsonl|embeddings\.npz")
"""What an export writes, and therefore may delete."""


@contextmanager
def new_directory(path: Path, *, force: bool = False) -> Iterator[Path]:
    """A directory to write into, which becomes `path` at the end, or nothing if anything goes wrong.

    Raises ConfigError where `path` is a file, or a directory that is not empty.
    With `force`, a directory that holds nothing but an older export is replaced.
    """
    path = path.resolve()
    _check(path, force=force)
    try:
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    try:
        yield temporary
        temporary.chmod(0o777 & ~umask())
        _check(path, force=force)
        _replace(temporary, path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check(path: Path, *, force: bool) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        raise ConfigError(f"{path} is a file; an export of several files needs a directory")
    held = sorted(item.name for item in path.iterdir())
    strange = [name for name in held if not EXPORTED.fullmatch(name)]
    if held and not force:
        raise ConfigError(f"{path} is not empty; name another directory, or replace an older export with --force")
    if strange:
        raise ConfigError(f"{path} holds {strange[0]!r}, which no export wrote; --force deletes older exports only")


def _replace(temporary: Path, path: Path) -> None:
    """An older export steps aside first, so that there is never half of each."""
    if not path.exists():
        temporary.rename(path)
        return
    old = temporary.with_name(f"{temporary.name}.old")
    path.rename(old)
    temporary.rename(path)
    shutil.rmtree(old)
