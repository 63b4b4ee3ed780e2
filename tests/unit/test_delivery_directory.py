"""A night's report as a directory: whole or not there, whoever is killed and whatever the disk says."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest

from shadowdiff.delivery import directory
from shadowdiff.delivery.directory import Writer, deliver_directory
from shadowdiff.errors import DeliveryError, StoreError
from tests.conftest import ROOT

NAMES = ("summary.md", "run.json", "report.html", "junit.xml")
KILLS = 25
SEED = 6
WRITING = """
import os, signal, sys, time
from pathlib import Path
import filelock
from shadowdiff.delivery.directory import deliver_directory

def report(number):
    return {name: lambda out: [out.write(f"{number}\\n") for _ in range(20_000)]
            for name in ("summary.md", "run.json", "report.html", "junit.xml")}

def write_on():
    number = 0
    while True:
        number += 1
        deliver_directory(Path(sys.argv[1]), "2026-11-20", report(number))

began = time.monotonic()
deliver_directory(Path(sys.argv[1]).with_name("measured"), "2026-11-20", report(0))
print(time.monotonic() - began, flush=True)
for seconds in sys.stdin:
    pid = os.fork()
    if not pid:
        write_on()
    time.sleep(float(seconds))
    os.kill(pid, signal.SIGKILL)
    print(os.waitpid(pid, 0)[1], flush=True)
"""
"""Says how long a report takes; then writes again and again, for so many seconds a line, and is killed each time."""
AS_NOBODY = """
import os
from pathlib import Path
import filelock
from shadowdiff.delivery.directory import deliver_directory

os.chdir({base!r})
os.setgid(65534)
os.setuid(65534)
deliver_directory(Path("closed"), "2026-11-20", {{}})
"""


def report(content: str) -> Mapping[str, Writer]:
    """The four files, all with this content."""
    return {name: lambda out: out.write(content) for name in NAMES}


def contents(place: Path) -> dict[str, str]:
    """What a directory of files holds."""
    return {item.name: item.read_text(encoding="utf-8") for item in place.iterdir()}


def names(base: Path) -> set[str]:
    """What stands in a base, but for its lock."""
    return {item.name for item in base.iterdir()} - {directory.LOCK}


def refused(base: Path, files: Mapping[str, Writer] | None = None, night: str = "2026-11-20") -> str:
    """The one line that a delivery fails with."""
    with pytest.raises(DeliveryError) as caught:
        deliver_directory(base, night, files or report("x"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_are_written_as_given_and_latest_leads_there(tmp_path: Path) -> None:
    """In UTF-8 with plain line ends, open to whom the umask lets in; through a relative link, which moves with it."""
    base = tmp_path / "a" / "reports"
    mask = os.umask(0o027)
    try:
        place = deliver_directory(base, "2026-11-20", report("Nacht 北京\r\n\n"))
    finally:
        os.umask(mask)
    assert place == base / "2026-11-20"
    assert {item.name: item.read_bytes() for item in place.iterdir()} == dict.fromkeys(
        NAMES, "Nacht 北京\r\n\n".encode()
    )
    assert [stat.S_IMODE(path.stat().st_mode) for path in (place, place / "run.json")] == [0o750, 0o640]
    moved = base.rename(tmp_path / "moved")
    assert str((moved / "latest").readlink()) == "2026-11-20"
    assert (moved / "latest" / "run.json").exists()
    assert names(moved) == {"2026-11-20", "latest"}


def test_a_night_takes_the_place_of_its_earlier_self(tmp_path: Path) -> None:
    """Whole: also of a file that it does not have any more; other nights and the user's own files stay."""
    deliver_directory(tmp_path, "2026-11-19", report("before"))
    deliver_directory(tmp_path, "2026-11-20", {**report("old"), "extra.txt": lambda out: None})
    (tmp_path / "notes.txt").write_text("mine")
    place = deliver_directory(tmp_path, "2026-11-20", report("new"))
    assert contents(place) == dict.fromkeys(NAMES, "new")
    assert contents(tmp_path / "2026-11-19") == dict.fromkeys(NAMES, "before")
    assert names(tmp_path) == {"2026-11-19", "2026-11-20", "latest", "notes.txt"}


def test_latest_is_the_newest_night_whatever_comes_last(tmp_path: Path) -> None:
    """By date and number: a night delivered again does not move it back; what is no night does not count."""
    (tmp_path / "2099-notes").mkdir()
    led = []
    for night in ("2026-11-20-2", "2026-11-20-10", "2026-11-20-2", "2026-11-19", "2026-11-21"):
        deliver_directory(tmp_path, night, report(night))
        led.append(str((tmp_path / "latest").readlink()))
    assert led == ["2026-11-20-2", "2026-11-20-10", "2026-11-20-10", "2026-11-20-10", "2026-11-21"]
    shutil.rmtree(tmp_path / "2026-11-21")
    deliver_directory(tmp_path, "2026-11-18", report("x"))
    assert str((tmp_path / "latest").readlink()) == "2026-11-20-10"


def test_where_no_link_can_be_made_a_file_names_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT and some network drives have none."""

    def unable(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", unable)
    for night in ("2026-11-20", "2026-11-19"):
        deliver_directory(tmp_path, night, report("x"))
    assert (tmp_path / "latest.txt").read_text() == "2026-11-20\n"
    assert names(tmp_path) == {"2026-11-19", "2026-11-20", "latest.txt"}


@pytest.mark.parametrize("before", [None, "old"])
def test_a_writer_that_fails_leaves_things_as_they_were(tmp_path: Path, before: str | None) -> None:
    """Its error goes through; nothing half-written stays, and an earlier report of the night does."""
    if before:
        deliver_directory(tmp_path, "2026-11-20", report(before))

    def failing(out: TextIO) -> None:
        out.write("half")
        raise StoreError("the store is gone")

    with pytest.raises(StoreError, match="the store is gone"):
        deliver_directory(tmp_path, "2026-11-20", {**report("new"), "run.json": failing})
    assert names(tmp_path) == ({"2026-11-20", "latest"} if before else set())
    if before:
        assert contents(tmp_path / "2026-11-20") == dict.fromkeys(NAMES, before)


@pytest.mark.parametrize("night", ["", "..", "../2026-11-20", "2026-11-20/..", "latest", "2026-11-20-0", "2026-11-2٠"])
def test_only_names_of_nights_are_written(tmp_path: Path, night: str) -> None:
    """A name comes from a database, and could lead anywhere."""
    assert "is no name of a night" in refused(tmp_path / "reports", night=night)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """On a file system of a few pages: said with the path; the night before is whole, and nothing of this one stays."""
    with small_disk(tmp_path / "disk", "size=128k") as base:
        deliver_directory(base, "2026-11-19", report("y" * 5_000))
        said = refused(base, report("x" * 100_000))
        assert said == (
            f"the report was not written to {base}/2026-11-20: No space left on device;"
            " make room there, or name another directory"
        )
        assert names(base) == {"2026-11-19", "latest"}
        deliver_directory(base, "2026-11-20", report("y" * 5_000))
        assert contents(base / "latest") == dict.fromkeys(NAMES, "y" * 5_000)


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """Under `ulimit -f`, which the whole process has."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        said = refused(tmp_path, report("x" * 100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "2026-11-20: File too large; files may not grow so large here" in said
    assert names(tmp_path) == set()


def test_a_disk_that_is_read_only(tmp_path: Path) -> None:
    """Said as it is; nothing is changed."""
    with small_disk(tmp_path / "disk", "size=128k") as base:
        deliver_directory(base, "2026-11-19", report("x"))
        subprocess.run(["mount", "-o", "remount,ro", str(base)], check=True, capture_output=True)
        assert "Read-only file system; it is mounted read-only" in refused(base)
        assert names(base) == {"2026-11-19", "latest"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_directory_that_is_closed_to_us(tmp_path: Path) -> None:
    """For a user whom permissions bind."""
    (tmp_path / "closed").mkdir(mode=0o555)
    tmp_path.chmod(0o755)
    command = [sys.executable, "-c", AS_NOBODY.format(base=str(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert "DeliveryError: the report was not written to closed/2026-11-20: Permission denied; let this" in done.stderr
    assert list((tmp_path / "closed").iterdir()) == []


def test_what_stands_in_the_way(tmp_path: Path) -> None:
    """A file in place of a directory, a directory in place of the link."""
    (tmp_path / "file").write_text("mine")
    assert f"not written to {tmp_path}/file/2026-11-20: File exists; a file stands" in refused(tmp_path / "file")
    assert "Not a directory; a file stands" in refused(tmp_path / "file" / "below")
    (tmp_path / "latest").mkdir()
    assert "Is a directory; a directory stands where a file or the link `latest` should" in refused(tmp_path)
    assert names(tmp_path) == {"file", "latest", "2026-11-20"}


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """The night is whole or not there, the next delivery finishes it, and nothing of the dead is left."""
    base, moments, seen = tmp_path / "reports", random.Random(SEED), set[str]()  # noqa: S311 moments, not secrets
    base.mkdir()
    with killing_writers(base) as kill_after:
        for _ in range(KILLS):
            kill_after(moments.uniform(0.0, 4.0))
            seen |= names(base)
            found = contents(base / "2026-11-20") if (base / "2026-11-20").exists() else {}
            assert set(found) in (set(), set(NAMES))
            assert len(set(found.values())) <= 1, "files of two reports"
            assert all(text.count("\n") == 20_000 for text in found.values())
    assert seen >= {".2026-11-20.new", "2026-11-20"}, "nobody was killed while writing, or none got through"
    deliver_directory(base, "2026-11-20", report("the end"))
    assert contents(base / "latest") == dict.fromkeys(NAMES, "the end")
    assert names(base) == {"2026-11-20", "latest"}


def test_a_report_that_was_moved_aside_comes_back(tmp_path: Path) -> None:
    """Killed between the two renames: the next delivery, of any night, first puts the old report back."""
    deliver_directory(tmp_path, "2026-11-19", report("only one"))
    (tmp_path / "2026-11-19").rename(tmp_path / ".2026-11-19.old")
    (tmp_path / ".2026-11-18.new").mkdir()
    (tmp_path / ".mine.new").mkdir()
    deliver_directory(tmp_path, "2026-11-20", report("x"))
    assert contents(tmp_path / "2026-11-19") == dict.fromkeys(NAMES, "only one")
    assert names(tmp_path) == {"2026-11-19", "2026-11-20", "latest", ".mine.new"}


def test_writers_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of one directory: the second waits, does not take the first for dead, and gives up with a reason."""
    writing, go_on = threading.Event(), threading.Event()

    def slow(out: TextIO) -> None:
        writing.set()
        assert go_on.wait(60)
        out.write("slow")

    first = threading.Thread(target=deliver_directory, args=(tmp_path, "2026-11-19", {"run.json": slow}))
    first.start()
    assert writing.wait(60)
    monkeypatch.setattr(directory, "LOCK_SECONDS", 0.2)
    assert f"another command has been writing to {tmp_path} for 0.2 s" in refused(tmp_path)
    go_on.set()
    first.join(60)
    deliver_directory(tmp_path, "2026-11-20", report("x"))
    assert contents(tmp_path / "2026-11-19") == {"run.json": "slow"}


@contextmanager
def killing_writers(base: Path) -> Iterator[Callable[[float], None]]:
    """Starts a writer at each call, and kills it after as long as so many reports take here."""
    command = [sys.executable, "-c", WRITING, str(base)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdin
        assert parent.stdout
        to, back = parent.stdin, parent.stdout
        one = float(back.readline())

        def kill_after(reports: float) -> None:
            to.write(f"{reports * one}\n")
            to.flush()
            assert int(back.readline()) == signal.SIGKILL

        yield kill_after
        to.close()


@contextmanager
def small_disk(where: Path, options: str) -> Iterator[Path]:
    """A file system of its own; the test is skipped where none may be mounted."""
    where.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)
