"""Sides over HTTP through the real command line: replayed, redacted, refused offline, and silent about their keys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from shadowdiff.database import store_engine
from tests.cli.test_privacy import PLANTED, REDACT, configure, plant
from tests.conftest import Cli
from tests.postgres.test_privacy import dump
from tests.providers import KEY, Fault, Faults, ProviderServer
from tests.providers.sides import KEYS, KINDS

Environment = dict[str, str]
QUICK = ("--latency", "0")


@pytest.fixture
def servers() -> Iterator[dict[str, ProviderServer]]:
    """One for each form that a kind asks in."""
    with ExitStack() as stack:
        yield {form: stack.enter_context(ProviderServer(form)) for form in {kind.form for kind in KINDS.values()}}


def configured(kind: str, url: str) -> tuple[str, str]:
    """The side with its URL in [providers] where that is how it is configured, and the shadowdiff.toml for it."""
    spec = KINDS[kind].spec
    scheme = spec.partition(":")[0]
    if ",url=URL" in spec:
        return spec.replace(",url=URL", ""), f'[providers.{scheme}]\nurl = "{url}"\n'
    return KINDS[kind].at(url), f"[providers.{scheme}]\n"


def every_kind(servers: Mapping[str, ProviderServer]) -> tuple[list[str], str]:
    """Arguments for a run with all kinds as its sides, and the shadowdiff.toml for it."""
    found = [configured(kind, servers[KINDS[kind].form].url) for kind in KINDS]
    return [part for spec, _ in found for part in ("-B", spec)], "".join(dict.fromkeys(toml for _, toml in found))


def test_every_kind_replays_and_asks_nothing_twice(
    cli: Cli, database: Environment, servers: dict[str, ProviderServer], sample_url: str, tmp_path: Path
) -> None:
    """Every turn is ranked by each, a call each; the second run makes none; no key is in any output or table."""
    sides, toml = every_kind(servers)
    configure(tmp_path, toml)
    arguments = ("replay", "--last", "3", "-A", "bm25", *sides, "--format", "json", *QUICK)
    first = cli(*arguments, env=database | KEYS)
    asked = {form: len(server.requests) for form, server in servers.items()}
    second = cli(*arguments, env=database | KEYS)
    assert (first.code, first.err) == (0, "")
    assert (second.code, second.err) == (0, "")
    assert {form: len(server.requests) for form, server in servers.items()} == asked
    document = json.loads(first.out)
    turns = [turn for session in document["sessions"] for turn in session["turns"]]
    assert all(len(turn["rankings"]) == 1 + len(KINDS) for turn in turns)
    for form, server in servers.items():
        assert {query for query, _ in server.answered} == {turn.get("search_query") or turn["query"] for turn in turns}
        assert set(server.answered.values()) == {sum(kind.form == form for kind in KINDS.values())}
    assert json.loads(second.out)["sessions"] == document["sessions"]
    assert all(KEY not in shown for shown in (first.out, second.out, dump(sample_url)))


def test_nothing_planted_leaves(
    cli: Cli, database: Environment, servers: dict[str, ProviderServer], sample_url: str, tmp_path: Path
) -> None:
    """E-mail addresses, numbers and keys in queries and entries are redacted before they are sent, to whomever."""
    plant(sample_url)
    sides, toml = every_kind(servers)
    configure(tmp_path, REDACT + toml)
    finished = cli("replay", "--last", "1", "-A", "bm25", *sides, *QUICK, env=database | KEYS)
    assert (finished.code, finished.err) == (0, "")
    for server in servers.values():
        sent = json.dumps([request.body for request in server.requests], ensure_ascii=False)
        assert server.requests
        assert [secret for secret in PLANTED if secret in sent] == []
        assert all(f"[{name}]" in sent for name in ("email", "phone", "card", "key"))
    assert finished.out.count("saw redacted texts") == len(KINDS)


@pytest.mark.parametrize("kind", ["cohere", "tei"])
def test_offline_refuses(cli: Cli, database: Environment, tmp_path: Path, kind: str) -> None:
    """Exit 2, and nothing is sent."""
    with ProviderServer(KINDS[kind].form) as server:
        spec, toml = configured(kind, server.url)
        configure(tmp_path, f"[privacy]\noffline = true\n{toml}")
        finished = cli("replay", "--last", "1", "-A", "bm25", "-B", spec, env=database | KEYS)
    assert finished.code == 2
    assert f"side B: '{spec}' would contact 127.0.0.1:" in finished.err
    assert server.requests == []


def test_a_missing_key_is_said_before_anything_is_asked(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """Exit 2, with the variables to set."""
    environment = dict.fromkeys(("COHERE_API_KEY", "CO_API_KEY"), "")
    finished = cli("replay", "--last", "1", "-A", "bm25", "-B", "cohere:m", env=database | environment)
    assert finished.code == 2
    assert "no key for 'cohere:m': set COHERE_API_KEY or CO_API_KEY in the environment" in finished.err


@pytest.mark.parametrize("kind", ["cohere", "http-vllm"])
def test_a_refused_key_costs_one_call_and_no_other_side(
    cli: Cli, database: Environment, sample_url: str, tmp_path: Path, kind: str
) -> None:
    """The provider repeats the key in its answer; nowhere else does it stand. The other side ranks every turn."""
    with ProviderServer(KINDS[kind].form, Faults(then=Fault.FORBIDDEN)) as server:
        spec, toml = configured(kind, server.url)
        configure(tmp_path, f"{toml}concurrency = 1\n")
        finished = cli("replay", "--last", "2", "-A", "bm25", "-B", spec, *QUICK, env=database | KEYS)
    assert len(server.requests) == 1
    assert finished.code == 4, finished.err
    kept = dump(sample_url)
    assert "answers 401 Unauthorized: invalid api token: Bearer [secret]" in kept
    assert all(KEY not in shown for shown in (finished.out, finished.err, kept))
    engine = store_engine(sample_url)
    with engine.connect() as connection:
        ranked = set(connection.execute(text("SELECT DISTINCT side FROM shadowdiff.rankings")).scalars())
    engine.dispose()
    assert ranked == {"A"}


def test_the_doctor(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """Finds the key without a call; online, it asks at the configured URL, once."""
    with ProviderServer("voyage") as server:
        configure(
            tmp_path, f'[providers.voyage]\nurl = "{server.url}"\n[replay]\nbaseline = "bm25"\nothers = ["voyage:m"]\n'
        )
        offline = cli("doctor", env=database | KEYS)
        assert "voyage:m: VOYAGE_API_KEY" in " ".join(offline.out.split())
        assert server.requests == []
        online = cli("doctor", "--online", env=database | KEYS)
        assert len(server.requests) == 1
    assert "answered in" in online.out
    assert KEY not in offline.out + online.out + online.err
