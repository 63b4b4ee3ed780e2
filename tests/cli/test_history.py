"""`shadowdiff history`, `compare`, `bless` and one session of `show`, by the real command line on the sample."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from shadowdiff.database import store_engine
from shadowdiff.store.nights import NightStore
from shadowdiff.store.runs import RunStore
from tests.cli.test_replay import Environment
from tests.conftest import Cli

SIDES = ("-A", "cosine", "-B", "bm25")
WINDOWS = (("2026-10-08", "2026-10-20"), ("2026-10-20", "2026-11-05"), ("2026-11-05", "2026-11-21"))
Json = dict[str, Any]


@pytest.fixture
def engine(sample_url: str) -> Iterator[Engine]:
    """The store behind shadowdiff's back."""
    made = store_engine(sample_url)
    yield made
    made.dispose()


def replayed(cli: Cli, env: Environment, *arguments: str) -> Json:
    """A run, as its JSON tells it."""
    finished = cli("replay", *arguments, *SIDES, "--pool", "4", "--top-k", "3", "--format", "json", env=env)
    assert finished.code == 0, finished.err
    found: Json = json.loads(finished.out)
    return found


def as_night(engine: Engine, run: Json, since: str, until: str) -> None:
    """Record a run as that of a night."""
    nights = NightStore(RunStore(engine))
    begin, end = (datetime.fromisoformat(moment).replace(tzinfo=UTC) for moment in (since, until))
    night = nights.begin("nightly", until, begin, end)
    with engine.begin() as connection:
        nights.attaching(night)(connection, RunStore(engine).get(run["run_id"]))
    nights.finish(night, [], [])


def test_the_history_tells_what_each_night_came_to(cli: Cli, database: Environment, engine: Engine) -> None:
    """The figures of every row are those of the night's run, in each format; a quiet night has a row of its own."""
    empty = cli("history", env=database)
    assert (empty.code, empty.out) == (
        0,
        "  No night of nightly is stored yet; begin one with: shadowdiff nightly\n",
    )
    runs = [replayed(cli, database, "--since", since, "--until", until) for since, until in WINDOWS]
    for run, window in zip(runs, WINDOWS, strict=True):
        as_night(engine, run, *window)
    nights = NightStore(RunStore(engine))
    quiet = nights.begin("nightly", "2026-11-22", *[datetime(2026, 11, day, tzinfo=UTC) for day in (21, 22)])
    nights.finish(quiet, [], [])
    document = json.loads(cli("history", "--format", "json", env=database).out)
    assert document["schema"] == "shadowdiff.history/1"
    assert [night["night"] for night in document["nights"]] == [*(until for _, until in WINDOWS), "2026-11-22"]
    for night, run in zip(document["nights"], runs, strict=False):
        check_row(night, run)
    assert document["nights"][3]["run_id"] is None
    rows = list(csv.DictReader(io.StringIO(cli("history", "--format", "csv", env=database).out)))
    assert [row["run_id"] for row in rows] == [*(run["run_id"] for run in runs), ""]
    assert float(rows[1]["mean_overlap"]) == runs[1]["summary"]["pairs"]["B"]["mean_overlap"]
    check_terminal(cli, database, runs)


def check_row(night: Json, run: Json) -> None:
    """One row of the JSON against the run's own."""
    pair, found = run["summary"]["pairs"]["B"], night["pairs"]["B"]
    assert (night["run_id"], night["sessions"]) == (run["run_id"], run["summary"]["sessions"])
    assert found["changed_share"] == pytest.approx(pair["sessions_changed"] / pair["sessions"], abs=1e-6)
    for name in ("mean_overlap", "mean_overlap_ci95", "mean_only_in_a_per_session", "mean_only_in_b_ci95"):
        assert found[name] == pair[name]
    assert [side["fingerprint"] for side in night["sides"]] == [side["fingerprint"] for side in run["sides"]]


def check_terminal(cli: Cli, env: Environment, runs: list[Json]) -> None:
    """In a pipe without colour, with its rule; and in ASCII where nothing else can be shown."""
    drawn = cli("history", "--width", "80", env=env)
    lines = drawn.out.splitlines()
    assert (drawn.code, drawn.err) == (0, "")
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in drawn.out
    for run, (_, until) in zip(runs, WINDOWS, strict=True):
        row = next(line.split() for line in lines if line.strip().startswith(until))
        assert row[1] == str(run["summary"]["sessions"])
        assert f"{run['summary']['pairs']['B']['mean_overlap']:.2f}" in row
    assert "2026-11-22: no session to replay." in drawn.out
    assert "median ± 4" in drawn.out
    plain = cli("history", "--last", "2", "--color", "always", env=env | {"PYTHONIOENCODING": "ascii"})
    assert plain.out.isascii()
    assert "\x1b[" in plain.out
    assert WINDOWS[1][1] not in plain.out
    refused = cli("history", "--name", "nightli", env=env)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "shadowdiff: error: no night of 'nightli' is stored; name one that has nights: --name 'nightly'\n"
    )


def test_two_runs_are_compared_one_by_one(cli: Cli, database: Environment, engine: Engine) -> None:
    """Entries embedded anew, one without an embedding, one rewritten: found, failing, and apart."""
    before = replayed(cli, database, "--last", "100")
    with engine.begin() as connection:
        for statement in CHANGES:
            connection.execute(text(statement))
    after = replayed(cli, database, "--last", "100")
    ids = (before["run_id"], after["run_id"])
    found = json.loads(cli("compare", *ids, "--format", "json", env=database).out)
    assert found["schema"] == "shadowdiff.changes/1"
    expected, apart = told(before, after)
    for name, sessions in expected.items():
        assert [(each["session_id"], each["before"], each["after"]) for each in found[name]] == sessions
    assert all(expected[name] for name in ("newly_failing", "fixed"))
    assert apart
    assert found["sessions_in_both"] == len(before["sessions"]) - apart
    drawn = cli("compare", *ids, "--width", "80", env=database)
    assert drawn.code == 0
    assert max(map(len, drawn.out.splitlines())) <= 80
    session = expected["newly_failing"][0][0]
    assert f"{session}  " in drawn.out
    assert f"Not compared one by one: {apart} further sessions" in drawn.out
    shown = cli("show", ids[1], "--session", session, "--format", "json", env=database)
    assert [each["session_id"] for each in json.loads(shown.out)["sessions"]] == [session]
    assert cli("show", ids[1], "--session", "nobody", env=database).code == 2
    markdown = cli("compare", *ids, "--format", "markdown", env=database)
    assert f"{len(expected['fixed'])} fixed</summary>" in markdown.out


CHANGES = (
    """UPDATE shadowdiff.entries SET embedding = NULL WHERE entry_id =
    (SELECT max(entry_id) FROM shadowdiff.entries WHERE org_id = 'freightloom')""",
    """UPDATE shadowdiff.entries SET embedding =
    (SELECT embedding FROM shadowdiff.entries WHERE org_id = 'quillmetric' AND entry_id LIKE '%7'
    ORDER BY entry_id LIMIT 1) WHERE org_id = 'halden-vault' AND entry_id LIKE '%1'""",
    "UPDATE shadowdiff.entries SET body = body || ' And more.' WHERE org_id = 'quillmetric' AND entry_id LIKE '%1'",
)


def told(before: Json, after: Json) -> tuple[dict[str, list[tuple[str, str, str]]], int]:
    """What must be said of two runs, by their own JSON; and how many sessions have other pools."""
    found: dict[str, list[tuple[str, str, str]]] = {"newly_different": [], "newly_failing": [], "fixed": []}
    earlier = {session["session_id"]: session for session in before["sessions"]}
    apart = 0
    for session in after["sessions"]:
        other = earlier[session["session_id"]]
        if [turn["pool_hash"] for turn in session["turns"]] != [turn["pool_hash"] for turn in other["turns"]]:
            apart += 1
            continue
        was, now = state(other), state(session)
        if was != now:
            name = {"different": "newly_different", "failed": "newly_failing", "same": "fixed"}[now]
            found[name].append((session["session_id"], was, now))
    return found, apart


def state(session: Json) -> str:
    """One word for a session's B."""
    if any(turn["failures"] for turn in session["turns"]):
        return "failed"
    diff = session["diffs"]["B"]
    return "different" if diff["only_in_a"] or diff["only_in_b"] else "same"


def test_a_run_is_blessed_and_what_cannot_be_compared_is_refused(
    cli: Cli, database: Environment, engine: Engine
) -> None:
    """Other sides, other settings, no session in both: exit 2 and the reason in a line; blessed: a warning."""
    run = replayed(cli, database, "--since", "2026-11-20")
    as_night(engine, run, "2026-11-20", "2026-11-21")
    earlier = replayed(cli, database, "--since", "2026-11-19T10:00", "--until", "2026-11-20")["run_id"]
    shared = ("--since", "2026-11-20", "--pool", "4", "-A", "cosine")
    assert cli("replay", *shared, "-B", "bm25", "--top-k", "2", env=database).code == 0
    refusals = [(cli("compare", run["run_id"], "latest", env=database), "top_k is 3 in run")]
    assert cli("replay", *shared, "-B", "served", "--top-k", "3", env=database).code == 0
    refusals += [
        (cli("compare", run["run_id"], env=database), "side B is not the same reranker: bm25 ("),
        (cli("compare", earlier, run["run_id"], env=database), "compared by their figures: shadowdiff history"),
        (cli("bless", "latest", "--clear", env=database), "one of them"),
    ]
    for refused, reason in refusals:
        assert (refused.code, refused.out) == (2, "")
        assert reason in refused.err
        assert refused.err.count("\n") == 1
    check_blessing(cli, database, run["run_id"])


def check_blessing(cli: Cli, env: Environment, run_id: str) -> None:
    """Before, of another side's run, of the night's own, and after."""
    assert "no run is blessed for nights of 'nightly'" in cli("bless", env=env).out
    other = cli("bless", "latest", "--by", "ada \x1b[31m", env=env)
    assert other.code == 0
    assert "cannot be compared with it: side B is not the same reranker" in other.err
    assert "by ada ␛[31m" in cli("bless", "--show", env=env).out
    own = cli("bless", run_id, env=env)
    assert (own.code, own.err) == (0, "")
    assert f"compared with run {run_id} from now on, no longer with run " in own.out
    assert "no run is blessed" in cli("bless", "--name", "other", env=env).out
    assert cli("bless", "--clear", env=env).out == "nights of 'nightly' are compared with no run from now on\n"
