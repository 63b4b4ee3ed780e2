"""Which turns of a stored run a judge is asked about, and their lists side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from shadowdiff.evaluation.measures import measured
from shadowdiff.evaluation.results import Kind, Measure
from shadowdiff.judging.comparisons import Comparison
from shadowdiff.judging.questions import Showing, comparable, compare, missing_texts
from shadowdiff.records import Label, ReplayedSession, SessionOutcome
from shadowdiff.runs import Side
from shadowdiff.sampling import draw
from shadowdiff.store.runs import RunStore

Outcomes = Callable[[Sequence[str]], Iterator[SessionOutcome]]
"""Sessions of the run by id, with pools and texts."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which turns."""

    queries: int
    since: datetime | None = None
    """Asked then or later."""
    by_org: bool = False
    """Whether each org gives its share."""
    seed: int = 0
    turn_id: str | None = None
    """This one alone, drawn or not."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Turns by session, and what could not be drawn."""

    turns: dict[str, frozenset[str]]
    """Turn ids by session id, in the run's order."""
    among: int
    """Turns that could have been drawn."""
    unfinished: int
    """Turns on which one of the sides failed."""
    earlier: int
    """Turns asked before `since`."""


def drawn_turns(store: RunStore, run_id: str, sides: Sequence[Side], wanted: Wanted) -> Drawn:
    """Draw among the turns that all these sides ranked; a larger number holds the smaller one. Raises StoreError."""
    found: list[tuple[str, str, str]] = []
    left: Counter[str] = Counter()
    for replayed in store.sessions(run_id, with_pools=False):
        for turn in replayed.turns:
            if wanted.turn_id not in (None, turn.turn.turn_id):
                continue
            if wanted.since is not None and turn.turn.asked_at < wanted.since:
                left["earlier"] += 1
            elif not comparable(turn, sides):
                left["unfinished"] += 1
            else:
                found.append((replayed.session.session_id, replayed.session.org_id, turn.turn.turn_id))
    keys = [f"{org_id}\0{turn_id}" for _, org_id, turn_id in found]
    strata = [org_id for _, org_id, _ in found] if wanted.by_org else None
    chosen: dict[str, set[str]] = {}
    for place in draw(keys, wanted.queries, seed=wanted.seed, strata=strata):
        chosen.setdefault(found[place][0], set()).add(found[place][2])
    turns = {session_id: frozenset(ids) for session_id, ids in chosen.items()}
    return Drawn(turns, len(found), left["unfinished"], left["earlier"])


@dataclass(frozen=True, slots=True)
class Beside:
    """Drawn turns with the sides' lists, and how many have texts no more."""

    comparisons: tuple[Comparison, ...]
    textless: int
    """Left out: the run stored no texts, and the source does not hold what was ranked any more."""


def compared(outcomes: Outcomes, turns: dict[str, frozenset[str]], sides: Sequence[Side], showing: Showing) -> Beside:
    """The lists of the first side and of each other one on the drawn turns. Raises StoreError, SourceError."""
    found: list[Comparison] = []
    textless = 0
    for outcome in outcomes(list(turns)):
        replayed = ReplayedSession(outcome.session, tuple(turn.replayed for turn in outcome.turns))
        for position, turn in enumerate(replayed.turns):
            if turn.turn.turn_id not in turns[outcome.session.session_id]:
                continue
            comparisons = [compare(replayed, position, sides[0], other, showing) for other in sides[1:]]
            whole = [each for each in comparisons if not missing_texts(replayed, position, each)]
            found += whole
            textless += len(whole) < len(comparisons)
    return Beside(tuple(found), textless)


def gains(comparisons: Sequence[Comparison], labels: Sequence[Label], top_k: int) -> dict[int, float]:
    """By place: nDCG at K of the other side's list less that of the baseline's, where the turn has a label.

    Raises ConfigError where the extra `evaluate` is not installed.
    """
    grades: dict[tuple[str, str], dict[str, int]] = {}
    for label in labels:
        grades.setdefault((label.org_id, label.turn_id), {})[label.entry_id] = label.grade
    labelled = [place for place, each in enumerate(comparisons) if (each.org_id, each.turn_id) in grades]
    if not labelled:
        return {}
    measure = Measure(Kind.NDCG, top_k)
    given = [grades[comparisons[place].org_id, comparisons[place].turn_id] for place in labelled]
    of_a, of_b = (
        measured([comparisons[place].lists[side] for place in labelled], given, [measure], 1)[measure]
        for side in (0, 1)
    )
    return {place: b - a for place, a, b in zip(labelled, of_a, of_b, strict=True)}
