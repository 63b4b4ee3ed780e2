"""`shadowdiff prune`, by the real command line on a real Postgres: what goes, what stays, and what is said of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pexpect
import pytest
from sqlalchemy import Engine, text

from shadowdiff.database import store_engine
from shadowdiff.sources.bundle import Bundle
from shadowdiff.store import prune
from shadowdiff.store.prune import NIGHTS_KEPT, OldRuns, UnusedTexts
from shadowdiff.store.runs import RunStore
from tests.conftest import ROOT, SECONDS, Cli, Finished, clean_environment

BEFORE = datetime.now(UTC) - timedelta(days=90)
OLD, RECENT = 120, 5
"""Days ago."""


@dataclass(frozen=True)
class Kept:
    """A store with runs in it, and its command line."""

    cli: Cli
    environment: dict[str, str]
    engine: Engine
    sessions: Sequence[str]

    def replay(self, *places: int, days: int = OLD, night: str | None = None, until: int | None = None) -> str:
        """A run of these sessions, begun so many days ago; of a night, if it is named, that is done."""
        chosen = [part for place in places for part in ("--session", self.sessions[place])]
        sides = ("-A", "bm25", "-B", "cosine", "--latency", "0", "--format", "json")
        ran = self.cli("replay", *chosen, *sides, env=self.environment)
        assert ran.code == 0, ran.err
        run_id = str(json.loads(ran.out)["run_id"])
        self.execute("UPDATE shadowdiff.runs SET started_at = now() - make_interval(days => :days)", run_id, days=days)
        if night:
            self.execute(
                "INSERT INTO shadowdiff.nights (configuration, name, since, until, run_id, status) SELECT 'nightly',"
                " :night, started_at, now() - make_interval(days => :days), run_id, 'done' FROM shadowdiff.runs",
                run_id,
                night=night,
                days=days if until is None else until,
            )
        return run_id

    def execute(self, statement: str, run_id: str | None = None, **values: Any) -> None:
        """Something done to the store behind shadowdiff's back."""
        where = "" if run_id is None else " WHERE run_id = :run_id"
        with self.engine.begin() as connection:
            connection.execute(text(statement + where), values | ({"run_id": run_id} if run_id else {}))

    def counts(self) -> dict[str, int]:
        """Rows by table."""
        tables = "runs run_sides run_sessions run_turns rankings failures asks entry_texts labels comments nights"
        with self.engine.connect() as connection:
            return {
                name: int(connection.scalar(text(f"SELECT count(*) FROM shadowdiff.{name}")) or 0)
                for name in [*tables.split(), "score_cache", "blessed_runs", "deliveries"]
            }

    def prune(self, *options: str) -> Finished:
        """The command, from ninety days on."""
        return self.cli("prune", "--older-than", "90d", *options, env=self.environment)

    def shown(self, run_id: str) -> Finished:
        """The run again, as JSON."""
        return self.cli("show", run_id, "--format", "json", env=self.environment)


@pytest.fixture
def kept(cli: Cli, database: dict[str, str], sample: Bundle) -> Iterator[Kept]:
    """A store on the sample, whose scores, labels and comments are to stay."""
    engine = store_engine(database["SHADOWDIFF_DATABASE_URL"])
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO shadowdiff.comments (org_id, turn_id, author, body) VALUES ('o', 't', 'me', 'see')")
        )
        connection.execute(text("INSERT INTO shadowdiff.score_cache VALUES ('\\xabcd', '\\x01', 1, false)"))
    yield Kept(cli, database, engine, [session.session_id for session in sample.sessions])
    engine.dispose()


def test_what_goes_and_what_stays(kept: Kept) -> None:
    """A run goes whole, and texts that it alone names; a night's keeps its summary; blessed runs and last nights stay.

    The dry run tells beforehand what the prune tells afterwards, and a second one finds nothing.
    """
    alone = kept.replay(-1, -2)
    blessed = kept.replay(2)
    night = kept.replay(3, 4, night="2026-08-01")
    last_nights = kept.replay(5, night="2026-10-01", until=29)
    kept.replay(6, days=RECENT, night="2026-11-25", until=0)
    recent = kept.replay(7, days=RECENT)
    kept.execute(f"INSERT INTO shadowdiff.blessed_runs (configuration, run_id) VALUES ('nightly', '{blessed}')")
    before, shown = kept.counts(), {run_id: kept.shown(run_id).out for run_id in (blessed, last_nights, recent)}
    summary = json.loads(kept.shown(night).out)["summary"]

    dry = kept.prune("--dry-run")
    assert (dry.code, dry.err) == (0, "")
    lines = dry.out.splitlines()
    assert [line.split()[0] for line in lines[1:-2]] == [alone, night]
    assert lines[1].endswith("nothing")
    assert lines[2].endswith("the summary, as it is of night nightly 2026-08-01")
    refused = kept.prune()
    assert (refused.code, refused.out) == (2, "")
    told = lines[-1].removeprefix("this would remove ")
    assert told in refused.err
    assert kept.counts() == before

    pruned = kept.prune("--yes")
    assert (pruned.code, pruned.err) == (0, "")
    assert pruned.out == f"removed {told}; the server uses the space again for what comes\n"
    assert told.startswith("1 run, the sessions of 1 night (4 sessions, ")
    after = kept.counts()
    gone = {name: before[name] - after[name] for name in before if before[name] != after[name]}
    assert (gone.pop("runs"), gone.pop("run_sides"), gone.pop("run_sessions")) == (1, 2, 4)
    assert f" {gone.pop('entry_texts')} entry texts" in told
    turns = gone.pop("run_turns")
    assert f"{turns} turns)" in told
    assert gone == {"rankings": 2 * turns}
    assert kept.shown(alone).code == 2
    assert {run_id: kept.shown(run_id).out for run_id in shown} == shown

    left = kept.shown(night)
    assert json.loads(left.out)["sessions"] == []
    assert json.loads(left.out)["summary"] == summary
    assert "2 of the sessions of run" in left.err
    assert kept.cli("show", night, env=kept.environment).out.startswith(f"summary of run {night}")
    assert kept.prune("--yes").out == "no stored run fits; nothing was removed\n"


def test_a_run_without_its_sessions_is_not_worked_on(kept: Kept, tmp_path: Path) -> None:
    """Neither asked again, which would sum up nothing over its summary, nor exported, compared or reviewed."""
    night = kept.replay(0, night="2026-08-01")
    kept.execute(
        "INSERT INTO shadowdiff.nights (configuration, name, since, until, status) VALUES"
        " ('nightly', '2026-11-25', now(), now(), 'done')"
    )
    assert kept.prune("--yes").code == 0
    again = ["replay", "--resume", night, "--retry-failed"]
    for command in (again, ["export", night, "--format", "csv"], ["compare", night, night]):
        ran = kept.cli(*command, env=kept.environment)
        assert (ran.code, ran.out) == (2, "")
        assert f"the sessions of run {night} were pruned, and only its summary is left" in ran.err
    environment = clean_environment(tmp_path) | kept.environment | {"TERM": "xterm", "PYTHONPATH": str(ROOT)}
    arguments = ["-m", "shadowdiff", "review", night]
    review = pexpect.spawn(sys.executable, arguments, env=environment, cwd=tmp_path, timeout=SECONDS)
    review.expect_exact("were pruned, and only its summary is left")
    assert review.wait() == 2


def test_nights_that_are_not_done_and_runs_at_work_stay(kept: Kept) -> None:
    """A night that will go on; the only night; a run that a command holds, which is warned of."""
    running = kept.replay(0, night="2026-08-01")
    kept.execute("UPDATE shadowdiff.nights SET status = 'running'", running)
    only = kept.replay(1)
    kept.execute(
        "INSERT INTO shadowdiff.nights (configuration, name, since, until, run_id, status) SELECT 'weekly',"
        " '2026-08-02', started_at, started_at, run_id, 'done' FROM shadowdiff.runs",
        only,
    )
    kept.replay(2, days=RECENT, night="2026-11-25")
    assert kept.prune("--yes").out == "no stored run fits; nothing was removed\n"
    at_work = kept.replay(3)
    before = kept.counts()
    with RunStore(kept.engine).carrying_out(at_work):
        left = kept.prune("--yes")
    assert left.code == 0
    assert f"run {at_work} was left: it is being carried out" in left.err
    assert kept.counts() == before


def test_a_prune_that_was_cut_short_is_gone_on_with(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had removed is said of the run; the next one finishes, texts too."""
    run_id = kept.replay(0, 1, 2)
    store = RunStore(kept.engine)
    monkeypatch.setattr(prune, "SESSIONS_PER_STATEMENT", 1)

    def cut(sessions: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        OldRuns(store, BEFORE).remove(run_id, cut)
    half = kept.shown(run_id)
    assert len(json.loads(half.out)["sessions"]) == 2
    assert "1 of the sessions of run" in half.err
    assert kept.prune("--yes").out.startswith("removed 1 run (2 sessions, ")
    counts = kept.counts()
    assert (counts["runs"], counts["run_turns"], counts["entry_texts"]) == (0, 0, 0)


def test_a_run_that_begins_meanwhile_keeps_its_texts(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that nobody named when the prune looked, and that is named when it removes, stays."""
    kept.replay(0, 1)
    store = RunStore(kept.engine)
    OldRuns(store, BEFORE).remove(store.get("latest").run_id)
    looked = prune._looked_through

    def meanwhile(connection: Any) -> Any:
        found = looked(connection)
        if kept.counts()["runs"] == 0:
            kept.replay(0, days=RECENT)
        return found

    monkeypatch.setattr(prune, "_looked_through", meanwhile)
    assert UnusedTexts(store).remove() > 0
    shown = json.loads(kept.shown("latest").out)
    titles = [
        item["title"] for session in shown["sessions"] for turn in session["turns"] for item in turn["rankings"]["A"]
    ]
    assert titles
    assert all(titles)


def test_a_longer_overlap_keeps_more_nights(kept: Kept) -> None:
    """What [nightly] looks back for must be known as long."""
    kept.replay(0, night="2026-08-01", until=OLD)
    kept.replay(1, days=RECENT, night="2026-11-25")
    store = RunStore(kept.engine)
    assert [len(OldRuns(store, BEFORE, span).listed()) for span in (NIGHTS_KEPT, timedelta(days=OLD))] == [1, 0]


@pytest.mark.parametrize(
    ("options", "said"), [((), "Missing option '--older-than'"), (("--older-than", "soon"), "'soon' is neither an age")]
)
def test_what_it_refuses(cli: Cli, options: tuple[str, ...], said: str) -> None:
    """In one line, with exit code 2."""
    ran = cli("prune", *options)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
