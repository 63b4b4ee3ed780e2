"""`bedrock:` and `llm:` keep what every reranker must, through boto3 and against a server that checks what it sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from shadowdiff.protocols import PoolReranker, Reranker
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.on_bedrock import BedrockSide
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse
from shadowdiff.testing import RerankerContract
from tests.providers.bedrock import COHERE_ARN, ENVIRONMENT, bedrock_server


class _OnBedrock(RerankerContract):
    """A side, asking a server of its own."""

    spec: ClassVar[str]

    @pytest.fixture(autouse=True)
    def _serve(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        with bedrock_server() as server:
            self.server = server
            yield

    def make(self) -> Reranker | PoolReranker:
        """The side, as the registry builds it."""
        made = build(parse(self.spec), providers={"bedrock": ProviderSettings(url=self.server.url, retries=0)})
        assert isinstance(made, BedrockSide)
        self.server.askers.append(made)
        return made


class TestRerank(_OnBedrock):
    """The Rerank API, in pages of two results."""

    spec = "bedrock:cohere.rerank-v3-5:0"

    def make(self) -> Reranker | PoolReranker:
        """The side; its server gives two results a page."""
        self.server.page_size = 2
        return super().make()


class TestInvoke(_OnBedrock):
    """InvokeModel, with an ARN."""

    spec = f"bedrock:{COHERE_ARN},via=invoke"


class TestLlm(_OnBedrock):
    """An LLM that takes five passages at a time."""

    spec = "llm:us.anthropic.claude-3-haiku-20240307-v1:0,window=5,step=3"


class TestWarmLlm(_OnBedrock):
    """An LLM that is not asked to repeat itself."""

    spec = "llm:amazon.nova-pro-v1:0,temperature=0.7"
