"""What asking a judge would take, found out before anything is sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from shadowdiff.records import Usage


@dataclass(frozen=True, slots=True)
class JudgeForecast:
    """What would be asked."""

    judge: str
    drawn: int
    """Turns."""
    identical: int
    """Of these, with the same entries in the same order: nobody is asked about them."""
    questions: int
    """Of the others, in every order that they are asked in; each only once, however many turns ask it."""
    stored: int
    """Of these, answered already."""
    usage: Usage
    """Of the rest: calls exactly, tokens roughly."""
    usd: float | None
    """None: nobody said what is charged."""
