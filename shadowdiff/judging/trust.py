"""Whether a judge can be trusted: place, length, labels, and texts that speak to it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from shadowdiff.agreement import agreement
from shadowdiff.judging.comparisons import Flagged, JudgedTurn
from shadowdiff.judging.decisions import DECIDED, Decision
from shadowdiff.judging.results import FlaggedEntry, Flips, LabelCheck, LengthCheck, Preference, Share, TurnResult
from shadowdiff.judging.shares import Trials, share, share_of, share_over_sessions
from shadowdiff.stats import Interval, difference_interval
from shadowdiff.verdicts import Choice

ROUNDING = 1e-9
"""A gain as small as this is none."""


def flips(results: Sequence[TurnResult]) -> Flips:
    """How often another order of the same two lists changes what the judge says, and towards which place."""
    answered = [result for result in results if _is_answered_twice(result)]
    flipped = [result for result in answered if result.decision is Decision.FLIPPED]
    return Flips(
        flipped=share_of(answered, lambda result: result.decision is Decision.FLIPPED),
        first_of_flipped=share_of(flipped, lambda result: _choices(result.turn)[0] is Choice.FIRST),
        wavered=share_of(answered, lambda result: result.decision is Decision.WAVERED),
        first_named=share_over_sessions(_places_named(result) for result in results),
        place=_difference(_b_named(results, Choice.FIRST), _b_named(results, Choice.SECOND)),
    )


def length_check(named: Sequence[TurnResult]) -> LengthCheck:
    """Of turns where one list was named: how often the longer one, and whether that is just one side's being longer."""
    uneven = [
        result for result in named if result.turn.comparison.characters[0] != result.turn.comparison.characters[1]
    ]
    longer = [result for result in uneven if _is_b_longer(result)]
    shorter = [result for result in uneven if not _is_b_longer(result)]
    b_when_longer, b_when_shorter = _wins(longer), _wins(shorter)
    return LengthCheck(
        longer_won=share_of(uneven, lambda result: _is_b_longer(result) is (result.preference is Preference.B)),
        b_longer=share(len(longer), len(uneven)),
        b_when_longer=b_when_longer,
        b_when_shorter=b_when_shorter,
        difference=_difference(b_when_longer, b_when_shorter),
    )


def label_check(decided: Sequence[TurnResult]) -> LabelCheck | None:
    """The judge against labels, on the turns that have some and that it was asked about."""
    said = [result for result in decided if not result.turn.comparison.is_identical]
    pairs = [(_by_labels(result.turn.gain), result) for result in said if result.turn.gain is not None]
    if not pairs:
        return None
    found = Counter((labels, result.preference) for labels, result in pairs)
    both = [(labels, result) for labels, result in pairs if labels is not Preference.TIE and result.is_named]
    return LabelCheck(
        agreement=agreement(
            [labels for labels, _ in pairs],
            [result.preference for _, result in pairs],
            [result.session for _, result in pairs],
        ),
        table={labels: {judge: found[labels, judge] for judge in Preference} for labels in Preference},
        both_named=share_over_sessions(
            Trials(result.session, labels is result.preference, 1) for labels, result in both
        ),
    )


def flagged_entries(results: Iterable[TurnResult]) -> tuple[FlaggedEntry, ...]:
    """Every entry whose text reads like an instruction, most turns first; set aside or not."""
    found: dict[tuple[str, str], list[tuple[Flagged, TurnResult]]] = {}
    for result in results:
        comparison = result.turn.comparison
        for entry in comparison.flagged:
            found.setdefault((comparison.org_id, entry.entry_id), []).append((entry, result))
    entries = [_flagged_entry(org_id, held) for (org_id, _), held in found.items()]
    return tuple(sorted(entries, key=lambda entry: (-entry.turns, entry.org_id, entry.entry_id)))


def holders(results: Iterable[TurnResult]) -> Share:
    """How often a list was named as better that alone held such entries."""
    favoured = []
    for result in results:
        in_a = any(entry.in_a and not entry.in_b for entry in result.turn.comparison.flagged)
        in_b = any(entry.in_b and not entry.in_a for entry in result.turn.comparison.flagged)
        if in_a is not in_b and result.decision in DECIDED:
            favoured.append(result.preference is (Preference.B if in_b else Preference.A))
    return share(sum(favoured), len(favoured))


def _usable(turn: JudgedTurn) -> dict[Choice, Choice]:
    """What the judge said, by the place in which the other side's list stood; without abstentions."""
    opinions = {} if turn.comparison.is_identical else {Choice.SECOND: turn.a_first, Choice.FIRST: turn.b_first}
    return {
        place: opinion.choice
        for place, opinion in opinions.items()
        if opinion is not None and opinion.choice is not Choice.ABSTAINED
    }


def _choices(turn: JudgedTurn) -> list[Choice]:
    """That can be used."""
    return list(_usable(turn).values())


def _b_named(results: Iterable[TurnResult], place: Choice) -> Share:
    """How often the other side's list was named where it stood in that place, and a list was named."""
    said = [_usable(result.turn).get(place) for result in results]
    named = [choice for choice in said if choice in {Choice.FIRST, Choice.SECOND}]
    return share(sum(choice is place for choice in named), len(named))


def _is_answered_twice(result: TurnResult) -> bool:
    return len(_choices(result.turn)) == 2


def _places_named(result: TurnResult) -> Trials:
    places = [choice for choice in _choices(result.turn) if choice is not Choice.TIE]
    return Trials(result.session, places.count(Choice.FIRST), len(places))


def _is_b_longer(result: TurnResult) -> bool:
    a, b = result.turn.comparison.characters
    return b > a


def _wins(named: Sequence[TurnResult]) -> Share:
    return share(sum(result.preference is Preference.B for result in named), len(named))


def _difference(one: Share, other: Share) -> Interval:
    if not one.whole or not other.whole:
        return Interval(None)
    return difference_interval((one.part, one.whole), (other.part, other.whole))


def _by_labels(gain: float | None) -> Preference:
    if gain is None or abs(gain) <= ROUNDING:
        return Preference.TIE
    return Preference.B if gain > 0 else Preference.A


def _flagged_entry(org_id: str, held: Sequence[tuple[Flagged, TurnResult]]) -> FlaggedEntry:
    entry, _ = held[0]
    alone = [(flagged, result) for flagged, result in held if flagged.in_a is not flagged.in_b]
    decided = [(flagged, result) for flagged, result in alone if result.decision in DECIDED]
    favoured = sum(result.preference is (Preference.B if flagged.in_b else Preference.A) for flagged, result in decided)
    return FlaggedEntry(
        org_id=org_id,
        entry_id=entry.entry_id,
        title=entry.title,
        quote=entry.quote,
        turns=len(held),
        only_in_a=sum(flagged.in_a for flagged, _ in alone),
        only_in_b=sum(flagged.in_b for flagged, _ in alone),
        favoured=share(favoured, len(decided)),
    )
