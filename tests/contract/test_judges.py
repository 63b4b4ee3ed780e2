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
from tests.human_cases import KeyedScreen
from tests.providers.bedrock import Bedrock, bedrock_server, give_credentials


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

    def test_closed_it_sends_nothing(self) -> None:
        """Nor does it raise."""
        from shadowdiff.errors import RemoteError
        from shadowdiff.testing.judges import QUESTION

        judge = self.make()
        judge.close()
        assert isinstance(judge.compare(QUESTION).found, RemoteError)
        assert self.server.got == []
