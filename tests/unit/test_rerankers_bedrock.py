"""`bedrock:`: what is sent of a turn, what is made of answers, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shadowdiff.errors import ConfigError, RefusedError, RemoteError, SpecError
from shadowdiff.findings import Status
from shadowdiff.protocols import (
    Asks,
    BatchReranker,
    Checkable,
    Listwise,
    Networked,
    PairScores,
    Repeatable,
    ScoreRequest,
    Truncates,
)
from shadowdiff.records import Usage
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.bedrock import BedrockReranker
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse
from tests.providers import bedrock as aws
from tests.providers.bedrock import (
    COHERE_ARN,
    REGION,
    Bedrock,
    bedrock_server,
    error,
    give_credentials,
    results,
    says,
)

SPEC = "bedrock:cohere.rerank-v3-5:0"
VIAS = (SPEC, f"{SPEC},via=invoke")
REQUEST = ScoreRequest("how is data encrypted", ("data is encrypted", "nothing", "how data is kept"))
SCORES = (0.75, 0.0, 0.75)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    give_credentials(monkeypatch)


@pytest.fixture
def server() -> Iterator[Bedrock]:
    """A server of this test's own."""
    with bedrock_server() as running:
        yield running


def side(server: Bedrock, spec: str = SPEC, **settings: Any) -> BedrockReranker:
    """The side that a spec names, asking the server once a call."""
    found = build(parse(spec), providers={"bedrock": ProviderSettings(url=server.url, **{"retries": 0} | settings)})
    assert isinstance(found, BedrockReranker)
    server.askers.append(found)
    return found


def scored(reranker: BedrockReranker, request: ScoreRequest = REQUEST) -> PairScores:
    """The scores of an answer that must be a good one."""
    answer = reranker.ask(request)
    assert isinstance(answer.found, PairScores), answer.found
    return answer.found


def failed(reranker: BedrockReranker, request: ScoreRequest = REQUEST) -> RemoteError:
    """The failure of an answer that must not be a good one; it has no latency."""
    answer = reranker.ask(request)
    assert isinstance(answer.found, RemoteError), answer.found
    assert answer.asked.seconds is None
    return answer.found


def test_it_is_every_kind_that_it_must_be(server: Bedrock) -> None:
    """It asks, says what it contacts, tells truncation, can be checked, repeats itself, and scores pair by pair."""
    reranker = side(server, concurrency=3)
    for kind in (Asks, BatchReranker, Checkable, Listwise, Networked, Repeatable, Truncates):
        assert isinstance(reranker, kind), kind
    assert (reranker.listwise, reranker.repeatable, reranker.concurrency) == (False, True, 3)
    assert reranker.network is not None
    assert reranker.network.contacts == f"Bedrock in {REGION}"


@pytest.mark.parametrize("spec", VIAS)
def test_scores_come_back_in_input_order(server: Bedrock, spec: str) -> None:
    """By index, whatever the order of the results; what it took is counted."""
    answer = side(server, spec).ask(REQUEST)
    assert answer.found == PairScores(SCORES, (False, False, False))
    assert answer.asked.usage == Usage(calls=1, search_units=1)
    assert answer.asked.attempts == 1
    assert answer.asked.seconds is not None


def test_a_short_id_becomes_the_arn_of_its_region(server: Bedrock) -> None:
    """Rerank takes ARNs only; an ARN is sent as given, and InvokeModel gets the id."""
    scored(side(server))
    scored(side(server, f"{SPEC},region=us-gov-west-1"))
    scored(side(server, f"bedrock:{COHERE_ARN}"))
    scored(side(server, f"{SPEC},via=invoke"))
    scored(side(server, f"bedrock:{COHERE_ARN},via=invoke"))
    assert [got.model for got in server.got] == [
        COHERE_ARN,
        "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/cohere.rerank-v3-5:0",
        COHERE_ARN,
        "cohere.rerank-v3-5:0",
        COHERE_ARN,
    ]


def test_pages_are_read_to_the_end(server: Bedrock) -> None:
    """One query is charged once, however many pages its results come in; every page is a call."""
    server.page_size = 2
    request = ScoreRequest("a b c d", tuple("abcdefg"))
    answer = side(server).ask(request)
    assert answer.found == PairScores((0.25,) * 4 + (0.0,) * 3, (False,) * 7)
    assert answer.asked.usage == Usage(calls=4, search_units=1)
    assert [got.body.get("nextToken") for got in server.got] == [None, "2", "4", "6"]


def test_pages_without_end_are_not_read_forever(server: Bedrock) -> None:
    """A token that leads back to the first page fails the turn."""
    server.fail(then=says('{"results": [{"index": 0, "relevanceScore": 1}], "nextToken": "0"}'))
    assert "index 0 stands there twice" in str(failed(side(server)))
    assert server.answered["Rerank"] == len(REQUEST.documents)


@pytest.mark.parametrize(("spec", "operation"), [(VIAS[0], "Rerank"), (VIAS[1], "InvokeModel")])
def test_more_than_a_thousand_documents_are_several_calls(server: Bedrock, spec: str, operation: str) -> None:
    """Scores are per pair; each call's documents are charged by the hundred, and the estimate knows that."""
    documents = tuple(f"text {number % 7}" for number in range(2_101))
    request = ScoreRequest("text 3", documents)
    reranker = side(server, spec)
    answer = reranker.ask(request)
    assert isinstance(answer.found, PairScores)
    assert answer.found.scores == tuple(1.0 if number % 7 == 3 else 0.5 for number in range(2_101))
    assert answer.asked.usage == Usage(calls=3, search_units=22) == reranker.estimate(request)
    assert server.answered == {operation: 3}


@pytest.mark.parametrize("spec", VIAS)
def test_long_texts_are_cut_and_counted(server: Bedrock, spec: str) -> None:
    """To 32,000 characters, not bytes; a query that is cut counts for all its pairs."""
    reranker = side(server, spec)
    request = ScoreRequest("é", ("é" * 32_000, "é" * 32_001, "é"))
    assert scored(reranker, request).truncated == (False, True, False)
    assert [tuple(row) for row in reranker.truncated([request])] == [(False, True, False)]
    long_query = ScoreRequest("x" * 32_001, ("a", "b"))
    assert scored(reranker, long_query).truncated == (True, True)
    assert [tuple(row) for row in reranker.truncated([long_query])] == [(True, True)]


@pytest.mark.parametrize("spec", VIAS)
def test_blank_documents_are_not_sent(server: Bedrock, spec: str) -> None:
    """They score 0, and others keep their places; a pool of nothing else is not asked for."""
    reranker = side(server, spec)
    request = ScoreRequest(REQUEST.query, ("", REQUEST.documents[0], " \n\t", REQUEST.documents[2], " " * 40_000 + "x"))
    assert scored(reranker, request) == PairScores((0.0, 0.75, 0.0, 0.75, 0.0), (False, False, False, False, True))
    assert reranker.estimate(request) == Usage(calls=1, search_units=1)
    answer = reranker.ask(ScoreRequest("q", ("", " ")))
    assert answer.found == PairScores((0.0, 0.0), (False, False))
    assert (answer.asked.usage, answer.asked.attempts, answer.asked.seconds) == (Usage(), 0, None)
    assert sum(server.answered.values()) == 1


def test_a_query_without_text_fails_its_turn_only(server: Bedrock) -> None:
    """All scores alike would be the pool's order, which nobody gave."""
    reranker = side(server)
    assert "the query is empty" in str(failed(reranker, ScoreRequest(" \n", ("a",))))
    assert reranker.stopped is None
    assert not server.got


WRONG: list[tuple[Callable[[list[dict[str, Any]]], object], str]] = [
    (lambda rows: rows.pop(), "1 of 3 documents have none, such as index"),
    (lambda rows: rows.append(rows[0]), "index 0 stands there twice"),
    (lambda rows: rows[1].update(index=3), "an index that is none of 0 to 2"),
    (lambda rows: rows[1].update(index=-1), "an index that is none of 0 to 2"),
    (lambda rows: rows[0].update(relevanceScore=math.nan, relevance_score=math.nan), "no finite number"),
    (lambda rows: rows[0].update(relevanceScore=math.inf, relevance_score=math.inf), "no finite number"),
    (lambda rows: rows.clear(), "there are none"),
]


@pytest.mark.parametrize("spec", VIAS)
@pytest.mark.parametrize(("change", "reason"), WRONG)
def test_results_that_are_not_complete_fail_the_turn(
    server: Bedrock, spec: str, change: Callable[[list[dict[str, Any]]], object], reason: str
) -> None:
    """With the reason, in words that may always be stored; it was answered, and so it costs."""
    server.fail(results(change))
    reranker = side(server, spec)
    answer = reranker.ask(REQUEST)
    assert isinstance(answer.found, RemoteError)
    assert reason in str(answer.found)
    assert answer.found.textless == str(answer.found)
    assert answer.asked.usage == Usage(calls=1, search_units=1)
    assert answer.asked.seconds is None
    assert scored(reranker).scores == SCORES, "the next turn is not disturbed"


OTHER_FORMS = ("[]", "<html>", '"x"', "null", "", '{"results": 3}', '{"results": [3]}', '{"results": {"index": 0}}')


@pytest.mark.parametrize("spec", VIAS)
@pytest.mark.parametrize("text", OTHER_FORMS)
def test_answers_of_another_form_fail_the_turn(server: Bedrock, spec: str, text: str) -> None:
    """Whatever JSON it is, or none: answered, charged, and not used."""
    server.fail(says(text))
    answer = side(server, spec).ask(REQUEST)
    assert isinstance(answer.found, RemoteError)
    assert "results that cannot be used" in str(answer.found)
    assert answer.asked.usage.calls == 1


def test_search_units_are_the_provider_s_own_where_it_tells(server: Bedrock) -> None:
    """InvokeModel's answer may say what it is billed as."""
    billed = '{"results": [{"index": 0, "relevance_score": 1}], "meta": {"billed_units": {"search_units": 4}}}'
    server.fail(says(billed))
    answer = side(server, VIAS[1]).ask(ScoreRequest("a", ("a",)))
    assert answer.asked.usage == Usage(calls=1, search_units=4)


def test_a_model_is_the_same_in_all_regions(server: Bedrock) -> None:
    """Its identity is its id: not the region, the ARN or the profile; but how it is asked, and what of an entry."""
    same = {
        side(server, spec).fingerprint
        for spec in (SPEC, f"{SPEC},region=us-west-2", f"bedrock:{COHERE_ARN}", f"{SPEC},input=title%2Bbody")
    }
    others = {
        side(server, spec).fingerprint
        for spec in (
            f"{SPEC},via=invoke",
            f"{SPEC},input=body",
            "bedrock:amazon.rerank-v1:0",
            f"bedrock:arn:aws:bedrock:{REGION}:123456789012:inference-profile/eu.cohere.rerank-v3-5:0",
        )
    }
    assert (len(same), len(others)) == (1, 4)
    assert not same & others


@pytest.mark.parametrize(
    "text",
    [
        SPEC,
        "bedrock:amazon.rerank-v1:0,profile=prod,region=us-west-2",
        f"bedrock:{COHERE_ARN}",
        "bedrock:arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.cohere.rerank-v3-5:0,via=invoke",
        "bedrock:arn:aws:sagemaker:us-east-1:123456789012:endpoint/my-reranker",
    ],
)
def test_ids_and_arns_parse_back(text: str) -> None:
    """Colons and slashes belong to the target."""
    spec = parse(text)
    assert (str(spec), parse(str(spec))) == (text, spec)
    assert spec.target == text.removeprefix("bedrock:").split(",")[0]


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("bedrock", SpecError, "needs the id or the ARN of a model"),
        ("bedrock:a b", SpecError, "needs the id or the ARN of a model"),
        ("bedrock:https://example.com", SpecError, "needs the id or the ARN of a model"),
        ("bedrock:arn:aws:bedrock", SpecError, "an ARN is written arn:aws:bedrock:REGION"),
        (f"bedrock:{COHERE_ARN},region=us-east-1", SpecError, "the ARN says eu-central-1; leave region out"),
        (f"{SPEC},via=http", SpecError, "must be one of rerank, invoke"),
        (f"{SPEC},regoin=x", SpecError, "unknown option 'regoin'"),
        ("bedrock:amazon.rerank-v1:0,via=invoke", ConfigError, "via=invoke speaks the form of Cohere's models only"),
        (f"{SPEC},profile=nobody", ConfigError, r"The config profile \(nobody\) could not be found; see `aws conf"),
        (f"{SPEC},region=not a region", ConfigError, "'not a region' is no AWS region"),
        (f"{SPEC},token=x", SpecError, "secrets never stand in a spec"),
    ],
)
def test_what_cannot_be_asked_is_refused(text: str, kind: type[ConfigError], message: str) -> None:
    """Before anything is sent, in words that say what to write instead."""
    with pytest.raises(kind, match=message):
        build(parse(text))


def test_a_url_keeps_to_the_rule_of_all_providers() -> None:
    """Plain http goes to this machine only, unless allowed by name; so does a URL of the AWS environment."""
    providers = {"bedrock": ProviderSettings(url="http://gateway.example.com")}
    with pytest.raises(ConfigError, match=r"is plain http.* allow_plain_http = true in \[providers\.bedrock\]"):
        build(parse(SPEC), providers=providers)
    allowed = ProviderSettings(url="http://gateway.example.com", allow_plain_http=True)
    build(parse(SPEC), providers={"bedrock": allowed})


def test_a_url_of_the_environment_keeps_to_the_rule_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 reads endpoints from variables of its own."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME", "http://gateway.example.com")
    reranker = build(parse(SPEC))
    assert isinstance(reranker, BedrockReranker)
    with pytest.raises(ConfigError, match="is plain http"):
        reranker.prepare()


def test_a_region_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the spec, the ARN, [providers.bedrock] or the AWS configuration, whichever says it first."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ConfigError, match=r"needs a region: write region=.*\[providers\.bedrock\].*AWS_REGION"):
        build(parse(SPEC))
    settings = {"bedrock": ProviderSettings(region="us-west-2")}
    for spec, region in (
        (SPEC, "us-west-2"),
        (f"{SPEC},region=us-east-1", "us-east-1"),
        (f"bedrock:{COHERE_ARN}", REGION),
    ):
        found = build(parse(spec), providers=settings)
        assert isinstance(found, BedrockReranker)
        assert found.network is not None
        assert found.network.contacts == f"Bedrock in {region}"


def test_without_credentials_the_side_stops_and_says_what_to_do(
    server: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, now or later; the doctor warns before it comes to that."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    reranker = side(server)
    reranker.prepare()
    assert [finding.status for finding in reranker.check(online=False)] == [Status.OK, Status.WARN]
    refused = failed(reranker)
    assert isinstance(refused, RefusedError)
    assert "there are no AWS credentials; set AWS_PROFILE or AWS_ACCESS_KEY_ID" in str(refused)
    assert reranker.stopped is not None
    assert reranker.ask(REQUEST).asked.attempts == 0
    assert not server.got


def test_a_profile_s_credentials_are_found_in_its_file(
    server: Bedrock, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The AWS chain is asked, and nothing else; region and profile may stand in [providers.bedrock]."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(
        f"[night]\naws_access_key_id = {aws.ACCESS_KEY}\naws_secret_access_key = {aws.SECRET_KEY}\n"
        f"aws_session_token = {aws.TOKEN}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    reranker = side(server, profile="night", region=REGION)
    assert scored(reranker).scores == SCORES
    told = [finding.what for finding in reranker.check(online=False)]
    assert told == [
        f"{SPEC}: asks Bedrock in {REGION} as profile night",
        f"{SPEC}: found (shared-credentials-file); --online tries them",
    ]


def test_the_doctor_makes_one_tiny_call_online(server: Bedrock) -> None:
    """Offline it sends nothing; online it says how long the answer took, or why there is none."""
    reranker = side(server)
    assert [finding.status for finding in reranker.check(online=False)] == [Status.OK, Status.OK]
    assert not server.got
    told = list(reranker.check(online=True))[1]
    assert told.status is Status.OK
    assert "Bedrock answered in" in told.what
    server.fail(error("AccessDeniedException", 403, "not for you"))
    told = list(side(server).check(online=True))[1]
    assert told.status is Status.FAIL
    assert "AccessDeniedException: not for you; allow these credentials to use the model" in told.what
