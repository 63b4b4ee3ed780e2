"""Calls to one provider, within its limits and with patience: what every remote side sends through.

    exchange = asker.exchange()                      # one turn: its deadline begins
    answer = exchange.call(send, tokens=1_200)       # as many calls as the turn needs
    exchange.asked                                   # what it took

`send` makes one attempt and returns a Reply, or raises: ThrottledError and
TransientError are tried again, RefusedError stops the side for good, any other
RemoteError fails the turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from shadowdiff.records import Asked, Usage
from shadowdiff.remote.settings import ProviderSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """An answer that can be used, and what the provider says that it used for it."""

    value: T
    usage: Usage


class Asker:
    """One side's way to its provider. May be used by several threads; limits are shared by all askers of a provider."""

    def __init__(self, provider: str, settings: ProviderSettings) -> None:
        """`provider` names what is asked, in words for a person: `api.cohere.com`, `Bedrock in eu-central-1`."""
        raise NotImplementedError

    @property
    def stopped(self) -> str | None:
        """Why nothing is sent any more; None: it is."""
        raise NotImplementedError

    def exchange(self) -> Exchange:
        """The calls of one turn."""
        raise NotImplementedError

    def close(self) -> None:
        """Wake whoever waits; every call from now on fails at once."""
        raise NotImplementedError


class Exchange:
    """All calls for one turn, under one deadline."""

    @property
    def asked(self) -> Asked:
        """What it took so far; `seconds` is the sum over answered calls, None where there is none."""
        raise NotImplementedError

    def call(self, send: Callable[[], Reply[T]], tokens: int = 0) -> T:
        """The value of the first attempt that is answered.

        `tokens` is what the call is expected to use, for the limit per minute.
        Raises what the last attempt raised, told how often it was tried; RefusedError
        at once where the side has stopped.
        """
        raise NotImplementedError

    def repaired(self) -> None:
        """Count an answer that had to be put right."""
        raise NotImplementedError
