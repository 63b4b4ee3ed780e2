"""What asking a judge would take, found out before anything is sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from shadowdiff.judging.asking import Asks, Found
from shadowdiff.judging.protocol import Judge
from shadowdiff.records import Usage
from shadowdiff.runs import Price


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


def forecast(asks: Asks, found: Found, judge: Judge, price: Price | None) -> JudgeForecast:
    """What the judge would be asked beyond what is `found`."""
    new = [ask for ask in asks.questions if ask.key not in found.verdicts]
    usage = sum((judge.estimate(ask.question) for ask in new), Usage())
    return JudgeForecast(
        judge=str(judge.spec),
        drawn=len(asks.comparisons),
        identical=sum(each.is_identical for each in asks.comparisons),
        questions=len(asks.questions),
        stored=len(asks.questions) - len(new),
        usage=usage,
        usd=None if price is None else price.usd(usage),
    )
