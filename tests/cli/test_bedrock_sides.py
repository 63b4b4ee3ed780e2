"""`bedrock:` and `llm:` through the real command line: replayed, redacted, and silent about their credentials."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_privacy import PLANTED, REDACT, configure, plant
from tests.conftest import Cli
from tests.postgres.test_privacy import dump
from tests.providers.bedrock import (
    ACCESS_KEY,
    COHERE_ARN,
    ENVIRONMENT,
    REGION,
    SECRET_KEY,
    TOKEN,
    Bedrock,
    Got,
    Reply,
    bedrock_server,
    converse,
    error,
    order,
)

Environment = dict[str, str]
QUICK = ("--latency", "0")
RERANK, INVOKE = "bedrock:cohere.rerank-v3-5:0", f"bedrock:{COHERE_ARN},via=invoke"
LLM = "llm:us.anthropic.claude-3-haiku-20240307-v1:0,step=5,window=8"
SIDES = ("-B", RERANK, "-B", INVOKE, "-B", LLM)
SECRETS = (ACCESS_KEY, SECRET_KEY, TOKEN)


@pytest.fixture
def server() -> Iterator[Bedrock]:
    """A server of this test's own."""
    with bedrock_server() as running:
        yield running


@pytest.fixture
def aws(database: Environment) -> Environment:
    """The sample, and credentials that open nothing."""
    return database | ENVIRONMENT


def configured(tmp_path: Path, server: Bedrock, *, before: str = "", more: str = "") -> None:
    """A shadowdiff.toml that sends all that is for Bedrock to the server."""
    configure(tmp_path, f'{before}[providers.bedrock]\nurl = "{server.url}"\nregion = "{REGION}"\n{more}')


def prompt(got: Got) -> str:
    """What an LLM was asked."""
    text: str = got.body["messages"][0]["content"][0]["text"]
    return text


def test_every_side_replays_and_asks_nothing_twice(
    cli: Cli, aws: Environment, server: Bedrock, sample_url: str, tmp_path: Path
) -> None:
    """Every turn is ranked by each; the second run makes no call; no credential is in any output or table."""
    configured(tmp_path, server)
    arguments = ("replay", "--last", "3", "-A", "bm25", *SIDES, "--format", "json", "--full-rankings", *QUICK)
    first = cli(*arguments, env=aws)
    assert (first.code, first.err) == (0, "")
    asked = len(server.got)
    second = cli(*arguments, env=aws)
    assert (second.code, second.err) == (0, "")
    assert len(server.got) == asked
    document = json.loads(first.out)
    turns = [turn for session in document["sessions"] for turn in session["turns"]]
    assert server.answered["Rerank"] == server.answered["InvokeModel"] == len(turns)
    assert server.answered["Converse"] > len(turns), "pools are larger than a window"
    for turn in turns:
        b, c, d = ([row["entry_id"] for row in turn["rankings"][side]] for side in "BCD")
        assert b == c, "one model, asked in two ways"
        assert set(d) == set(b)
        scores = [row["score"] for row in turn["rankings"]["D"]]
        assert scores == [float(place) for place in range(len(d), 0, -1)]
    assert [side["spec"] for side in document["sides"][1:]] == [RERANK, INVOKE, LLM]
    assert json.loads(second.out)["sessions"] == document["sessions"]
    kept = dump(sample_url)
    assert not [secret for secret in SECRETS for shown in (first.out, second.out, kept) if secret in shown]


def test_latency_and_cost_stand_in_the_summary(cli: Cli, aws: Environment, server: Bedrock, tmp_path: Path) -> None:
    """Search units by the query, tokens as Converse counts them; prices are the user's."""
    prices = (
        f'[prices."{RERANK}"]\nsearch_unit = 0.002\n'
        f'[prices."{LLM}"]\nmillion_input_tokens = 1.0\nmillion_output_tokens = 5.0\n'
    )
    configured(tmp_path, server, more=prices)
    finished = cli("replay", "--last", "3", "-A", "bm25", "-B", RERANK, "-B", LLM, "--format", "json", *QUICK, env=aws)
    assert (finished.code, finished.err) == (0, "")
    timing = json.loads(finished.out)["summary"]["timing"]
    b, c = timing["B"], timing["C"]
    assert b["calls"] == b["search_units"] == b["asked_turns"] == server.answered["Rerank"]
    assert b["cost_usd"] == pytest.approx(0.002 * b["calls"])
    assert c["calls"] == c["attempts"] == server.answered["Converse"]
    assert c["input_tokens"] == sum(len(prompt(got)) // 4 for got in server.got if got.operation == "Converse")
    assert c["cost_usd"] == pytest.approx((c["input_tokens"] + 5 * c["output_tokens"]) / 1e6)
    assert b["latency_p50_seconds"] > 0 < c["latency_p50_seconds"]
    shown = cli("show", json.loads(finished.out)["run_id"], env=aws)
    assert shown.code == 0, shown.err
    assert "$" in shown.out


def test_nothing_planted_leaves(cli: Cli, aws: Environment, server: Bedrock, sample_url: str, tmp_path: Path) -> None:
    """E-mail addresses, numbers and keys in queries and entries are redacted before they are sent."""
    plant(sample_url)
    configured(tmp_path, server, before=REDACT)
    finished = cli("replay", "--last", "1", "-A", "bm25", *SIDES, *QUICK, env=aws)
    assert (finished.code, finished.err) == (0, "")
    sent = json.dumps([got.body for got in server.got], ensure_ascii=False)
    assert {got.operation for got in server.got} == {"Rerank", "InvokeModel", "Converse"}
    assert [secret for secret in PLANTED if secret in sent] == []
    assert all(f"[{name}]" in sent for name in ("email", "phone", "card", "key"))


def test_offline_refuses(cli: Cli, aws: Environment, server: Bedrock, tmp_path: Path) -> None:
    """Exit 2, and nothing is sent."""
    configured(tmp_path, server, before="[privacy]\noffline = true\n")
    for spec in (RERANK, LLM):
        finished = cli("replay", "--last", "1", "-A", "bm25", "-B", spec, env=aws)
        assert finished.code == 2
        assert f"side B: '{spec}' would contact Bedrock in {REGION}" in finished.err
    assert not server.got


def test_a_side_that_is_refused_stops_and_the_others_go_on(
    cli: Cli, aws: Environment, server: Bedrock, sample_url: str, tmp_path: Path
) -> None:
    """Whatever AWS repeats of the request, no credential is stored or shown; exit 4."""

    def refused(bedrock: Bedrock, _: Reply) -> Reply:
        told = f"not {' '.join(SECRETS)}: {bedrock.got[-1].headers['Authorization']}"
        return error("UnrecognizedClientException", 403, told)(bedrock, Reply(b""))

    server.fail(then=refused)
    configured(tmp_path, server, more="concurrency = 1\n")
    finished = cli("replay", "--last", "2", "-A", "bm25", "-B", RERANK, *QUICK, env=aws)
    assert finished.code == 4, finished.err
    assert len(server.got) == 1
    kept = dump(sample_url)
    assert "answers UnrecognizedClientException: not [secret] [secret] [secret]" in kept
    assert not [secret for secret in SECRETS for shown in (finished.out, finished.err, kept) if secret in shown]


def test_without_credentials_it_says_what_to_do(
    cli: Cli, aws: Environment, server: Bedrock, sample_url: str, tmp_path: Path
) -> None:
    """The side fails on every turn and says why; nothing is sent."""
    configured(tmp_path, server)
    environment = aws | dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), "")
    finished = cli("replay", "--last", "1", "-A", "bm25", "-B", RERANK, *QUICK, env=environment)
    assert finished.code == 4, finished.err
    assert "there are no AWS credentials; set AWS_PROFILE" in dump(sample_url)
    assert not server.got


def test_an_llm_s_bad_answers_fail_their_turns(
    cli: Cli, aws: Environment, server: Bedrock, sample_url: str, tmp_path: Path
) -> None:
    """Each is stored with its reason; the turns between them are ranked, one of them with an order put right."""
    spec = "llm:amazon.nova-pro-v1:0"
    server.fail(
        converse(stopReason="max_tokens"), order(lambda numbers: []), order(lambda numbers: numbers[:-1]), then=None
    )
    configured(tmp_path, server, more="concurrency = 1\n")
    finished = cli("replay", "--last", "3", "-A", "bm25", "-B", spec, "--format", "json", *QUICK, env=aws)
    document = json.loads(finished.out)
    failures = [turn["failures"] for session in document["sessions"] for turn in session["turns"] if turn["failures"]]
    assert len(failures) == 2
    told = json.dumps(failures)
    assert "max_tokens: it ran into max_tokens" in told
    assert "it orders 0 of" in told
    assert document["summary"]["failed_turns"] == 2


def test_the_doctor(cli: Cli, aws: Environment, server: Bedrock, tmp_path: Path) -> None:
    """Finds region and credentials without a call; online, each side asks once."""
    more = f'[replay]\nbaseline = "bm25"\nothers = ["{RERANK}", "{LLM}"]\n'.replace("[replay]", "\n[replay]")
    configured(tmp_path, server, more=more)
    offline = cli("doctor", env=aws)
    assert not server.got
    said = " ".join(offline.out.split())
    assert f"asks Bedrock in {REGION}" in said
    assert "found (env); --online tries them" in said
    online = cli("doctor", "--online", env=aws)
    assert server.answered == {"Rerank": 1, "Converse": 1}
    assert "Bedrock answered in" in " ".join(online.out.split())
    assert not [secret for secret in SECRETS if secret in offline.out + online.out + online.err]
