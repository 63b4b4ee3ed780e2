"""Shares of turns with their intervals, whatever order the turns come in. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from shadowdiff.judging.results import Share, TurnResult
from shadowdiff.stats import Interval, bootstrap_ratios, wilson_interval


class Trials(NamedTuple):
    """What one turn adds to a share."""

    session: tuple[str, str]
    hits: int
    number: int


def share(part: int, whole: int) -> Share:
    """With the interval that takes turns as independent only."""
    return Share(part, whole, wilson_interval(part, whole))


def share_over_sessions(trials: Iterable[Trials]) -> Share:
    """With both intervals."""
    by_session: dict[tuple[str, str], tuple[int, int]] = {}
    for session, hits, number in trials:
        before = by_session.get(session, (0, 0))
        by_session[session] = before[0] + hits, before[1] + number
    counts = [found for found in by_session.values() if found[1]]
    tops, bottoms = [hits for hits, _ in counts], [number for _, number in counts]
    part, whole = sum(tops), sum(bottoms)
    return Share(part, whole, wilson_interval(part, whole), bootstrap_ratios([tops], [bottoms])[0])


def share_of(turns: Sequence[TurnResult], is_hit: Callable[[TurnResult], bool]) -> Share:
    """Of these turns, those that are hits; with both intervals."""
    return share_over_sessions(Trials(turn.session, is_hit(turn), 1) for turn in turns)


def mean_over_sessions(turns: Sequence[TurnResult], value: Callable[[TurnResult], float]) -> Interval:
    """The mean over turns, with its interval over sessions."""
    by_session: dict[tuple[str, str], list[float]] = {}
    for turn in turns:
        by_session.setdefault(turn.session, []).append(value(turn))
    values = list(by_session.values())
    return bootstrap_ratios([[sum(some) for some in values]], [[len(some) for some in values]])[0]
