"""A provider on the loopback: real HTTP, one documented form, faults on demand."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from tests.providers.faults import Fault, Faults
from tests.providers.forms import FORMS, Call, Form, Refusal

RETRY_AFTER = "0.05"
"""Seconds; real ones send whole numbers, for which a test would have to wait."""
DRIP_SECONDS = 0.002
KEY = "planted-key-7f3a91"
"""What a server asks for where a test says nothing else."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came, and how it ended."""

    path: str
    body: Any
    authorization: str | None
    status: int
    """0: no status was sent."""
    fault: Fault | None


class ProviderServer:
    """Serves one form until the end of a `with` block.

    `answered` counts the calls that were answered well, by (query, documents);
    `requests` are all that came, in the order in which they ended.
    """

    def __init__(
        self,
        form: str,
        faults: Faults | None = None,
        *,
        key: str | None = KEY,
        most: int | None = None,
        seconds: float = 0.0,
        port: int = 0,
    ) -> None:
        """`most` documents per call instead of the form's own; `seconds` is how long a call takes.

        `key` is what calls must be authorised with, where the form asks for any, or
        None: they need not be.
        """
        self.name, self.form = form, FORMS[form]
        self.key, self.most, self.seconds = key, most or self.form.most, seconds
        self.answered: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.requests: list[Request] = []
        self.tells_limit = form == "tei"
        """Whether GET /info says how many documents a call may hold."""
        self.closing = threading.Event()
        self._faults = faults or Faults()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """Its base, without a path."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> ProviderServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()
        if self._server.bugs and error is None:
            raise self._server.bugs[0]

    def next_fault(self) -> Fault | None:
        """What happens to this call."""
        with self._lock:
            return self._faults.next()

    def answered_well(self, call: Call) -> None:
        """Count a call, before its answer leaves: what was answered was billed, whoever still reads it."""
        with self._lock:
            self.answered[call.query, call.documents] += 1

    def ended(self, request: Request) -> None:
        """Keep a request."""
        with self._lock:
            self.requests.append(request)

    def counts(self) -> dict[str, Any]:
        """What it has seen so far, as JSON."""
        with self._lock:
            statuses = Counter(request.status for request in self.requests)
            return {
                "requests": len(self.requests),
                "statuses": {str(status): count for status, count in sorted(statuses.items())},
                "answered": [
                    {"query": query, "documents": list(documents), "count": count}
                    for (query, documents), count in self.answered.items()
                ],
            }


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        self.bugs: list[BaseException] = []
        super().__init__(address, handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """A new connection, kept in mind."""
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """The end of a connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End every connection, also those on which a client may still send."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may go at any time; anything else is a bug of ours, which the end of the `with` block tells."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.bugs.append(error)


def _handler(server: ProviderServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        provider = server

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    provider: ProviderServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the library's name
        """Nothing on stderr."""

    def do_GET(self) -> None:
        """What is not a call: TEI's /info, and the server's own counts."""
        about = {"model_id": "tests/keywords", "max_client_batch_size": self.provider.most, "version": "1.8.0"}
        pages = {"/counts": self.provider.counts()} | ({"/info": about} if self.provider.tells_limit else {})
        found = pages.get(self.path)
        self._send(404, {"error": "not found"}) if found is None else self._send(200, found)

    def do_POST(self) -> None:
        """A call."""
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.provider.next_fault()
        body: Any = None
        try:
            body = json.loads(raw)
            self._check()
            call = self.provider.form.understood(body, self.provider.most)
        except (Refusal, ValueError) as error:
            status = error.status if isinstance(error, Refusal) else 400
            self._end(body, status, fault=None)
            self._send(status, self.provider.form.refusal(status, str(error)))
            return
        if self.provider.seconds:
            time.sleep(self.provider.seconds)
        self._answer(call, body, fault)

    def _check(self) -> None:
        form, key = self.provider.form, self.provider.key
        if self.path not in form.paths:
            raise Refusal(404, f"no such path: {self.path}")
        if form.needs_key and key and self.headers.get("Authorization") != f"Bearer {key}":
            raise Refusal(401, "invalid api token")
        if self.headers.get_content_type() != "application/json":
            raise Refusal(415, "the content type must be application/json")

    def _answer(self, call: Call, body: Any, fault: Fault | None) -> None:
        results = call.ranked()
        if fault is None or fault is Fault.DRIPS:
            self.provider.answered_well(call)
        act = FAULTS.get(fault) if fault else None
        status = 200 if act is None else act.status
        self._end(body, status, fault)
        if act is None:
            self._send(200, self.provider.form.answer(call, results))
        else:
            act.work(self, call, results)

    def _end(self, body: Any, status: int, fault: Fault | None) -> None:
        self.provider.ended(Request(self.path, body, self.headers.get("Authorization"), status, fault))

    def _send(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        self._send_raw(status, json.dumps(value).encode(), headers)

    def _send_raw(self, status: int, raw: bytes, headers: Mapping[str, str] | None = None, said: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(said or len(raw)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    # faults

    def refuse(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, self.provider.form.refusal(status, message), headers)

    def hang(self) -> None:
        """Until the server ends; its client has long gone."""
        self.provider.closing.wait(60)
        self.close_connection = True

    def drip(self, call: Call, results: list[tuple[int, float]]) -> None:
        raw = json.dumps(self.provider.form.answer(call, results)).encode()
        self._send_raw(200, raw[:1], said=len(raw))
        for byte in raw[1:]:
            if self.provider.closing.is_set():
                break
            time.sleep(DRIP_SECONDS)
            self.wfile.write(bytes([byte]))

    def cut(self, call: Call, results: list[tuple[int, float]]) -> None:
        raw = json.dumps(self.provider.form.answer(call, results)).encode()
        self._send_raw(200, raw[: len(raw) // 2], said=len(raw))
        self.close_connection = True

    def drop(self) -> None:
        """Reset, so that the client learns at once."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def wrong(self, call: Call, results: list[tuple[int, float]]) -> None:
        self._send(200, self.provider.form.answer(call, results))


Results = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class _Act:
    """What a fault does, and the status that it sends."""

    status: int
    work: Callable[[_Handler, Call, Results], None]


def _form(handler: _Handler) -> Form:
    return handler.provider.form


def _echoed(handler: _Handler) -> str:
    return f"invalid api token: {handler.headers.get('Authorization')}"


def _twice(results: Results) -> Results:
    return [*results[:-1], results[0]] if len(results) > 1 else [*results, *results]


FAULTS: Mapping[Fault, _Act] = {
    Fault.THROTTLED: _Act(429, lambda h, c, r: h.refuse(429, "too many requests", {"Retry-After": RETRY_AFTER})),
    Fault.THROTTLED_SILENTLY: _Act(429, lambda h, c, r: h.refuse(429, "too many requests")),
    Fault.BROKEN: _Act(500, lambda h, c, r: h.refuse(500, "internal server error")),
    Fault.OVERLOADED: _Act(503, lambda h, c, r: h.refuse(503, "overloaded", {"Retry-After": RETRY_AFTER})),
    Fault.HANGS: _Act(0, lambda h, c, r: h.hang()),
    Fault.DRIPS: _Act(200, lambda h, c, r: h.drip(c, r)),
    Fault.CUT: _Act(200, lambda h, c, r: h.cut(c, r)),
    Fault.NOT_JSON: _Act(200, lambda h, c, r: h._send_raw(200, b"<html><body>Sign in</body></html>")),
    Fault.OTHER_JSON: _Act(200, lambda h, c, r: h._send(200, {"message": "hello"})),
    Fault.MISSING: _Act(200, lambda h, c, r: h.wrong(c, r[:-1])),
    Fault.TWICE: _Act(200, lambda h, c, r: h.wrong(c, _twice(r))),
    Fault.OUTSIDE: _Act(200, lambda h, c, r: h.wrong(c, [*r[:-1], (len(r) + 4, 0.5)])),
    Fault.NAN: _Act(200, lambda h, c, r: h.wrong(c, [*r[:-1], (r[-1][0], float("nan"))])),
    Fault.DROPPED: _Act(0, lambda h, c, r: h.drop()),
    Fault.BUG: _Act(400, lambda h, c, r: h.refuse(400, "bad request")),
    Fault.FORBIDDEN: _Act(401, lambda h, c, r: h.refuse(401, _echoed(h))),
}
