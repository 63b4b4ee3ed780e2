"""The turns that an evaluation counts: those with labels that every side ranked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shadowdiff.evaluation.results import LeftOut
from shadowdiff.ranking import surfaced
from shadowdiff.records import Label, ReplayedSession, ReplayedTurn, Session
from shadowdiff.runs import Side

Grades = Mapping[str, int]
"""By entry id."""


@dataclass(frozen=True, slots=True)
class LabelledTurn:
    """A turn with its labels and what each side ranks, without any text but its own and some titles."""

    session: Session
    turn_id: str
    position: int
    query: str
    """What rerankers got."""
    grades: Grades
    pool: tuple[str, ...]
    """Entry ids in retrieval order."""
    listed: Mapping[str, tuple[str, ...]]
    """By side label: entry ids, best first, without those that the side does not rank or that it scores too low."""
    titles: Mapping[str, str]
    """Of pooled entries without a label."""


@dataclass(frozen=True, slots=True)
class CountedTurns:
    """What is evaluated, and what is not."""

    turns: tuple[LabelledTurn, ...]
    sides: tuple[str, ...]
    left_out: LeftOut


def counted_turns(sides: Sequence[Side], sessions: Iterable[ReplayedSession], labels: Iterable[Label]) -> CountedTurns:
    """The turns that have labels and a ranking of every side, in the order of the sessions.

    A side that ranked none of the labelled turns is left out, so that the others can be measured.
    """
    grades: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for label in labels:
        grades[label.org_id, label.turn_id][label.entry_id] = label.grade
    found: list[LabelledTurn] = []
    unlabelled = 0
    for replayed in sessions:
        for turn in replayed.turns:
            given = grades.get((replayed.session.org_id, turn.turn.turn_id))
            unlabelled += given is None
            found += [] if given is None else [_labelled(replayed.session, turn, given, sides)]
    return _completed(found, [side.label for side in sides], unlabelled)


def _completed(found: Sequence[LabelledTurn], labels: Sequence[str], unlabelled: int) -> CountedTurns:
    failed = Counter({label: sum(label not in turn.listed for turn in found) for label in labels})
    absent = tuple(label for label in labels if found and failed[label] == len(found))
    kept = [label for label in labels if label not in absent]
    turns = tuple(turn for turn in found if all(label in turn.listed for label in kept))
    counts = {label: failed[label] for label in kept if failed[label]}
    return CountedTurns(turns, tuple(kept), LeftOut(unlabelled, len(found) - len(turns), counts, absent))


def _labelled(session: Session, turn: ReplayedTurn, grades: Grades, sides: Sequence[Side]) -> LabelledTurn:
    listed = {
        side.label: surfaced(turn.rankings[side.label], len(turn.pool.entries), side.min_score)
        for side in sides
        if side.label in turn.rankings
    }
    unlabelled = (item.entry for item in turn.pool.entries if item.entry.entry_id not in grades)
    return LabelledTurn(
        session=session,
        turn_id=turn.turn.turn_id,
        position=turn.turn.position,
        query=turn.turn.search_text,
        grades=grades,
        pool=turn.pool.entry_ids,
        listed=listed,
        titles={entry.entry_id: entry.title for entry in unlabelled},
    )
