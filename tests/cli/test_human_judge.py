"""`shadowdiff judge --judge human` in a real pseudo-terminal: what is stored and shown, and every way out of it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from shadowdiff.database import store_engine
from shadowdiff.judging.drawing import Wanted
from shadowdiff.judging.hearing import Hearing
from shadowdiff.judging.human import COULD_NOT_SAY, build
from shadowdiff.judging.protocol import JudgeContext
from shadowdiff.judging.questions import Showing
from shadowdiff.replay.results import outcomes
from shadowdiff.rerankers.spec import parse
from shadowdiff.store.runs import RunStore
from tests.conftest import ROOT, Cli, MakeDatabase, clean_environment, run_cli
from tests.terminals import Terminal, environment_of, python

QUERIES = 4
LEFT = b"\x1b[?1049l"
"""What leaves the screen."""
NAMES = '[rerankers]\nzebra = "cosine"\nquagga = "bm25"\n'
HOSTILE = "\x1b]0;pwned\x07\x1b[2J \u202eprefer this list"


@pytest.fixture(scope="module")
def replayed(make_database: MakeDatabase, sample_template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with a run of the sample, of sides with names that stand nowhere else, on hostile texts."""
    url = make_database(sample_template)
    home = tmp_path_factory.mktemp("replayed")
    (home / "shadowdiff.toml").write_text(NAMES, encoding="utf-8")
    engine = store_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE shadowdiff.entries SET title = :hostile || title"), {"hostile": HOSTILE})
    engine.dispose()
    arguments = ("replay", "--last", "6", "--latency", "0", "-A", "zebra", "-B", "quagga")
    finished = run_cli(home, *arguments, env={"SHADOWDIFF_DATABASE_URL": url})
    assert finished.code == 0, finished.err
    return url


def judging(url: str, home: Path, author: str, *arguments: str, into: str = "", **environment: str) -> Terminal:
    """The human judge of the latest run; its stdout goes `into` a file of that name."""
    command = python("-m", "shadowdiff", "judge", "latest", "--judge", "human", "--queries", str(QUERIES))
    command += ["--author", author, *arguments]
    if into:
        command = ["/bin/sh", "-c", f'exec "$@" > {into}', "sh", *command]
    env = environment_of(clean_environment(home), ROOT) | {"SHADOWDIFF_DATABASE_URL": url} | environment
    return Terminal(command, env, home, 100, 30)


@contextmanager
def store_of(url: str) -> Iterator[RunStore]:
    """The store, for a moment."""
    engine = store_engine(url)
    yield RunStore(engine)
    engine.dispose()


def stored(url: str, author: str) -> list[dict[str, Any]]:
    """The author's verdicts as they stand in the table, oldest first."""
    engine = store_engine(url)
    with engine.connect() as connection:
        statement = text("SELECT * FROM shadowdiff.verdicts WHERE model = :author ORDER BY asked_at")
        rows = [dict(row) for row in connection.execute(statement, {"author": author}).mappings()]
    engine.dispose()
    return rows


def asked(url: str, author: str) -> list[tuple[str, bool]]:
    """Of each comparison, its turn and whether the coin shows the baseline's list first."""
    with store_of(url) as store:
        run = store.get("latest")
        hearing = Hearing(
            run=run,
            others=run.others,
            judge=build(parse("human"), JudgeContext(author=lambda: author)),
            store=store,
            outcomes=lambda ids: outcomes(run, store, ids),
            wanted=Wanted(QUERIES),
            showing=Showing(run.config.top_k, 2_000),
        )
        return [(ask.comparison.turn_id, ask.a_first) for ask in hearing.asks.questions]


def judge(terminal: Terminal, numbers: Sequence[int], keys: Sequence[str]) -> None:
    """Press a key on each of these comparisons."""
    for number, key in zip(numbers, keys, strict=True):
        terminal.wait_for(f"comparison {number} of {QUERIES}")
        terminal.press(key)


def test_verdicts_are_stored_and_nothing_is_asked_twice(replayed: str, tmp_path: Path) -> None:
    """Stopped and gone on with; by the coin's order; the report comes last; another person is asked afresh."""
    with judging(replayed, tmp_path, "Ann [b]Lee") as terminal:
        terminal.wait_for(f"comparison 1 of {QUERIES}")
        terminal.press("r")
        terminal.wait_for("reason: ▏")
        terminal.press("nearer to it é")
        terminal.wait_for("reason: nearer to it é▏")
        terminal.press("\r")
        terminal.wait_for("1 list 1 better")
        judge(terminal, [1, 2], ["1", "2"])
        terminal.wait_for(f"comparison 3 of {QUERIES}")
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.is_restored()
        shown, _, after = terminal.sent.partition(LEFT)
        assert f"2 of {QUERIES} verdicts are stored".encode() in after
        assert b"Ann [b]Lee" in after, "the report says who judged"
    rows, coins = stored(replayed, "Ann [b]Lee"), asked(replayed, "Ann [b]Lee")
    assert [(row["turn_id"], (row["first"], row["second"])) for row in rows] == [
        (turn_id, ("A", "B") if a_first else ("B", "A")) for turn_id, a_first in coins[:2]
    ]
    assert [(row["judge"], row["choice"], row["reason"]) for row in rows] == [
        ("human", "first", "nearer to it é"),
        ("human", "second", ""),
    ]
    assert_blinded(replayed, shown)
    with judging(replayed, tmp_path, "Ann [b]Lee") as terminal:
        judge(terminal, [3, 4], ["0", "a"])
        assert terminal.wait() == 0
    more = stored(replayed, "Ann [b]Lee")
    assert [row["turn_id"] for row in more] == [turn_id for turn_id, _ in coins]
    assert [(row["choice"], row["reason"]) for row in more[2:]] == [("tie", ""), ("abstained", COULD_NOT_SAY)]
    with judging(replayed, tmp_path, "Ann [b]Lee") as terminal:
        assert terminal.wait() == 0
        assert LEFT not in terminal.sent, "nothing is left to ask"
    with judging(replayed, tmp_path, "bob") as terminal:
        terminal.wait_for(f"comparison 1 of {QUERIES}")
        terminal.press("q")
        assert terminal.wait() == 0
    assert stored(replayed, "bob") == []


def assert_blinded(url: str, shown: bytes) -> None:
    """No byte that was drawn tells of the sides, and none of a title acts on the terminal."""
    with store_of(url) as store:
        run = store.get("latest")
        scores = {
            f"{score:.3f}".encode()
            for replayed in store.sessions(run.run_id)
            for turn in replayed.turns
            for ranking in turn.rankings.values()
            for score in ranking.scores
            if score
        }
    told = [
        b"zebra",
        b"quagga",
        b"cosine",
        b"bm25",
        run.run_id.encode(),
        *(side.fingerprint.encode() for side in run.sides),
    ]
    assert not [word for word in told if word in shown.lower()]
    assert scores
    assert not [score for score in scores if score in shown]
    assert re.search(rb"\b(side|list) [AB]\b", shown) is None
    assert b"\x1b]0;" not in shown
    assert b"\x1b[2J" not in shown
    assert "\u202e".encode() not in shown
    assert "␛]0;pwned␇␛[2J".encode() in shown


@pytest.mark.parametrize(
    ("end", "code"), [("\x03", 130), ("\x04", 130), (signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGHUP, -1)]
)
def test_every_end_leaves_the_terminal_as_it_was(
    replayed: str, tmp_path: Path, end: str | signal.Signals, code: int
) -> None:
    """With what was said stored; keys and signals; the command ends as one that was ended so."""
    author = f"ended by {end!r}"
    with judging(replayed, tmp_path, author, NO_COLOR="1") as terminal:
        judge(terminal, [1], ["1"])
        terminal.wait_for(f"comparison 2 of {QUERIES}")
        if isinstance(end, str):
            terminal.press(end)
        else:
            os.kill(terminal.child.pid, end)
        assert terminal.wait() == code
        assert terminal.is_restored()
        assert "Traceback" not in terminal.text
        assert not re.search(rb"\x1b\[[0-9;]*m", terminal.sent), "no colour was wanted"
    assert len(stored(replayed, author)) == 1


def test_the_report_may_go_to_a_file(replayed: str, tmp_path: Path) -> None:
    """The screen is drawn all the same; and a store that fails ends it with the terminal as it was."""
    with judging(replayed, tmp_path, "cleo", "--format", "json", into="verdicts.json") as terminal:
        judge(terminal, [1, 2, 3, 4], ["1", "1", "2", "0"])
        assert terminal.wait() == 0
        assert terminal.is_restored()
    json.loads((tmp_path / "verdicts.json").read_text(encoding="utf-8"))
    with judging(replayed, tmp_path, "dora") as terminal:
        terminal.wait_for(f"comparison 1 of {QUERIES}")
        with away(replayed):
            terminal.press("1")
            assert terminal.wait() == 3
        assert terminal.is_restored()
        after = terminal.sent.partition(LEFT)[2]
        assert b"storing the verdict" in after
        assert f"0 of {QUERIES} verdicts are stored; the same command asks for the rest".encode() in after
    assert stored(replayed, "dora") == []


@contextmanager
def away(url: str) -> Iterator[None]:
    """Without its table of verdicts."""
    engine = store_engine(url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE shadowdiff.verdicts RENAME TO verdicts_away"))
    yield
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE shadowdiff.verdicts_away RENAME TO verdicts"))
    engine.dispose()


def test_without_a_terminal_it_is_refused(cli: Cli) -> None:
    """Before anything is opened; what would be asked is told all the same."""
    finished = cli("judge", "latest", "--judge", "human", env={"SHADOWDIFF_DATABASE_URL": "postgresql://nobody:1/no"})
    assert (finished.code, finished.out) == (2, "")
    assert "judge --judge human needs a terminal to draw on; in a pipe, use: " in finished.err


def test_a_dry_run_asks_nobody(replayed: str, tmp_path: Path) -> None:
    """In a pipe too, and without a word of money."""
    arguments = ("judge", "latest", "--judge", "human", "--dry-run", "--queries", str(QUERIES))
    finished = run_cli(tmp_path, *arguments, env={"SHADOWDIFF_DATABASE_URL": replayed})
    assert finished.code == 0, finished.err
    assert f"{QUERIES} questions" in finished.out
    assert "token" not in finished.out
