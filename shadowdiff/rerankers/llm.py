"""`llm:MODEL`: a large language model on AWS Bedrock puts the pool in order, by its Converse API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from shadowdiff.errors import RemoteError, SpecError
from shadowdiff.protocols import PairScores, ScoreRequest
from shadowdiff.records import Usage
from shadowdiff.remote.asker import Exchange
from shadowdiff.remote.aws import Bedrock
from shadowdiff.remote.converse import SERVICE, Converse, UnusableAnswerError, content_of, stop_of
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers import permutation
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.on_bedrock import (
    BLANK_SCORE,
    BedrockSide,
    Model,
    bedrock_of,
    cut,
    fitted,
    input_form,
    model_of,
    settings_of,
    temperature_of,
    tokens_of,
)
from shadowdiff.rerankers.permutation import order_of, question, tool_config, windows
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "LLM on AWS Bedrock that orders the pool: llm:MODEL"
WINDOW, STEP = 20, 10
MOST_CHARACTERS = 2_000
MOST_QUERY_CHARACTERS = 8_000
MOST_TOKENS = 1_024
TOKENS_PER_NUMBER = 3
"""Written per passage, roughly; and about as many calls of a tool take around it as ANSWER_TOKENS."""
ANSWER_TOKENS = 40
TOO_LONG = {
    "max_tokens": "max_tokens: it ran into max_tokens before the order was whole",
    "model_context_window_exceeded": "model_context_window_exceeded: the passages are longer than the model's context; "
    "lower window or max_chars",
}
"""What to do about stops that a spec's options can prevent."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What decides an order, beside the model and the prompt."""

    window: int
    step: int
    max_chars: int
    max_tokens: int
    temperature: float | None
    """None: not sent, and the model takes its own."""


class LlmReranker(BedrockSide):
    """The whole pool in one order, so that a score is a place: the best of n has n, the last 1, one without text 0."""

    listwise = True

    def __init__(
        self, spec: Spec, model: Model, bedrock: Bedrock, settings: ProviderSettings, form: str, asking: Asking
    ) -> None:
        super().__init__(spec, bedrock, settings, form)
        self.repeatable = asking.temperature == 0
        prompt = (permutation.VERSION, permutation.SYSTEM, question("", ("", "")), repr(tool_config()))
        self.fingerprint = fingerprint("llm/1", model.identity, form, repr(astuple(asking)), *prompt)
        self._model = model.name
        self._converse = Converse(bedrock, model.name, max_tokens=asking.max_tokens, temperature=asking.temperature)
        self._asking = asking

    def estimate(self, request: ScoreRequest) -> Usage:
        """Calls exactly, unless the query is refused; tokens roughly, as if the pool stayed in its order."""
        query = cut(request.query, MOST_QUERY_CHARACTERS)[0]
        sent = [text for document in request.documents if (text := cut(document, self._asking.max_chars)[0]).strip()]
        usage = Usage()
        for window in self._windows(len(sent)):
            read = tokens_of(permutation.SYSTEM, question(query, sent[window.start : window.stop]))
            usage += Usage(1, 0.0, read, ANSWER_TOKENS + TOKENS_PER_NUMBER * len(window))
        return usage

    def truncated(self, requests: Sequence[ScoreRequest]) -> Sequence[Sequence[bool]]:
        """Per request, whether each document is longer than max_chars, or the query than 8,000 characters."""
        return [
            [
                len(text) > self._asking.max_chars or len(request.query) > MOST_QUERY_CHARACTERS
                for text in request.documents
            ]
            for request in requests
        ]

    def _scored(self, request: ScoreRequest, exchange: Exchange) -> PairScores:
        sent = fitted(request, self._asking.max_chars, MOST_QUERY_CHARACTERS)
        order = list(range(len(sent.documents)))
        for window in self._windows(len(order)):
            places = order[window.start : window.stop]
            passages = [sent.documents[place] for place in places]
            found = self._ordered(sent.query, passages, exchange)
            order[window.start : window.stop] = [places[place] for place in found]
        scores = [BLANK_SCORE] * len(request.documents)
        for rank, place in enumerate(order):
            scores[sent.places[place]] = float(len(order) - rank)
        return PairScores(tuple(scores), sent.truncated)

    def _windows(self, count: int) -> list[range]:
        """One passage needs no order."""
        return windows(count, self._asking.window, self._asking.step) if count > 1 else []

    def _ordered(self, query: str, passages: Sequence[str], exchange: Exchange) -> list[int]:
        """Places of the passages, best first. Raises RemoteError where the answer cannot be used."""
        asked = question(query, passages)
        expected = tokens_of(asked) + ANSWER_TOKENS + TOKENS_PER_NUMBER * len(passages)
        answer = self._converse.ask(exchange, permutation.SYSTEM, asked, tool_config(), expected)
        stopped, why = stop_of(answer)
        if why is not None:
            raise self._unusable(TOO_LONG.get(stopped, why))
        try:
            order, repaired = order_of(content_of(answer), len(passages))
        except UnusableAnswerError as error:
            raise self._unusable(str(error)) from None
        if repaired:
            exchange.repaired()
        return order

    def _unusable(self, why: str) -> RemoteError:
        said = f"{self._model} gives no order that can be used: {why}"
        return RemoteError(said, said)

    def _asked_for(self, bedrock: Bedrock) -> str:
        """Converse has limits of its own beside those of the rerankers."""
        return f"Converse of {bedrock.said}"


def build(spec: Spec, context: BuildContext) -> LlmReranker:
    """`llm:MODEL[,window=20][,step=10][,max_chars=2000][,max_tokens=1024][,temperature=0][,region=…][,profile=…]…`."""
    options, model = Options(spec), model_of(spec)
    asking = Asking(
        window=options.integer("window", WINDOW, minimum=2),
        step=options.integer("step", STEP),
        max_chars=options.integer("max_chars", MOST_CHARACTERS, minimum=20),
        max_tokens=options.integer("max_tokens", MOST_TOKENS, minimum=32),
        temperature=temperature_of(spec, options),
    )
    form = input_form(options)
    bedrock = bedrock_of(spec, options, model, context, SERVICE)
    options.finish()
    if asking.step >= asking.window:
        raise SpecError(
            f"step={asking.step} in '{spec}': must be below window={asking.window}, so that windows overlap"
        )
    return LlmReranker(spec, model, bedrock, settings_of(context, spec.scheme)[1], form, asking)
