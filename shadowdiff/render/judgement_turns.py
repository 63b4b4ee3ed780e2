"""Single verdicts for people: the queries on which a judge named one list, where the lists differ most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from shadowdiff.judging.results import JudgeReport, Preference, TurnResult
from shadowdiff.judging.tally import kind_of_difference
from shadowdiff.render.text import clip, one_line
from shadowdiff.verdicts import Opinion

NAMES_CELLS = 80
QUERY_CELLS = 300
REASON_CELLS = 600
ENTRY_CELLS = 40
MOST_ENTRIES = 5
NO_REASON = "no reason is kept"


def most_different(report: JudgeReport, preference: Preference, most: int) -> Sequence[TurnResult]:
    """At most so many verdicts that count and prefer this side, the most different lists first.

    Of lists that differ as much, each session's first stands before any session's second.
    """
    found = sorted((result for result in report.turns if _is_for(result, preference)), key=_likeness)
    before = Counter[tuple[str, str]]()
    places = []
    for result in found:
        places.append((_likeness(result), before[result.session]))
        before[result.session] += 1
    order = sorted(range(len(found)), key=places.__getitem__)
    return [found[at] for at in order[:most]]


def _is_for(result: TurnResult, preference: Preference) -> bool:
    return result.is_named and result.preference is preference


def _likeness(result: TurnResult) -> tuple[int, float]:
    comparison = result.turn.comparison
    return -max(comparison.only_in_a, comparison.only_in_b), comparison.overlap


def where_text(result: TurnResult) -> str:
    """Which query it is, and how far the lists differ."""
    comparison = result.turn.comparison
    names = f"{comparison.org_id} · session {comparison.session_id} · turn {comparison.turn_id}"
    return f"{clip(one_line(names), NAMES_CELLS)} · {kind_of_difference(comparison)}"


def query_text(result: TurnResult) -> str:
    """What the user asked."""
    return f"“{clip(one_line(result.turn.comparison.query), QUERY_CELLS)}”"


def entries_text(result: TurnResult, a: str, b: str) -> str:
    """The entries that one list alone holds, under the numbers that the judge knows them by; none of a reordering."""
    comparison = result.turn.comparison
    numbers = {entry_id: number for number, entry_id in enumerate(comparison.shown, start=1)}
    alone = _alone(comparison.lists, numbers)
    parts = [f"{label} only: {_listed(found)}" for label, found in zip((a, b), alone, strict=True) if found]
    return " · ".join(parts)


def _alone(lists: tuple[tuple[str, ...], tuple[str, ...]], numbers: Mapping[str, int]) -> list[list[str]]:
    """Of each list, the entries that the other lacks, best first."""
    return [
        [one_line(f"entry {numbers.get(entry_id, '?')} {entry_id}") for entry_id in own if entry_id not in other]
        for own, other in (lists, lists[::-1])
    ]


def _listed(entries: Sequence[str]) -> str:
    shown = [clip(entry, ENTRY_CELLS) for entry in entries[:MOST_ENTRIES]]
    more = len(entries) - MOST_ENTRIES
    return ", ".join(shown + ([f"and {more:,} more"] if more > 0 else []))


def reason_text(result: TurnResult, a: str, b: str) -> str:
    """Why, in the judge's words when it was asked for the first time, and whose the lists were that it speaks of."""
    opinion, (first, second) = _asked_first(result, a, b)
    reason = clip(one_line(opinion.reason), REASON_CELLS) if opinion else ""
    return f"judge (List 1 is {first}'s, List 2 {second}'s): {reason or NO_REASON}"


def _asked_first(result: TurnResult, a: str, b: str) -> tuple[Opinion | None, tuple[str, str]]:
    turn = result.turn
    opinions = [(turn.a_first, (a, b)), (turn.b_first, (b, a))]
    in_order = opinions if turn.comparison.a_first else opinions[::-1]
    return next((item for item in in_order if item[0] is not None), in_order[0])
