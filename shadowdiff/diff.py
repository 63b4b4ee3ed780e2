"""What two sides would have shown differently: rankings in, diffs out. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from itertools import chain, count
from operator import eq
from typing import TYPE_CHECKING, cast

from shadowdiff.fidelity import turn_fidelity
from shadowdiff.ranking import surfaced
from shadowdiff.records import (
    NOISE_SIDE,
    Outcome,
    Ranking,
    ReplayedSession,
    ReplayedTurn,
    SessionDiff,
    SessionOutcome,
    TurnDiff,
    TurnOutcome,
)
from shadowdiff.runs import RunConfig, Side

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence


def diff_session(replayed: ReplayedSession, sides: Sequence[Side], config: RunConfig) -> SessionOutcome:
    """Compare the first of `sides` with each other one, turn by turn and over the session.

    With `config.noise` the ranking under NOISE_SIDE is one more other side,
    held to the baseline's own `min_score`. A turn on which either ranking of a
    pair is missing has the diff None for that pair. The side that is
    `config.production`, whichever it is, is held against what was served.
    """
    others = _compared(sides, config)
    turns = tuple(
        TurnOutcome(
            turn,
            {other.label: _diff_pair(turn, sides[0], other, config) for other in others},
            turn_fidelity(turn, config),
        )
        for turn in replayed.turns
    )
    return SessionOutcome(
        session=replayed.session,
        turns=turns,
        diffs={other.label: _distinct([turn.diffs[other.label] for turn in turns]) for other in others},
    )


def diff_turn(
    a: Ranking,
    b: Ranking,
    config: RunConfig,
    min_score_a: float | None = None,
    min_score_b: float | None = None,
) -> TurnDiff:
    """Compare what two rankings surface for one turn.

    Two sides that both surface nothing agree: overlap and RBO are 1.0 and
    `same_top1` is true. Near-ties are those of the K cut alone; `min_score`
    does not change them.
    """
    surfaced_a = surfaced(a, config.top_k, min_score_a)
    surfaced_b = surfaced(b, config.top_k, min_score_b)
    only_in_a, only_in_b, both = _split(surfaced_a, surfaced_b)
    longer = max(len(surfaced_a), len(surfaced_b))
    return TurnDiff(
        surfaced_a=surfaced_a,
        surfaced_b=surfaced_b,
        only_in_a=only_in_a,
        only_in_b=only_in_b,
        both=both,
        overlap=len(both) / longer if longer else 1.0,
        rbo=rbo_ext(surfaced_a, surfaced_b, config.rbo_p),
        same_top1=surfaced_a[:1] == surfaced_b[:1],
        near_ties_a=near_ties(a, config.top_k, config.near_tie_share),
        near_ties_b=near_ties(b, config.top_k, config.near_tie_share),
    )


def near_ties(ranking: Ranking, top_k: int, share: float) -> frozenset[str]:
    """Entries whose being in or out of the top K hangs on less than `share` of the ranking's score spread.

    The spread is the best score less the worst, over the entries that the side
    scored. An entry inside the top K is compared with the first one outside, an
    entry outside with the last one inside; equal scores across the cut are a
    near-tie whatever the spread. Empty when nothing is cut, or `share` is 0.
    """
    scores = ranking.scores
    scored = _scored(scores)
    if share <= 0 or not 0 < top_k < scored:
        return frozenset()
    # Unranked entries stand last, so that the first `scored` are scores, best first.
    known = cast("Sequence[float]", scores)
    last_inside, first_outside = known[top_k - 1], known[top_k]
    margin = share * (known[0] - known[scored - 1])
    if not _is_near(last_inside - first_outside, margin):
        return frozenset()
    first, end = top_k - 1, top_k + 1
    while first > 0 and _is_near(known[first - 1] - first_outside, margin):
        first -= 1
    while end < scored and _is_near(last_inside - known[end], margin):
        end += 1
    return frozenset(ranking.entry_ids[first:end])


def _scored(scores: Sequence[float | None]) -> int:
    """How many entries the side scored."""
    return len(scores) if not scores or scores[-1] is not None else scores.index(None)


def _is_near(gap: float, margin: float) -> bool:
    return gap < margin or gap == 0


def rbo_ext(a: Sequence[str], b: Sequence[str], p: float) -> float:
    """Extrapolated rank-biased overlap of two lists without duplicates, best first, in [0, 1].

    Webber, Moffat and Zobel 2010, eq. 32, which also covers lists of uneven
    length: a list that is a prefix of the other scores 1.0. Two empty lists
    score 1.0, an empty one against any other 0.0.

    Raises ValueError unless 0 < p < 1.
    """
    if not 0 < p < 1:
        raise ValueError(f"rbo_p is {p}; it must lie between 0 and 1")
    short, long = (a, b) if len(a) <= len(b) else (b, a)
    if len(short) == len(long) and all(map(eq, short, long)):
        return 1.0
    if not short:
        return 0.0
    if len(short) == len(long):
        return _rbo_of_even_lists(short, long, p)
    shared = _first_shared(short, long)
    at_short = sum(shared[: len(short)])
    total, weight, overlap = 0.0, 1.0 - p, 0
    for depth, added in enumerate(shared, start=1):
        overlap += added
        beyond = depth - len(short)
        total += weight * (overlap + at_short * beyond / len(short) if beyond > 0 else overlap) / depth
        weight *= p
    total += ((overlap - at_short) / len(long) + at_short / len(short)) * p ** len(long)
    return min(max(total, 0.0), 1.0)


def _rbo_of_even_lists(a: Sequence[str], b: Sequence[str], p: float) -> float:
    """The same where both are as long: a shared entry counts at every depth from that at which both lists hold it."""
    weights = _weights_from(len(a), p)
    places = dict(zip(a, count(), strict=False))
    # Summed exactly, so that it is the same whichever list comes first. A call of max() would be a third of the time.
    shared = [
        weights[place if place > other else other]
        for place, entry_id in enumerate(b)
        if (other := places.get(entry_id)) is not None
    ]
    return min(math.fsum(shared) + len(shared) / len(a) * p ** len(a), 1.0)


@lru_cache(maxsize=64)
def _weights_from(depths: int, p: float) -> tuple[float, ...]:
    """The sum of (1 - p) p^(d - 1) / d over the depths d from 1, 2, … on down to `depths`."""
    each = [(1.0 - p) * p ** (depth - 1) / depth for depth in range(1, depths + 1)]
    return tuple(math.fsum(each[start:]) for start in range(depths))


def contrast(outcome: SessionOutcome) -> tuple[float, ...]:
    """Sort key: ascending order puts the sessions in which the sides differ most first.

    First the distinct entries that only one side surfaced, summed over the
    pairs; then the mean RBO over completed turns and pairs, 1.0 where no turn
    was completed. The noise pass is left out. Sessions that differ equally have
    equal keys: the caller adds start and id.
    """
    sessions = [diff for label, diff in outcome.diffs.items() if label != NOISE_SIDE]
    distinct = sum(len(diff.only_in_a) + len(diff.only_in_b) for diff in sessions)
    rbos = [diff.rbo for turn in outcome.turns for _, diff in _pairs(turn) if diff is not None]
    return (-distinct, math.fsum(rbos) / len(rbos) if rbos else 1.0)


def only_changed(outcome: SessionOutcome) -> SessionOutcome | None:
    """Keep the turns that are different or failed for some pair; None when there is none.

    The noise pass decides nothing. The session's own diffs stay those of all its turns.
    """
    kept = tuple(turn for turn in outcome.turns if _is_changed(turn))
    return replace(outcome, turns=kept) if kept else None


def _compared(sides: Sequence[Side], config: RunConfig) -> tuple[Side, ...]:
    noise = (replace(sides[0], label=NOISE_SIDE),) if config.noise else ()
    return (*sides[1:], *noise)


def _diff_pair(turn: ReplayedTurn, baseline: Side, other: Side, config: RunConfig) -> TurnDiff | None:
    a, b = turn.rankings.get(baseline.label), turn.rankings.get(other.label)
    if a is None or b is None:
        return None
    return diff_turn(a, b, config, baseline.min_score, other.min_score)


def _distinct(turns: Sequence[TurnDiff | None]) -> SessionDiff:
    completed = [diff for diff in turns if diff is not None]
    only_in_a, only_in_b, both = _split(
        dict.fromkeys(chain.from_iterable(diff.surfaced_a for diff in completed)),
        dict.fromkeys(chain.from_iterable(diff.surfaced_b for diff in completed)),
    )
    return SessionDiff(
        only_in_a=only_in_a,
        only_in_b=only_in_b,
        both=both,
        completed_turns=len(completed),
        failed_turns=len(turns) - len(completed),
    )


def _split(a: Collection[str], b: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """What only A holds, only B holds, and both hold; each in its own side's order, `both` in A's."""
    of_a, of_b = set(a), set(b)
    if of_a == of_b:
        return (), (), tuple(a)
    return (
        tuple([entry_id for entry_id in a if entry_id not in of_b]),
        tuple([entry_id for entry_id in b if entry_id not in of_a]),
        tuple([entry_id for entry_id in a if entry_id in of_b]),
    )


def _first_shared(short: Sequence[str], long: Sequence[str]) -> list[int]:
    """How many entries are in both lists' beginnings from depth 1, 2, … on, down to the end of the longer one."""
    shared = [0] * len(long)
    places = dict(zip(short, count(), strict=False))
    for place, entry_id in enumerate(long):
        other = places.get(entry_id)
        if other is not None:
            shared[max(place, other)] += 1
    return shared


def _pairs(turn: TurnOutcome) -> Iterator[tuple[str, TurnDiff | None]]:
    return ((label, diff) for label, diff in turn.diffs.items() if label != NOISE_SIDE)


def _is_changed(turn: TurnOutcome) -> bool:
    return any(turn.outcome(label) in {Outcome.DIFFERENT, Outcome.FAILED} for label, _ in _pairs(turn))
