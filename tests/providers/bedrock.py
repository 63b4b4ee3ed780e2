"""Bedrock on the loopback: Rerank with pages, InvokeModel with Cohere's form, and Converse with an LLM that sorts.

Requests are held against boto3's own service models and their signatures are
verified, so that what AWS would refuse is refused here. What boto3 sends is
what a test gets; what goes wrong is queued with `fail`.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from shadowdiff.rerankers.permutation import FIELD, TOOL
from tests.providers.judges import VERDICT_TOOL, Judging, always, compared_in

if TYPE_CHECKING:
    import pytest

Json = dict[str, Any]
REGION = "eu-central-1"
ACCESS_KEY, SECRET_KEY, TOKEN = (
    "AKIAPLANTED0000000001",
    "planted/secret+key/0000000000000000000001",
    "planted-session-token",
)
API_KEY = "planted-bedrock-api-key"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_SESSION_TOKEN": TOKEN,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
}
"""Credentials that open nothing, and no way to others."""
COHERE_ARN = f"arn:aws:bedrock:{REGION}::foundation-model/cohere.rerank-v3-5:0"
QUERY = re.compile(r"<query ([0-9a-f]+)>\n(.*?)\n</query \1>", re.DOTALL)


def give_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of ENVIRONMENT, in place of whatever AWS would find here."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


class Closing(Protocol):
    """What holds connections."""

    def close(self) -> None:
        """Let go of them."""
        ...


@dataclass(frozen=True)
class Reply:
    """What goes back."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    """Half of it comes, and then the end of the connection."""


Fault = Callable[["Bedrock", Reply], Reply]
"""What becomes of a good reply."""


def error(code: str, status: int, message: str = "made to fail", **headers: str) -> Fault:
    """The error as AWS writes it, its code in a header; other headers with _ for -."""
    named = {"x-amzn-ErrorType": f"{code}:http://internal.amazon.com/coral/"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _, reply: Reply(json.dumps({"message": message}).encode(), status, named)


def hangs(bedrock: Bedrock, reply: Reply) -> Reply:
    """Nothing comes until the server ends."""
    bedrock.ended.wait(60)
    return reply


def breaks_off(_: Bedrock, reply: Reply) -> Reply:
    """Half of the reply, and then nothing."""
    return replace(reply, cut=True)


def says(text: str) -> Fault:
    """Status 200, and this text."""
    return lambda _, reply: Reply(text.encode())


def results(change: Callable[[list[Json]], object]) -> Fault:
    """The results changed in place."""

    def changed(_: Bedrock, reply: Reply) -> Reply:
        answer = json.loads(reply.body)
        change(answer["results"])
        return replace(reply, body=json.dumps(answer).encode())

    return changed


def converse(**fields: Any) -> Fault:
    """Fields of Converse's answer in place of the good ones."""
    return lambda _, reply: replace(reply, body=json.dumps(json.loads(reply.body) | fields).encode())


def order(change: Callable[[list[Any]], Sequence[Any]]) -> Fault:
    """Another order of the passages than the LLM's."""

    def changed(_: Bedrock, reply: Reply) -> Reply:
        answer = json.loads(reply.body)
        given = answer["output"]["message"]["content"][0]["toolUse"]["input"]
        given[FIELD] = list(change(given[FIELD]))
        return replace(reply, body=json.dumps(answer).encode())

    return changed


@dataclass(frozen=True)
class Got:
    """A request that was signed well."""

    operation: str
    model: str
    body: Json
    headers: Mapping[str, str]


class InvalidError(Exception):
    """What AWS calls a ValidationException."""


class Bedrock:
    """The server's side of it."""

    def __init__(self) -> None:
        self.url = ""
        self.page_size = 1_000
        self.takes_keys = False
        self.got: list[Got] = []
        self.answered: Counter[str] = Counter()
        """Good answers, by operation: what AWS would charge for."""
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.askers: list[Closing] = []
        """Whoever asks it, to be closed before it ends."""
        self.judge: Judging = always("tie")
        """What the LLM says of two lists."""
        self._faults: list[Fault] = []
        self._always: Fault | None = None

    def fail(self, *faults: Fault | None, then: Fault | None = None) -> None:
        """The next requests get these, one each, in order (None: a good reply); all others `then`."""
        self._faults, self._always = [fault or (lambda _, reply: reply) for fault in faults], then

    def reply(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """What a request gets."""
        if not (self._holds_key(path, headers) or signed_well(path, headers, body)):
            return error("InvalidSignatureException", 403, f"The request signature does not match; it was {headers}")(
                self, Reply(b"")
            )
        try:
            operation, model, asked = _read(path, body)
            answer = Reply(json.dumps(ANSWERS[operation](self, asked)).encode())
        except InvalidError as invalid:
            return error("ValidationException", 400, str(invalid))(self, Reply(b""))
        with self.lock:
            self.got.append(Got(operation, model, asked, headers))
            fault = self._faults.pop(0) if self._faults else self._always
        reply = fault(self, answer) if fault else answer
        with self.lock:
            self.answered[operation] += reply.status == 200 and not reply.cut
        return reply

    def _holds_key(self, path: str, headers: Mapping[str, str]) -> bool:
        """Whether it is for a model, and has a Bedrock API key instead of a signature."""
        return self.takes_keys and path.startswith("/model/") and headers.get("Authorization") == f"Bearer {API_KEY}"


def share(query: str, document: str) -> float:
    """The share of the query's words that a document holds: what every model here ranks by."""
    words = set(query.lower().split())
    return len(words & set(document.lower().split())) / max(len(words), 1)


def signed_well(path: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the Authorization header holds the SigV4 signature of exactly this request."""
    held = {name.lower(): value for name, value in headers.items()}
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([a-z0-9-]+)/bedrock/aws4_request, "
        r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
        held.get("authorization", ""),
    )
    if found is None or found[1] != ACCESS_KEY or held.get("x-amz-security-token") != TOKEN:
        return False
    named = {name: held[name] for name in found[3].split(";") if name in held}
    request = AWSRequest("POST", f"http://{held['host']}{path}", headers=named, data=body)
    request.context["timestamp"] = held["x-amz-date"]
    signer = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY, TOKEN), "bedrock", found[2])
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    return hmac.compare_digest(signer.signature(to_sign, request), found[4])


@cache
def shape(service: str, name: str) -> Any:
    """A shape of boto3's own model."""
    return botocore.session.get_session().get_service_model(service).shape_for(name)


def _read(path: str, body: bytes) -> tuple[str, str, Json]:
    asked: Json = json.loads(body)
    if path == "/rerank":
        configured = asked["rerankingConfiguration"]["bedrockRerankingConfiguration"]
        model = configured["modelConfiguration"]["modelArn"]
        _must(re.fullmatch(shape("bedrock-agent-runtime", "BedrockModelArn").metadata["pattern"], model), "modelArn")
        return "Rerank", model, asked
    found = re.fullmatch(r"/model/([^/]+)/(invoke|converse)", path)
    if found is None:
        raise InvalidError(f"no such operation: {path}")
    model = unquote(found[1])
    _must(re.fullmatch(shape("bedrock-runtime", "InvokeModelIdentifier").metadata["pattern"], model), "modelId")
    return {"invoke": "InvokeModel", "converse": "Converse"}[found[2]], model, asked


def _must(holds: object, what: str) -> None:
    if not holds:
        raise InvalidError(f"{what} is not as it must be")


def _texts(found: Sequence[str]) -> None:
    most = shape("bedrock-agent-runtime", "RerankTextDocumentTextString").metadata
    _must(all(most["min"] <= len(text) <= most["max"] for text in found), "the length of a text")


def _rerank(bedrock: Bedrock, asked: Json) -> Json:
    _must(len(asked["queries"]) == 1, "the number of queries")
    query = asked["queries"][0]["textQuery"]["text"]
    documents = [source["inlineDocumentSource"]["textDocument"]["text"] for source in asked["sources"]]
    _texts([query, *documents])
    wanted = asked["rerankingConfiguration"]["bedrockRerankingConfiguration"]["numberOfResults"]
    _must(1 <= len(documents) <= 1_000, "the number of sources")
    _must(1 <= wanted <= len(documents), "numberOfResults")
    start = int(asked.get("nextToken", "0"))
    rows = _ranked(query, documents, "relevanceScore")[:wanted]
    stop = start + bedrock.page_size
    return {"results": rows[start:stop]} | ({"nextToken": str(stop)} if stop < len(rows) else {})


def _invoke(_: Bedrock, asked: Json) -> Json:
    _must(set(asked) == {"query", "documents", "top_n", "api_version"}, "the body")
    _must(asked["api_version"] >= 2, "api_version")
    _must(asked["query"] and asked["documents"] and all(asked["documents"]), "query or documents")
    return {"results": _ranked(asked["query"], asked["documents"], "relevance_score")[: asked["top_n"]]}


def _ranked(query: str, documents: Sequence[str], name: str) -> list[Json]:
    scores = [share(query, document) for document in documents]
    best = sorted(range(len(documents)), key=lambda place: -scores[place])
    return [{"index": place, name: scores[place]} for place in best]


def _converse(bedrock: Bedrock, asked: Json) -> Json:
    (message,) = asked["messages"]
    text = message["content"][0]["text"]
    (tool,) = [tool["toolSpec"]["name"] for tool in asked["toolConfig"]["tools"]]
    _must(asked["toolConfig"]["toolChoice"] == {"tool": {"name": tool}}, "toolChoice")
    _must(message["role"] == "user" and asked["inferenceConfig"]["maxTokens"] > 0, "messages or maxTokens")
    _must(tool in (TOOL, VERDICT_TOOL), "tools")
    given: Json
    if tool == TOOL:
        given = {FIELD: [int(number) for number in sort_passages(text)]}
        written = 3 * len(given[FIELD])
    else:
        given = bedrock.judge(compared_in(text))
        written = len(str(given)) // 4
    return {
        "output": {
            "message": {
                "role": "assistant",
                "content": [{"toolUse": {"toolUseId": "tooluse_1", "name": tool, "input": given}}],
            }
        },
        "stopReason": "tool_use",
        "usage": {"inputTokens": len(text) // 4, "outputTokens": written, "totalTokens": 0},
        "metrics": {"latencyMs": 1},
    }


def passages_of(prompt: str) -> tuple[str, dict[str, str]]:
    """The query of a prompt, and its passages by number: what stands between lines that bear the prompt's own tag."""
    found = QUERY.match(prompt)
    assert found, "the prompt does not begin with the query"
    passage = rf"<passage (\d+) {found[1]}>\n(.*?)\n</passage \1 {found[1]}>"
    return found[2], dict(re.findall(passage, prompt, re.DOTALL))


def sort_passages(prompt: str) -> list[str]:
    """Numbers of the passages of a prompt, by the share of the query's words that they hold."""
    query, passages = passages_of(prompt)
    return sorted(passages, key=lambda number: -share(query, passages[number]))


ANSWERS: dict[str, Callable[[Bedrock, Json], Json]] = {"Rerank": _rerank, "InvokeModel": _invoke, "Converse": _converse}


@contextmanager
def bedrock_server(tls: ssl.SSLContext | None = None) -> Iterator[Bedrock]:
    """A server of one's own, on a free port; over TLS, it takes Bedrock API keys as well."""
    bedrock = Bedrock()
    bedrock.takes_keys = tls is not None

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two writes

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = bedrock.reply(self.path, dict(self.headers.items()), body)
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body[: len(reply.body) // 2] if reply.cut else reply.body)
            self.close_connection = self.close_connection or reply.cut

        def handle(self) -> None:
            try:
                super().handle()
            except (ConnectionError, ssl.SSLError):  # the client has given up
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    bedrock.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    try:
        yield bedrock
    finally:
        bedrock.ended.set()
        for asker in bedrock.askers:
            asker.close()
        server.shutdown()
        thread.join()
        server.server_close()
