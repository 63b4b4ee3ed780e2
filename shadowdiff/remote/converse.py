"""Bedrock's Converse, for one forced call of one tool: how it is sent, and how its answers end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shadowdiff.records import Usage
from shadowdiff.remote.asker import Exchange, Reply
from shadowdiff.remote.aws import Bedrock

SERVICE = "bedrock-runtime"
NO_TEMPERATURE = "none"
"""In a spec: for models that take none."""
STOPS: dict[str, str | None] = {
    "end_turn": None,
    "tool_use": None,
    "max_tokens": "it ran into max_tokens before it was done",
    "stop_sequence": "it stopped at a stop sequence, and none was set",
    "guardrail_intervened": "a guardrail stepped in",
    "content_filtered": "a content filter stepped in",
    "malformed_model_output": "the model's output was malformed",
    "malformed_tool_use": "the model's call of the tool was malformed",
    "model_context_window_exceeded": "what it was asked is longer than the model's context",
}
"""Converse's stop reasons; with why the answer cannot be used, where it cannot."""
CUT = frozenset({"max_tokens", "model_context_window_exceeded"})
REFUSED = frozenset({"guardrail_intervened", "content_filtered"})


MOST_TOKENS = 2**31
"""That are believed of one answer; a gateway's count beyond would not fit a column, nor is it anybody's."""


class Converse:
    """One model's way to answer through a tool. For several threads."""

    def __init__(self, bedrock: Bedrock, model: str, *, max_tokens: int, temperature: float | None) -> None:
        """`model` by its id or ARN. No temperature: not sent, and the model takes its own."""
        self.model = model
        self._bedrock = bedrock
        self._inference: dict[str, Any] = {"maxTokens": max_tokens}
        if temperature is not None:
            self._inference["temperature"] = temperature

    def ask(self, exchange: Exchange, system: str, text: str, tool: Mapping[str, Any], tokens: int) -> dict[str, Any]:
        """The answer as boto3 makes it; `tokens` are expected to be used. Raises RemoteError, ConfigError."""

        def send() -> Reply[dict[str, Any]]:
            answer = self._bedrock.call(
                "converse",
                exchange.left,
                modelId=self.model,
                system=[{"text": system}],
                messages=[{"role": "user", "content": [{"text": text}]}],
                inferenceConfig=self._inference,
                toolConfig=tool,
            )
            return Reply(answer, _used(answer))

        return exchange.call(send, tokens)


def forced_tool(name: str, described: str, properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """Converse's toolConfig: the one tool, which must be called."""
    schema = {"type": "object", "properties": dict(properties), "required": list(required)}
    spec = {"name": name, "description": described, "inputSchema": {"json": schema}}
    return {"tools": [{"toolSpec": spec}], "toolChoice": {"tool": {"name": name}}}


class UnusableAnswerError(Exception):
    """An answer that does not call the tool once. The message quotes nobody."""


def given_to_tool(content: Any, name: str) -> Mapping[str, Any]:
    """What an answer's content blocks give the tool. Raises UnusableAnswerError."""
    blocks = content if isinstance(content, list) else []
    calls = [block["toolUse"] for block in blocks if isinstance(block, Mapping) and "toolUse" in block]
    if len(calls) != 1 or not isinstance(calls[0], Mapping) or calls[0].get("name") != name:
        raise UnusableAnswerError(f"it calls the tool {len(calls)} times" if calls else "it does not call the tool")
    given = calls[0].get("input")
    return given if isinstance(given, Mapping) else {}


def content_of(answer: Mapping[str, Any]) -> Any:
    """The content blocks of an answer's message; None where it has none."""
    message = (answer.get("output") or {}).get("message") or {}
    return message.get("content")


def stop_of(answer: Mapping[str, Any]) -> tuple[str, str | None]:
    """Why an answer ended, and why it cannot be used for that; the reason is empty where it is none that is known."""
    stopped = answer.get("stopReason")
    if not isinstance(stopped, str) or stopped not in STOPS:
        return "", "it gives no reason for its end that Converse is known to give"
    why = STOPS[stopped]
    return stopped, None if why is None else f"{stopped}: {why}"


def _used(answer: Mapping[str, Any]) -> Usage:
    """Tokens as Bedrock counts them."""
    usage = answer.get("usage") or {}
    return Usage(1, 0.0, _counted(usage.get("inputTokens")), _counted(usage.get("outputTokens")))


def _counted(tokens: Any) -> int:
    """Never less than none: a negative count would give money back to a cap."""
    return min(max(tokens, 0), MOST_TOKENS) if isinstance(tokens, int) else 0
