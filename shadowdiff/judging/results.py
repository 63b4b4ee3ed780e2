"""What a judge's verdicts come to: frozen records, as in `records`.

Wins are the other side's, losses the baseline's. Counts are of turns; a share has one interval that takes turns
as independent (Wilson) and one over sessions. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shadowdiff.agreement import Agreement
from shadowdiff.judging.comparisons import JudgedTurn
from shadowdiff.judging.decisions import DECIDED, Decision
from shadowdiff.paired import Balance, Flipped
from shadowdiff.records import Usage
from shadowdiff.stats import Interval
from shadowdiff.verdicts import Abstention

LEAST_TURNS = 3
"""That an entry must have stood in before it is said to win."""


NO_INTERVAL = Interval(None)


class Preference(StrEnum):
    """Which list somebody prefers, the judge or the labels."""

    A = "a"
    TIE = "tie"
    B = "b"


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, with the intervals that were asked for."""

    part: int
    whole: int
    wilson: Interval = NO_INTERVAL
    """As if turns were independent; holds for few of them, and for shares of 0 and 1."""
    over_sessions: Interval = NO_INTERVAL
    """Resampling whole sessions: turns of one session are not independent. Says too little of few sessions."""

    @property
    def value(self) -> float | None:
        """None of nothing."""
        return self.part / self.whole if self.whole else None

    @property
    def is_most(self) -> bool:
        """Whether it is above one half by more than chance (Wilson)."""
        return self.wilson.low is not None and self.wilson.low > 0.5

    @property
    def is_least(self) -> bool:
        """Whether it is below one half by more than chance (Wilson)."""
        return self.wilson.high is not None and self.wilson.high < 0.5


@dataclass(frozen=True, slots=True)
class TurnResult:
    """A drawn turn and how it ends."""

    turn: JudgedTurn
    decision: Decision
    held_back: bool = False
    """A text that reads like an instruction stands in one of the lists only: the verdict is shown, not counted."""

    @property
    def is_decided(self) -> bool:
        """A win, a tie or a loss that counts."""
        return self.decision in DECIDED and not self.held_back

    @property
    def is_set_aside(self) -> bool:
        """A win, a tie or a loss that does not count."""
        return self.decision in DECIDED and self.held_back

    @property
    def is_named(self) -> bool:
        """Whether the judge named one of the lists as better, and that counts."""
        return self.preference is not Preference.TIE and self.is_decided

    @property
    def preference(self) -> Preference:
        """Which list the judge prefers; a tie also where it cannot tell, or did not."""
        return {Decision.A: Preference.A, Decision.B: Preference.B}.get(self.decision, Preference.TIE)

    @property
    def session(self) -> tuple[str, str]:
        """Org and session: turns of one session are not independent."""
        return self.turn.comparison.org_id, self.turn.comparison.session_id


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the drawn turns, by what they have in common."""

    name: str
    drawn: int
    sessions: int
    balance: Balance
    """Of its decided turns."""
    right: Share
    """Wins of wins and losses; without an interval in a part of too few sessions."""


@dataclass(frozen=True, slots=True)
class Flips:
    """How far the judge goes by the place where a list stands."""

    flipped: Share
    """It named the same place in both orders, of the turns answered in both; of none where it was asked in one."""
    first_of_flipped: Share
    """The place was the first."""
    wavered: Share
    """A tie in one order and a list in the other, of the turns answered in both."""
    first_named: Share
    """The list shown first was named, of all single opinions that named one."""
    place: Interval
    """The other side's share of these where its list was shown first, less that where it was second: what place alone
    does. None where its list always stood in one place.
    """

    @property
    def prefers_first(self) -> bool:
        """The list shown first is named by more than chance, whichever side's it is."""
        return self.first_named.is_most and self.place.low is not None and self.place.low > 0

    @property
    def prefers_second(self) -> bool:
        """The list shown second is named by more than chance, whichever side's it is."""
        return self.first_named.is_least and self.place.high is not None and self.place.high < 0


@dataclass(frozen=True, slots=True)
class LengthCheck:
    """How far the judge goes by length: turns where it named a list, and the lists are not equally long."""

    longer_won: Share
    b_longer: Share
    """How often the other side's list is the longer one: a better side may just be the longer one."""
    b_when_longer: Share
    """The other side's wins where its list is the longer one."""
    b_when_shorter: Share
    difference: Interval
    """Of these two: what length alone does. None where one side's list is the longer one every time."""

    @property
    def prefers_longer(self) -> bool:
        """The longer list wins by more than chance, whichever side's it is."""
        return self.longer_won.is_most and self.difference.low is not None and self.difference.low > 0

    @property
    def prefers_shorter(self) -> bool:
        """The shorter list wins by more than chance, whichever side's it is."""
        return self.longer_won.is_least and self.difference.high is not None and self.difference.high < 0

    @property
    def is_confounded(self) -> bool:
        """Length seems to matter, and cannot be told apart from the side, whose list is the longer one every time."""
        return self.difference.value is None and (self.longer_won.is_most or self.longer_won.is_least)


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """What the judge said against what labels say, on decided turns with labels.

    Without those where both lists are the same: of these it said nothing, and labels see no difference in them.
    """

    agreement: Agreement
    """Of three values: A, tie, B. Its kappa's interval is over sessions."""
    table: Mapping[Preference, Mapping[Preference, int]]
    """Turns, by what the labels prefer and then by what the judge does."""
    both_named: Share
    """The judge named the list that labels prefer, of the turns where both prefer one."""


@dataclass(frozen=True, slots=True)
class FlaggedEntry:
    """An entry whose text reads like an instruction to its reader, and how its list fared."""

    org_id: str
    entry_id: str
    title: str
    quote: str
    turns: int
    only_in_a: int
    """Turns where the baseline's list alone held it."""
    only_in_b: int
    favoured: Share
    """The list that held it alone was named as better, of the turns that ended in a win, a tie or a loss."""

    @property
    def seems_obeyed(self) -> bool:
        """The list that holds it wins nearly always."""
        return self.favoured.whole >= LEAST_TURNS and self.favoured.is_most


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """One other side against the baseline."""

    turns: tuple[TurnResult, ...]
    """Every drawn turn, by org, session and turn."""
    both_orders: bool
    count_flagged: bool
    sessions: int
    """Of the drawn turns."""
    decided_sessions: int
    """Of the decided turns."""
    balance: Balance
    """Of the decided turns."""
    ties: Mapping[Decision, int]
    """The decided ties by kind; each kind stands in it."""
    abstained: Mapping[Abstention, int]
    """Turns by why an answer of theirs cannot be used; each kind stands in it."""
    undecided: Mapping[str, int]
    """Turns by why there is no verdict, most first. The reasons may quote a provider."""
    set_aside: Balance
    """Verdicts that do not count, as a text that reads like an instruction stands in one of the lists only."""
    wins: Share
    """Of the decided turns, as are the other two."""
    tied: Share
    losses: Share
    right: Share
    """"Right when they disagreed": wins, of the turns where one list was named."""
    test: Flipped
    """Whether wins less losses are of one sign by more than chance, over sessions."""
    flips: Flips
    reordered: Part
    """The lists hold the same entries in another order. In the whole too."""
    different: Part
    """They hold different entries. In the whole too."""
    overlap: Interval
    """Of the two lists: mean over all drawn turns, with its interval over sessions."""
    identical: Share
    """Drawn turns on which both lists are the same."""
    by_difference: tuple[Part, ...]
    """By how many entries differ, least first; parts without a turn are left out."""
    by_org: tuple[Part, ...]
    """Most turns first; empty with one org, or with too many."""
    orgs: int
    length: LengthCheck
    labels: LabelCheck | None
    """None where no decided turn that the judge was asked about has a label."""
    flagged: tuple[FlaggedEntry, ...]
    """Most turns first."""
    holders: Share
    """A list that alone held such entries was named as better, of the turns that ended in a win, a tie or a loss."""
    cut_entries: int
    """Shown cut, to fit."""
    cut_turns: int
    """On which at least one was."""

    @property
    def drawn(self) -> int:
        """Queries: wins, ties, losses, abstained, undecided and set aside are each of these once."""
        return len(self.turns)

    @property
    def decided(self) -> int:
        """Wins, ties and losses."""
        return sum(self.balance)

    @property
    def seems_obedient(self) -> bool:
        """The judge seems to do what entries say."""
        whole = self.holders.whole >= LEAST_TURNS and self.holders.is_most
        return whole or any(entry.seems_obeyed for entry in self.flagged)


@dataclass(frozen=True, slots=True)
class JudgedBy:
    """Who judged what, and how it was drawn."""

    judge: str
    """Canonical spec of the judge."""
    model: str
    """As its provider calls it; a person's name."""
    seed: int
    """Of the draw, and of the coin that says whose list is shown first."""
    top_k: int
    both_orders: bool
    queries: int
    """Wanted; fewer were drawn where there are no more."""
    stratified_by: str = ""
    since: str = ""
    """From when on turns were drawn, in the user's words; empty: from the whole run."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What verdicts took, over all sides."""

    asked: int = 0
    """Questions that this command asked."""
    reused: int = 0
    """Verdicts that were stored already."""
    now: Usage = field(default_factory=Usage)
    """Of this command."""
    whole: Usage = field(default_factory=Usage)
    """Of all verdicts that the report counts, whenever they were asked for."""
    usd_now: float | None = None
    """None: no price is known."""
    usd_whole: float | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything that is shown of a run that was judged."""

    by: JudgedBy
    spent: Spent
    reports: Mapping[str, JudgeReport]
    """By label of the other side, in the order of the run."""
    prompt_hashes: Mapping[tuple[str, str, str], tuple[str | None, str | None]] = field(default_factory=dict)
    """By label, org and turn: under what the two opinions are stored, the baseline's list shown first and second."""
