"""What judges say of two anonymised lists. Frozen records, as in `records`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shadowdiff.records import Usage


class Choice(StrEnum):
    """What a judge said of two lists."""

    FIRST = "first"
    """The one that was shown first is better."""
    SECOND = "second"
    TIE = "tie"
    ABSTAINED = "abstained"
    """It was asked, and said nothing that can be used: malformed, refused, or cut short. Never a tie."""


class Abstention(StrEnum):
    """Why an answer cannot be used."""

    MALFORMED = "malformed"
    REFUSED = "refused"
    CUT = "cut short"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a judge answered, which does not know whose the lists are."""

    choice: Choice
    reason: str = ""
    """In the judge's words; of an abstention, in ours, why the answer cannot be used."""
    first_note: str = ""
    """What the judge wrote of the relevance of the list shown first."""
    second_note: str = ""
    abstention: Abstention | None = None
    raw: str = ""
    """The answer as it came, as JSON; of a person's, only their reason where they could not say."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An opinion as it is stored: who was asked what, in which order of the sides, and what it took."""

    judge: str
    """Canonical spec of the judge."""
    model: str
    """As its provider calls it; a person's name."""
    prompt_hash: str
    """SHA-256 (hex) of everything that decides an answer: what the judge is, and all that it was shown."""
    run_id: str
    """The run that it was asked for; another one that would show the same takes the verdict over."""
    org_id: str
    turn_id: str
    first: str
    """Label of the side whose list was shown first."""
    second: str
    opinion: Opinion
    usage: Usage = field(default_factory=Usage)
    seconds: float | None = None
    asked_at: datetime | None = None
