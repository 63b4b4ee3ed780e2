"""What one or two opinions of a turn come to. Pure."""

from __future__ import annotations

from enum import StrEnum

from shadowdiff.judging.comparisons import JudgedTurn
from shadowdiff.verdicts import Choice, Opinion


class Decision(StrEnum):
    """How a drawn turn ends. Exactly one of these."""

    B = "b"
    """The other side's list is better."""
    A = "a"
    """The baseline's is."""
    TIE = "tie"
    """The judge said so, in every order that it was asked in."""
    FLIPPED = "flipped"
    """It named the list that stood in the same place, whichever list that was: a tie by position."""
    WAVERED = "wavered"
    """A tie in one order, and one of the lists in the other: a tie, for it does not agree with itself."""
    IDENTICAL = "identical"
    """Same entries in the same order: a tie, without a call."""
    ABSTAINED = "abstained"
    """An answer could not be used."""
    UNDECIDED = "undecided"
    """Not asked, or not in both orders: the money ended, the judge was not reached, or nobody has gone on yet."""


TIES = frozenset({Decision.TIE, Decision.FLIPPED, Decision.WAVERED, Decision.IDENTICAL})
DECIDED = TIES | {Decision.A, Decision.B}


def decide(turn: JudgedTurn, *, both_orders: bool) -> Decision:
    """What a turn's opinions come to; `both_orders`: one opinion is not enough."""
    if turn.comparison.is_identical:
        return Decision.IDENTICAL
    opinions = [opinion for opinion in (turn.a_first, turn.b_first) if opinion is not None]
    if any(opinion.choice is Choice.ABSTAINED for opinion in opinions):
        return Decision.ABSTAINED
    if not opinions or (both_orders and len(opinions) < 2):
        return Decision.UNDECIDED
    said = {_said(turn.a_first, Decision.A, Decision.B), _said(turn.b_first, Decision.B, Decision.A)} - {None}
    if len(said) == 1:
        return next(decision for decision in said if decision is not None)
    return Decision.WAVERED if Decision.TIE in said else Decision.FLIPPED


def _said(opinion: Opinion | None, first: Decision, second: Decision) -> Decision | None:
    """Whom an opinion prefers, where these are the sides shown first and second."""
    if opinion is None:
        return None
    return {Choice.FIRST: first, Choice.SECOND: second}.get(opinion.choice, Decision.TIE)
