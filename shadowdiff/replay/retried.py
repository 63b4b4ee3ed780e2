"""Failed turns, ranked once more by the sides that failed on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from shadowdiff.errors import PlainRerankerError, UnaffordableError
from shadowdiff.protocols import PooledTurn
from shadowdiff.records import NOISE_SIDE, ReplayedSession, ReplayedTurn
from shadowdiff.remote.budget import Budget
from shadowdiff.replay.plan import SideTurns, WindowPlan, rank_anew
from shadowdiff.replay.score import RankedTurn, RankResult, ScoreCache
from shadowdiff.replay.sides import Contender
from shadowdiff.replay.windows import ReadWindow, failure_of
from shadowdiff.runs import Run

OTHER_POOL = "was not asked again: the turn's pool is no longer the one that the other sides ranked; start a new run"

Results = Mapping[tuple[str, str], RankResult]
"""By turn id and label."""


class Retry:
    """Asks the sides of one run again."""

    def __init__(self, contenders: Sequence[Contender], run: Run, cache: ScoreCache, budget: Budget) -> None:
        self._contenders = contenders
        self._noise = run.config.noise
        self._top_k = run.config.top_k
        self._cache = cache
        self._budget = budget

    def rank(self, window: ReadWindow, stored: Sequence[ReplayedSession]) -> list[ReplayedSession]:
        """What became of the failed turns: each with the sides that were asked again and no others. Raises StoreError.

        Turns that still have no pool are left out, and stay as they are.
        """
        read = {turn.turn.turn_id: turn for turn in window.pooled}
        failed = [turn for session in stored for turn in session.turns if turn.failures and turn.turn.turn_id in read]
        same = [turn for turn in failed if read[turn.turn.turn_id].pool.hash == turn.pool.hash]
        results = dict(self._ranked(same, read))
        changed = [turn for turn in failed if turn not in same]
        results |= {
            (turn.turn.turn_id, item.side): PlainRerankerError(OTHER_POOL) for turn in changed for item in turn.failures
        }
        return [_again(session, results) for session in stored]

    def _ranked(self, failed: Sequence[ReplayedTurn], read: Mapping[str, PooledTurn]) -> Results:
        turns = {
            label: [read[turn.turn.turn_id] for turn in failed if any(item.side == label for item in turn.failures)]
            for label in [*(each.side.label for each in self._contenders), NOISE_SIDE]
        }
        sides = [
            SideTurns(each.reranker, each.seen(turns[each.side.label]), each.side.label, self._top_k)
            for each in self._contenders
        ]
        ranked = WindowPlan(sides, self._cache, budget=self._budget).rank()
        if self._noise:
            again = self._contenders[0]
            sides.append(SideTurns(again.reranker, again.seen(turns[NOISE_SIDE]), NOISE_SIDE, self._top_k))
            ranked.append(rank_anew(sides[-1], self._cache, lambda pairs: None, self._budget))
        return {
            (turn.turn.turn_id, side.label): result
            for side, results in zip(sides, ranked, strict=True)
            for turn, result in zip(side.turns, results, strict=True)
            if not isinstance(result, UnaffordableError)
        }


def _again(session: ReplayedSession, results: Results) -> ReplayedSession:
    return replace(session, turns=tuple(_turn_again(turn, results) for turn in session.turns))


def _turn_again(turn: ReplayedTurn, results: Results) -> ReplayedTurn:
    of_turn = {label: result for (turn_id, label), result in results.items() if turn_id == turn.turn.turn_id}
    ranked = {label: result for label, result in of_turn.items() if isinstance(result, RankedTurn)}
    return replace(
        turn,
        rankings={label: result.ranking for label, result in ranked.items()},
        counts={label: result.counts for label, result in ranked.items()},
        failures=tuple(failure_of(label, result) for label, result in of_turn.items() if label not in ranked),
    )
