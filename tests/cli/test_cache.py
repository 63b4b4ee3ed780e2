"""`shadowdiff cache`, by the real command line: what is kept, and what goes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from shadowdiff.database import parse_url
from tests.conftest import Cli, clean_environment
from tests.paid import calls_made, paid_reranker


@pytest.fixture
def environment(tmp_path: Path, database: dict[str, str]) -> dict[str, str]:
    """The sample, and a reranker whose scores are cached."""
    return database | paid_reranker(tmp_path / "plugin")


def replay(cli: Cli, environment: dict[str, str], *sides: str) -> None:
    """Two sessions through these sides, the first of them A."""
    named = [part for letter, side in zip("ABBB", sides, strict=False) for part in (f"-{letter}", side)]
    assert cli("replay", "--last", "2", *named, "--format", "json", env=environment).code == 0


def held(cli: Cli, environment: dict[str, str]) -> list[dict[str, Any]]:
    """What the cache says that it holds."""
    ran = cli("cache", "--format", "json", env=environment)
    assert (ran.code, ran.err) == (0, "")
    found: list[dict[str, Any]] = json.loads(ran.out)
    return found


def executed(environment: dict[str, str], statement: str) -> None:
    """Something done to the store behind shadowdiff's back."""
    engine = create_engine(parse_url(environment["SHADOWDIFF_DATABASE_URL"]))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_it_lists_what_is_kept(cli: Cli, environment: dict[str, str]) -> None:
    """By reranker, as the stored runs call it; parts of a fusion by the fusion; the rest by the fingerprint alone."""
    assert cli("cache", env=environment).out == "the score cache is empty\n"
    replay(cli, environment, "bm25", "paid:one")
    replay(cli, environment, "bm25", "paid:one", "rrf:paid:two+bm25")
    listed = cli("cache", env=environment)
    lines = listed.out.splitlines()
    assert listed.code == 0
    assert lines[0].split() == ["fingerprint", "pairs", "size", "scored", "since", "until", "runs", "reranker"]
    assert {line.split()[-1] for line in lines[1:3]} == {"paid:one", "rrf:paid:two+bm25"}
    assert lines[3].startswith("together")
    by_name = {item["reranker"]: item for item in held(cli, environment)}
    assert (by_name["paid:one"]["runs"], by_name["paid:two in rrf:paid:two+bm25"]["runs"]) == (2, 0)
    assert by_name["paid:one"]["pairs"] == by_name["paid:two in rrf:paid:two+bm25"]["pairs"] > 0
    assert by_name["paid:one"]["size_bytes"] > 0


def test_unused_scores_go_and_those_of_runs_stay(cli: Cli, environment: dict[str, str]) -> None:
    """Also those of a fusion's parts; a second replay of what stayed asks nobody."""
    replay(cli, environment, "bm25", "paid:one", "rrf:paid:two+bm25")
    executed(environment, "INSERT INTO shadowdiff.score_cache VALUES ('\\xabcd'::bytea, '\\x01'::bytea, 1, false)")
    before = held(cli, environment)
    refused = cli("cache", "prune", "--unused", env=environment)
    assert refused.code == 2
    assert "this would remove the scores of 1 pair of 1 reranker; say --yes to do it" in refused.err
    assert held(cli, environment) == before
    pruned = cli("cache", "prune", "--unused", "--yes", env=environment)
    assert (pruned.code, pruned.err) == (0, "")
    assert pruned.out.startswith("removed the scores of 1 pair of 1 reranker;")
    assert [item["reranker"] for item in held(cli, environment)] == [
        item["reranker"] for item in before if item["fingerprint"] != "abcd"
    ]
    calls = calls_made(environment)
    replay(cli, environment, "bm25", "paid:one", "rrf:paid:two+bm25")
    assert calls_made(environment) == calls
    assert (
        cli("cache", "prune", "--unused", env=environment).out
        == "nothing in the score cache fits; nothing was removed\n"
    )


def test_old_scores_of_one_reranker_go(cli: Cli, environment: dict[str, str]) -> None:
    """All conditions must fit; what went is asked for again, and only that."""
    replay(cli, environment, "bm25", "paid:one", "paid:two")
    one = next(item["fingerprint"] for item in held(cli, environment) if item["reranker"] == "paid:one")
    executed(environment, "UPDATE shadowdiff.score_cache SET scored_at = now() - interval '40 days'")
    pairs = {item["reranker"]: item["pairs"] for item in held(cli, environment)}
    options = ("cache", "prune", "--older-than", "30d", "--fingerprint", one[:10], "--yes")
    assert cli(*options, env=environment).out.startswith(f"removed the scores of {pairs['paid:one']:,} pairs of 1 rer")
    assert {item["reranker"]: item["pairs"] for item in held(cli, environment)} == {"paid:two": pairs["paid:two"]}
    calls = calls_made(environment)
    replay(cli, environment, "bm25", "paid:one", "paid:two")
    assert calls_made(environment) == calls + calls // 2
    assert cli(*options, env=environment).out == "nothing in the score cache fits; nothing was removed\n"


def test_a_fusion_that_cannot_be_built_is_warned_of(cli: Cli, environment: dict[str, str], tmp_path: Path) -> None:
    """Its parts' scores count as unused, and that is said before they go."""
    (tmp_path / "shadowdiff.toml").write_text('[rerankers]\nmine = "paid:mine"\n')
    replay(cli, environment, "bm25", "rrf:mine+bm25")
    (tmp_path / "shadowdiff.toml").write_text("")
    pruned = cli("cache", "prune", "--unused", "--yes", env=environment)
    assert pruned.code == 0
    assert (
        "cannot tell which scores this side of a stored run is made of: rrf:mine+bm25: no reranker 'mine'" in pruned.err
    )
    assert held(cli, environment) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "say what to remove"),
        (("--fingerprint", "zz"), "--fingerprint 'zz': none in the score cache begins so"),
        (("--fingerprint", ""), "--fingerprint '': the fingerprints of 2 rerankers begin so"),
        (("--older-than", "soon"), "'soon' is neither an age"),
    ],
)
def test_what_it_refuses(cli: Cli, environment: dict[str, str], options: tuple[str, ...], said: str) -> None:
    """In one line, with exit code 2."""
    for number in (1, 2):
        executed(environment, f"INSERT INTO shadowdiff.score_cache VALUES ('\\xab0{number}', '\\x01', 1, false)")
    ran = cli("cache", "prune", *options, "--yes", env=environment)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def everything(terminal: int) -> str:
    """What was written to it, whose other end is closed: it comes in parts."""
    seen = b""
    with suppress(OSError):  # so Linux says that no more comes
        while part := os.read(terminal, 65536):
            seen += part
    return seen.decode()


@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("y", 0)])
def test_somebody_at_a_terminal_is_asked(cli: Cli, empty_url: str, tmp_path: Path, answer: str, left: int) -> None:
    """With the list of what would go; nothing goes unless the answer is yes."""
    environment = {"SHADOWDIFF_DATABASE_URL": empty_url}
    executed(environment, "INSERT INTO shadowdiff.score_cache VALUES ('\\xabcd'::bytea, '\\x01'::bytea, 1, false)")
    terminal, theirs = pty.openpty()
    os.write(terminal, f"{answer}\n".encode())
    ran = subprocess.run(
        [sys.executable, "-m", "shadowdiff", "cache", "prune", "--unused"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=clean_environment(tmp_path) | environment | {"TERM": "dumb"},
        timeout=240,
        check=False,
    )
    os.close(theirs)
    seen = everything(terminal)
    os.close(terminal)
    assert "abcd" in seen
    assert "Remove the scores of 1 pair of 1 reranker? [y/N]" in seen
    assert ran.returncode == (130 if left else 0)
    assert len(held(cli, environment)) == left
