"""From a judge's opinions to who won, with what uncertainty, and on which kinds of turns. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from shadowdiff.evaluation.segments import LEAST_SESSIONS, MOST_VALUES
from shadowdiff.judging.comparisons import Comparison, JudgedTurn
from shadowdiff.judging.decisions import TIES, Decision, decide
from shadowdiff.judging.results import JudgeReport, Part, Preference, Share, TurnResult
from shadowdiff.judging.shares import mean_over_sessions, share, share_of
from shadowdiff.judging.trust import flagged_entries, flips, holders, label_check, length_check
from shadowdiff.paired import Balance, Flipped, sign_flip_test
from shadowdiff.verdicts import Abstention, Choice

NOT_ASKED = "not asked yet"
ONE_ORDER = "asked in one order only so far"
IDENTICAL = "the same list"
REORDERED = "same entries in another order"
BANDS = ((1, "1 entry differs"), (3, "2 or 3 entries differ"), (6, "4 to 6 entries differ"))
"""By how many entries of one list the other lacks, at most."""
MOST_DIFFERENT = "7 or more entries differ"
KINDS = (IDENTICAL, REORDERED, *(name for _, name in BANDS), MOST_DIFFERENT)


def tally(turns: Sequence[JudgedTurn], *, both_orders: bool, count_flagged: bool = False) -> JudgeReport:
    """What the opinions of one other side's turns come to; their order does not matter.

    A turn where a text that reads like an instruction stands in one list only is
    set aside, and tells nothing of the judge either, unless `count_flagged`.
    """
    results = _results(turns, both_orders=both_orders, count_flagged=count_flagged)
    decided = [result for result in results if result.is_decided]
    named = [result for result in decided if result.is_named]
    heard = [result for result in results if not result.held_back]
    by_org = _grouped(results, lambda result: result.turn.comparison.org_id)
    return JudgeReport(
        turns=tuple(results),
        both_orders=both_orders,
        count_flagged=count_flagged,
        sessions=_sessions(results),
        decided_sessions=_sessions(decided),
        balance=_balance(decided),
        ties=_ties(decided),
        abstained=_abstained(results),
        undecided=_undecided(results),
        set_aside=_balance([result for result in results if result.is_set_aside]),
        wins=_preferring(decided, Preference.B),
        tied=_preferring(decided, Preference.TIE),
        losses=_preferring(decided, Preference.A),
        right=_preferring(named, Preference.B),
        test=_test(decided),
        flips=flips(heard),
        reordered=_part(REORDERED, [result for result in results if result.turn.comparison.is_reordered]),
        different=_part("different entries", [result for result in results if _differing(result.turn.comparison)]),
        overlap=mean_over_sessions(results, lambda result: result.turn.comparison.overlap),
        identical=share_of(results, lambda result: result.turn.comparison.is_identical),
        by_difference=_by_difference(results),
        by_org=_parts(by_org) if 1 < len(by_org) <= MOST_VALUES else (),
        orgs=len(by_org),
        length=length_check(named),
        labels=label_check(decided),
        flagged=flagged_entries(results),
        holders=holders(results),
        cut_entries=sum(result.turn.comparison.cut for result in results),
        cut_turns=sum(result.turn.comparison.cut > 0 for result in results),
    )


def kind_of_difference(comparison: Comparison) -> str:
    """By how much the two lists differ: one of KINDS."""
    if comparison.is_identical:
        return IDENTICAL
    most = _differing(comparison)
    return next((name for limit, name in BANDS if most <= limit), MOST_DIFFERENT) if most else REORDERED


def _results(turns: Iterable[JudgedTurn], *, both_orders: bool, count_flagged: bool) -> list[TurnResult]:
    """In one order, whatever order they came in: resampling must not depend on it."""
    results = [
        TurnResult(turn, decide(turn, both_orders=both_orders), turn.comparison.is_suspect and not count_flagged)
        for turn in turns
    ]
    return sorted(results, key=lambda result: (*result.session, result.turn.comparison.turn_id))


def _differing(comparison: Comparison) -> int:
    """Entries of one list that the other lacks; of the list that has more of them."""
    return max(comparison.only_in_a, comparison.only_in_b)


def _sessions(results: Iterable[TurnResult]) -> int:
    return len({result.session for result in results})


def _balance(results: Iterable[TurnResult]) -> Balance:
    found = Counter(result.preference for result in results)
    return Balance(found[Preference.B], found[Preference.TIE], found[Preference.A])


def _preferring(results: Sequence[TurnResult], preference: Preference) -> Share:
    return share_of(results, lambda result: result.preference is preference)


def _ties(decided: Iterable[TurnResult]) -> Mapping[Decision, int]:
    found = Counter(result.decision for result in decided)
    return {kind: found[kind] for kind in Decision if kind in TIES}


def _abstained(results: Iterable[TurnResult]) -> Mapping[Abstention, int]:
    found = Counter(_why_abstained(result.turn) for result in results if result.decision is Decision.ABSTAINED)
    return {kind: found[kind] for kind in Abstention}


def _why_abstained(turn: JudgedTurn) -> Abstention:
    """Of the two answers, the one that was asked for first where neither can be used."""
    in_order = (turn.a_first, turn.b_first) if turn.comparison.a_first else (turn.b_first, turn.a_first)
    unusable = [opinion for opinion in in_order if opinion is not None and opinion.choice is Choice.ABSTAINED]
    return unusable[0].abstention or Abstention.MALFORMED


def _undecided(results: Iterable[TurnResult]) -> Mapping[str, int]:
    found = Counter(_why_undecided(result.turn) for result in results if result.decision is Decision.UNDECIDED)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _why_undecided(turn: JudgedTurn) -> str:
    return turn.failure or (NOT_ASKED if turn.a_first is None and turn.b_first is None else ONE_ORDER)


def _test(decided: Iterable[TurnResult]) -> Flipped:
    totals: dict[tuple[str, str], int] = defaultdict(int)
    for result in decided:
        totals[result.session] += {Preference.B: 1, Preference.A: -1}.get(result.preference, 0)
    return sign_flip_test(list(totals.values()))


def _grouped(results: Iterable[TurnResult], name: Callable[[TurnResult], str]) -> dict[str, list[TurnResult]]:
    found: dict[str, list[TurnResult]] = defaultdict(list)
    for result in results:
        found[name(result)].append(result)
    return found


def _parts(grouped: Mapping[str, Sequence[TurnResult]]) -> tuple[Part, ...]:
    """Most turns first."""
    return tuple(_part(*item) for item in sorted(grouped.items(), key=lambda item: (-len(item[1]), item[0])))


def _by_difference(results: Iterable[TurnResult]) -> tuple[Part, ...]:
    grouped = _grouped(results, lambda result: kind_of_difference(result.turn.comparison))
    return tuple(_part(kind, grouped[kind]) for kind in KINDS if kind in grouped)


def _part(name: str, results: Sequence[TurnResult]) -> Part:
    decided = [result for result in results if result.is_decided]
    balance, sessions = _balance(decided), _sessions(results)
    named = balance.wins + balance.losses
    right = share(balance.wins, named) if sessions >= LEAST_SESSIONS else Share(balance.wins, named)
    return Part(name, len(results), sessions, balance, right)
