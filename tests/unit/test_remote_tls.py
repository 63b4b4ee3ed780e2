"""Certificates are always asked for: who shows none that is trusted gets nothing."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from shadowdiff.errors import ConfigError, RefusedError, TransientError
from shadowdiff.remote.address import checked_address, is_loopback
from shadowdiff.remote.http import HttpCaller
from shadowdiff.remote.settings import ProviderSettings
from tests.faults import Request, faulty_server


def serving(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """What a server shows a certificate with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def asked(url: str) -> object:
    """One call."""
    http = HttpCaller(url, {}, ProviderSettings(), name="x")
    try:
        return http.post("", {})
    finally:
        http.close()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """The one that SSL_CERT_FILE names."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return made


def test_a_certificate_of_nobody_we_trust_is_refused() -> None:
    """The side stops: it will be the same certificate the next time. Nothing was sent."""
    with faulty_server(lambda request: request.answer(200), serving(trustme.CA(), "127.0.0.1")) as server:
        with pytest.raises(RefusedError, match="certificate that is not trusted; SSL_CERT_FILE") as caught:
            asked(server.url)
        assert "SSL_CERT_FILE" not in caught.value.textless
        assert server.got == []


def test_a_certificate_of_another_host_is_refused(authority: trustme.CA) -> None:
    """Even of an authority that is trusted."""
    with faulty_server(lambda request: request.answer(200), serving(authority, "else.where")) as server:
        with pytest.raises(RefusedError, match="certificate that is not trusted"):
            asked(server.url)
        assert server.got == []


def test_own_authorities_are_trusted_by_name(authority: trustme.CA) -> None:
    """SSL_CERT_FILE, as the error says."""
    with faulty_server(lambda request: request.answer(200, b'{"a": 1}'), serving(authority, "127.0.0.1")) as server:
        assert asked(server.url) == {"a": 1}


def test_a_server_that_speaks_no_tls_gets_nothing() -> None:
    """The handshake fails; that may pass."""
    with faulty_server(lambda request: request.answer(200)) as server:
        with pytest.raises(TransientError, match="ConnectError"):
            asked(server.url.replace("http:", "https:"))
        assert server.got == []


def test_time_limits_hold_over_tls(authority: trustme.CA) -> None:
    """A cut ends a read through TLS as it does in plain."""

    def answer(request: Request) -> None:
        request.answer(200) if request.path == "/first" else request.hang()

    with faulty_server(answer, serving(authority, "127.0.0.1")) as server:
        http = HttpCaller(server.url, {}, ProviderSettings(read_timeout=300), name="x")
        http.post("/first", {})  # the handshake may take its time
        with pytest.raises(TransientError, match="gave no whole answer"):
            http.post("", {}, within=0.3)
        http.close()


@pytest.mark.parametrize(
    "url", ["http://10.0.0.7:8080", "http://rerank.internal", "http://128.0.0.1", "http://localhost.x"]
)
def test_plain_http_leaves_this_machine_by_leave_only(url: str) -> None:
    """The error names the key to set."""
    with pytest.raises(ConfigError, match=r"allow_plain_http = true in \[providers\.tei\]"):
        checked_address(url, ProviderSettings(), "tei")
    address = checked_address(url, ProviderSettings(allow_plain_http=True), "tei")
    assert (address.loopback, address.tls) == (False, False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST", "[::1]"])
def test_this_machine_may_be_asked_in_plain(host: str) -> None:
    """Texts do not leave it."""
    address = checked_address(f"http://{host}:8080/api/", ProviderSettings(), "tei")
    assert (address.base, address.host, address.loopback) == (f"http://{host}:8080/api", f"{host}:8080", True)


@pytest.mark.parametrize("host", ["0.0.0.0", "127.1", "", "::", "localhost.localdomain", "2130706433"])  # noqa: S104
def test_what_only_looks_like_this_machine(host: str) -> None:
    """No form that another resolver may read in another way."""
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "url",
    [
        *("https://user:hunter2@host", "https://hunter2@host/x", "user:hunter2@host", "https://host/@hunter2"),
        *("https://host/?key=hunter2", "https://host/#hunter2", "ftp://host/?key=hunter2"),
        *(
            "host:8080",
            "https://",
            "//host",
            "",
            "https://host:99999",
            "https://ho st",
            "https://host/\x1b[2J",
            "http://[::1",
        ),
    ],
)
def test_what_is_no_url_of_a_provider(url: str) -> None:
    """Refused before anything is sent; what may be a password is not shown."""
    with pytest.raises(ConfigError) as caught:
        checked_address(url, ProviderSettings(allow_plain_http=True), "x")
    assert "hunter2" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
