"""One connection to a provider at a time, that can be cut from outside while somebody reads from it.

httpx sets a time limit on each read, not on an answer, and closing a client
wakes nobody who waits for one. So each call has an httpx client with one
connection for itself: that makes known which socket to shut down, when time is
up or on Ctrl-C.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

KEEP_SECONDS = 60.0
"""For which an idle connection is kept: a slow rate must not put a handshake into every latency."""


class Line:
    """A client with one connection. Used by one thread at a time, cut by any."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.is_cut = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Cut the line unless the block ends in time."""
        timer = threading.Timer(max(0.0, seconds), self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Hear of the line's new sockets; httpcore calls this as the request extension `trace`."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            new = info["return_value"].get_extra_info("socket")
            with self._lock:  # TLS takes over the socket below it, which is an empty shell from then on
                self._sockets = [*(held for held in self._sockets if held.fileno() >= 0), new]
            if self.is_cut:
                self.cut()

    def cut(self) -> None:
        """End whatever is under way: reading from the line fails at once, now and later."""
        self.is_cut = True
        with self._lock:
            for held in self._sockets:
                try:
                    held.shutdown(socket.SHUT_RDWR)
                except OSError:  # it is closed already
                    continue


class Lines:
    """The lines of one caller: taken, used and put back."""

    def __init__(self, *, tls: bool, proxies: bool, authorities: str | None = None) -> None:
        """`tls`: whether certificates will be asked for; `proxies`: whether those of the environment are used.

        `authorities`: a file of those to trust, instead of the usual ones or SSL_CERT_FILE's.
        """
        self._tls = tls
        self._authorities = authorities
        self._proxies = proxies
        self._trust: ssl.SSLContext | None = None
        self._idle: list[Line] = []
        self._busy: set[Line] = set()
        self._lock = threading.Lock()
        self.closed = False

    @contextmanager
    def line(self) -> Iterator[Line]:
        """A line for one call; the one that was used last is the likeliest to be connected still."""
        with self._lock:
            line = self._idle.pop() if self._idle else Line(self._client())
            self._busy.add(line)
            if self.closed:
                line.cut()
        try:
            yield line
        finally:
            self._put_back(line)

    def close(self) -> None:
        """Cut every line."""
        with self._lock:
            self.closed = True
            idle, self._idle = self._idle, []
            for line in self._busy:
                line.cut()
        for line in idle:
            line.client.close()

    def _put_back(self, line: Line) -> None:
        with self._lock:
            self._busy.discard(line)
            keep = not (line.is_cut or self.closed)
            if keep:
                self._idle.append(line)
        if not keep:
            line.client.close()

    def _client(self) -> httpx.Client:
        import httpx

        if self._trust is None:
            self._trust = self._trusting()
        return httpx.Client(
            verify=self._trust,
            trust_env=self._proxies,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=KEEP_SECONDS),
            follow_redirects=False,
        )

    def _trusting(self) -> ssl.SSLContext:
        import httpx

        if not self._tls:
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used, and made at once
        if self._authorities:
            return ssl.create_default_context(cafile=self._authorities)
        return httpx.create_ssl_context()
