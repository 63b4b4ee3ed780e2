"""`shadowdiff label` in a real pseudo-terminal: blind, resumable, one key an entry; and what it tells afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from sqlalchemy import update

from shadowdiff.labelling.pooled import Choice, turns_to_label
from shadowdiff.records import Label
from shadowdiff.sources.bundle import Bundle
from shadowdiff.store.labels import Labels
from shadowdiff.store.schema import entries
from tests.cli.test_review import store_of
from tests.conftest import ROOT, MakeDatabase, clean_environment, run_cli
from tests.terminals import Terminal, environment_of, python

SIDES = '[rerankers]\ngannet = "cosine"\npetrel = "bm25"\n'
ORG = "quillmetric"
NAMING_A_SIDE = re.compile(rb"gannet|petrel|cosine|bm25|side [AB]|\bA \d|\bB \d", re.IGNORECASE)
SGR = re.compile(rb"\x1b\[[0-9;]*[0-9]m")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With sides that have names of their own."""
    home = tmp_path_factory.mktemp("labelled")
    (home / "shadowdiff.toml").write_text(SIDES, encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def url(make_database: MakeDatabase, sample_template: str, home: Path) -> str:
    """A database with the sample and one run of it."""
    url = make_database(sample_template)
    replay(url, home)
    return url


def replay(url: str, home: Path) -> None:
    """Of both sides."""
    arguments = ("replay", "--last", "4", "--latency", "0", "--top-k", "5", "-A", "gannet", "-B", "petrel")
    done = run_cli(home, *arguments, env={"SHADOWDIFF_DATABASE_URL": url})
    assert done.code == 0, done.err


def label(
    url: str,
    home: Path,
    *arguments: str,
    env: Mapping[str, str] = MappingProxyType({}),
    size: tuple[int, int] = (80, 24),
) -> Terminal:
    """The latest run."""
    environment = environment_of(clean_environment(home), ROOT) | {"SHADOWDIFF_DATABASE_URL": url} | dict(env)
    return Terminal(python("-m", "shadowdiff", "label", *arguments), environment, home, *size)


def labels_of(url: str, author: str) -> list[Label]:
    """What the author has said, oldest first."""
    with store_of(url) as store:
        every = Labels(store).every_of_run(store.get("latest").run_id)
    found = [item for item in every if item.author == author]
    return sorted(found, key=lambda item: item.labelled_at or datetime.max.replace(tzinfo=UTC))


def label_three(terminal: Terminal, titles: Sequence[str], total: int) -> None:
    """The first three entries of the first turn, which have these titles: 2, 0 and 3."""
    for at, key in enumerate(("2", "0", "3")):
        terminal.wait_for(f"turn 1 of 4 · entry {at + 1} of {len(titles)} · {at} of {total} labelled")
        terminal.wait_for(titles[at])
        terminal.press(key)
    terminal.wait_for(f"3 of {total} labelled")


def test_two_people_label_the_same_turns(url: str, home: Path) -> None:
    """Stopped and gone on with, in the same order for both, blind, and with their kappa at the end."""
    began = datetime.now(UTC) - timedelta(seconds=1)
    with store_of(url) as store:
        run = store.get("latest")
        first, second, *_ = turns = turns_to_label(
            run.sides, store.sessions(run.run_id, with_pools=False), Choice(5, 7, 4, is_stratified=True)
        )
        titles = store.titles(run.run_id)
    drawn = ("--seed", "7", "--queries", "4", "--stratify", "org")
    total = sum(len(turn.entry_ids) for turn in turns)
    shown = [titles[first.org_id, entry_id][:60] for entry_id in first.entry_ids]

    with label(url, home, "--author", "ann", *drawn) as terminal:
        label_three(terminal, shown, total)
        terminal.press("b")
        terminal.wait_for("3 answers it ✓")
        assert shown[2] in terminal.text
        terminal.press("1")
        terminal.wait_for("entry 4 of")
        terminal.press("s")
        terminal.wait_for("entry 5 of")
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.is_restored()
        assert not NAMING_A_SIDE.search(terminal.sent)
        assert re.search(r"ann +3 of \d+", terminal.sent.decode())
    stored = labels_of(url, "ann")
    assert [(item.entry_id, item.grade) for item in stored] == list(zip(first.entry_ids, (2, 0, 1), strict=False))
    assert {(item.org_id, item.turn_id, item.source) for item in stored} == {(first.org_id, first.turn_id, "label")}
    assert all(item.labelled_at and began <= item.labelled_at <= datetime.now(UTC) for item in stored)

    with label(url, home, "--author", "ann", *drawn, size=(120, 40)) as terminal:
        terminal.wait_for(f"entry 4 of {len(shown)} · 3 of {total} labelled")
        terminal.wait_for(shown[3])
        terminal.press("q")
        assert terminal.wait() == 0

    with label(url, home, "--author", "bob", *drawn) as terminal:
        label_three(terminal, shown, total)
        terminal.press("q")
        assert terminal.wait() == 0
        told = " ".join(terminal.sent.decode().split())
    # Two of three alike, by chance 2/9: (2/3 - 2/9) / (7/9).
    assert "ann and bob: 1 session, 3 entries labelled by both" in told
    assert "grades 67% (2 of 3) 0.57" in told
    assert second.turn_id not in {item.turn_id for item in labels_of(url, "bob")}


def test_what_others_have_labelled_can_be_left_out(url: str, home: Path) -> None:
    """The sample's labels are somebody's too. Without anything to ask, nothing is asked."""
    with store_of(url) as store:
        run = store.get("latest")
        turns = turns_to_label(run.sides, store.sessions(run.run_id), Choice(5))
        labelled = {(item.org_id, item.turn_id, item.entry_id) for item in Labels(store).every_of_run(run.run_id)}
        keys = [key for turn in turns for key in turn.keys]
        first = next(key for key in keys if key not in labelled)
        with label(url, home, "--author", "eve", "--unlabelled", "--grades", "1") as terminal:
            done = len(labelled.intersection(keys))
            terminal.wait_for(f"{done} of {len(keys)} labelled")
            terminal.wait_for("0 not relevant · 1 relevant")
            terminal.press("3")
            terminal.press("1")
            terminal.wait_for(f"{done + 1} of {len(keys)} labelled")
            terminal.press("q")
            assert terminal.wait() == 0
        (stored,) = labels_of(url, "eve")
        assert ((stored.org_id, stored.turn_id, stored.entry_id), stored.grade) == (first, 1)
        for key in keys:
            Labels(store).put(Label(*key, 1, "review", "max"))
    with label(url, home, "--author", "max") as terminal:
        assert terminal.wait() == 0
        told = terminal.sent.decode()
        assert "nothing is left to label for max" in told
        assert re.search(rf"max +{len(keys)} of {len(keys)}", told)


@pytest.mark.parametrize(
    ("key", "number", "code"), [("\x03", None, 130), ("\x04", None, 130), ("", signal.SIGTERM, -15)]
)
def test_every_end_leaves_the_terminal_as_it_was(
    url: str, home: Path, key: str, number: signal.Signals | None, code: int
) -> None:
    """What was labelled is stored. Colours are the terminal's, or none."""
    author = f"key {key.encode().hex()}"
    with label(url, home, "--author", author, env={"NO_COLOR": "1"} if key else {}) as terminal:
        terminal.wait_for("· 0 of ")
        terminal.press("1")
        terminal.wait_for("· 1 of ")
        terminal.press(key)
        if number is not None:
            os.kill(terminal.child.pid, number)
        assert terminal.wait() == code
        assert terminal.is_restored()
        assert "Traceback" not in terminal.text
        assert ("stored: 1 label of this sitting; 1 of" in terminal.text) is bool(key)
        assert bool(SGR.search(terminal.sent)) is not bool(key)
    assert [item.grade for item in labels_of(url, author)] == [1]


@contextmanager
def labels_away(url: str) -> Iterator[None]:
    """Without the table that labels go to."""
    with store_of(url) as store:
        store.transaction("hiding", lambda it: it.exec_driver_sql("ALTER TABLE shadowdiff.labels RENAME TO away"))
    try:
        yield
    finally:
        with store_of(url) as store:
            store.transaction("showing", lambda it: it.exec_driver_sql("ALTER TABLE shadowdiff.away RENAME TO labels"))


def test_a_label_that_cannot_be_stored_is_never_lost_in_silence(url: str, home: Path) -> None:
    """It is said, and can be given again; who stops all the same is told, and so is the shell."""
    with label(url, home, "--author", "kim") as terminal:
        terminal.wait_for("· 0 of ")
        with labels_away(url):
            terminal.press("2")
            terminal.wait_for("2 is not stored; a grade: try again · q: stop and lose it")
            terminal.press("s")
        terminal.press("2")
        terminal.wait_for("· 1 of ")
        with labels_away(url):
            terminal.press("1")
            terminal.wait_for("1 is not stored")
            terminal.press("q")
            assert terminal.wait() == 3
        assert terminal.is_restored()
        assert "not stored: label 1 of entry" in terminal.text
        assert "1 label is not stored" in terminal.text
    assert [item.grade for item in labels_of(url, "kim")] == [2]


def test_a_pipe_gets_progress_and_agreement(url: str, home: Path) -> None:
    """For people and for programs; labelling itself needs a terminal, and options that say nothing are refused."""
    env = {"SHADOWDIFF_DATABASE_URL": url}
    with store_of(url) as store:
        run = store.get("latest")
        turns = turns_to_label(run.sides, store.sessions(run.run_id), Choice(5, org_ids=(ORG,)))
        for author, grades in (("one", (3, 0, 0)), ("two", (0, 0, 0))):
            for key, grade in zip(turns[0].keys, grades, strict=False):
                Labels(store).put(Label(*key, grade, "label", author))
        title = store.titles(run.run_id)[ORG, turns[0].entry_ids[0]]
    told = run_cli(home, "label", "--progress", "--org", ORG, "--width", "100", env=env)
    assert (told.code, told.err) == (0, "")
    assert title in told.out
    written = run_cli(home, "label", "--progress", "--org", ORG, "--format", "json", "-o", "labels.json", env=env)
    assert (written.code, written.out) == (0, "")
    document = json.loads((home / "labels.json").read_text())
    (pair,) = (it for it in document["agreement"] if {it["first"]["author"], it["second"]["author"]} == {"one", "two"})
    assert (pair["entries"], pair["grades"]["agreed"], pair["grades"]["kappa"]) == (3, 2, 0.0)
    refusals = {
        (): "label needs a terminal to draw on; in a pipe, use: shadowdiff label RUN --progress",
        ("--format", "json"): "add: --progress",
        ("--progress", "--stratify", "org"): "--queries N",
        ("--import", "q.txt", "--queries", "5", "--progress"): "of the run: leave out --queries, --progress",
        ("--progress", "--org", "nobody"): "has no turn of 'nobody'",
    }
    for arguments, said in refusals.items():
        refused = run_cli(home, "label", *arguments, env=env)
        assert (refused.code, refused.out) == (2, "")
        assert said in refused.err


def test_texts_come_from_the_source_where_none_are_stored(sample_url: str, sample: Bundle, tmp_path: Path) -> None:
    """And where the source has lost one, the screen says so."""
    (tmp_path / "shadowdiff.toml").write_text(f"{SIDES}[privacy]\nstore_text = false\n", encoding="utf-8")
    replay(sample_url, tmp_path)
    with store_of(sample_url) as store:
        run = store.get("latest")
        turn = turns_to_label(run.sides, store.sessions(run.run_id), Choice(5))[0]
        key = (turn.org_id, turn.entry_ids[0])
        title = next(entry.title for entry in sample.entries if (entry.org_id, entry.entry_id) == key)
        with label(sample_url, tmp_path, "--author", "ann") as terminal:
            terminal.wait_for(title[:60])
            terminal.press("q")
            assert terminal.wait() == 0
        change = update(entries).where(entries.c.org_id == key[0], entries.c.entry_id == key[1])
        store.transaction("changing", lambda connection: connection.execute(change.values(body="something else")))
    with label(sample_url, tmp_path, "--author", "ann") as terminal:
        terminal.wait_for("text not stored; changed in the source since")
        terminal.wait_for(turn.entry_ids[0])
        terminal.press("q")
        assert terminal.wait() == 0
        assert "1 entries changed or gone" in terminal.sent.decode()
