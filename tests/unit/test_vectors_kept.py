"""Token vectors on disk: only for their owner, bounded, and computed anew where anything about them is wrong."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from shadowdiff.rerankers import vectors_kept
from shadowdiff.rerankers.vectors_kept import KeptVectors, TokenVectors, kept_bytes


def vectors(number: int, *, tokens: int = 20, dtype: str = "<f4", truncated: bool = False) -> TokenVectors:
    """Some vectors of 8 dimensions, by a number."""
    found = np.random.default_rng(number).normal(size=(tokens, 8)).astype(dtype)
    return TokenVectors(found, truncated)


def key(number: int) -> bytes:
    """In place of a text's hash."""
    return number.to_bytes(32, "big")


def batch(*numbers: int) -> dict[bytes, TokenVectors]:
    """Vectors by key."""
    return {key(number): vectors(number) for number in numbers}


def same(one: TokenVectors, other: TokenVectors) -> bool:
    """Whether both are the same to the last bit."""
    told = [(found.truncated, found.vectors.dtype, len(found.vectors)) for found in (one, other)]
    return told[0] == told[1] and one.vectors.tobytes() == other.vectors.tobytes()


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    """Of either precision, cut or not, without any token; by model, and nothing that was never kept."""
    kept = KeptVectors(tmp_path, "model")
    written = {
        key(1): vectors(1),
        key(2): vectors(2, dtype="<f2", truncated=True),
        key(3): vectors(3, tokens=0),
    }
    kept.keep(written)
    found = KeptVectors(tmp_path, "model").opened([*written, key(4)])
    assert found.keys() == written.keys()
    assert all(same(found[name], written[name]) for name in written)
    assert KeptVectors(tmp_path, "another").opened(list(written)) == {}


def test_only_the_owner_can_read_what_is_kept(tmp_path: Path) -> None:
    """Vectors give texts away, whatever the umask."""
    before = os.umask(0)
    try:
        kept = KeptVectors(tmp_path / "cache", "model")
        kept.keep(batch(1))
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (kept.file.parent, *kept.file.parent.iterdir())}
    assert modes == {kept.file.parent: 0o700, kept.file: 0o600}


def test_the_least_recently_used_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All models together take at most what they may; reading counts as using."""
    now = 1_000_000.0
    monkeypatch.setattr("shadowdiff.rerankers.vectors_kept.time.time", lambda: now)
    kept = KeptVectors(tmp_path, "model", most_bytes=3 * vectors(0).size)
    other = KeptVectors(tmp_path, "other", most_bytes=3 * vectors(0).size)
    for at, (keeper, number) in enumerate([(kept, 1), (other, 2), (kept, 3)]):
        now = 1_000_000.0 + at
        keeper.keep(batch(number))
    now = 2_000_000.0
    assert kept.opened([key(1)]).keys() == {key(1)}
    kept.keep(batch(4))
    assert kept.opened([key(1), key(3), key(4)]).keys() == {key(1), key(3), key(4)}
    assert other.opened([key(2)]) == {}
    before = kept_bytes(tmp_path)
    for number in range(5, 60):
        kept.keep(batch(number))
    assert kept_bytes(tmp_path) <= before + 32_768
    assert kept_bytes(tmp_path / "nothing") == 0


@pytest.mark.parametrize("damage", ["flip", "cut", "overwrite", "empty"])
def test_a_damaged_file_costs_only_what_it_held(tmp_path: Path, damage: str) -> None:
    """Whatever was done to it: no error, never a wrong vector, and what is kept next comes back."""
    kept = KeptVectors(tmp_path, "model")
    written = batch(*range(50))
    kept.keep(written)
    content = kept.file.read_bytes()
    match damage:
        case "flip":
            place = content.index(vectors(7).vectors.tobytes()[:64])
            kept.file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        case "cut":
            kept.file.write_bytes(content[: len(content) // 2])
        case "overwrite":
            kept.file.write_bytes(b"no database at all" * 100)
        case _:
            kept.file.write_bytes(b"")
    found = kept.opened(list(written))
    assert len(found) < 50
    assert all(same(vectors_found, written[name]) for name, vectors_found in found.items())
    kept.keep(batch(7))
    kept.keep(batch(7))
    assert kept.opened([key(7)]).keys() == {key(7)}


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    """A file stands where the directory should: no error, and nothing found."""
    (tmp_path / "cache").write_text("in the way", encoding="utf-8")
    kept = KeptVectors(tmp_path / "cache", "model")
    kept.keep(batch(1))
    assert kept.opened([key(1)]) == {}


def test_a_file_that_another_process_holds_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while this one goes on without; what was kept is still there afterwards."""
    monkeypatch.setattr(vectors_kept, "WAIT_SECONDS", 0.05)
    kept = KeptVectors(tmp_path, "model")
    kept.keep(batch(1))
    other = sqlite3.connect(kept.file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    kept.keep(batch(2))
    assert kept.opened([key(1), key(2)]) == {}
    other.execute("ROLLBACK")
    other.close()
    assert kept.opened([key(1), key(2)]).keys() == {key(1)}


def test_threads_at_once(tmp_path: Path) -> None:
    """Whoever writes, everything is there in the end."""
    kept = KeptVectors(tmp_path, "model")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: kept.keep(batch(number, number + 100)), range(16)))
    wanted = [key(number + more) for number in range(16) for more in (0, 100)]
    assert len(kept.opened(wanted)) == 32


def _write_for_ever(cache: str) -> None:
    kept = KeptVectors(Path(cache), "model")
    for number in range(1_000_000):
        kept.keep(batch(number))


def test_a_writer_killed_in_the_middle_leaves_nothing_torn(tmp_path: Path) -> None:
    """Whenever it dies, what is found is what was written, and the next process writes on."""
    kept = KeptVectors(tmp_path, "model")
    writer = multiprocessing.get_context("spawn").Process(target=_write_for_ever, args=(str(tmp_path),))
    writer.start()
    while not kept.opened([key(3)]):
        assert writer.is_alive()
    writer.kill()
    writer.join()
    found = kept.opened([key(number) for number in range(500)])
    assert len(found) >= 4
    assert all(same(vectors_found, vectors(int.from_bytes(name, "big"))) for name, vectors_found in found.items())
    kept.keep(batch(1_000_001))
    assert len(kept.opened([key(1_000_001)])) == 1
