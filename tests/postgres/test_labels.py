"""Labels and comments as they are stored, and the titles that a search looks in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shadowdiff.records import Comment, Label
from shadowdiff.store.labels import Labels
from shadowdiff.store.runs import RunStore
from tests.conftest import Cli

THEN = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
TURN = "hv-7f3a:1"


@pytest.fixture
def labels(sample_store: RunStore) -> Labels:
    """Over the sample, whose own labels are of the source `qrels`."""
    return Labels(sample_store)


def test_a_label_replaces_its_author_s_own_and_no_other(labels: Labels) -> None:
    """One per author, source, turn and entry; all are read, newest first; a turn of that name elsewhere has none."""
    loaded = [label for label in labels.of_turns("halden-vault", [TURN]) if label.source != "review"]
    ours = Label("halden-vault", TURN, loaded[0].entry_id, 1, "review", "ann", THEN)
    bobs = replace(ours, author="bob", grade=3, labelled_at=THEN - timedelta(days=1))
    for label in (ours, bobs, replace(ours, grade=2, labelled_at=THEN + timedelta(hours=1))):
        labels.put(label)
    found = [item for item in labels.of_turns("halden-vault", [TURN, "x"]) if item.entry_id == ours.entry_id]
    assert found == [loaded[0], replace(ours, grade=2, labelled_at=THEN + timedelta(hours=1)), bobs]
    labels.remove(ours)
    assert [item.author for item in labels.of_turns("halden-vault", [TURN]) if item.source == "review"] == ["bob"]
    assert labels.of_turns("quillmetric", [TURN]) == []
    labels.put(replace(ours, labelled_at=None))
    (stored,) = [item for item in labels.of_turns("halden-vault", [TURN]) if item.author == "ann"]
    assert stored.labelled_at is not None


def test_comments_are_read_in_order(labels: Labels) -> None:
    """On the turn and on entries; two by the same person both stay."""
    first = Comment("halden-vault", TURN, "ann", "why [b]this[/b]?", "hv-kb-001", THEN)
    second = Comment("halden-vault", TURN, "ann", "asked every week", None, THEN + timedelta(minutes=1))
    for comment in (second, first, Comment("quillmetric", TURN, "eve", "elsewhere")):
        labels.comment(comment)
    assert labels.comments_of_turns("halden-vault", [TURN]) == [first, second]


def test_a_run_knows_labels_and_titles(cli: Cli, database: dict[str, str], sample_store: RunStore) -> None:
    """The newest label of an entry counts; titles are of every pool, and of none where no texts are stored."""
    assert cli("replay", "--last", "2", "--latency", "0", "-A", "cosine", "-B", "bm25", env=database).code == 0
    run, labels = sample_store.get("latest"), Labels(sample_store)
    replayed = next(sample_store.sessions(run.run_id))
    turn, entry = replayed.turns[0].turn, replayed.turns[0].pool.entries[0].entry
    labels.put(
        Label(entry.org_id, turn.turn_id, entry.entry_id, 0, "review", "ann", datetime.now(UTC) + timedelta(days=1))
    )
    of_entry = [
        label
        for label in labels.of_run(run.run_id)
        if (label.turn_id, label.entry_id) == (turn.turn_id, entry.entry_id)
    ]
    assert [label.author for label in of_entry] == ["ann"]
    every = labels.every_of_run(run.run_id)
    first: dict[tuple[str, str, str], Label] = {}
    for label in every:
        first.setdefault((label.org_id, label.turn_id, label.entry_id), label)
    assert list(first.values()) == labels.of_run(run.run_id)
    labels.put(replace(of_entry[0], author="bob", labelled_at=THEN))
    added = [label.author for label in labels.every_of_run(run.run_id) if label not in every]
    assert added == ["bob"]
    every = sorted(labels.of_run(run.run_id), key=lambda label: (label.org_id, label.turn_id, label.entry_id))
    assert labels.of_runs([run.run_id, "nothing", run.run_id]) == every
    titles = sample_store.titles(run.run_id)
    pooled = {
        (item.entry.org_id, item.entry.entry_id): item.entry.title
        for session in sample_store.sessions(run.run_id)
        for each in session.turns
        for item in each.pool.entries
    }
    assert titles == pooled
