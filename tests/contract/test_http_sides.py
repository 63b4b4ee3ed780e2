"""Every kind that asks over HTTP keeps the rules of both contracts, against a server that speaks its form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest

from shadowdiff.protocols import Answer, PairScores, ScoreRequest
from shadowdiff.records import Asked, Usage
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.remote_side import RemoteSide
from shadowdiff.testing import AskingReranker, AsksContract, RerankerContract, RerankerThatAsks, usage_of
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


@pytest.fixture(params=KINDS, scope="class")
def served(request: pytest.FixtureRequest) -> Iterator[None]:
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

    def make(self) -> RerankerThatAsks:
        """The side that asks the server."""
        return self.made_at(self.server.url)

    def made_at(self, url: str, settings: ProviderSettings | None = None) -> RemoteSide:
        """A side that is closed when the test ends."""
        self.made.append(self.kind.side(url, settings))
        return self.made[-1]


@pytest.mark.usefixtures("served")
class TestScores(_Served, RerankerContract):
    """As any reranker."""

    by_place = False


@pytest.mark.usefixtures("served")
class TestAsking(_Served, AsksContract):
    """As one that asks."""

    def calls(self) -> int:
        """All that came."""
        return len(self.server.requests)

    def unusable(self) -> Iterable[tuple[RerankerThatAsks, str]]:
        """A server for each way of answering wrongly."""
        expected = UNUSABLE | {Fault.OTHER_JSON: OTHER_JSON.get(self.kind.form, "no list of results")}
        for fault, reason in expected.items():
            with ProviderServer(self.kind.form, Faults(fault)) as server:
                yield self.made_at(server.url, ProviderSettings(retries=0)), reason
                assert [request.fault for request in server.requests] == [fault], "asked again after an answer"


class _Short(AskingReranker):
    """Leaves the last document out."""

    def ask(self, request: ScoreRequest) -> Answer:
        """One score too few."""
        answer = super().ask(request)
        assert isinstance(answer.found, PairScores)
        return replace(answer, found=PairScores(answer.found.scores[:-1], answer.found.truncated[:-1]))


class _Cheap(AskingReranker):
    """Says that it would use nothing."""

    def estimate(self, request: ScoreRequest) -> Usage:
        """Nothing."""
        return Usage()


class _Sending(AskingReranker):
    """Asks for an estimate."""

    def estimate(self, request: ScoreRequest) -> Usage:
        """What asking used."""
        return self.ask(request).asked.usage


class _Open(AskingReranker):
    """Cannot be closed."""

    def close(self) -> None:
        """Nothing."""


class _Untold(AskingReranker):
    """Tells no latency."""

    def __init__(self) -> None:
        super().__init__(takes=lambda request: Asked(usage_of(request), attempts=1))


class _Put(AsksContract):
    """The contract, put to one reranker."""

    def __init__(self, reranker: AskingReranker) -> None:
        self._reranker = reranker

    def make(self) -> RerankerThatAsks:
        return self._reranker

    def calls(self) -> int:
        return len(self._reranker.requests)

    def unusable(self) -> Iterable[tuple[RerankerThatAsks, str]]:
        yield self._reranker, "missing"


@pytest.mark.parametrize(
    ("reranker", "rule"),
    [
        (_Short, "test_asks_for_every_score"),
        (_Untold, "test_asks_for_every_score"),
        (_Short, "test_blank_documents_have_scores"),
        (_Cheap, "test_estimates_without_asking"),
        (_Sending, "test_estimates_without_asking"),
        (_Open, "test_closed_it_asks_nothing"),
        (_Short, "test_answers_that_cannot_be_used_fail"),
        (AskingReranker, "test_no_documents"),
    ],
)
def test_the_contract_catches_what_breaks_it(reranker: Callable[[], AskingReranker], rule: str) -> None:
    """Each by its rule, which a good one passes."""
    with pytest.raises(AssertionError):
        getattr(_Put(reranker()), rule)()


@pytest.mark.parametrize(
    "rule", ["test_asks_for_every_score", "test_estimates_without_asking", "test_closed_it_asks_nothing"]
)
def test_the_contract_lets_a_good_one_pass(rule: str) -> None:
    """The proof above proves something."""
    getattr(_Put(AskingReranker()), rule)()
