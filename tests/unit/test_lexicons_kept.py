"""Lexicons on disk: only for their owner, bounded, and made anew where anything about them is wrong."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shadowdiff import lexicons_kept
from shadowdiff.lexical import OrgLexicon
from shadowdiff.lexicons_kept import KeptLexicons
from shadowdiff.pools import Lexicons
from shadowdiff.records import Entry

ENTRIES = [Entry("o", f"e{number:03}", "", f"word{number} of pricing") for number in range(40)]


class Versioned:
    """A knowledge base that counts how often it is read, and may change while it is."""

    def __init__(self, cache: Path, versions: list[str]) -> None:
        self.cache_directory: Path | None = cache
        self.versions = versions
        self.read = 0

    def kb_version(self, org_id: str) -> str | None:
        """The next version; the last one for ever."""
        return self.versions.pop(0) if len(self.versions) > 1 else self.versions[0]

    def org_entries(self, org_id: str) -> list[Entry]:
        """All of them."""
        self.read += 1
        return ENTRIES


def folders(cache: Path) -> list[Path]:
    """What is kept, and what is left unfinished."""
    return sorted((cache / "lexicons").iterdir())


def test_only_the_owner_can_read_what_is_kept(tmp_path: Path) -> None:
    """Words of a knowledge base lie there, whatever the umask."""
    before = os.umask(0)
    try:
        KeptLexicons(tmp_path / "cache").keep("v", OrgLexicon(ENTRIES))
    finally:
        os.umask(before)
    (folder,) = folders(tmp_path / "cache")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder)] == [0o700, 0o700]
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_another_version_is_another_lexicon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the knowledge base, of the format, of the libraries that made it."""
    kept = KeptLexicons(tmp_path)
    kept.keep("v1", OrgLexicon(ENTRIES))
    assert kept.opened("v1") is not None
    assert kept.opened("v2") is None
    monkeypatch.setattr(lexicons_kept, "version", lambda name: "99")
    assert kept.opened("v1") is None


@pytest.mark.parametrize("damage", ["flip", "cut", "lose", "manifest", "extra"])
def test_a_damaged_lexicon_is_made_anew(tmp_path: Path, damage: str) -> None:
    """Whatever was done to whichever file: no error, and the right scores."""
    kept = KeptLexicons(tmp_path)
    built = OrgLexicon(ENTRIES)
    kept.keep("v", built)
    for name in [file.name for file in folders(tmp_path)[0].iterdir()]:
        (folder,) = folders(tmp_path)
        file = folder / name
        content = file.read_bytes()
        match damage:
            case "flip":
                file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            case "cut":
                file.write_bytes(content[: len(content) // 2])
            case "lose":
                file.unlink()
            case "manifest":
                (folder / "lexicon.json").write_text("[]", encoding="utf-8")
            case _:
                (folder / "more").write_bytes(b"")
        assert kept.opened("v") is None
        assert folders(tmp_path) == []
        assert kept.keep("v", built).top("word7", 3) == built.top("word7", 3)


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    """All together take at most what they may; opening counts as using; the newest always stays."""
    built = OrgLexicon(ENTRIES)
    KeptLexicons(tmp_path).keep("a", built)
    one = sum(KeptLexicons(tmp_path).sizes().values())
    kept = KeptLexicons(tmp_path, most_bytes=one * 5 // 2)
    kept.keep("b", built)
    for age, folder in enumerate(reversed(list(kept.sizes())), start=1):
        os.utime(folder, (folder.stat().st_atime, folder.stat().st_mtime - 100 * age))
    assert kept.opened("a") is not None
    kept.keep("c", built)
    assert [kept.opened(name) is not None for name in "abc"] == [True, False, True]
    tiny = KeptLexicons(tmp_path, most_bytes=1)
    tiny.keep("d", built)
    assert [tiny.opened(name) is not None for name in "abcd"] == [False, False, False, True]


def test_what_a_dead_process_left_is_cleared_away(tmp_path: Path) -> None:
    """An unfinished folder goes once nobody can still be writing it, and is never taken for a lexicon."""
    kept = KeptLexicons(tmp_path)
    old, young = (tmp_path / "lexicons" / f".unfinished-{name}" for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    kept.keep("v", OrgLexicon(ENTRIES))
    assert (old.exists(), young.exists(), len(kept.sizes())) == (False, True, 1)


def test_processes_at_once_keep_one(tmp_path: Path) -> None:
    """Whoever is second throws its own away; everybody has a lexicon that works."""
    kept = KeptLexicons(tmp_path)
    built = OrgLexicon(ENTRIES)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: kept.keep("v", built).top("word7", 1), range(16)))
    assert len({str(top) for top in found}) == 1
    assert len(folders(tmp_path)) == 1


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    """A file stands where the directory should: the lexicon in memory serves."""
    (tmp_path / "cache").write_text("in the way", encoding="utf-8")
    built = OrgLexicon(ENTRIES)
    assert KeptLexicons(tmp_path / "cache").keep("v", built) is built
    assert KeptLexicons(tmp_path / "cache").sizes() == {}


def test_entries_are_read_once_per_version(tmp_path: Path) -> None:
    """A second run reads none; a new version reads them again."""
    first = Versioned(tmp_path, ["v1"])
    Lexicons(first).of("o")  # type: ignore[arg-type]
    again = Versioned(tmp_path, ["v1"])
    held = Lexicons(again).of("o")  # type: ignore[arg-type]
    changed = Versioned(tmp_path, ["v2"])
    Lexicons(changed).of("o")  # type: ignore[arg-type]
    assert (first.read, again.read, changed.read) == (1, 0, 1)
    assert held.top("word7", 1)[0][0] == "e007"


def test_what_changed_while_it_was_read_is_not_kept(tmp_path: Path) -> None:
    """It is nobody's version: the lexicon serves this run only."""
    knowledge = Versioned(tmp_path, ["v1", "v2"])
    assert Lexicons(knowledge).of("o").top("word7", 1)[0][0] == "e007"  # type: ignore[arg-type]
    assert not (tmp_path / "lexicons").exists()
