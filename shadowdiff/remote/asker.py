"""Calls to one provider, within its limits and with patience: what every remote side sends through.

    exchange = asker.exchange()                      # one turn: its deadline begins
    answer = exchange.call(send, tokens=1_200)       # as many calls as the turn needs
    exchange.asked                                   # what it took

`send` makes one attempt and returns a Reply, or raises: ThrottledError and
TransientError are tried again, RefusedError stops the side for good, any other
RemoteError fails the turn. Where even an answer that cannot be used costs
something, `send` returns it, and it is judged after the call.

The loop is our own, not tenacity's: pauses must end when the side is closed,
count against a turn's deadline and give way to the provider's Retry-After, by
a clock that tests can turn; tenacity would be left with the counting.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from shadowdiff.errors import RefusedError, RemoteError, ThrottledError, TransientError
from shadowdiff.records import Asked, Usage
from shadowdiff.remote.clock import REAL, Clock
from shadowdiff.remote.pacing import Limits, TooLateError, limits_of
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.remote.texts import NOT_AGAIN

T = TypeVar("T")
W = TypeVar("W")
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """An answer that can be used, and what the provider says that it used for it."""

    value: T
    usage: Usage


class Asker:
    """One side's way to its provider. May be used by several threads; limits are shared by all askers of a provider."""

    def __init__(
        self,
        provider: str,
        settings: ProviderSettings,
        clock: Clock = REAL,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`provider` names what is asked, in words for a person: `api.cohere.com`, `Bedrock in eu-central-1`.

        `jitter` draws a pause from a range.
        """
        self.provider = provider
        self.settings = settings
        self.clock = clock
        self.jitter = jitter
        self.limits: Limits = limits_of(provider, settings, clock)
        self._changed = threading.Condition()
        self._refusal: RefusedError | None = None
        self._closed = False

    @property
    def stopped(self) -> str | None:
        """Why nothing is sent any more: what the provider refused with. None: it is still asked, or was closed."""
        return None if self._refusal is None else str(self._refusal)

    @property
    def concurrency(self) -> int:
        """Turns to ask about at a time: as configured, or fewer, so that none loses its deadline in the queue.

        Behind the others, at the configured rate, the last one waits half of its
        deadline at most.
        """
        per_minute = self.settings.requests_per_minute
        if per_minute is None:
            return self.settings.concurrency
        return min(self.settings.concurrency, 1 + int(per_minute * self.settings.turn_deadline / 120))

    def exchange(self) -> Exchange:
        """The calls of one turn; its deadline begins now."""
        return Exchange(self)

    def close(self) -> None:
        """Wake whoever waits; every call from now on fails at once."""
        self._closed = True
        self._wake()

    def refuse(self, error: RefusedError) -> None:
        """Send nothing more: the provider would refuse it like this call. The first reason stays."""
        with self._changed:
            self._refusal = self._refusal or error
        self._wake()

    def check(self) -> None:
        """Raise where nothing is to be sent any more: RemoteError once closed, RefusedError once refused."""
        if self._closed:
            said = f"{self.provider} is asked nothing more: this side was stopped"
            raise RemoteError(said, said)
        if self._refusal is not None:
            raise RefusedError(f"{self._refusal}{NOT_AGAIN}", f"{self._refusal.textless}{NOT_AGAIN}")

    def pause(self, seconds: float) -> None:
        """Let the time pass. Raises as `check` does, as soon as there is a reason to."""
        until = self.clock.now() + seconds
        with self._changed:
            while (left := until - self.clock.now()) > 0:
                self.check()
                self.clock.wait(self._changed, left)
        self.check()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
        self.limits.wake()


class Exchange:
    """All calls for one turn, one after the other, under one deadline. For one thread."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._deadline = asker.clock.now() + asker.settings.turn_deadline
        self._usage = Usage()
        self._attempts = 0
        self._seconds: float | None = None
        self._failed = False
        self._waited = 0.0
        self._repairs = 0

    @property
    def asked(self) -> Asked:
        """What it took so far; `seconds` is the sum over answered calls, None where there is none or a call failed."""
        seconds = None if self._failed else self._seconds
        return Asked(self._usage, self._attempts, seconds, self._waited, self._repairs)

    @property
    def left(self) -> float:
        """Seconds until the turn's deadline, none once it has passed; an attempt should not take longer."""
        return max(0.0, self._deadline - self._asker.clock.now())

    def call(self, send: Callable[[], Reply[T]], tokens: int = 0) -> T:
        """The value of the first attempt that is answered.

        `tokens` is what the call is expected to use, for the limit per minute.
        Raises what the last attempt raised, told how often it was tried; RefusedError
        at once where the side has stopped; RemoteError where it is closed, or our own
        limits leave no time to ask.
        """
        try:
            return self._patiently(send, tokens)
        except BaseException:
            self._failed = True
            raise

    def repaired(self) -> None:
        """Count an answer that had to be put right."""
        self._repairs += 1

    def _patiently(self, send: Callable[[], Reply[T]], tokens: int) -> T:
        began, attempts = self._asker.clock.now(), 0
        failed: ThrottledError | TransientError | None = None
        while True:
            try:
                reply = self._attempt(send, tokens)
            except TooLateError as late:
                raise self._too_late(str(late), failed, attempts, began) from None
            except (ThrottledError, TransientError) as error:
                failed, attempts = error, attempts + 1
                self._back_off(error, attempts, began)
            else:
                return reply.value

    def _attempt(self, send: Callable[[], Reply[T]], tokens: int) -> Reply[T]:
        """One attempt, within the limits. How it went has been counted."""
        asker = self._asker
        permit = self._waiting(lambda: asker.limits.enter(tokens, self._deadline, asker.check))
        self._attempts += 1
        began = asker.clock.now()
        try:
            reply = send()
            seconds = asker.clock.now() - began
            asker.limits.answered(permit, reply.usage.input_tokens + reply.usage.output_tokens)
        except ThrottledError as error:
            asker.limits.throttled(permit, error.retry_after)
            raise
        except RefusedError as error:
            asker.refuse(error)
            raise
        finally:
            asker.limits.leave()
        self._seconds = (self._seconds or 0.0) + seconds
        self._usage += reply.usage
        return reply

    def _waiting(self, wait: Callable[[], W]) -> W:
        """What `wait` waits for; its time is counted however it ends."""
        began = self._asker.clock.now()
        try:
            return wait()
        finally:
            self._waited += self._asker.clock.now() - began

    def _back_off(self, error: ThrottledError | TransientError, attempts: int, began: float) -> None:
        """Wait before the next attempt; raise the error, told, where there is to be none."""
        self._asker.check()
        longest = min(FIRST_PAUSE_SECONDS * 2.0 ** (attempts - 1), LONGEST_PAUSE_SECONDS)
        seconds = max(self._asker.jitter(0.0, longest), error.retry_after or 0.0)
        if attempts > self._asker.settings.retries:
            raise self._told(error, attempts, began)
        if seconds >= self.left:
            raise self._told(error, attempts, began, f", and the deadline leaves no time to wait {seconds:.1f} s")
        self._waiting(lambda: self._asker.pause(seconds))

    def _told(self, error: ThrottledError | TransientError, attempts: int, began: float, why: str = "") -> RemoteError:
        """The same error, with what was done about it."""
        times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        told = f" ({times} in {self._asker.clock.now() - began:.1f} s{why})"
        kind = ThrottledError if isinstance(error, ThrottledError) else TransientError
        raised = kind(f"{error}{told}", f"{error.textless}{told}", error.retry_after)
        raised.__cause__ = error.__cause__
        return raised

    def _too_late(
        self, late: str, failed: ThrottledError | TransientError | None, attempts: int, began: float
    ) -> RemoteError:
        provider, deadline = self._asker.provider, self._asker.settings.turn_deadline
        if failed is not None:
            return self._told(failed, attempts, began, f", and then it {late}")
        said = f"{provider} {late}, and a turn has {deadline:g} s: raise turn_deadline, or lower concurrency"
        return RemoteError(said, said)
