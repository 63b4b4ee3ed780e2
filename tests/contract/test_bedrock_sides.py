"""`bedrock:` and `llm:` keep the rules of both contracts, through boto3, against a server that checks what is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.on_bedrock import BedrockSide
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse
from shadowdiff.testing import AsksContract, RerankerContract, RerankerThatAsks
from tests.providers.bedrock import (
    COHERE_ARN,
    ENVIRONMENT,
    Bedrock,
    Fault,
    bedrock_server,
    breaks_off,
    converse,
    error,
    order,
    results,
    says,
)

RERANK, INVOKE = "bedrock:cohere.rerank-v3-5:0", f"bedrock:{COHERE_ARN},via=invoke"
LLM, WARM_LLM = (
    "llm:us.anthropic.claude-3-haiku-20240307-v1:0,window=4,step=3",
    "llm:amazon.nova-pro-v1:0,temperature=0.7",
)
SPECS = (RERANK, INVOKE, LLM, WARM_LLM)
UNUSABLE: tuple[tuple[Fault, str], ...] = (
    (error("ModelErrorException", 424), "answers ModelErrorException"),
    (breaks_off, "gives no answer"),
)
"""Whatever is asked."""
UNUSABLE_RESULTS: tuple[tuple[Fault, str], ...] = (
    (results(lambda rows: rows.pop()), "1 of 5 documents have none"),
    (results(lambda rows: rows.append(rows[1])), "stands there twice"),
    (says("<html>"), "there are none"),
)
UNUSABLE_ORDERS: tuple[tuple[Fault, str], ...] = (
    (order(lambda numbers: numbers[:1]), "it orders 1 of "),
    (converse(stopReason="max_tokens"), "max_tokens"),
    (says("<html>"), "no reason for its end"),
)


@pytest.fixture(params=SPECS, scope="class")
def served(request: pytest.FixtureRequest) -> Iterator[None]:
    """A server for all tests of a spec."""
    with pytest.MonkeyPatch.context() as patch, bedrock_server() as server:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        request.cls.spec, request.cls.server = request.param, server
        yield


class _Served:
    """A side, and its server."""

    spec: str
    server: Bedrock

    def make(self) -> RerankerThatAsks:
        """The side, as the registry builds it, asking once a call."""
        made = build(parse(self.spec), providers={"bedrock": ProviderSettings(url=self.server.url, retries=0)})
        assert isinstance(made, BedrockSide)
        self.server.askers.append(made)
        return made


@pytest.mark.usefixtures("served")
class TestScores(_Served, RerankerContract):
    """As any reranker; the Rerank API's results come in pages of three."""

    def make(self) -> RerankerThatAsks:
        """The side; its server turns pages."""
        self.server.page_size = 3
        return super().make()


@pytest.mark.usefixtures("served")
class TestAsking(_Served, AsksContract):
    """As one that asks."""

    def calls(self) -> int:
        """All that came."""
        return len(self.server.got)

    def unusable(self) -> Iterable[tuple[RerankerThatAsks, str]]:
        """One for each way of answering wrongly."""
        for fault, reason in UNUSABLE + (UNUSABLE_ORDERS if self.spec.startswith("llm") else UNUSABLE_RESULTS):
            self.server.fail(fault)
            yield self.make(), reason
