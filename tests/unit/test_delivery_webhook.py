"""A message to a webhook: what is tried again, what is not, that it ends in time, and that its URL is never shown."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator

import pytest
import trustme

from shadowdiff.delivery.webhook import deliver_webhook, webhook_from
from shadowdiff.errors import ConfigError, DeliveryError
from shadowdiff.remote.secrets import Secret
from tests.clocks import long_pauses
from tests.faults import Answering, Faulty, Request, faulty_server
from tests.servers import nobody

PATH = "/services/T0PLANTED/B0PLANTED/hidden7f3a?sig=planted"
MESSAGE = {"text": "Nacht 北京 & <b>", "blocks": []}


def ok(request: Request) -> None:
    """As Slack says it: no JSON."""
    request.answer(200, b"ok", content_type="text/html")


def in_turn(*answers: Answering) -> Answering:
    """Each for one request, the last one for all that follow."""
    rest: Iterator[Answering] = iter(answers[:-1])

    def answer(request: Request) -> bool | None:
        return next(rest, answers[-1])(request)

    return answer


def status(number: int, **headers: str) -> Answering:
    """An answer with a body that quotes the path."""
    return lambda request: request.answer(number, json.dumps({"error": request.path}).encode(), **headers)


def dropped(request: Request) -> bool:
    """The connection ends."""
    return False


def failing(server: Faulty, deadline: float) -> str:
    """The line that a delivery fails with: its host is all that it shows of the URL."""
    with pytest.raises(DeliveryError) as caught:
        deliver_webhook(Secret(server.url + PATH), MESSAGE, deadline=deadline)
    said = f"{caught.value} {caught.value!r} {caught.value.__cause__}"
    assert not any(part in said for part in ("PLANTED", "hidden7f3a", "planted", "services"))
    assert server.url.removeprefix("http://") in said
    return str(caught.value)


def test_the_message_arrives_as_it_is() -> None:
    """One POST of JSON in UTF-8, to the whole URL, query and all."""
    with faulty_server(ok) as server:
        deliver_webhook(Secret(server.url + PATH), MESSAGE)
        (sent,) = server.got
    assert (sent.method, sent.path, json.loads(sent.body)) == ("POST", PATH, MESSAGE)
    assert sent.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    "trouble",
    [status(429, retry_after="0"), status(500), status(503, retry_after="0.05"), dropped, status(529)],
    ids=["429", "500", "503", "dropped", "529"],
)
def test_what_may_pass_is_tried_again(trouble: Answering) -> None:
    """Twice, and then it is answered: delivered once, with no error."""
    with faulty_server(in_turn(trouble, trouble, ok)) as server:
        deliver_webhook(Secret(server.url + PATH), MESSAGE)
        assert [json.loads(request.body) for request in server.got] == [MESSAGE] * 3


def test_a_wait_that_is_asked_for_is_kept() -> None:
    """Retry-After: not before it; and where it is longer than the deadline, nobody waits for nothing."""
    times: list[float] = []

    def timed(then: Answering) -> Answering:
        def answer(request: Request) -> bool | None:
            times.append(time.monotonic())
            return then(request)

        return answer

    with faulty_server(in_turn(timed(status(429, retry_after="0.6")), timed(ok))) as server:
        deliver_webhook(Secret(server.url + PATH), MESSAGE)
        assert times[1] - times[0] >= 0.6
    with faulty_server(status(429, retry_after="3600")) as server:
        said = failing(server, deadline=30.0)
        assert "answers 429 Too Many Requests" in said
        assert "leaves no time to wait 3600.0 s" in said
        assert len(server.got) == 1


@pytest.mark.parametrize(
    ("number", "advice"), [(400, "Slack-compatible"), (403, "still valid"), (404, "still valid"), (410, "still valid")]
)
def test_a_refusal_is_final(number: int, advice: str) -> None:
    """Asked once, with a hint at what may be wrong."""
    with faulty_server(status(number)) as server:
        said = failing(server, deadline=30.0)
        assert said.startswith("the webhook was not told: 127.0.0.1:")
        assert f"answers {number} " in said
        assert advice in said
        assert len(server.got) == 1


def test_a_redirect_is_not_followed() -> None:
    """The message goes to nobody that was not named."""
    with faulty_server(ok) as elsewhere:
        with faulty_server(status(307, location=elsewhere.url + PATH)) as server:
            assert "redirects are not followed" in failing(server, deadline=30.0)
        assert elsewhere.got == []


@pytest.mark.parametrize(
    "answer",
    [Request.hang, lambda request: request.drip(b"HTTP/1.1 200 OK\r\nx-long: " + b"y" * 10_000, 0.02)],
    ids=["hangs", "drips"],
)
def test_it_ends_with_the_deadline(answer: Answering) -> None:
    """Whatever the server does, and however long a read may take."""
    with faulty_server(answer) as server:
        assert "gave no whole answer in the 0." in failing(server, deadline=0.6)


@pytest.mark.parametrize(
    ("answer", "said"), [(status(502), "502 Bad Gateway"), (dropped, "gives no answer")], ids=["502", "dropped"]
)
def test_what_does_not_pass_is_told(answer: Answering, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the next pause is longer than what is left of the deadline."""
    long_pauses(monkeypatch)
    with faulty_server(answer) as server:
        assert said in failing(server, deadline=30.0)


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told as well."""
    long_pauses(monkeypatch)
    with nobody() as url:
        assert "gives no answer: ConnectError" in failing(Faulty(url), deadline=30.0)


def test_a_certificate_that_nobody_vouches_for() -> None:
    """Nothing is sent to whoever shows it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with faulty_server(ok, context) as server:
        named = Faulty(server.url.replace("127.0.0.1", "localhost"))
        with pytest.raises(DeliveryError, match="shows a certificate that is not trusted"):
            deliver_webhook(Secret(named.url + PATH), MESSAGE)
        assert server.got == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://hooks.example.com/hidden7f3a", "on hooks.example.com is plain http"),
        ("https://me:hidden7f3a@hooks.example.com/x", "on hooks.example.com holds a user"),
        ("hooks.example.com/hidden7f3a", "is none"),
        ("ftp://hooks.example.com/hidden7f3a", "is none"),
        ("https://hooks.example.com:99999/hidden7f3a", "is none"),
        ("https:///hidden7f3a", "is none"),
    ],
)
def test_urls_that_may_not_be_used(
    url: str, said: str, monkeypatch: pytest.MonkeyPatch, refused: Callable[[str], str]
) -> None:
    """Refused before a night begins, without the URL."""
    monkeypatch.setenv("MY_WEBHOOK", url)
    assert said in refused("MY_WEBHOOK")


def test_a_variable_without_a_url(monkeypatch: pytest.MonkeyPatch, refused: Callable[[str], str]) -> None:
    """Says which to set; with one, it is the URL, and known as a secret."""
    monkeypatch.delenv("MY_WEBHOOK", raising=False)
    assert "set MY_WEBHOOK in the environment" in refused("MY_WEBHOOK")
    monkeypatch.setenv("MY_WEBHOOK", "https://hooks.example.com" + PATH)
    assert webhook_from("MY_WEBHOOK").reveal() == "https://hooks.example.com" + PATH


@pytest.fixture
def refused() -> Callable[[str], str]:
    """What reading the URL from a variable is refused with."""

    def reading(variable: str) -> str:
        with pytest.raises(ConfigError) as caught:
            webhook_from(variable)
        assert "hidden7f3a" not in str(caught.value)
        return str(caught.value)

    return reading
