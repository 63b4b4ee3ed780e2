"""`pilot`, by the real command line: a baseline, a model and a provider on loopback, with labels and without."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from shadowdiff.database import store_engine
from tests.cli.test_privacy import configure
from tests.conftest import MODEL, ROOT, SAMPLE, Cli, Finished, clean_environment
from tests.providers.bedrock import ENVIRONMENT, REGION, Bedrock, bedrock_server
from tests.terminals import Terminal, environment_of, python

RERANK = "bedrock:cohere.rerank-v3-5:0"
SMALL = ("--pool", "10", "--queries", "90")
"""Enough sessions to be measured, and little to score."""
PRICES = f'[prices.managed]\nsearch_unit = 0.002\nas_of = "2026-11-01"\n[rerankers]\nmanaged = "{RERANK}"\n'


@pytest.fixture
def server() -> Iterator[Bedrock]:
    """A server of this test's own."""
    with bedrock_server() as running:
        yield running


@pytest.fixture
def aws(database: dict[str, str], server: Bedrock, tmp_path: Path) -> dict[str, str]:
    """The sample without its labels, and a provider with a price."""
    engine = store_engine(database["SHADOWDIFF_DATABASE_URL"])
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM shadowdiff.labels"))
    engine.dispose()
    configure(tmp_path, f'[providers.bedrock]\nurl = "{server.url}"\nregion = "{REGION}"\n{PRICES}')
    return database | ENVIRONMENT


def document(finished: Finished, code: int = 0) -> dict[str, Any]:
    """What was written as JSON."""
    assert finished.code == code, finished.err
    found: dict[str, Any] = json.loads(finished.out)
    return found


def test_a_model_of_ones_own(cli: Cli, database: dict[str, str], tmp_path: Path) -> None:
    """One page of the sample's own labels; it is an ordinary run, whose page can be had again with other labels.

    Some queries are too long for the model as it is asked here: those turns count for no side.
    """
    sides = ("-A", "cosine", "-B", "bm25", "-B", f"onnx:{MODEL},max_length=32")
    found = document(cli("pilot", *SMALL, *sides, "--latency", "3", "--format", "json", env=database))
    assert found["schema"] == "shadowdiff.pilot/1"
    assert 90 <= found["turns"] < 100
    assert found["labels"]["turns"] == found["turns"]
    assert found["labels"]["measured_turns"] == found["turns"] - found["failed_turns"]
    assert found["labels"]["measured_sessions"] >= 20
    assert found["window"]["sample"] == found["sessions"]
    assert found["recommendation"]["take"] in "ABC"
    assert {side["cost"]["bill"] for side in found["sides"]} == {"own machine"}
    assert all(side["latency_p50_seconds"] > 0 for side in found["sides"])
    evaluated = document(cli("evaluate", found["run_id"], "-k", "10", "-k", "5", "--format", "json", env=database))
    measures = {measure["measure"]: measure["means"] for measure in evaluated["measures"]}
    for side in found["sides"]:
        assert side["quality"]["mean"] == measures["ndcg@10"][side["side"]]["mean"]
        assert side["quality"]["recall"] == measures["recall@5"][side["side"]]
    again = cli("pilot", "--run", "latest", "--width", "80", env=database)
    assert (again.code, again.err) == (0, "")
    assert max(map(len, again.out.splitlines())) <= 80
    assert f"{found['turns']} turns in {found['sessions']} sessions · drawn by seed 0" in again.out
    lines = (SAMPLE / "qrels.txt").read_text().splitlines(keepends=True)
    (tmp_path / "few.txt").write_text("".join(lines[:60]))
    few = document(cli("pilot", "--run", "latest", "--labels", "few.txt", "--format", "json", env=database))
    assert few["recommendation"] is None
    assert 0 < few["labels"]["turns"] < 30
    refused = cli("pilot", "--run", "latest", "-B", "bm25", env=database)
    assert (refused.code, refused.out) == (2, "")
    assert "--run replays nothing: leave out -B\n" in refused.err


def test_a_managed_reranker_before_there_are_labels(
    cli: Cli, aws: dict[str, str], server: Bedrock, tmp_path: Path
) -> None:
    """A dry run asks nothing and tells the cost; the page tells it by the month, and labels later on tell the rest."""
    pilot = ("pilot", *SMALL, "-A", "cosine", "-B", "managed", "--latency", "0")
    forecast = document(cli(*pilot, "--dry-run", "--format", "json", env=aws))
    assert not server.got
    found = document(cli(*pilot, "--format", "json", env=aws))
    calls = server.answered["Rerank"]
    assert calls == found["turns"] == forecast["turns"]
    baseline, managed = found["sides"]
    assert forecast["usd"] == pytest.approx(0.002 * calls)
    assert managed["cost"]["usd_per_1000_turns"] == pytest.approx(2.0)
    assert managed["cost"]["usd_per_month"] == pytest.approx(0.002 * found["turns_per_month"], rel=1e-4)
    assert (baseline["cost"]["bill"], managed["cost"]["bill"]) == ("own machine", "provider")
    assert managed["latency_p50_seconds"] > 0
    assert managed["overlap"]["ci95"]
    assert (found["recommendation"], found["labels"]["enough"], managed["quality"]) == (None, False, None)
    run = found["run_id"]
    label, again = found["next"]
    assert label == f"shadowdiff label {run} --queries {calls} --stratify org"

    qrels = ("--labels", str(SAMPLE / "qrels.txt"))
    written = cli(*again.split()[1:], *qrels, "--format", "markdown", "-o", "p.md", env=aws)
    assert (written.code, written.out, written.err) == (0, "", "")
    page = (tmp_path / "p.md").read_text(encoding="utf-8")
    assert page.startswith(("**Keep A cosine: ", "**Take B managed: "))
    assert re.search(r"\| B managed \| .* \| own machine|\| B managed \|.*<span>\$</span>[0-9.]+ \|", page)
    assert server.answered["Rerank"] == calls

    cached = document(cli(*pilot, "--format", "json", env=aws))
    assert server.answered["Rerank"] == calls
    assert cached["sides"][1]["cost"]["bill"] == "unknown", "what nobody was asked for is not free"

    other = ("pilot", "--queries", "10", "--seed", "5", "-A", "bm25", "-B", RERANK, "--latency", "0")
    unknown = document(cli(*other, "--format", "json", env=aws))
    assert unknown["sides"][1]["cost"] == {"bill": "unknown", "usd_per_month": None, "usd_per_1000_turns": None}


def test_a_cap_and_what_comes_after(cli: Cli, aws: dict[str, str], server: Bedrock) -> None:
    """The page of what was paid for is shown, exit 1; the run is gone on with, and its page is then whole."""
    pilot = ("pilot", "--queries", "20", "-A", "cosine", "-B", "managed", "--latency", "0", "--format", "json")
    cut = cli(*pilot, "--max-usd", "0.011", env=aws)
    found = document(cut, code=1)
    assert server.answered["Rerank"] == 5
    assert "stopped before providers cost more than --max-usd 0.011" in cut.err
    assert found["turns"] <= 5
    assert cli("replay", "--resume", found["run_id"], env=aws).code == 0
    whole = document(cli("pilot", "--run", found["run_id"], "--format", "json", env=aws))
    assert server.answered["Rerank"] == whole["turns"] >= 20
    assert whole["turns_per_month"] == found["turns_per_month"] > 0


def test_what_cannot_be(cli: Cli, database: dict[str, str]) -> None:
    """Refused in one line before anything is replayed; more queries than there are is only said."""
    for arguments, said in (
        (("--org", "nobody"), "unknown org: 'nobody'"),
        (("--since", "2030-01-01"), "no sessions with a turn since 2030-01-01 00:00 UTC; nothing to replay"),
        (("--labels", "none.txt"), "no qrels at none.txt"),
        (("--since", "1d", "--until", "2d"), "--since is not before --until"),
        (("--run", "latest", "--queries", "500", "--top-k", "5"), "replays nothing: leave out --queries, --top-k"),
    ):
        finished = cli("pilot", *arguments, env=database)
        assert (finished.code, finished.out) == (2, ""), finished.err
        assert said in finished.err
        assert len(finished.err.splitlines()) == 1
    assert cli("runs", env=database).out.startswith("no run is stored yet")
    all_of_it = cli("pilot", "--queries", "9999", "-A", "cosine", "-B", "bm25", "--latency", "0", env=database)
    assert all_of_it.code == 0
    assert "only 218 turns in 55 sessions are stored, fewer than --queries 9,999" in all_of_it.err
    assert "218 turns with labels in 55 sessions" in all_of_it.out


def test_labels_may_be_given_at_once(aws: dict[str, str], tmp_path: Path) -> None:
    """Whoever sits at a terminal is asked to label what lacks labels, and gets the page with what they said."""
    command = python("-m", "shadowdiff", "pilot", "--queries", "90", "-A", "cosine", "-B", "bm25", "--latency", "0")
    environment = environment_of(clean_environment(tmp_path), ROOT) | aws
    with Terminal(command, environment, tmp_path, 100, 40) as terminal:
        terminal.wait_for("Label the others now")
        terminal.press("\r")
        terminal.wait_for("turn 1 of")
        terminal.press("2")
        terminal.wait_for("1 of")
        terminal.wait_for("entry 2 of")
        terminal.press("q")
        terminal.wait_for("has labels, which is too few")
        assert terminal.wait() == 0
        assert terminal.is_restored()
        assert "1 with labels" in terminal.text
    engine = store_engine(aws["SHADOWDIFF_DATABASE_URL"])
    with engine.connect() as connection:
        assert connection.execute(text("SELECT grade, source FROM shadowdiff.labels")).all() == [(2, "label")]
    engine.dispose()


def test_who_stops_labelling_is_told_where_the_page_is(aws: dict[str, str], tmp_path: Path) -> None:
    """What was replayed was paid for: Ctrl-C must not look as if it were lost."""
    command = python("-m", "shadowdiff", "pilot", "--queries", "90", "-A", "cosine", "-B", "bm25", "--latency", "0")
    environment = environment_of(clean_environment(tmp_path), ROOT) | aws
    for starts in (False, True):
        with Terminal(command, environment, tmp_path, 160, 40) as terminal:
            terminal.wait_for("Label the others now")
            if starts:
                terminal.press("\r")
                terminal.wait_for("turn 1 of")
            terminal.press("\x03")
            assert terminal.wait() == 130
            assert re.search(r"its page, with the labels so far: shadowdiff pilot --run \S+", terminal.text)


def test_nobody_is_asked_to_label_where_all_is_labelled(database: dict[str, str], tmp_path: Path) -> None:
    """The page comes at once."""
    command = python("-m", "shadowdiff", "pilot", "--queries", "8", "-A", "cosine", "-B", "bm25", "--latency", "0")
    with Terminal(command, environment_of(clean_environment(tmp_path), ROOT) | database, tmp_path, 100, 40) as terminal:
        assert terminal.wait() == 0
        assert "which is too few" in terminal.text
        assert b"Label the others" not in terminal.sent


def test_where_all_is_labelled_more_turns_are_wanted(cli: Cli, database: dict[str, str]) -> None:
    """Not more labels; from the same sessions, counted alike."""
    window = ("--org", "halden-vault", "--since", "2026-01-02", "--top-k", "5")
    arguments = ("--queries", "8", "-A", "cosine", "-B", "rrf:cosine+bm25", *window)
    found = document(cli("pilot", *arguments, "--latency", "0", "--format", "json", env=database))
    assert found["labels"]["turns"] == found["turns"]
    (command,) = found["next"]
    window = ("--org", "halden-vault", "--since", "2026-01-02T00:00+00:00", "--top-k", "5")
    more = ("--queries", str(4 * found["turns"]), "-A", "cosine", "-B", "rrf:cosine+bm25", *window)
    assert command == shlex.join(("shadowdiff", "pilot", *more))
