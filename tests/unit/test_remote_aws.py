"""Calls to Bedrock: what every error means, that nothing is asked twice or forever, and that no secret is quoted."""

from __future__ import annotations

import random
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import trustme
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from shadowdiff.errors import ConfigError, RefusedError, RemoteError, ThrottledError, TransientError
from shadowdiff.protocols import PairScores, ScoreRequest
from shadowdiff.remote.aws_errors import KINDS
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.on_bedrock import BedrockSide
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse
from tests.providers import bedrock as aws
from tests.providers.bedrock import (
    Bedrock,
    Fault,
    Reply,
    bedrock_server,
    breaks_off,
    error,
    give_credentials,
    hangs,
)

SPECS = {
    "Rerank": "bedrock:cohere.rerank-v3-5:0",
    "InvokeModel": "bedrock:cohere.rerank-v3-5:0,via=invoke",
    "Converse": "llm:us.anthropic.claude-3-haiku-20240307-v1:0",
}
OPERATIONS = {"Rerank": "bedrock-agent-runtime", "InvokeModel": "bedrock-runtime", "Converse": "bedrock-runtime"}
REQUEST = ScoreRequest("how is data encrypted", ("data is encrypted", "nothing at all"))
SECRETS = (aws.ACCESS_KEY, aws.SECRET_KEY, aws.TOKEN)


def modelled() -> list[tuple[str, str, int]]:
    """Every error of every operation that we use, in the model that boto3 carries: operation, code, status."""
    session = botocore.session.get_session()
    return [
        (operation, shape.error_code, shape.metadata["error"]["httpStatusCode"])
        for operation, service in OPERATIONS.items()
        for shape in session.get_service_model(service).operation_model(operation).error_shapes
    ]


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    give_credentials(monkeypatch)


@pytest.fixture
def server() -> Iterator[Bedrock]:
    """A server of this test's own."""
    with bedrock_server() as running:
        yield running


def side(server: Bedrock, operation: str = "Rerank", **settings: Any) -> BedrockSide:
    """A side that uses the operation, asking once a call unless told otherwise."""
    how = ProviderSettings(url=server.url, **{"retries": 0} | settings)
    found = build(parse(SPECS[operation]), providers={"bedrock": how})
    assert isinstance(found, BedrockSide)
    server.askers.append(found)
    return found


def failure(reranker: BedrockSide) -> RemoteError:
    """What the request fails with; it never quotes a secret."""
    found = reranker.ask(REQUEST).found
    assert isinstance(found, RemoteError), found
    assert not any(secret in f"{found} {found.textless} {reranker.stopped}" for secret in SECRETS)
    return found


@pytest.mark.parametrize(("operation", "code", "status"), modelled())
def test_every_modelled_error_has_a_meaning(server: Bedrock, operation: str, code: str, status: int) -> None:
    """An error that boto3's model knows and the table does not is one that nobody has thought about."""
    assert code in KINDS, f"{operation} may answer {code} ({status}): say in remote/aws_errors.py what that means"
    server.fail(error(code, status, "about \x1b[2J this"))
    reranker = side(server, operation)
    found = failure(reranker)
    assert type(found) is KINDS[code]
    assert f"answers {code}: about" in str(found)
    assert (code in found.textless, "about" in found.textless) == (True, False)
    assert (reranker.stopped is not None) == isinstance(found, RefusedError)


def test_what_botocore_tries_again_is_tried_again() -> None:
    """Its own codes of throttling and of passing trouble are in the table, as nothing else."""
    throttled, passing = ThrottledRetryableChecker(), TransientRetryableChecker()
    again = {*throttled._throttled_error_codes, *passing._transient_error_codes}
    assert len(again) > 10
    assert not {code for code in again if KINDS.get(code) not in (ThrottledError, TransientError)} - {
        "EC2ThrottledException"  # of another service
    }
    assert KINDS["ServiceQuotaExceededException"] is ThrottledError


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, ThrottledError),
        (408, TransientError),
        (424, TransientError),
        (500, TransientError),
        (503, TransientError),
        (400, RefusedError),
        (403, RefusedError),
        (404, RefusedError),
        (302, RemoteError),
    ],
)
def test_other_errors_are_told_by_their_status(server: Bedrock, status: int, kind: type[RemoteError]) -> None:
    """A gateway's own page, or a code of tomorrow: the code is not stored, as nobody knows what stands there."""
    server.fail(error("BrandNewException", status, "of tomorrow"))
    found = failure(side(server))
    assert type(found) is kind
    assert f"answers {status}: of tomorrow" in str(found)
    assert "BrandNew" not in found.textless


def test_a_wait_that_aws_asks_for_is_told(server: Bedrock) -> None:
    """Retry-After is the asker's to honour."""
    server.fail(error("ThrottlingException", 429, retry_after="7"))
    found = failure(side(server))
    assert isinstance(found, ThrottledError)
    assert found.retry_after == 7.0


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_is_tried_again_behind_our_back(server: Bedrock, operation: str) -> None:
    """One attempt is one request: botocore itself retries nothing; the asker does, until one is answered."""
    server.fail(error("ThrottlingException", 429), error("InternalServerException", 500), breaks_off)
    answer = side(server, operation, retries=5).ask(REQUEST)
    assert isinstance(answer.found, PairScores)
    assert answer.asked.attempts == len(server.got) == 4
    assert answer.asked.usage.calls == server.answered[operation] == 1


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_refused_side_asks_nothing_more(server: Bedrock, operation: str) -> None:
    """One request, whatever the number of retries; the next turn says why."""
    server.fail(then=error("AccessDeniedException", 403, "not you"))
    reranker = side(server, operation, retries=5)
    assert isinstance(failure(reranker), RefusedError)
    assert "not you" in str(failure(reranker))
    assert len(server.got) == 1


def test_one_invalid_request_stops_nothing_that_has_worked(server: Bedrock) -> None:
    """A side whose form has been answered before goes on: the request is what is wrong."""
    server.fail(None, error("ValidationException", 400, "this query"), None)
    reranker = side(server)
    assert isinstance(reranker.ask(REQUEST).found, PairScores)
    found = failure(reranker)
    assert (type(found), reranker.stopped) == (RemoteError, None)
    assert isinstance(reranker.ask(REQUEST).found, PairScores)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_answer_that_hangs_ends_with_the_turn(server: Bedrock, operation: str) -> None:
    """Within the deadline, however patient reading is."""
    server.fail(then=hangs)
    found = failure(side(server, operation, turn_deadline=0.3, read_timeout=50.0))
    assert "gave no whole answer in the 0." in str(found)
    assert not server.ended.is_set()


def test_closing_ends_what_is_under_way(server: Bedrock) -> None:
    """For Ctrl-C: whoever waits for an answer is told at once, and nothing is sent any more."""
    under_way = threading.Event()

    def noticed(bedrock: Bedrock, reply: Reply) -> Reply:
        under_way.set()
        return hangs(bedrock, reply)

    server.fail(then=noticed)
    reranker = side(server, read_timeout=50.0)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(failure, reranker)
        assert under_way.wait(30)
        reranker.close()
        assert "this side was stopped" in str(asked.result(30))
    assert not server.ended.is_set()
    assert "this side was stopped" in str(failure(reranker))
    assert len(server.got) == 1


def test_an_answer_without_end_is_not_read(server: Bedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a most that is read of an answer."""
    monkeypatch.setattr("shadowdiff.remote.aws.MOST_BYTES", 10_000)
    server.fail(aws.says("x" * 10_001))
    assert "answers with more than 10000 bytes" in str(failure(side(server)))


def _repeats_what_it_was_sent(bedrock: Bedrock, _: Reply) -> Reply:
    told = f"{bedrock.got[-1].headers} {' '.join(SECRETS)}".replace("\n", " ")
    return error("InvalidSignatureException", 403, told[:150] + " ".join(SECRETS))(bedrock, Reply(b""))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_secrets_that_aws_repeats_are_not_quoted(server: Bedrock, operation: str) -> None:
    """Keys and session token are taken out of whatever an error says."""
    faults: list[Fault] = [_repeats_what_it_was_sent, error("ThrottlingException", 429, " ".join(SECRETS))]
    for fault in faults:
        server.fail(fault)
        assert "[secret]" in str(failure(side(server, operation)))


def test_a_wrong_key_is_refused(server: Bedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server verifies signatures, so that the other tests say something."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    found = failure(side(server))
    assert isinstance(found, RefusedError)
    assert "answers InvalidSignatureException" in str(found)
    assert "renew the AWS credentials" in str(found)


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """An authority of this test's own; its certificate lies in authority.pem."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    return made


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[Bedrock]:
    """A server whose certificate is that authority's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with bedrock_server(context) as running:
        yield running


def test_a_bedrock_api_key_is_used_where_boto3_uses_it(
    tls_server: Bedrock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the models themselves; the Rerank API wants a signature, and says so."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", aws.API_KEY)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    for operation in ("InvokeModel", "Converse"):
        reranker = side(tls_server, operation)
        assert isinstance(reranker.ask(REQUEST).found, PairScores)
        assert "found (AWS_BEARER_TOKEN_BEDROCK)" in " ".join(finding.what for finding in reranker.check(online=False))
        tls_server.fail(error("AccessDeniedException", 403, f"not with {aws.API_KEY}"))
        assert "not with [secret]" in str(failure(reranker))
    reranker = side(tls_server, "Rerank")
    assert "there are no AWS credentials" in str(failure(reranker))
    assert "none in the environment" in " ".join(finding.what for finding in reranker.check(online=False))


def test_authorities_are_those_of_the_aws_configuration(
    tls_server: Bedrock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS_CA_BUNDLE counts, as it does for boto3; without it, nobody vouches for the server, and nothing is sent."""
    refused = failure(side(tls_server))
    assert isinstance(refused, RefusedError)
    assert "certificate that is not trusted" in str(refused)
    assert not tls_server.got
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    assert isinstance(side(tls_server).ask(REQUEST).found, PairScores)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "nothing.pem"))
    with pytest.raises(ConfigError, match="which is no file"):
        side(tls_server).prepare()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_several_threads_ask_at_once(server: Bedrock, operation: str) -> None:
    """Each gets its own answer, over connections that are used again."""
    reranker = side(server, operation, retries=4)
    requests = [ScoreRequest(f"word{number}", (f"word{number}", "none", f"a word{number}")) for number in range(24)]
    server.fail(*[error("ThrottlingException", 429)] * 3)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(reranker.ask, requests))
    for answer in answers:
        assert isinstance(answer.found, PairScores), answer.found
        assert answer.found.scores[1] == min(answer.found.scores)
    assert server.answered[operation] == 24


def test_a_bad_day_loses_nothing_and_pays_for_nothing_twice(server: Bedrock) -> None:
    """Throttled at 30% of calls and broken at 5%: every request is answered, and exactly once."""
    draw = random.Random(7)  # noqa: S311 a plan, not a secret
    faults = [(0.30, error("ThrottlingException", 429)), (0.35, error("InternalServerException", 500))]
    places = [draw.random() for _ in range(400)]
    server.fail(*(next((fault for share, fault in faults if place < share), None) for place in places))
    reranker = side(server, retries=12, requests_per_minute=60_000.0)
    requests = [ScoreRequest(f"word{number}", (f"word{number}", "none")) for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(reranker.ask, requests))
    assert all(answer.found == PairScores((1.0, 0.0), (False, False)) for answer in answers)
    assert server.answered["Rerank"] == sum(answer.asked.usage.calls for answer in answers) == 60
    assert len(server.got) == sum(answer.asked.attempts for answer in answers) > 60
