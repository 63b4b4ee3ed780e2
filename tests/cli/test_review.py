"""`shadowdiff review` in a real pseudo-terminal, by its keys; and every way out of it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest

from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import with_texts
from shadowdiff.cli.review import _report
from shadowdiff.database import store_engine
from shadowdiff.review.stored import StoredRun
from shadowdiff.store.labels import Labels
from shadowdiff.store.nights import NightStore
from shadowdiff.store.runs import RunStore
from tests.conftest import ROOT, Cli, MakeDatabase, clean_environment, run_cli
from tests.terminals import Terminal, environment_of, python

SGR = re.compile(rb"\x1b\[([0-9;]*)m")
COLOURS = {str(code).encode() for code in (*range(30, 38), *range(40, 48), *range(90, 98), *range(100, 108))}
EXACT_COLOUR = re.compile(rb"\x1b\[[0-9;]*[34]8;[25];")
"""One that is not of the 16 that the terminal's own theme defines."""


@pytest.fixture(scope="module")
def reviewed(make_database: MakeDatabase, sample_template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with the sample and one run of it."""
    url = make_database(sample_template)
    home = tmp_path_factory.mktemp("replayed")
    arguments = ("replay", "--last", "3", "--latency", "0", "-A", "cosine", "-B", "bm25")
    finished = run_cli(home, *arguments, env={"SHADOWDIFF_DATABASE_URL": url})
    assert finished.code == 0, finished.err
    return url


@contextmanager
def store_of(url: str) -> Iterator[RunStore]:
    """The store, for a moment."""
    engine = store_engine(url)
    yield RunStore(engine)
    engine.dispose()


def review(
    url: str,
    home: Path,
    *arguments: str,
    command: tuple[str, ...] = ("-m", "shadowdiff"),
    env: Mapping[str, str] = MappingProxyType({}),
) -> Terminal:
    """The review of the latest run."""
    environment = environment_of(clean_environment(home), ROOT) | {"SHADOWDIFF_DATABASE_URL": url} | dict(env)
    return Terminal(python(*command, "review", *arguments), environment, home)


def test_an_entry_is_labelled_by_keys(reviewed: str, tmp_path: Path) -> None:
    """Open, move, label, quit: the table of labels has it with author and time, and the terminal is as it was."""
    began = datetime.now(UTC) - timedelta(seconds=1)
    with review(reviewed, tmp_path, "--author", "Ann [b]Lee") as terminal:
        terminal.wait_for("top 10:")
        terminal.press("\t")
        terminal.press("n")
        terminal.wait_for("turn 2/")
        terminal.press("j")
        terminal.press("l")
        terminal.wait_for("2 a part of the answer")
        terminal.press("2")
        terminal.wait_for("●2 Ann [b]Lee (review)")
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.is_restored()
    with store_of(reviewed) as store:
        labels = [label for label in Labels(store).of_run(store.get("latest").run_id) if label.source == "review"]
    (label,) = labels
    assert (label.grade, label.author) == (2, "Ann [b]Lee")
    assert label.labelled_at is not None
    assert began <= label.labelled_at <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, -15), (signal.SIGHUP, -1), (signal.SIGINT, 130), (None, 130)]
)
def test_every_end_leaves_the_terminal_as_it_was(
    reviewed: str, tmp_path: Path, number: signal.Signals | None, code: int
) -> None:
    """Signals, and Ctrl-C as a key; the command ends as one that was ended so. Colours are the terminal's, or none."""
    plain = number is signal.SIGTERM
    with review(reviewed, tmp_path, env={"NO_COLOR": "1"} if plain else {}) as terminal:
        terminal.wait_for("top 10:")
        if number is None:
            terminal.press("\x03")
        else:
            os.kill(terminal.child.pid, number)
        assert terminal.wait() == code
        assert terminal.is_restored()
        assert "Traceback" not in terminal.text
        colours = {code for found in SGR.findall(terminal.sent) for code in found.split(b";") if code in COLOURS}
        assert bool(colours) is not plain
        assert not EXACT_COLOUR.search(terminal.sent)


BROKEN = """
import sys
from shadowdiff.review.moving import MovingView
def broken(self, by):
    raise RuntimeError("a mistake [of] ours")
MovingView.action_turn = broken
from shadowdiff.cli.main import main
main(sys.argv[1:])
"""


def test_a_mistake_of_ours_leaves_the_terminal_as_it_was(reviewed: str, tmp_path: Path) -> None:
    """Then the traceback, as of any command."""
    with review(reviewed, tmp_path, command=("-c", BROKEN)) as terminal:
        terminal.wait_for("top 10:")
        terminal.press("]")
        assert terminal.wait() == 1
        assert terminal.is_restored()
        assert "RuntimeError: a mistake [of] ours" in terminal.text


def test_a_label_that_cannot_be_stored_is_never_lost_in_silence(reviewed: str, tmp_path: Path) -> None:
    """It is shown as not stored, tried again, and named at the end where the reader leaves all the same."""
    with review(reviewed, tmp_path) as terminal:
        terminal.wait_for("top 10:")
        with store_of(reviewed) as store:
            rename = "ALTER TABLE shadowdiff.labels RENAME TO labels_away"
            store.transaction("hiding", lambda connection: connection.exec_driver_sql(rename))
        try:
            terminal.press("l")
            terminal.wait_for("0 not relevant")
            terminal.press("1")
            terminal.wait_for("1 label or comment is not stored yet")
            assert "●1?" in terminal.text
            terminal.press("q")
            terminal.wait_for("q: quit and lose them")
            terminal.press("q")
            assert terminal.wait() == 3
            assert terminal.is_restored()
            assert "not stored: label 1 of entry" in terminal.text
        finally:
            with store_of(reviewed) as store:
                rename = "ALTER TABLE shadowdiff.labels_away RENAME TO labels"
                store.transaction("showing", lambda connection: connection.exec_driver_sql(rename))


def test_a_pipe_is_told_what_to_use(cli: Cli, database: dict[str, str]) -> None:
    """Nothing is drawn into a file."""
    finished = cli("review", env=database)
    assert (finished.code, finished.out) == (2, "")
    assert "needs a terminal" in finished.err
    assert "shadowdiff show" in finished.err


WITHOUT_TEXTUAL = """
import sys
sys.modules["textual"] = None
from shadowdiff.cli.main import main
main(sys.argv[1:])
"""


def test_a_missing_extra_says_what_to_install(reviewed: str, tmp_path: Path) -> None:
    """In one line."""
    with review(reviewed, tmp_path, command=("-c", WITHOUT_TEXTUAL)) as terminal:
        assert terminal.wait() == 2
        assert "pip install 'shadowdiff[tui]'" in terminal.sent.decode()


@contextmanager
def invoked(url: str, home: Path, toml: str) -> Iterator[Invocation]:
    """What a command has before it, with this configuration."""
    file = home / "shadowdiff.toml"
    file.write_text(toml, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHADOWDIFF_DATABASE_URL", url)
        invocation = Invocation(file)
        yield invocation
        invocation.store._engine.dispose()
        invocation.source._engine.dispose()


def test_the_report_is_the_night_s_own_or_made_now(reviewed: str, tmp_path: Path) -> None:
    """Where the run is a night's and its report lies in the directory, nothing is rendered."""
    with invoked(reviewed, tmp_path, '[nightly]\ndirectory = "nights"') as invocation:
        run = invocation.store.newest(1)[0]
        made = _report(invocation, run, tmp_path / "report.html")
        assert made == tmp_path / "report.html"
        assert run.run_id in made.read_text(encoding="utf-8")
        nights, now = NightStore(invocation.store), datetime.now(UTC)
        night = nights.begin("nightly", "2026-11-20", now - timedelta(days=1), now)
        attach = nights.attaching(night)
        invocation.store.transaction("attaching", lambda connection: attach(connection, run))
        own = tmp_path / "nights" / night.name / "report.html"
        own.parent.mkdir(parents=True)
        own.write_text("a night's", encoding="utf-8")
        assert _report(invocation, run, tmp_path / "other.html") == own
        assert not (tmp_path / "other.html").exists()


def test_texts_come_from_the_source_where_none_are_stored(sample_url: str, tmp_path: Path) -> None:
    """Queries and entries of a session that is looked at; the index has none, so a search finds ids only."""
    with invoked(sample_url, tmp_path, "[privacy]\nstore_text = false") as invocation:
        env = {"SHADOWDIFF_DATABASE_URL": sample_url}
        done = run_cli(tmp_path, "replay", "--last", "1", "--latency", "0", "-A", "cosine", "-B", "served", env=env)
        assert done.code == 0, done.err
        run = invocation.store.get("latest")
        stored = StoredRun(run, invocation.store, partial(with_texts, run, invocation))
        (session,) = stored.index(lambda done, total: None)
        opened = stored.read(session.session_id)
        turns = [turn.replayed for turn in opened.outcome.turns]
        assert all(turn.turn.query for turn in turns)
        assert all(item.entry.title and item.entry.body for turn in turns for item in turn.pool.entries)
        assert {turn.words for turn in session.turns} == {""}
        assert stored.titles() == {}
