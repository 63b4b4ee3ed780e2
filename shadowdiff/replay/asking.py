"""Asking providers about a window's turns: one turn's pool per call, several at a time, within what may be spent."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import cast

from shadowdiff.errors import RerankerError, UnaffordableError
from shadowdiff.protocols import Answer, Asks
from shadowdiff.records import Asked
from shadowdiff.remote.budget import Budget
from shadowdiff.replay.ahead import Ahead
from shadowdiff.replay.ledger import Ledger
from shadowdiff.replay.score import Missing, Scores, SideWork, guarded, scores_of

UNAFFORDABLE = "was not asked: that would go beyond --max-usd"


def ask_for_turns(works: Sequence[SideWork], ledger: Ledger, budget: Budget, stopped: threading.Event) -> None:
    """Ask for all that is missing, as many turns at a time as the reranker allows. Raises StoreError.

    `works` have equal rerankers: what the first one asks for, the others find.
    """
    for work in works:
        rows = deque(ledger.missing(work))
        threads = min(cast("Asks", work.reranker).concurrency, len(rows))
        workers = [Ahead(partial(_ask_from, rows, work, ledger, budget, stopped)) for _ in range(threads)]
        for worker in workers:
            worker.result()


def _ask_from(queue: deque[Missing], work: SideWork, ledger: Ledger, budget: Budget, stopped: threading.Event) -> None:
    while not stopped.is_set():
        try:
            row = queue.popleft()
        except IndexError:
            return
        ledger.answered(work, row, *_asked_for(work, row, budget))


def _asked_for(work: SideWork, row: Missing, budget: Budget) -> tuple[Scores | RerankerError, Asked]:
    reranker = cast("Asks", work.reranker)
    expected = guarded(lambda: reranker.estimate(row.request))
    if isinstance(expected, RerankerError):
        return expected, Asked()
    reserved = budget.reserve(work.label, expected)
    if reserved is None:
        return UnaffordableError(UNAFFORDABLE), Asked()
    answer = guarded(lambda: reranker.ask(row.request))
    asked = Asked() if isinstance(answer, RerankerError) else _latency_of_whole_pools(answer, work, row)
    budget.settle(work.label, reserved, asked.usage)
    return _scores(answer, row), asked


def _scores(answer: Answer | RerankerError, row: Missing) -> Scores | RerankerError:
    found = answer if isinstance(answer, RerankerError) else answer.found
    return found if isinstance(found, RerankerError) else guarded(lambda: scores_of(row, found))


def _latency_of_whole_pools(answer: Answer, work: SideWork, row: Missing) -> Asked:
    """What production would feel is one call for a whole pool, by a side of its own: nothing else is a latency."""
    is_latency = work.is_side and work.is_whole(row) and not isinstance(answer.found, RerankerError)
    return answer.asked if is_latency else replace(answer.asked, seconds=None)
