"""POST and a JSON answer: how sides speak to providers over HTTP.

    http = HttpCaller("https://api.cohere.com", {"authorization": f"Bearer {key.reveal()}"}, settings, name="cohere")
    answer = http.post("/v2/rerank", body, within=exchange.left)

What goes wrong is one of our errors, with the provider's own words in the
message and without them in the textless form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shadowdiff.errors import RemoteError, TransientError
from shadowdiff.remote.address import Address, checked_address
from shadowdiff.remote.lines import Line, Lines
from shadowdiff.remote.outcomes import error_from, error_of
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.remote.texts import encoded

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 64 * 2**20
"""Of an answer, decompressed."""
TURN_FAILS = frozenset({413})
"""Statuses that say something of the one request."""


class HttpHost:
    """Requests to one host, each within its time, over lines that can be cut. For several threads."""

    def __init__(
        self,
        address: Address,
        settings: ProviderSettings,
        *,
        turn_fails: Set[int] = TURN_FAILS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """`turn_fails`: statuses that concern only the request at hand. Opens no connection."""
        self.address = address
        self._settings = settings
        self._turn_fails = turn_fails
        self._most_bytes = most_bytes
        self._lines = Lines(tls=address.tls, proxies=not address.loopback)

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], content: bytes | None, seconds: float
    ) -> tuple[httpx.Headers, bytes]:
        """Headers and body of a good answer, which has come whole within so many seconds.

        `path` goes on from the address. Raises RemoteError and its subclasses.
        """
        if self._lines.closed:
            raise self._stopped()
        with self._lines.line() as line, self._told(line, seconds), line.limited(seconds):
            request = line.client.build_request(
                method,
                self.address.base + path,
                content=content,
                headers=dict(headers),
                timeout=self._timeout(seconds),
                extensions={"trace": line.trace},
            )
            return self._sent(line, request)

    def close(self) -> None:
        """End what is under way; every request from now on fails."""
        self._lines.close()

    def _sent(self, line: Line, request: httpx.Request) -> tuple[httpx.Headers, bytes]:
        """Headers and body of a good answer; other ones are raised."""
        response = line.client.send(request, stream=True)
        try:
            read = self._body(response)
        finally:
            response.close()
        if not response.is_success:
            raise error_of(self.address.host, response.status_code, response.headers, read, self._turn_fails)
        return response.headers, read

    def _timeout(self, seconds: float) -> httpx.Timeout:
        """Nobody can cut a line that is not connected yet, so connecting has a limit of its own."""
        import httpx

        connect = min(self._settings.connect_timeout, max(seconds, 0.001))
        return httpx.Timeout(self._settings.read_timeout, connect=connect)

    def _body(self, response: httpx.Response) -> bytes:
        found = bytearray()
        for piece in response.iter_bytes():
            found += piece
            if len(found) > self._most_bytes:
                said = f"{self.address.host} answers with more than {self._most_bytes} bytes"
                raise RemoteError(said, said)
        return bytes(found)

    @contextmanager
    def _told(self, line: Line, seconds: float) -> Iterator[None]:
        """What goes wrong on a line, as an error of ours."""
        import httpx

        host = self.address.host
        try:
            yield
        except (httpx.HTTPError, OSError) as error:
            if self._lines.closed:
                raise self._stopped() from None
            if line.is_cut:
                said = f"{host} gave no whole answer in the {seconds:.1f} s that were left"
                raise TransientError(said, said) from None
            raise error_from(host, error) from error

    def _stopped(self) -> RemoteError:
        said = f"{self.address.host} is asked nothing more: this side was stopped"
        return RemoteError(said, said)


class HttpCaller:
    """One side's connections to one base URL. For several threads."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        settings: ProviderSettings,
        *,
        name: str,
        turn_fails: Set[int] = TURN_FAILS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """`name` is the table [providers.NAME] that `settings` come from; headers may hold secrets.

        `turn_fails`: statuses that concern only the request at hand, where others of
        their kind stop the side. Opens no connection. Raises ConfigError for a URL
        that may not be asked.
        """
        self.address = checked_address(base_url, settings, name)
        self._headers = {**headers, "content-type": "application/json", "accept": "application/json"}
        self._turn_deadline = settings.turn_deadline
        self._host = HttpHost(self.address, settings, turn_fails=turn_fails, most_bytes=most_bytes)

    def post(self, path: str, body: Any, within: float | None = None, kind: type[Any] = dict) -> Any:
        """The answer's JSON, which is of `kind`: dict or list.

        `path` begins with a slash or is empty. The whole answer must have come
        `within` so many seconds; None: within a turn's deadline. Raises RemoteError
        and its subclasses.
        """
        return self._asked("POST", path, encoded(body), within, kind)

    def get(self, path: str, within: float | None = None, kind: type[Any] = dict) -> Any:
        """The same without a body: what a server tells of itself."""
        return self._asked("GET", path, None, within, kind)

    def close(self) -> None:
        """End what is under way; every call from now on fails."""
        self._host.close()

    def _asked(self, method: str, path: str, content: bytes | None, within: float | None, kind: type[Any]) -> Any:
        seconds = self._turn_deadline if within is None else within
        return self._parsed(*self._host.answer(method, path, self._headers, content, seconds), kind)

    def _parsed(self, headers: httpx.Headers, body: bytes, kind: type[Any]) -> Any:
        host = self.address.host
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            if not {"content-length", "transfer-encoding"} & set(headers):
                said = f"{host} answers with JSON that breaks off"  # nothing but the closed connection marks its end
                raise TransientError(said, said) from None
            said = f"{host} answers with what is not JSON"
            raise RemoteError(said, said) from None
        if not isinstance(found, kind):
            said = f"{host} answers with JSON of a wrong kind ({type(found).__name__}, not {kind.__name__})"
            raise RemoteError(said, said)
        return found
