"""An HTTP reranker on the loopback, which keeps what it was sent; and a plugin distribution that calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

PLUGIN = """
from shadowdiff.testing import KeywordReranker, RemoteReranker

class Pooled:
    needs = frozenset()

    def __init__(self, spec):
        self._remote = RemoteReranker(spec)
        self.spec, self.fingerprint, self.network = spec, self._remote.fingerprint, self._remote.network

    def score_pool(self, turn):
        texts = [item.entry.title + item.entry.body for item in turn.pool.entries]
        return self._remote.score(f"{turn.turn.query} {turn.turn.answer}", texts)

class Silent:
    document_form = "title+body"

    def __init__(self, spec):
        self._words = KeywordReranker(spec)
        self.spec, self.fingerprint, self.score = spec, self._words.fingerprint, self._words.score

def remote(spec, context):
    return RemoteReranker(spec)

def pooled(spec, context):
    return Pooled(spec)

def silent(spec, context):
    return Silent(spec)
"""


@contextmanager
def reranking_server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """URL of a server that scores by the length of documents, and the requests that it has got."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append(asked)
            answer = json.dumps({"scores": [float(len(document)) for document in asked["documents"]]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def install_plugin(directory: Path) -> Path:
    """A distribution whose kinds `remote:URL` and `pooled:URL` send texts away, and `silent` does not say."""
    (directory / "network_plugin.py").write_text(PLUGIN)
    described = directory / "network_plugin-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: network_plugin\nVersion: 1.0\n")
    points = "".join(f"{kind} = network_plugin:{kind}\n" for kind in ("remote", "pooled", "silent"))
    (described / "entry_points.txt").write_text(f"[shadowdiff.rerankers]\n{points}")
    return directory
