"""Exports: what a bundle takes from the run and what from the source, and what is said where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shadowdiff.cli.directory import new_directory
from shadowdiff.errors import ConfigError
from shadowdiff.export.bundle import exported_bundle
from shadowdiff.export.redaction import Redaction
from shadowdiff.privacy import Pattern, Redactor, Rule
from shadowdiff.records import (
    Entry,
    Label,
    Pool,
    PoolEntry,
    PoolOrigin,
    Ranking,
    RecordedEntry,
    ReplayedSession,
    ReplayedTurn,
    Session,
    Turn,
    Window,
)
from tests.bundles import entry, label, session, turn

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Shelf:
    """A source of these entries and sessions, in memory, with a vector for every text that is not empty."""

    def __init__(self, entries: Sequence[Entry], sessions: Sequence[Session], models: Mapping[str, str]) -> None:
        self._entries = entries
        self._sessions = sessions
        self._models = models

    def session_ids(self, window: Window) -> list[str]:
        """All."""
        return [found.session_id for found in self._sessions]

    def sessions(self, window: Window) -> Iterator[Session]:
        """Those of the window."""
        yield from (found for found in self._sessions if found.session_id in window.session_ids)

    def entries(self, wanted: Mapping[str, set[str]]) -> dict[tuple[str, str], Entry]:
        """Those wanted."""
        found = ((item.org_id, item.entry_id) for item in self._entries if item.entry_id in wanted.get(item.org_id, ()))
        return {key: next(item for item in self._entries if (item.org_id, item.entry_id) == key) for key in found}

    def org_entries(self, org_id: str) -> list[Entry]:
        """Those of the org."""
        return [item for item in self._entries if item.org_id == org_id]

    def entry_vectors(self, wanted: Mapping[str, set[str]]) -> dict[tuple[str, str], NDArray[np.float32]]:
        """One dimension more for each letter of the model's name."""
        return {key: self._vector(item.org_id, item.body) for key, item in self.entries(wanted).items() if item.body}

    def turn_vectors(self, turn_ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Likewise."""
        turns = [(found.org_id, turn) for found in self._sessions for turn in found.turns]
        return {turn.turn_id: self._vector(org, turn.query) for org, turn in turns if turn.turn_id in turn_ids}

    def nearest(self, org_of: Mapping[str, str], limit: int) -> dict[str, list[RecordedEntry]]:
        """Nothing."""
        return {}

    def embedding_models(self, org_ids: Sequence[str]) -> dict[str, str]:
        """Those of the orgs."""
        return {org_id: model for org_id, model in self._models.items() if org_id in org_ids}

    def _vector(self, org_id: str, text: str) -> NDArray[np.float32]:
        return np.full(len(self._models[org_id]), len(text), dtype=np.float32)


E1, E2, E3 = (entry(name) for name in ("e1", "e2", "e3"))
ASKED = turn("t1", pool=["e1", "e2"])
SOURCE = Shelf([E1, E2, E3], [session("s1", replace(ASKED, served=("e3", "gone", "e3")))], {"acme": "mini"})


def replayed(*turns: ReplayedTurn, org_id: str = "acme", session_id: str = "s1") -> ReplayedSession:
    """A session as the store gives it back: without recorded pools and served lists."""
    stored = tuple(item.turn for item in turns)
    return ReplayedSession(session(session_id, *stored, org_id=org_id), turns)


def ranked(asked: Turn, entries: Sequence[Entry], **fields: Any) -> ReplayedTurn:
    """A turn whose pool holds these entries, ranked as they stand."""
    pool = Pool(tuple(PoolEntry(item, rank, 1.0 / rank) for rank, item in enumerate(entries, 1)), PoolOrigin.COSINE)
    ranking = Ranking(pool.entry_ids, tuple(item.score for item in pool.entries))
    bare = replace(asked, recorded_pool=None, served=None)
    return replace(ReplayedTurn(bare, pool, {"A": ranking}), **fields)


def test_pools_as_replayed_and_the_rest_from_the_source() -> None:
    """The frozen pool becomes the recorded one; served lists, other entries and vectors are the source's."""
    exported = exported_bundle([replayed(ranked(ASKED, [E2, E1]))], [label("t1", "e3")], SOURCE, whole=False)
    (asked,) = exported.bundle.sessions[0].turns
    assert asked.recorded_pool == (RecordedEntry("e2", 1.0), RecordedEntry("e1", 0.5))
    assert asked.served == ("e3",)
    assert [item.entry_id for item in exported.bundle.entries] == ["e1", "e2", "e3"]
    assert exported.bundle.labels == (label("t1", "e3"),)
    assert exported.bundle.embeddings is not None
    assert (exported.bundle.embeddings.model, exported.bundle.embeddings.entries.shape) == ("mini", (3, 4))
    assert exported.notes == ("left out of served lists, because their entries are not there: 1",)


def test_whole_knowledge_bases_or_only_what_is_named() -> None:
    """BM25 needs the former; the latter has what pools, served lists and labels name."""
    run = [replayed(ranked(replace(ASKED, served=None), [E1]))]
    source = Shelf([E1, E2, E3], [session("s1", replace(ASKED, served=None))], {"acme": "mini"})
    few = exported_bundle(run, [], source, whole=False).bundle
    whole = exported_bundle(run, [], source, whole=True).bundle
    assert [item.entry_id for item in few.entries] == ["e1"]
    assert [item.entry_id for item in whole.entries] == ["e1", "e2", "e3"]


def test_without_a_source_there_are_the_pools() -> None:
    """Their texts are in the store; labels of other entries cannot stand."""
    exported = exported_bundle(
        [replayed(ranked(ASKED, [E1]))], [label("t1", "e3"), label("t1", "e1")], None, whole=True
    )
    assert exported.bundle.entries == (E1,)
    assert exported.bundle.labels == (label("t1", "e1"),)
    assert (exported.bundle.embeddings, exported.bundle.sessions[0].turns[0].served) == (None, None)
    assert exported.notes == ("labels left out, because their entry is not there or an id holds white space: 1",)


def test_texts_are_those_of_the_run() -> None:
    """An entry that has changed since, or was replayed with two texts, is said."""
    old, older = replace(E1, body="as it was"), replace(E1, body="before that")
    run = [replayed(ranked(ASKED, [older]), ranked(turn("t2", 2), [old]))]
    exported = exported_bundle(run, [], SOURCE, whole=False)
    assert {item.entry_id: item.body for item in exported.bundle.entries}["e1"] == "as it was"
    assert [note.split(":")[0] for note in exported.notes[:2]] == [
        "entries that were replayed with several texts, of which a bundle holds the last",
        "entries that have changed since the run",
    ]


def test_a_turn_that_had_no_pool_has_none() -> None:
    """It fails again there, where an empty pool would rank nothing and succeed."""
    failed = ranked(turn("t2", 2), [], rankings={})
    empty = ranked(turn("t3", 3), [])
    exported = exported_bundle([replayed(ranked(ASKED, [E1]), failed, empty)], [], None, whole=False)
    assert [item.recorded_pool for item in exported.bundle.sessions[0].turns][1:] == [None, ()]


def test_vectors_of_two_models_do_not_mix() -> None:
    """The model of most turns stays; the other's are left out, and counted."""
    other = Entry("zeta", "z1", "", "other")
    turns = [turn("t1"), turn("t2", 2), turn("t3")]
    sessions = [session("s1", *turns[:2]), session("s2", turns[2], org_id="zeta")]
    source = Shelf([E1, other], sessions, {"acme": "mini", "zeta": "large"})
    run = [
        replayed(ranked(turns[0], [E1]), ranked(turns[1], [E1])),
        replayed(ranked(turns[2], [other]), org_id="zeta", session_id="s2"),
    ]
    exported = exported_bundle(run, [], source, whole=False)
    assert exported.bundle.embeddings is not None
    assert exported.bundle.embeddings.model == "mini"
    assert exported.bundle.embeddings.turns.any(axis=1).tolist() == [True, True, False]
    assert exported.bundle.embeddings.entries.any(axis=1).tolist() == [True, False]
    assert exported.notes == ("turns whose embeddings are of another model than 'mini', and left out: 1",)


def test_redaction_changes_every_text_and_no_id() -> None:
    """Embeddings of what was changed go too; ids that match are said."""
    address = "me@here"
    asked = Turn("t-me@here", 1, f"ask {address}", ASKED.asked_at, f"search {address}", f"answer {address}")
    entries = [Entry("acme", "e1", address, f"body {address}"), E2]
    tags = {"by": address, "list": [address, 3, {address: None}]}
    source = Shelf(entries, [session("s1", asked, turn("t2", 2))], {"acme": "mini"})
    run = [replayed(ranked(asked, entries), ranked(turn("t2", 2), [E2]))]
    run = [ReplayedSession(replace(run[0].session, tags=tags), run[0].turns)]
    redaction = Redaction(Redactor([Rule("email", Pattern("me@here"))]))
    exported = exported_bundle(run, [Label("acme", "t-me@here", "e2", 1, "")], source, whole=True, redaction=redaction)
    (found,) = exported.bundle.sessions
    first = found.turns[0]
    assert (first.query, first.search_query, first.answer) == ("ask [email]", "search [email]", "answer [email]")
    assert found.tags == {"by": "[email]", "list": ["[email]", 3, {"[email]": None}]}
    assert (exported.bundle.entries[0].title, exported.bundle.entries[0].body) == ("[email]", "body [email]")
    assert first.turn_id == "t-me@here"
    assert exported.bundle.embeddings is not None
    assert exported.bundle.embeddings.turns.any(axis=1).tolist() == [False, True]
    assert exported.bundle.embeddings.entries.any(axis=1).tolist() == [False, True]
    assert exported.notes == (
        "texts were redacted (entries: 1, turns: 1); sides that read them may rank differently",
        "embeddings of redacted texts left out: 2; cosine fails where it needs them",
        "ids that match a pattern, and stay, since everything is found by them: 1",
    )


def test_a_directory_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """What fails leaves nothing behind; what is there is kept, unless an older export may go."""
    spoilt = new_directory(tmp_path / "out")
    (spoilt.__enter__() / "A.trec").touch()
    spoilt.__exit__(KeyError, KeyError(), None)
    assert list(tmp_path.iterdir()) == []
    for content in ("one", "two"):
        with new_directory(tmp_path / "out", force=content == "two") as directory:
            (directory / "A.trec").write_text(content)
    assert (tmp_path / "out" / "A.trec").read_text() == "two"
    assert (tmp_path / "out").stat().st_mode & 0o055
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("name", "force", "reason"),
    [
        ("A.trec", False, "is not empty; name another directory, or replace an older export with --force"),
        ("thesis.doc", True, "holds 'thesis.doc', which no export wrote; --force deletes older exports only"),
    ],
)
def test_what_no_export_wrote_is_never_deleted(tmp_path: Path, name: str, reason: str, *, force: bool) -> None:
    """Not even with --force."""
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match=reason), new_directory(tmp_path, force=force):
        raise AssertionError
    assert (tmp_path / name).read_text() == "mine"
    with pytest.raises(ConfigError, match="is a file"), new_directory(tmp_path / name):
        raise AssertionError
