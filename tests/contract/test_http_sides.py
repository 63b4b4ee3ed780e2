"""Every kind that asks over HTTP keeps the rules of both contracts, against a server that speaks its form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.remote_side import RemoteSide
from shadowdiff.testing import AskingReranker, AsksContract, RerankerContract
from tests.providers import Fault, Faults, ProviderServer
from tests.providers.sides import KEYS, KINDS

UNUSABLE = {
    Fault.MISSING: "missing index ",
    Fault.TWICE: " twice",
    Fault.OUTSIDE: "index 9 of 5",
    Fault.NAN: "no finite score at index ",
    Fault.NOT_JSON: "what is not JSON",
}
OTHER_JSON = {"tei": "JSON of a wrong kind (dict, not list)"}
"""What is said of an object that is no answer; all but one form answer with objects."""


@pytest.fixture(params=KINDS, autouse=True, scope="class")
def _served(request: pytest.FixtureRequest) -> Iterator[None]:
    """A server for all tests of a kind."""
    kind = KINDS[request.param]
    with pytest.MonkeyPatch.context() as patch, ProviderServer(kind.form) as server:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        request.cls.kind, request.cls.server = kind, server
        yield


class _Served:
    """A kind, and its server."""

    kind = KINDS["cohere"]
    server: ProviderServer

    @pytest.fixture(autouse=True)
    def _closed(self) -> Iterator[None]:
        self.made: list[RemoteSide] = []
        yield
        for side in self.made:
            side.close()

    def make(self) -> AskingReranker:
        """The side that asks the server."""
        return self.made_at(self.server.url)

    def made_at(self, url: str, settings: ProviderSettings | None = None) -> RemoteSide:
        """A side that is closed when the test ends."""
        self.made.append(self.kind.side(url, settings))
        return self.made[-1]


class TestScores(_Served, RerankerContract):
    """As any reranker."""


class TestAsking(_Served, AsksContract):
    """As one that asks."""

    def calls(self) -> int:
        """All that came."""
        return len(self.server.requests)

    def unusable(self) -> Iterable[tuple[AskingReranker, str]]:
        """A server for each way of answering wrongly."""
        expected = UNUSABLE | {Fault.OTHER_JSON: OTHER_JSON.get(self.kind.form, "no list of results")}
        for fault, reason in expected.items():
            with ProviderServer(self.kind.form, Faults(fault)) as server:
                yield self.made_at(server.url, ProviderSettings(retries=0)), reason
                assert [request.fault for request in server.requests] == [fault], "asked again after an answer"
