"""What goes wrong at a provider, and how often: drawn by a seed, or in a given order."""

from __future__ import annotations

import random
from collections.abc import Iterable
from enum import StrEnum


class Fault(StrEnum):
    """One way in which a call does not end well."""

    THROTTLED = "throttled"
    """429 with Retry-After."""
    THROTTLED_SILENTLY = "throttled-silently"
    """429 without it."""
    BROKEN = "broken"
    """500."""
    OVERLOADED = "overloaded"
    """503 with Retry-After."""
    HANGS = "hangs"
    """The request is read, and nothing comes."""
    DRIPS = "drips"
    """The answer comes a byte at a time, and is right."""
    CUT = "cut"
    """Half of the answer, then the end of the connection."""
    NOT_JSON = "not-json"
    """A page of a proxy, with status 200."""
    OTHER_JSON = "other-json"
    """JSON of another form."""
    MISSING = "missing"
    """One document has no result."""
    TWICE = "twice"
    """One document has two results, and another none."""
    OUTSIDE = "outside"
    """A result for a document that was not sent."""
    NAN = "nan"
    """A score that is no number."""
    DROPPED = "dropped"
    """The connection ends without a word."""
    BUG = "bug"
    """400, as for a request that makes no sense."""
    FORBIDDEN = "forbidden"
    """401, which repeats what the request was authorised with."""


WRONG_ANSWERS = (Fault.NOT_JSON, Fault.OTHER_JSON, Fault.MISSING, Fault.TWICE, Fault.OUTSIDE, Fault.NAN)
"""Status 200, and not to be used."""


class Faults:
    """Which calls go wrong, and how."""

    def __init__(self, *first: Fault | None, then: Fault | None = None, seed: int = 0, **shares: float) -> None:
        """The first calls get `first`, one each (None: nothing); all others what is drawn by `shares`, or `then`.

        Shares are named as faults are, with underscores: `Faults(throttled=0.3, broken=0.05, hangs=0.01)`.
        """
        self._first = list(first)
        self._then = then
        self._draw = random.Random(seed)  # noqa: S311 a plan, not a secret
        self.shares = {Fault(name.replace("_", "-")): share for name, share in shares.items()}

    def next(self) -> Fault | None:
        """What happens to the next call; None: it goes well. One thread at a time."""
        if self._first:
            return self._first.pop(0)
        place = self._draw.random()
        for fault, share in self.shares.items():
            if place < share:
                return fault
            place -= share
        return self._then


def parse_faults(texts: Iterable[str], seed: int) -> Faults:
    """From `throttled=0.3 broken=0.05`, as on a command line."""
    faults = Faults(seed=seed)
    faults.shares = {Fault(name): float(share) for name, _, share in (text.partition("=") for text in texts)}
    return faults
