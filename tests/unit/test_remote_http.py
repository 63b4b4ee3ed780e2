"""What HTTP may answer, or fail to, and which error it is; over the real loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from shadowdiff.errors import RefusedError, RemoteError, ThrottledError, TransientError
from shadowdiff.remote.http import HttpCaller
from shadowdiff.remote.secrets import Secret
from shadowdiff.remote.settings import ProviderSettings
from tests.faults import Answering, Faulty, Request, faulty_server

KEY = Secret("sk-planted-5a1e9c")
Caller = Callable[..., tuple[HttpCaller, Faulty]]
SAID = b'{"error": {"message": "the key sk-planted-5a1e9c\\nis odd"}}'


@pytest.fixture
def calling() -> Iterator[Caller]:
    """A caller of a server that answers as given; both are gone after the test."""
    ends: list[Callable[[], object]] = []

    def make(answering: Answering, settings: ProviderSettings | None = None, **more: Any) -> tuple[HttpCaller, Faulty]:
        running = faulty_server(answering)
        server = running.__enter__()
        ends.append(lambda: running.__exit__(None, None, None))
        headers = {"authorization": f"Bearer {KEY.reveal()}"}
        http = HttpCaller(f"{server.url}/base/", headers, settings or ProviderSettings(), name="x", **more)
        ends.append(http.close)
        return http, server

    yield make
    for end in reversed(ends):
        end()


def failing(http: HttpCaller, path: str = "/rerank", **how: Any) -> RemoteError:
    """The error that a call ends in; it never shows the key."""
    with pytest.raises(RemoteError) as caught:
        http.post(path, {}, **how)
    error = caught.value
    assert KEY.reveal() not in f"{error} {error.textless} {error!r}"
    return error


def test_what_is_sent_and_what_comes_back(calling: Caller) -> None:
    """The path below the base URL, JSON in UTF-8, the headers given."""
    http, server = calling(lambda request: request.answer(200, '{"scores": [1, "é"]}'.encode()))
    assert http.post("/rerank", {"query": "naïve 北京"}) == {"scores": [1, "é"]}
    sent = server.got[0]
    assert (sent.path, json.loads(sent.body)) == ("/base/rerank", {"query": "naïve 北京"})
    assert "北京" in sent.body.decode()
    assert sent.headers["authorization"] == "Bearer sk-planted-5a1e9c"
    assert sent.headers["content-type"] == "application/json"


def test_half_characters_are_made_sendable(calling: Caller) -> None:
    """A lone surrogate, which no UTF-8 can say, arrives as U+FFFD, in keys and lists too."""
    http, server = calling(lambda request: request.answer(200))
    http.post("", {"a\ud800": ["b\udfff", {"c": "\ude00d"}, 1, None, True]})
    assert json.loads(server.got[0].body) == {"a\ufffd": ["b\ufffd", {"c": "\ufffdd"}, 1, None, True]}


def test_connections_are_used_again(calling: Caller) -> None:
    """No handshake in every latency; as many connections as there are calls at a time."""
    together = threading.Barrier(3)

    def answer(request: Request) -> None:
        if request.path.endswith("/together"):
            together.wait(30)
        request.answer(200)

    http, server = calling(answer)
    for _ in range(4):
        http.post("", {})
    assert {request.connection for request in server.got} == {0}
    threads = [threading.Thread(target=http.post, args=("/together", {})) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {request.connection for request in server.got[4:]} == {0, 1, 2}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, RefusedError) for status in (400, 401, 402, 403, 404, 405, 410, 422)),
        *((status, RemoteError) for status in (406, 411, 413, 414, 418, 451)),
        *((status, TransientError) for status in (408, 409, 424, 425, 500, 501, 502, 503, 504, 520, 599)),
        *((status, ThrottledError) for status in (429, 529)),
        *((status, RefusedError) for status in (301, 302, 303, 307, 308)),
    ],
)
def test_every_status_is_one_of_our_errors(calling: Caller, status: int, kind: type[RemoteError]) -> None:
    """Exactly that class. The message quotes one line of the provider; the textless form, nothing."""
    http, server = calling(lambda request: request.answer(status, SAID))
    error = failing(http)
    host = server.url.removeprefix("http://")
    assert type(error) is kind
    assert error.textless.startswith(f"{host} answers {status}")
    assert "odd" not in error.textless
    assert "key" not in error.textless
    if status >= 400:
        assert str(error) == f"{error.textless}: the key [secret]"


def test_statuses_that_concern_the_request_alone(calling: Caller) -> None:
    """A side says which; the others of their kind still stop it."""
    codes = iter((413, 422, 401))
    http, _ = calling(lambda request: request.answer(next(codes)), turn_fails=frozenset({413, 422}))
    assert [type(failing(http)) for _ in range(3)] == [RemoteError, RemoteError, RefusedError]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "overloaded", "error_type": "overloaded"}', "overloaded"),
        (b'{"message": "no such model"}', "no such model"),
        (b'{"detail": "no credit"}', "no credit"),
        (b'{"detail": [{"loc": ["body"], "msg": "field required"}]}', "field required"),
        (b'{"error": {"detail": {"message": "deep"}}}', "deep"),
        (b'{"message": "", "error": "second"}', "second"),
        (b'{"message": "' + b"x" * 500 + b'"}', "x" * 200),
        ('{"message": "' + "x" * 190 + KEY.reveal() + '"}', "x" * 190 + "[secret]"),
        (b'{"other": "never shown"}', None),
        (b"<html>never shown</html>", None),
        (b"[" * 100_000, None),
        (b"\xff\xfe", None),
        (b"", None),
    ],
)
def test_what_the_provider_says_of_it(calling: Caller, body: bytes | str, said: str | None) -> None:
    """From the fields that providers use, nested too; else nothing."""
    answer = body.encode() if isinstance(body, str) else body
    http, _ = calling(lambda request: request.answer(400, answer))
    error = failing(http)
    assert str(error) == (f"{error.textless}: {said}" if said else error.textless)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), ("1.5", 1.5), ("soon", None), ("-3", None), ("", None), ("inf", None), ("9" * 400, None)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds(calling: Caller, status: int, header: str, seconds: float | None) -> None:
    """Of a 429 and of a 503; what is not a number says nothing."""
    http, _ = calling(lambda request: request.answer(status, retry_after=header))
    error = failing(http)
    assert isinstance(error, ThrottledError | TransientError)
    assert error.retry_after == seconds


@pytest.mark.parametrize("offset", [timedelta(seconds=90), timedelta(seconds=-90)])
def test_retry_after_as_a_date(calling: Caller, offset: timedelta) -> None:
    """Counted from the server's own date, as its clock may be another; the past is now."""
    servers = datetime(2020, 1, 1, tzinfo=UTC)
    dates = {
        "date": format_datetime(servers, usegmt=True),
        "retry_after": format_datetime(servers + offset, usegmt=True),
    }
    http, _ = calling(lambda request: request.answer(429, **dates))
    error = failing(http)
    assert isinstance(error, ThrottledError)
    assert error.retry_after == max(0.0, offset.total_seconds())


def test_retry_after_as_a_date_from_a_server_without_a_clock(calling: Caller) -> None:
    """Then ours has to do."""
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    http, _ = calling(lambda request: request.answer(429, retry_after=later))
    error = failing(http)
    assert isinstance(error, ThrottledError)
    assert error.retry_after is not None
    assert 3_000 < error.retry_after <= 3_600


def test_redirects_are_not_followed(calling: Caller) -> None:
    """Texts and key would go to a host that nobody named; the error names it, the textless form does not."""
    http, server = calling(lambda request: request.answer(307, location=f"https://else.where/?k={KEY.reveal()}"))
    error = failing(http)
    assert "to 'https://else.where/?k=[secret]'" in str(error)
    assert "else.where" not in error.textless
    assert "redirects are not followed" in error.textless
    assert len(server.got) == 1


def test_a_hang_ends_with_the_read_timeout(calling: Caller) -> None:
    """To be tried again."""
    http, _ = calling(Request.hang, ProviderSettings(read_timeout=0.2))
    error = failing(http)
    assert type(error) is TransientError
    assert error.textless.endswith("gives no answer: ReadTimeout")


@pytest.mark.parametrize(
    "dripped",
    [
        b"HTTP/1.1 200 OK\r\nx-padding: " + b"x" * 5_000,
        b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b" " * 5_000,
    ],
)
def test_a_slow_drip_ends_with_the_time_that_is_left(calling: Caller, dripped: bytes) -> None:
    """However often a byte comes, of the headers or of the body; the next call has a connection of its own."""
    http, _ = calling(lambda request: request.answer(200) if request.connection else request.drip(dripped, 0.01))
    began = time.monotonic()
    error = failing(http, within=0.3)
    assert time.monotonic() - began < 20
    assert type(error) is TransientError
    assert error.textless.endswith("gave no whole answer in the 0.3 s that were left")
    assert http.post("", {}) == {}


def test_a_drip_without_length_is_cut_as_well(calling: Caller) -> None:
    """There the cut looks like the end of the answer."""
    dripped = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[" + b" " * 5_000
    http, _ = calling(lambda request: request.drip(dripped, 0.01))
    assert type(failing(http, within=0.3)) is TransientError


def test_a_turn_without_time_left_sends_nothing_for_long(calling: Caller) -> None:
    """A deadline that has passed is no reason for a traceback."""
    http, _ = calling(Request.hang)
    assert type(failing(http, within=-1.0)) is TransientError


@pytest.mark.parametrize(
    "answered",
    [
        b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"scores": [1',
        b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"sco\r\n',
        b'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{"scores": [1',
        b"HTTP/1.1 200 OK\r\ncontent-len",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
        b"no HTTP at all\r\n\r\n",
        b"",
    ],
)
def test_what_breaks_off_is_tried_again(calling: Caller, answered: bytes) -> None:
    """A dropped connection, before, within and after the headers; an answer that is no HTTP."""

    def broken(request: Request) -> bool:
        request.write(answered)
        return False

    http, _ = calling(broken)
    assert type(failing(http)) is TransientError


def test_nobody_listens() -> None:
    """A refused connection is tried again."""
    with faulty_server(lambda request: None) as server:
        url = server.url
    http = HttpCaller(url, {}, ProviderSettings(connect_timeout=5), name="x")
    error = failing(http)
    assert type(error) is TransientError
    assert "ConnectError" in error.textless


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[1, 2", b"\xff", b"[" * 100_000])
def test_what_is_not_json_fails_the_turn(calling: Caller, body: bytes) -> None:
    """Whole, and useless: asking again would cost again."""
    http, _ = calling(lambda request: request.answer(200, body))
    error = failing(http)
    assert type(error) is RemoteError
    assert error.textless.endswith("answers with what is not JSON")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"1"])
def test_json_of_a_wrong_kind_fails_the_turn(calling: Caller, body: bytes) -> None:
    """An object unless a side expects a list."""
    http, _ = calling(lambda request: request.answer(200, body))
    error = failing(http)
    assert type(error) is RemoteError
    assert "JSON of a wrong kind" in error.textless


def test_a_list_where_one_is_expected(calling: Caller) -> None:
    """As TEI answers."""
    http, _ = calling(lambda request: request.answer(200, b'[{"index": 0}]'))
    assert http.post("/rerank", {}, kind=list) == [{"index": 0}]


def test_an_answer_without_end_is_not_read_to_it(calling: Caller) -> None:
    """Memory is bounded, by default at 64 MiB."""
    http, _ = calling(lambda request: request.answer(200, b" " * 70_000), most_bytes=65_536)
    error = failing(http)
    assert type(error) is RemoteError
    assert "more than 65536 bytes" in error.textless


def test_closing_ends_what_is_under_way(calling: Caller) -> None:
    """Ctrl-C leaves no request hanging, however long the timeouts; and nothing is sent any more."""
    hanging = threading.Event()

    def hang(request: Request) -> None:
        hanging.set()
        request.hang()

    http, server = calling(hang, ProviderSettings(read_timeout=300))
    found: list[RemoteError] = []
    asking = threading.Thread(target=lambda: found.append(failing(http)))
    asking.start()
    assert hanging.wait(30)
    http.close()
    asking.join(30)
    assert not asking.is_alive()
    for error in (found[0], failing(http)):
        assert type(error) is RemoteError
        assert "was stopped" in error.textless
    assert len(server.got) == 1


def test_proxies_are_not_used_for_this_machine(calling: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    http, _ = calling(lambda request: request.answer(200, b'{"direct": true}'))
    assert http.post("", {}) == {"direct": True}


def test_proxies_are_used_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the environment says; they can be cut like a direct connection."""

    def answer(request: Request) -> None:
        if request.path.endswith("/hang"):
            request.hang()
        request.answer(200, json.dumps({"asked": request.path}).encode())

    with faulty_server(answer) as proxy:
        for name in ("NO_PROXY", "no_proxy", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        settings = ProviderSettings(allow_plain_http=True)
        http = HttpCaller("http://rerank.invalid", {}, settings, name="x")
        assert http.post("/v1", {}) == {"asked": "http://rerank.invalid/v1"}
        assert "gave no whole answer" in failing(http, path="/hang", within=0.3).textless
        http.close()
