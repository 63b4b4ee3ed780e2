"""Judges keep the rules of their contract: Bedrock's through boto3 against a server that checks what is sent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import pytest

from shadowdiff.judging.human import HumanJudge
from shadowdiff.judging.judges import build
from shadowdiff.judging.protocol import Judge, JudgeContext
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.spec import parse
from shadowdiff.testing.judges import FakeJudge, JudgeContract
from shadowdiff.verdicts import Opinion
from tests.human_cases import KeyedScreen
from tests.providers.bedrock import Bedrock, bedrock_server, converse, give_credentials


class TestFake(JudgeContract):
    """The fake that other tests ask."""

    def make(self) -> Judge:
        """As it comes."""
        return FakeJudge()


class TestHuman(JudgeContract):
    """`human`, who always presses the same key."""

    def make(self) -> Judge:
        """At a screen without a terminal."""
        judge = build(parse("human"), JudgeContext(author=lambda: "ann"))
        assert isinstance(judge, HumanJudge)
        judge._screen = KeyedScreen(repeat("1"))
        return judge


class TestBedrock(JudgeContract):
    """`bedrock:`."""

    server: Bedrock

    @pytest.fixture(autouse=True)
    def _served(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        give_credentials(monkeypatch)
        with bedrock_server() as self.server:
            yield

    def make(self) -> Judge:
        """Of a model that this server has."""
        settings = ProviderSettings(url=self.server.url, region="eu-central-1")
        judge = build(parse("bedrock:anthropic.claude-sonnet"), JudgeContext({"bedrock": settings}))
        self.server.askers.append(judge)
        return judge

    @pytest.mark.parametrize("count", [-500, 2**70, "7", 10.5, None])
    def test_tokens_that_nobody_used(self, count: object) -> None:
        """What a gateway counts is never less than none, for money would come back, and fits where it is stored."""
        from shadowdiff.testing.judges import QUESTION

        judge = self.make()
        self.server.fail(then=converse(usage={"inputTokens": count, "outputTokens": count, "totalTokens": 0}))
        judged = judge.compare(QUESTION)
        assert isinstance(judged.found, Opinion)
        assert judged.asked.usage.calls == 1
        assert 0 <= judged.asked.usage.input_tokens <= 2**31
        assert 0 <= judged.asked.usage.output_tokens <= 2**31

    def test_closed_it_sends_nothing(self) -> None:
        """Nor does it raise."""
        from shadowdiff.errors import RemoteError
        from shadowdiff.testing.judges import QUESTION

        judge = self.make()
        judge.close()
        assert isinstance(judge.compare(QUESTION).found, RemoteError)
        assert self.server.got == []
