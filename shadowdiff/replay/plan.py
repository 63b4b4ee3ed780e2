"""A window of turns through every side: no pair twice, sides with one model together, remote sides meanwhile.

turns of a window ─┬─▶ gates of cascades, which say what their second parts are to rank as well
                   ├─▶ sides that read recorded facts ───────────────────────────────▶ rankings
                   └─▶ text sides ─▶ cache ─▶ what it lacks ─┬─▶ by engine: sorted over turns and sides
                                                             ├─▶ by provider: a turn a call, several at once
                                                             └─▶ by side: a few turns a call
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

from shadowdiff.errors import RerankerError
from shadowdiff.protocols import (
    Asks,
    Cascades,
    EncodesPairs,
    Fuses,
    ListingReranker,
    PooledTurn,
    PoolReranker,
    Reranker,
)
from shadowdiff.ranking import rank_pool, surfaced
from shadowdiff.records import ScoreCounts
from shadowdiff.remote.budget import UNLIMITED, Budget
from shadowdiff.replay.ahead import Ahead
from shadowdiff.replay.asking import ask_for_turns
from shadowdiff.replay.ledger import Ledger
from shadowdiff.replay.score import (
    NO_TEXT,
    NoCache,
    RankedTurn,
    RankResult,
    ScoreCache,
    Scores,
    SideWork,
    Uncached,
    guarded,
    has_no_text,
    reads_text,
    score_missing,
)
from shadowdiff.replay.sides import asking_parts, scored_parts
from shadowdiff.rerankers.network import network_of
from shadowdiff.rerankers.parts import failure_of_part
from shadowdiff.rerankers.scoring import score_turn
from shadowdiff.store.runs import CachedScore

if TYPE_CHECKING:
    from shadowdiff.rerankers.pairs import EncodedPair

TURNS_PER_CALL = 8
"""Turns in one call of a reranker without an engine: enough to sort over, few enough for a progress bar to move."""
OnScored = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class SideTurns:
    """A reranker and the turns of a window as it may see them."""

    reranker: Reranker | PoolReranker
    turns: Sequence[PooledTurn]
    label: str = ""
    top_k: int = 10
    """How many of its entries are shown."""


def rank_turns(
    reranker: Reranker | PoolReranker, turns: Sequence[PooledTurn], cache: ScoreCache | None = None
) -> list[RankResult]:
    """One side's rankings, in order of the turns; whatever it raises fails its own turn only."""
    return WindowPlan([SideTurns(reranker, turns)], cache or NoCache()).rank()[0]


def rank_anew(side: SideTurns, cache: ScoreCache, on_scored: OnScored, budget: Budget = UNLIMITED) -> list[RankResult]:
    """Every pair scored anew, past the cache, and beside other pairs than in a window: one turn a call.

    A provider is asked a turn a call anyway, so its turns go out together.
    """
    uncached = Uncached(cache)
    if asking_parts(side.reranker):
        return WindowPlan([side], uncached, on_scored, budget=budget).rank()[0]
    results = []
    for turn in side.turns:
        results += WindowPlan([replace(side, turns=[turn])], uncached).rank()[0]
        on_scored(len(turn.pool.entries))
    return results


class WindowPlan:
    """What a window of turns asks of its sides."""

    def __init__(
        self,
        sides: Sequence[SideTurns],
        cache: ScoreCache,
        on_scored: OnScored = lambda pairs: None,
        load: Callable[[Reranker], None] = lambda reranker: None,
        budget: Budget = UNLIMITED,
    ) -> None:
        """`on_scored` is told of pairs of text sides as their scores are known, perhaps from several threads.

        `load` is called with every text reranker that has something to score, before any has.
        Providers are asked for what `budget` allows.
        """
        self._load = load
        self._budget = budget
        self._on_scored = on_scored
        self._players = [_player(side) for side in sides]
        self._ledger = Ledger(cache, on_scored)

    def rank(self) -> list[list[RankResult]]:
        """Results per side and turn, in the order given. Raises StoreError; what a reranker raises is a result."""
        try:
            self._pass_gates()
            self._score(self._players)
            return [player.results(self._ledger) for player in self._players]
        finally:
            self._ledger.keep()

    def _pass_gates(self) -> None:
        """What a cascade's second part has to rank is known once its gate has ranked: then all is scored together."""
        cascades = [player for player in self._players if isinstance(player, _Cascade)]
        self._score([cascade.gate for cascade in cascades])
        for cascade in cascades:
            self._on_scored(cascade.decide(self._ledger))

    def _score(self, players: Sequence[_Player | _Cascade]) -> None:
        works = [work for player in players for work in player.works.values()]
        if works:
            self._ledger.look_up(works)
            self._score_missing([work for work in works if self._ledger.lacks(work)])

    def _score_missing(self, missing: Sequence[SideWork]) -> None:
        """Remote sides wait for their answers while local ones compute."""
        for reranker in {id(work.reranker): work.reranker for work in missing}.values():
            self._load(reranker)
        tasks = _tasks(missing, self._ledger, self._budget)
        stopped = threading.Event()
        remote = [Ahead(partial(task, stopped)) for task, is_remote in tasks if is_remote]
        try:
            for task, is_remote in tasks:
                if not is_remote:
                    task(stopped)
            for answers in remote:
                answers.result()
        finally:
            stopped.set()


class _Player:
    """A side or a part of a cascade, with the work of every text reranker in it."""

    def __init__(self, side: SideTurns, *, is_side: bool = True) -> None:
        self._reranker = side.reranker
        self._turns = side.turns
        self.works = {
            place: SideWork(part, side.turns, side.label, is_side=is_side and part is side.reranker)
            for place, part in enumerate(scored_parts(side.reranker))
            if not isinstance(part, PoolReranker)
        }

    def results(self, ledger: Ledger) -> list[RankResult]:
        if not isinstance(self._reranker, PoolReranker):
            return [_ranked_by_text(self.works[0], place, ledger) for place in range(len(self._turns))]
        return [self._by_pool(self._reranker, place, ledger) for place in range(len(self._turns))]

    def _by_pool(self, reranker: PoolReranker, place: int, ledger: Ledger) -> RankResult:
        turn = self._turns[place]
        if reads_text(reranker) and has_no_text(turn):
            return RerankerError(NO_TEXT)
        return guarded(lambda: _ranked(reranker, turn, self._pool_scores(reranker, place, ledger)))

    def _pool_scores(self, reranker: PoolReranker, place: int, ledger: Ledger) -> Sequence[float]:
        turn = self._turns[place]
        if not isinstance(reranker, Fuses):
            return reranker.score_pool(turn)
        return reranker.fuse(
            turn, [partial(self._part_scores, part, place, ledger) for part in range(len(reranker.parts))]
        )

    def _part_scores(self, part: int, place: int, ledger: Ledger) -> Sequence[float]:
        """Scores of one part for one turn. Raises what the part raised."""
        work = self.works.get(part)
        if work is None:
            return score_turn(scored_parts(self._reranker)[part], self._turns[place]).scores
        failure = _complete(work, place, ledger)
        if failure is not None:
            raise failure
        account = ledger.of(work)
        return [item.score for item in work.scores(place, account.known, account.fresh)]


class _Cascade:
    """A side whose gate ranks every turn, and whose second part those on which the gate is not sure."""

    def __init__(self, side: SideTurns, reranker: Cascades) -> None:
        (self._gate_name, gate), (self._then_name, self._second) = reranker.parts
        self._side = side
        self._reranker = reranker
        self.gate = _Player(replace(side, reranker=gate), is_side=False)
        self.works: dict[int, SideWork] = {}
        """Of the second part, once it is decided what that has to rank."""

    def decide(self, ledger: Ledger) -> int:
        """Let the gate rank; returns how many pairs that spares."""
        self._gated = self.gate.results(ledger)
        unsure = [place for place, result in enumerate(self._gated) if self._is_unsure(result)]
        turns = [self._side.turns[place] for place in unsure]
        self._then = _Player(replace(self._side, reranker=self._second, turns=turns), is_side=False)
        self._unsure = {place: among for among, place in enumerate(unsure)}
        self.works = self._then.works
        return sum(len(turn.pool.entries) for place, turn in enumerate(self._side.turns) if place not in self._unsure)

    def results(self, ledger: Ledger) -> list[RankResult]:
        then = self._then.results(ledger)
        return [self._result(place, gated, then) for place, gated in enumerate(self._gated)]

    def _is_unsure(self, gated: RankResult) -> bool:
        return isinstance(gated, RankedTurn) and self._reranker.needs_then(gated.ranking)

    def _result(self, place: int, gated: RankResult, then: Sequence[RankResult]) -> RankResult:
        if isinstance(gated, RerankerError):
            return failure_of_part(self._gate_name, gated)
        if place not in self._unsure:
            return replace(gated, counts=replace(gated.counts, escalated=False))
        reranked = then[self._unsure[place]]
        if isinstance(reranked, RerankerError):
            return failure_of_part(self._then_name, reranked)
        shown, instead = (set(surfaced(turn.ranking, self._side.top_k)) for turn in (gated, reranked))
        return replace(reranked, counts=replace(reranked.counts, escalated=True, altered=shown != instead))


def _player(side: SideTurns) -> _Player | _Cascade:
    return _Cascade(side, side.reranker) if isinstance(side.reranker, Cascades) else _Player(side)


def _ranked_by_text(work: SideWork, place: int, ledger: Ledger) -> RankResult:
    account = ledger.of(work)
    return _complete(work, place, ledger) or work.ranked(place, account.known, account.fresh)


def _complete(work: SideWork, place: int, ledger: Ledger) -> RerankerError | None:
    """Ask for what is still missing of a turn by itself, so that it fails by itself; why, if it does."""
    if work.is_unreadable(place):
        return RerankerError(NO_TEXT)
    account = ledger.of(work)
    lacking = work.lacking(place, account.known, account.fresh)
    if lacking.keys and isinstance(work.reranker, Asks):
        return ledger.failure(work, lacking)
    scored = guarded(lambda: score_missing(work.reranker, [lacking])) if lacking.keys else {}
    if isinstance(scored, RerankerError):
        return scored
    ledger.add(work, scored)
    return None


def _ranked(reranker: PoolReranker, turn: PooledTurn, scores: Sequence[float]) -> RankedTurn:
    ranking = rank_pool(turn.pool, scores)
    held = set(turn.pool.entry_ids)
    listed = reranker.listed(turn.turn) if isinstance(reranker, ListingReranker) else ()
    outside = sum(entry_id not in held for entry_id in listed)
    return RankedTurn(ranking, ScoreCounts(pairs=len(turn.pool.entries), outside_pool=outside))


Task = Callable[[threading.Event], None]


def _tasks(works: Sequence[SideWork], ledger: Ledger, budget: Budget) -> list[tuple[Task, bool]]:
    """What there is to do, and whether it waits for a network."""
    by_engine: dict[int, list[SideWork]] = defaultdict(list)
    by_provider: dict[str, list[SideWork]] = defaultdict(list)
    tasks: list[tuple[Task, bool]] = []
    for work in works:
        if isinstance(work.reranker, EncodesPairs):
            by_engine[id(work.reranker.engine)].append(work)
        elif isinstance(work.reranker, Asks):
            by_provider[work.reranker.fingerprint].append(work)
        else:
            network = network_of(work.reranker)
            tasks.append((partial(_score_by_turns, work, ledger), network is not None and network.sends_texts))
    tasks += [(partial(ask_for_turns, sharing, ledger, budget), True) for sharing in by_provider.values()]
    return [*tasks, *((partial(_score_by_engine, sharing, ledger), False) for sharing in by_engine.values())]


def _score_by_turns(work: SideWork, ledger: Ledger, stopped: threading.Event) -> None:
    """A few turns a call. A call that fails leaves its turns to be asked for one by one."""
    rows = ledger.missing(work)
    for start in range(0, len(rows), TURNS_PER_CALL):
        if stopped.is_set():
            return
        scored = guarded(partial(score_missing, work.reranker, rows[start : start + TURNS_PER_CALL]))
        if not isinstance(scored, RerankerError):
            ledger.add(work, scored)


def _score_by_engine(works: Sequence[SideWork], ledger: Ledger, stopped: threading.Event) -> None:
    """Pairs of every side that uses the model, together. What fails is left to be asked for turn by turn."""
    targets: dict[EncodedPair, list[tuple[SideWork, bytes, bool]]] = defaultdict(list)
    for work in works:
        for pair, key in _encoded(work, ledger):
            targets[pair].append((work, key, pair.truncated))
    scores = iter(cast("EncodesPairs", works[0].reranker).engine.score(targets))
    while not stopped.is_set():
        scored = guarded(lambda: next(scores, None))
        if scored is None or isinstance(scored, RerankerError):
            return
        _spread(scored, targets, ledger)


def _encoded(work: SideWork, ledger: Ledger) -> Iterator[tuple[EncodedPair, bytes]]:
    """The side's missing pairs by their token ids; a turn that cannot be encoded is left out."""
    rows = ledger.missing(work)
    encoded = guarded(lambda: cast("EncodesPairs", work.reranker).encode([row.request for row in rows]))
    if isinstance(encoded, RerankerError):
        return
    for row, pairs in zip(rows, encoded, strict=True):
        if not isinstance(pairs, RerankerError):
            yield from zip(pairs, row.keys, strict=True)


def _spread(
    scored: Mapping[EncodedPair, float],
    targets: Mapping[EncodedPair, Sequence[tuple[SideWork, bytes, bool]]],
    ledger: Ledger,
) -> None:
    """Each score to all that asked for it."""
    by_work: dict[int, tuple[SideWork, Scores]] = {}
    for pair, score in scored.items():
        if math.isfinite(score):
            for work, key, truncated in targets[pair]:
                by_work.setdefault(id(work), (work, {}))[1][key] = CachedScore(score, truncated)
    for work, scores in by_work.values():
        ledger.add(work, scores)
