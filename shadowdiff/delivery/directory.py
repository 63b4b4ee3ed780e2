"""A night's report as a directory of files, which is there whole or not at all; `latest` leads to the newest.

All files are written beside their place and renamed into it at once. A lock on
the base keeps writers apart, so that whatever half-written is found under it was
left by one that died.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from shadowdiff.delivery.names import checked_night, is_night, newest
from shadowdiff.errors import DeliveryError, first_line

Writer = Callable[[TextIO], object]
"""Writes one file's text."""
LATEST = "latest"
LATEST_FILE = "latest.txt"
"""Holds the newest night's name where no symlink can be made."""
LOCK = ".shadowdiff.lock"
LOCK_SECONDS = 120.0
OWNER = ".shadowdiff.name"
"""Holds the name of the configuration whose nights stand there: two would replace each other's."""
NEW, OLD = ".new", ".old"
"""Ends of the names, which begin with a dot, of what is being written and of what gives way to it."""
NO_SYNC = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP})
"""How file systems say that a directory cannot be synced."""
ADVICE = {
    errno.ENOSPC: "make room there, or name another directory",
    errno.EDQUOT: "this user's quota there is used up: make room, or name another directory",
    errno.EFBIG: "files may not grow so large here: see `ulimit -f`",
    errno.EROFS: "it is mounted read-only: name another directory",
    errno.EACCES: "let this user write there, or name another directory",
    errno.EPERM: "let this user write there, or name another directory",
    errno.ENOTDIR: "a file stands where a directory should: remove it, or name another directory",
    errno.EEXIST: "a file stands where a directory should: remove it, or name another directory",
    errno.EISDIR: f"a directory stands where a file or the link `{LATEST}` should: remove it",
    errno.EIO: "check the disk",
}


def deliver_directory(base: Path, night: str, files: Mapping[str, Writer], owner: str | None = None) -> Path:
    """Write base/NIGHT with these files by name, in place of what stands there; returns that directory.

    Other nights stay as they are, and `latest` leads to the newest of all. The base
    is from then on that of `owner`, the name of a configuration. Raises
    DeliveryError, with nothing half-written left, or where the base is another's;
    what a writer raises, but for OSError, goes through.
    """
    place = base / checked_night(night)
    with _told(place), _alone(base):
        _claim(base, owner)
        _sweep(base)
        new = base / f".{night}{NEW}"
        try:
            _write(new, files)
            _put_in_place(new, place)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        _point_latest(base)
    return place


def not_ours(base: Path, owner: str) -> str:
    """Why nights of this configuration must not be written to a base: they are another's; empty where they may be."""
    held = _owner_of(base)
    if held in ("", owner):
        return ""
    return (
        f"{base} holds the nights of {held!r}, which those of {owner!r} would replace; give each configuration a "
        f"directory of its own, or, if {held!r} is no more, delete {base / OWNER}"
    )


def _owner_of(base: Path) -> str:
    """Empty where nobody has claimed it, or was killed before it could say who."""
    try:
        return (base / OWNER).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _claim(base: Path, owner: str | None) -> None:
    if owner is None:
        return
    if reason := not_ours(base, owner):
        raise DeliveryError(f"the report was not written: {reason}")
    if not _owner_of(base):
        (base / OWNER).write_text(f"{owner}\n", encoding="utf-8")


@contextmanager
def _told(place: Path) -> Iterator[None]:
    """Whatever the operating system refuses, as a DeliveryError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or first_line(error)
        advice = ADVICE.get(error.errno or 0, "name another directory")
        raise DeliveryError(f"the report was not written to {place}: {reason}; {advice}") from error


@contextmanager
def _alone(base: Path) -> Iterator[None]:
    """One writer at a time in a base, which is made where it is missing."""
    from filelock import FileLock, Timeout

    base.mkdir(parents=True, exist_ok=True)
    lock = FileLock(base / LOCK)
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise DeliveryError(
            f"another command has been writing to {base} for {LOCK_SECONDS:g} s; wait for it, or stop it"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _sweep(base: Path) -> None:
    """What killed writers left: half-written nights go; one that was only moved aside returns to its place."""
    for left in sorted(base.glob(f".*{OLD}")):
        place = base / left.name[1 : -len(OLD)]
        if is_night(place.name) and not os.path.lexists(place):
            left.rename(place)
        elif is_night(place.name):
            _remove(left)
    for left in base.glob(f".*{NEW}"):
        if is_night(left.name[1 : -len(NEW)]):
            _remove(left)


def _write(directory: Path, files: Mapping[str, Writer]) -> None:
    """Every file, and the directory that names them, safe on the disk."""
    directory.mkdir()
    for name, write in files.items():
        _write_file(directory / name, write)
    _sync(directory)


def _write_file(path: Path, write: Writer) -> None:
    with path.open("x", encoding="utf-8", newline="\n") as out:
        write(out)
        out.flush()
        os.fsync(out.fileno())


def _put_in_place(new: Path, place: Path) -> None:
    """A full directory cannot be replaced at once: for a moment there is none, and a sweep brings back the old one."""
    old = place.with_name(f".{place.name}{OLD}")
    had_one = os.path.lexists(place)
    if had_one:
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if had_one:
            old.rename(place)
        raise
    _sync(place.parent)
    _remove(old)


def _point_latest(base: Path) -> None:
    """Lead `latest` to the newest night there is: replaced at once, never missing, never half-written."""
    night = newest(item.name for item in base.iterdir() if item.is_dir() and not item.is_symlink())
    if night is None:
        return
    new = base / f".{LATEST}{NEW}"
    new.unlink(missing_ok=True)
    try:
        is_link = _linked(new, night)
        if not is_link:
            _write_file(new, lambda out: out.write(f"{night}\n"))
        new.replace(base / (LATEST if is_link else LATEST_FILE))
    finally:
        new.unlink(missing_ok=True)
    _sync(base)


def _linked(link: Path, target: str) -> bool:
    """Whether a symlink could be made: not every file system has them."""
    try:
        link.symlink_to(target, target_is_directory=True)
    except (OSError, NotImplementedError):
        return False
    return True


def _sync(directory: Path) -> None:
    """Make the names in a directory outlast a power cut, where the file system can."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    """What cannot be removed now is swept by the next delivery."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
