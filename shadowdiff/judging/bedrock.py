"""`bedrock:MODEL`: an LLM on AWS Bedrock compares the lists, by Converse and a tool that it must call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shadowdiff.errors import ConfigError, RemoteError, RerankerError
from shadowdiff.findings import Finding
from shadowdiff.judging import prompt
from shadowdiff.judging.comparisons import Question, ShownEntry
from shadowdiff.judging.protocol import Ahead, JudgeContext, Judged
from shadowdiff.protocols import Network
from shadowdiff.records import Asked, Usage
from shadowdiff.remote.asker import Asker
from shadowdiff.remote.aws import Bedrock
from shadowdiff.remote.converse import SERVICE, Converse
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.on_bedrock import (
    Model,
    bedrock_of,
    model_of,
    settings_of,
    temperature_of,
    tokens_of,
    way_checked,
)
from shadowdiff.rerankers.spec import Options, Spec

MOST_TOKENS = 1_024
PROBE = Question((), "colour of the sky", (ShownEntry("", "Blue."), ShownEntry("", "Trains run on rails.")), (0,), (1,))
ANSWER_TOKENS = 200
"""Of a verdict with its notes and its reason, roughly."""


class BedrockJudge:
    """One model, asked in both orders."""

    both_orders = True
    is_person = False

    def __init__(
        self,
        spec: Spec,
        model: Model,
        bedrock: Bedrock,
        settings: ProviderSettings,
        *,
        max_tokens: int,
        temperature: float | None,
    ) -> None:
        self.spec = spec
        self.model = model.name
        self.network: Network | None = Network(bedrock.said)
        self.concurrency = settings.concurrency
        self._identity = (prompt.VERSION, model.identity, str(max_tokens), str(temperature))
        self._bedrock = bedrock
        self._asker = Asker(f"Converse of {bedrock.said}", settings)
        self._converse = Converse(bedrock, model.name, max_tokens=max_tokens, temperature=temperature)

    def key(self, question: Question) -> str:
        """SHA-256 (hex) of model, settings and the whole prompt."""
        return fingerprint(*self._identity, prompt.SYSTEM, repr(prompt.TOOL_CONFIG), prompt.text_of(question))

    def shown(self, question: Question) -> str:
        """The system prompt and the message."""
        return f"{prompt.SYSTEM}\n\n{prompt.text_of(question)}"

    def estimate(self, question: Question) -> Usage:
        """One call; tokens roughly."""
        return _expected(prompt.text_of(question))

    def compare(self, question: Question) -> Judged:
        """Ask once; an answer that cannot be used is an abstention, for it was given and is paid for."""
        exchange, text = self._asker.exchange(), prompt.text_of(question)
        expected = _expected(text)
        tokens = expected.input_tokens + expected.output_tokens
        try:
            answer = self._converse.ask(exchange, prompt.SYSTEM, text, prompt.TOOL_CONFIG, tokens)
        except RerankerError as error:
            return Judged(error, replace(exchange.asked, seconds=None))
        except ConfigError as error:
            return Judged(RemoteError(str(error), str(error)), exchange.asked)
        return Judged(prompt.opinion_of(answer), exchange.asked)

    @property
    def stopped(self) -> str | None:
        """Why nothing is sent any more."""
        return self._asker.stopped

    def prepare(self, ahead: Ahead) -> None:
        """Make the client and look for credentials. Raises ConfigError."""
        self._bedrock.prepare()

    def check(self, online: bool) -> Iterator[Finding]:
        """Where it asks, and whether credentials are at hand; `online`, whether one tiny question is answered."""

        def probe() -> tuple[object, Asked]:
            judged = self.compare(PROBE)
            return judged.found, judged.asked

        return way_checked(self.spec, self._bedrock, probe if online else None)

    def close(self) -> None:
        """Give up what is under way and send nothing more."""
        self._asker.close()
        self._bedrock.close()


def _expected(text: str) -> Usage:
    return Usage(1, 0.0, tokens_of(prompt.SYSTEM, repr(prompt.TOOL_CONFIG), text), ANSWER_TOKENS)


def build(spec: Spec, context: JudgeContext) -> BedrockJudge:
    """`bedrock:MODEL[,max_tokens=1024][,temperature=0][,region=…][,profile=…]`; MODEL an id, a profile or an ARN."""
    options, model = Options(spec), model_of(spec)
    max_tokens = options.integer("max_tokens", MOST_TOKENS, minimum=64)
    temperature = temperature_of(spec, options)
    bedrock = bedrock_of(spec, options, model, context, SERVICE)
    options.finish()
    settings = settings_of(context, spec.scheme)[1]
    return BedrockJudge(spec, model, bedrock, settings, max_tokens=max_tokens, temperature=temperature)
