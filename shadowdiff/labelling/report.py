"""How far the labelling is, and how far those who label agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from shadowdiff.agreement import Agreement, agreement
from shadowdiff.labelling.pooled import EntryKey, TurnToLabel
from shadowdiff.records import Label

MOST_DISPUTED = 10


class Rater(NamedTuple):
    """Who labels: a person by name, or a source of labels that have no author, a qrels file say."""

    author: str
    source: str = ""
    """Empty where there is an author, through whichever source the labels came."""


Grades = Mapping[EntryKey, int]


@dataclass(frozen=True, slots=True)
class Share:
    """How much of what is to be labelled has a label."""

    entries: int
    turns_begun: int
    """Turns of which at least one entry has."""
    turns_complete: int
    """Turns of which every entry has."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two raters over the entries that both have labelled."""

    first: Rater
    second: Rater
    sessions: int
    grades: Agreement
    relevance: Agreement
    """On relevant or not."""
    table: Mapping[tuple[int, int], int]
    """Entries by the first's and the second's grade."""


@dataclass(frozen=True, slots=True)
class Disputed:
    """An entry on which raters are apart."""

    turn: TurnToLabel
    entry_id: str
    grades: tuple[tuple[Rater, int], ...]
    """Highest first."""


@dataclass(frozen=True, slots=True)
class LabellingReport:
    """What has been labelled of some turns, and how unanimously."""

    turns: int
    entries: int
    min_grade: int
    """Relevant from this grade on."""
    by_anyone: Share
    by_rater: Mapping[Rater, Share]
    """Most entries first."""
    pairs: tuple[Pair, ...]
    """Of raters with an entry in common, most of them first. Entries count that are not among those to label, too."""
    disputed: tuple[Disputed, ...]
    """The furthest apart first, MOST_DISPUTED of them at the most."""
    disputed_in_all: int


def by_rater(labels: Iterable[Label]) -> dict[Rater, dict[EntryKey, int]]:
    """What each rater says; of several labels of an entry the first counts, so give the newest first."""
    said: dict[Rater, dict[EntryKey, int]] = {}
    for label in labels:
        rater = Rater(label.author) if label.author else Rater("", label.source)
        said.setdefault(rater, {}).setdefault((label.org_id, label.turn_id, label.entry_id), label.grade)
    return said


def labelling_report(turns: Sequence[TurnToLabel], labels: Iterable[Label], min_grade: int = 1) -> LabellingReport:
    """The report over these turns; of an entry's labels by one rater the newest must come first."""
    wanted = {(turn.org_id, turn.turn_id): turn for turn in turns}
    said = by_rater(label for label in labels if (label.org_id, label.turn_id) in wanted)
    shares = {rater: _share(turns, grades) for rater, grades in said.items()}
    order = sorted(shares, key=lambda rater: (-shares[rater].entries, rater))
    disputed = _disputed(wanted, {rater: said[rater] for rater in order}, min_grade)
    return LabellingReport(
        turns=len(turns),
        entries=sum(len(turn.entry_ids) for turn in turns),
        min_grade=min_grade,
        by_anyone=_share(turns, {key for grades in said.values() for key in grades}),
        by_rater={rater: shares[rater] for rater in order},
        pairs=_pairs(wanted, {rater: said[rater] for rater in order}, min_grade),
        disputed=tuple(disputed[:MOST_DISPUTED]),
        disputed_in_all=len(disputed),
    )


def _share(turns: Sequence[TurnToLabel], labelled: Iterable[EntryKey]) -> Share:
    known = set(labelled)
    counts = [(len(known.intersection(turn.keys)), len(turn.entry_ids)) for turn in turns]
    begun, complete = sum(have > 0 for have, _ in counts), sum(have == of for have, of in counts)
    return Share(sum(have for have, _ in counts), begun, complete)


Wanted = Mapping[tuple[str, str], TurnToLabel]
"""By org and turn id."""


def _pairs(wanted: Wanted, said: Mapping[Rater, Grades], min_grade: int) -> tuple[Pair, ...]:
    found = [_pair(wanted, one, other, said, min_grade) for one, other in combinations(said, 2)]
    return tuple(sorted((pair for pair in found if pair.grades.items), key=lambda pair: -pair.grades.items))


def _pair(wanted: Wanted, one: Rater, other: Rater, said: Mapping[Rater, Grades], min_grade: int) -> Pair:
    # Sorted, so that nothing hangs on the order in which labels were read.
    both = sorted(said[one].keys() & said[other].keys())
    first, second = [said[one][key] for key in both], [said[other][key] for key in both]
    sessions = [(key[0], wanted[key[:2]].session_id) for key in both]
    table: dict[tuple[int, int], int] = {}
    for grades in zip(first, second, strict=True):
        table[grades] = table.get(grades, 0) + 1
    return Pair(
        first=one,
        second=other,
        sessions=len(set(sessions)),
        grades=agreement(first, second, sessions),
        relevance=agreement(_relevant(first, min_grade), _relevant(second, min_grade), sessions),
        table=table,
    )


def _relevant(grades: Sequence[int], min_grade: int) -> list[bool]:
    return [grade >= min_grade for grade in grades]


def _disputed(wanted: Wanted, said: Mapping[Rater, Grades], min_grade: int) -> list[Disputed]:
    """All entries with different grades: the furthest apart first, then relevant against not, then in order."""
    found: dict[EntryKey, list[tuple[Rater, int]]] = {}
    for rater, grades in said.items():
        for key, grade in grades.items():
            found.setdefault(key, []).append((rater, grade))
    apart = {key: given for key, given in found.items() if len({grade for _, grade in given}) > 1}
    places = {key: place for place, key in enumerate(wanted)}

    def order(key: EntryKey) -> tuple[int, bool, int, str]:
        grades = [grade for _, grade in apart[key]]
        is_split = min(grades) < min_grade <= max(grades)
        return min(grades) - max(grades), not is_split, places[key[:2]], key[2]

    return [
        Disputed(wanted[key[:2]], key[2], tuple(sorted(apart[key], key=lambda given: -given[1])))
        for key in sorted(apart, key=order)
    ]
