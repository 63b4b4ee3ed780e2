"""`export`, by the real command line: what goes out comes back in, and ranks the same."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from shadowdiff.database import store_engine
from tests.cli.test_privacy import PLANTED, REDACT, plant
from tests.conftest import Cli, MakeDatabase, run_cli

Environment = dict[str, str]
REPLAY = ("replay", "--last", "6", "--format", "json", "--full-rankings", "--latency", "0")


def replayed(cli: Cli, env: Environment, *arguments: str) -> dict[str, Any]:
    """A replay's JSON with whole rankings."""
    finished = cli(*REPLAY, *arguments, env=env)
    assert (finished.code, finished.err) == (0, "")
    document: dict[str, Any] = json.loads(finished.out)
    return document


def comparable(document: dict[str, Any], *differing: str) -> dict[str, Any]:
    """Without what two runs differ in, and further keys of the config, the turns or the summary."""
    kept = {name: value for name, value in document.items() if name not in {"run_id", "started_at", "finished_at"}}
    kept["config"] = {name: value for name, value in kept["config"].items() if name not in differing}
    kept["summary"] = {name: value for name, value in kept["summary"].items() if name not in {"timing", *differing}}
    for session in kept["sessions"]:
        session["turns"] = [{name: turn[name] for name in turn if name not in differing} for turn in session["turns"]]
    return kept


def rankings(document: dict[str, Any]) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """Ids and ranks by turn and side, without what a side does not rank."""
    return {
        (turn["turn_id"], side): [(item["entry_id"], item["rank"]) for item in ranking if item["score"] is not None]
        for session in document["sessions"]
        for turn in session["turns"]
        for side, ranking in turn["rankings"].items()
    }


@pytest.mark.parametrize("pool_from", ["recorded", "hybrid"])
def test_a_bundle_replays_to_the_same_elsewhere(
    cli: Cli, database: Environment, empty_url: str, tmp_path: Path, pool_from: str
) -> None:
    """Loaded into a fresh database, the command that export prints gives the same JSON but for ids and times."""
    sides = ("-A", "cosine", "-B", "bm25", "-B", "served", "--min-score", "B=1.5")
    here = replayed(cli, database, *sides, "--pool-from", pool_from)
    exported = cli("export", "latest", "--format", "bundle", "-o", "bundle", env=database)
    assert (exported.code, exported.err) == (0, "")
    wrote, printed = exported.out.splitlines()
    assert "360 entries" in wrote
    assert "embeddings of sentence-transformers/all-MiniLM-L6-v2 to bundle" in wrote
    load, replay = (shlex.split(part) for part in printed.removeprefix("replay it there with: ").split(" && "))
    there = {"SHADOWDIFF_DATABASE_URL": empty_url}
    loaded = cli(*load[1:], env=there)
    assert (loaded.code, loaded.err) == (0, "")
    finished = cli(*replay[1:], *REPLAY[3:], env=there)
    assert (finished.code, finished.err) == (0, "")
    differing = () if pool_from == "recorded" else ("pool_from", "pool_origin", "pools")
    assert comparable(json.loads(finished.out), *differing) == comparable(here, *differing)
    again = cli("export", "--format", "bundle", "-o", "again", env=there)
    assert (again.code, again.err) == (0, "")
    for name in ("kb_entries.jsonl", "sessions.jsonl", "qrels.txt", "embeddings.npz"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "bundle" / name).read_bytes()


def test_run_files_replay_to_the_same_rankings(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """Whole rankings of every side, ties and unranked entries included; labels as qrels."""
    first = replayed(cli, database, "-A", "bm25", "-B", "served")
    exported = cli("export", "--format", "trec", "-o", "runs", env=database)
    assert (exported.code, exported.err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["A.trec", "B.trec", "qrels.txt"]
    second = replayed(cli, database, "-A", "run:runs/A.trec", "-B", "run:runs/B.trec")
    assert rankings(second) == rankings(first)
    turns = {turn["turn_id"] for session in first["sessions"] for turn in session["turns"]}
    sample = (Path(__file__).parents[2] / "sample_sessions" / "qrels.txt").read_text().split("\n")
    expected = {line for line in sample if line.split(" ")[0] in turns}
    assert set((tmp_path / "runs" / "qrels.txt").read_text().splitlines()) == expected


def test_csv_holds_every_rank(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """To stdout or a file; `show --format csv` writes the surfaced part of the same."""
    document = replayed(cli, database, "-A", "cosine", "-B", "served")
    exported = cli("export", "--format", "csv", env=database)
    assert (exported.code, exported.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(exported.out)))
    found: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for row in rows:
        ranked = found.setdefault((row["turn_id"], row["side"]), [])
        ranked += [(row["entry_id"], int(row["rank"]))] if row["rank"] else []
    assert found == rankings(document)
    assert cli("export", "--format", "csv", "-o", "run.csv", env=database).out == ""
    assert (tmp_path / "run.csv").read_text() == exported.out
    shown = list(csv.DictReader(io.StringIO(cli("show", "--format", "csv", env=database).out)))
    assert shown == [row for row in rows if row["surfaced"] == "true"]
    whole = cli("show", "--format", "csv", "--full-rankings", env=database)
    assert whole.out == exported.out


def test_of_several_labels_the_newest_counts(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """Qrels have one grade for an entry of a turn."""
    replayed(cli, database, "-A", "cosine", "-B", "served")
    engine = store_engine(database["SHADOWDIFF_DATABASE_URL"])
    with engine.begin() as connection:
        label = connection.execute(text("SELECT * FROM shadowdiff.labels WHERE turn_id = 'hv-7f3a:1' LIMIT 1")).one()
        connection.execute(
            text(
                "INSERT INTO shadowdiff.labels VALUES "
                "(:org, :turn, :entry, 'ours', 'me', 7, now() + interval '1 day'), "
                "(:org, :turn, :entry, 'ours', 'old', 8, now() - interval '1 day')"
            ),
            {"org": label.org_id, "turn": label.turn_id, "entry": label.entry_id},
        )
    engine.dispose()
    assert cli("export", "--format", "trec", "-o", "runs", env=database).code == 0
    lines = [line for line in (tmp_path / "runs" / "qrels.txt").read_text().splitlines() if "hv-7f3a:1 " in line]
    assert [line for line in lines if f" {label.entry_id} " in line] == [f"hv-7f3a:1 0 {label.entry_id} 7"]


def test_what_a_bundle_cannot_reproduce_is_said(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """Pools without their knowledge bases, and a source that is away: exported all the same, with a word."""
    replayed(cli, database, "-A", "cosine", "-B", "bm25")
    pools = cli("export", "--format", "bundle", "-o", "pools", "--knowledge-base", "pools", env=database)
    assert pools.code == 0
    assert "bm25 has other statistics; use --knowledge-base all" in pools.err
    away = {
        "SHADOWDIFF_DATABASE_URL": "postgresql://me:s3cret@127.0.0.1:1/rag",
        "SHADOWDIFF_STORE_URL": database["SHADOWDIFF_DATABASE_URL"],
    }
    (tmp_path / "shadowdiff.toml").write_text("[database]\nretry_for = 0\n")
    finished = cli("export", "--format", "bundle", "-o", "away", env=away)
    assert finished.code == 0
    assert "the bundle holds the pools' entries only, and no embeddings" in finished.err
    assert "without embeddings, cosine cannot be replayed from this bundle" in finished.err
    assert "s3cret" not in finished.err
    assert "no embeddings to away" in finished.out


def test_turns_without_a_line_are_counted(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """A side that failed has no line, in the file as in the warning."""
    first = replayed(cli, database, "-A", "cosine", "-B", "served")["sessions"][0]["turns"][0]["turn_id"]
    (tmp_path / "one.trec").write_text(f"{first} Q0 e 1 1 tag\n")
    assert cli(*REPLAY, "-A", "cosine", "-B", "run:one.trec", env=database).code == 0
    exported = cli("export", "--format", "trec", "-o", "runs", env=database)
    assert exported.code == 0
    assert exported.err == (
        "shadowdiff: warning: side B ranked no entry on 23 of 23 turns: they have no line in B.trec\n"
    )
    assert (tmp_path / "runs" / "B.trec").read_text() == ""
    bundle = cli("export", "--format", "bundle", "-o", "bundle", env=database)
    assert "side B reads one.trec, which is not in the bundle: send it along" in bundle.err


@pytest.fixture(scope="module")
def one_run(make_database: MakeDatabase, sample_template: str, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Environment with a stored run, for what writes nothing to the database."""
    env = {"SHADOWDIFF_DATABASE_URL": make_database(sample_template)}
    assert run_cli(tmp_path_factory.mktemp("one"), "replay", "--last", "1", "--latency", "0", env=env).code == 0
    return env


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--format", "trec"], "--format trec writes several files; name a directory with -o"),
        (["--format", "bundle", "-o", "full"], "full is not empty; name another directory"),
        (["--format", "bundle", "-o", "full/file"], "is a file; an export of several files needs a directory"),
        (["--format", "trec", "-o", "nowhere/out"], "nowhere/out: No such file or directory"),
        (["--format", "csv", "--redact"], "--redact needs patterns"),
        (["nope", "--format", "csv"], "no run 'nope'; list them with: shadowdiff runs"),
        ([], "Missing option '--format'"),
    ],
)
def test_refusals(cli: Cli, one_run: Environment, tmp_path: Path, arguments: list[str], expected: str) -> None:
    """One line, exit 2, and nothing written."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    finished = cli("export", *arguments, env=one_run)
    assert (finished.code, finished.out) == (2, "")
    assert expected in finished.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_redacted_exports_hold_nothing_that_a_pattern_finds(
    cli: Cli, database: Environment, sample_url: str, tmp_path: Path
) -> None:
    """Bundle and CSV; the bundle loads, and ids and pools are the run's."""
    plant(sample_url)
    (tmp_path / "shadowdiff.toml").write_text(REDACT, encoding="utf-8")
    document = replayed(cli, database, "--last", "2", "-A", "cosine", "-B", "bm25", "--full-rankings")
    bundle = cli("export", "latest", "--format", "bundle", "--redact", "-o", "out", env=database)
    assert bundle.code == 0, bundle.err
    assert "texts were redacted (entries: " in bundle.err
    table = cli("export", "latest", "--format", "csv", "--redact", env=database)
    written = "".join((tmp_path / "out" / name).read_text() for name in ("kb_entries.jsonl", "sessions.jsonl"))
    plain = cli("export", "latest", "--format", "csv", env=database).out
    assert any(secret in plain for secret in PLANTED)
    for secret in PLANTED:
        assert secret not in written
        assert secret not in table.out
    assert "[email]" in written
    sessions = [json.loads(line) for line in (tmp_path / "out" / "sessions.jsonl").read_text().splitlines()]
    assert [[len(turn["pool"]) for turn in session["turns"]] for session in sessions] == [
        [turn["pool_size"] for turn in session["turns"]] for session in document["sessions"]
    ]


def test_a_run_that_stored_no_texts_is_exported_with_those_of_the_source(
    cli: Cli, database: Environment, tmp_path: Path
) -> None:
    """The same bundle and the same table as of a run that stored them."""
    arguments = ("--last", "2", "-A", "cosine", "-B", "bm25")
    replayed(cli, database, *arguments)
    first = [cli("export", "latest", "--format", "bundle", "-o", "a", env=database)]
    first += [cli("export", "latest", "--format", "csv", env=database)]
    (tmp_path / "shadowdiff.toml").write_text("[privacy]\nstore_text = false\n", encoding="utf-8")
    replayed(cli, database, *arguments)
    second = [cli("export", "latest", "--format", "bundle", "-o", "b", env=database)]
    second += [cli("export", "latest", "--format", "csv", env=database)]
    assert [(done.code, done.err) for done in (*first, *second)] == [(0, "")] * 4
    assert first[1].out.count("\n") == second[1].out.count("\n") > 100
    assert [line.split(",")[1:] for line in first[1].out.splitlines()] == [
        line.split(",")[1:] for line in second[1].out.splitlines()
    ]
    for name in ("kb_entries.jsonl", "sessions.jsonl", "embeddings.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
