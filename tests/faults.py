"""An HTTP server on the loopback that answers as badly as a test wants, and keeps what it was sent."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Request:
    """What a server was sent, and the wire to answer on."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    """Which connection it came on, counted by the server."""
    write: Callable[[bytes], None]
    over: threading.Event
    """Set when the test is over: what hangs waits for it."""
    method: str = "POST"

    def answer(self, status: int, body: bytes = b"{}", **headers: str) -> None:
        """A whole answer; `_` in a header's name is a hyphen."""
        told = {"content-length": str(len(body)), **headers}
        lines = [f"HTTP/1.1 {status} Whatever", *(f"{name.replace('_', '-')}: {value}" for name, value in told.items())]
        self.write("\r\n".join([*lines, "", ""]).encode() + body)

    def drip(self, text: bytes, every: float) -> None:
        """A byte at a time."""
        for byte in text:
            if self.over.wait(every):
                return
            self.write(bytes([byte]))

    def hang(self) -> None:
        """No answer, and no end."""
        self.over.wait(60)


Answering = Callable[[Request], bool | None]
"""Whoever returns False drops the connection."""


@dataclass
class Faulty:
    """A running server."""

    url: str
    got: list[Request] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away in the middle: that is what is tested."""


@contextmanager
def faulty_server(answering: Answering, trust: ssl.SSLContext | None = None) -> Iterator[Faulty]:
    """A server that sends each request's answer by `answering`; over TLS with a context."""
    over, connections = threading.Event(), iter(range(1_000_000))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.number = next(connections)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.path, headers, body, self.number, self._write, over, self.command)
            server.got.append(request)
            self.close_connection = answering(request) is False

        do_GET = do_PUT = do_POST  # noqa: N815 the library's names

        def _write(self, text: bytes) -> None:
            self.wfile.write(text)
            self.wfile.flush()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the library's name
            """Say nothing."""

    listening = _Server(("127.0.0.1", 0), Handler)
    if trust is not None:
        listening.socket = trust.wrap_socket(listening.socket, server_side=True)
    server = Faulty(f"http{'s' if trust else ''}://127.0.0.1:{listening.server_port}")
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        over.set()
        listening.shutdown()
        listening.server_close()
        thread.join()
