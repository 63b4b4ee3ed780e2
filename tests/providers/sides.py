"""The kinds that ask over HTTP, each with the form of the server that it is tested against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shadowdiff.errors import RerankerError
from shadowdiff.protocols import PairScores, ScoreRequest
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.remote_side import RemoteSide
from shadowdiff.rerankers.spec import parse
from shadowdiff.testing import REQUEST
from tests.providers.server import KEY

KEYS = {"COHERE_API_KEY": KEY, "JINA_API_KEY": KEY, "VOYAGE_API_KEY": KEY, "OWN_KEY": KEY}
"""Environment in which every kind finds its key."""
PATIENT = ProviderSettings(retries=3)
ONCE = ProviderSettings(retries=0)
Make = Callable[..., RemoteSide]
"""Of a kind, a URL, settings and further options."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A spec, and who answers it."""

    form: str
    """Of the server."""
    spec: str
    """With `URL` where the server's stands."""

    def at(self, url: str) -> str:
        """The spec string with a server's URL."""
        return self.spec.replace("URL", url)

    def side(self, url: str, settings: ProviderSettings | None = None, more: str = "") -> RemoteSide:
        """The side, as the registry builds it; `more` are further options, each after a comma."""
        spec = parse(self.at(url) + more)
        built = build(spec, providers={} if settings is None else {spec.scheme: settings})
        assert isinstance(built, RemoteSide)
        return built


KINDS: Mapping[str, Kind] = {
    "cohere": Kind("cohere", "cohere:rerank-v3.5,url=URL"),
    "jina": Kind("jina", "jina:jina-reranker-v2-base-multilingual,url=URL"),
    "jina-listwise": Kind("jina", "jina:jina-reranker-v3,url=URL"),
    "voyage": Kind("voyage", "voyage:rerank-2.5,url=URL"),
    "tei": Kind("tei", "tei:URL"),
    "tei-raw": Kind("tei", "tei:URL,raw_scores=true"),
    "http-vllm": Kind("vllm", "http:URL,model=m,key_env=OWN_KEY"),
    "http-infinity": Kind("infinity", "http:URL,model=m,form=jina"),
    "http-tei": Kind("tei", "http:URL,form=tei"),
}


def scores_of(side: RemoteSide, request: ScoreRequest = REQUEST) -> tuple[float, ...]:
    """Of a request that must be answered."""
    found = side.ask(request).found
    assert isinstance(found, PairScores), found
    return found.scores


def failure_of(side: RemoteSide, request: ScoreRequest = REQUEST) -> RerankerError:
    """Of a request that must fail."""
    found = side.ask(request).found
    assert isinstance(found, RerankerError), found
    return found
