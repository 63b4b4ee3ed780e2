"""What a replay would ask of providers and what that would cost, found out without sending or storing anything.

It reads the windows that the replay would read, sees each turn as each side would,
and looks the pairs up in the score cache under the keys that the replay uses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from shadowdiff.errors import RerankerError
from shadowdiff.protocols import Asks, Cascades, PooledTurn, PoolReranker, Reranker, ScoreRequest, Source
from shadowdiff.records import Usage
from shadowdiff.replay.execute import read_windows
from shadowdiff.replay.score import NoCache, SideWork, guarded, has_no_text, reads_text
from shadowdiff.replay.sides import Contender, asking_parts, scored_parts
from shadowdiff.replay.windows import WindowReader
from shadowdiff.runs import Forecast, RunConfig, SideForecast

Keys = defaultdict[str, set[bytes]]
"""Pairs by the reranker's fingerprint."""
RECENT_PAIRS = 200_000
"""Of one reranker, remembered twice over: a turn that comes again is not asked for again."""


class Scored(Protocol):
    """Where scores are kept: what `replay.score.ScoreCache` reads."""

    def cached_scores(self, fingerprint: str, pairs: Sequence[bytes]) -> Mapping[bytes, object]:
        """The scores it has."""
        ...


def estimate(
    contenders: Sequence[Contender],
    config: RunConfig,
    source: Source,
    session_ids: Sequence[str],
    cache: Scored | None,
    on_read: Callable[[int, int], None] = lambda done, planned: None,
) -> Forecast:
    """Read the sessions a window at a time and add up what each side lacks. Raises SourceError, StoreError.

    `cache` is None where the replay would not use it. `on_read` is told of sessions done and planned.
    """
    reader = WindowReader(contenders, config, source)
    count = _Count(contenders, config, cache)
    done = 0
    for wanted, window in read_windows(reader, session_ids):
        done += len(wanted)
        count.sessions += len(window.sessions)
        count.turns += sum(len(session.turns) for session in window.sessions)
        count.unpooled_turns += sum(built.reason is not None for built in window.built.values())
        count.add(window.pooled)
        on_read(done, len(session_ids))
    return count.found()


@dataclass(slots=True)
class _Tally:
    """A side's figures so far."""

    turns: int = 0
    pairs: int = 0
    new_pairs: int = 0
    new_turns: int = 0
    usage: Usage = field(default_factory=Usage)


class _Count:
    """Adds windows up."""

    def __init__(self, contenders: Sequence[Contender], config: RunConfig, cache: Scored | None) -> None:
        self.sessions = self.turns = self.unpooled_turns = 0
        self._contenders = contenders
        self._config = config
        self._cache: Scored = cache or NoCache()
        self._recent: defaultdict[str, Recent] = defaultdict(lambda: Recent(0 if cache is None else RECENT_PAIRS))
        self._tallies = [_Tally() for _ in contenders]

    def add(self, pooled: Sequence[PooledTurn]) -> None:
        """One window."""
        works = [_works(contender, contender.seen(pooled)) for contender in self._contenders]
        known = self._known([work for side in works for work in side])
        fresh: Keys = defaultdict(set)
        for contender, tally, side in zip(self._contenders, self._tallies, works, strict=True):
            _add_turns(tally, contender, pooled)
            tally.new_turns += _add_new(tally, side, known, fresh)
        if self._config.noise:
            _add_new(self._tallies[0], works[0], defaultdict(set), defaultdict(set))
        for fingerprint in {work.reranker.fingerprint for side in works for work in side if work.is_cached}:
            self._recent[fingerprint].add(fresh[fingerprint])

    def _known(self, works: Sequence[SideWork]) -> Keys:
        """Keys that need no score: one question per reranker."""
        wanted: Keys = defaultdict(set)
        for work in works:
            wanted[work.reranker.fingerprint].update(work.pair_keys if work.is_cached else ())
        known: Keys = defaultdict(set)
        for fingerprint, keys in wanted.items():
            found = self._recent[fingerprint].among(keys)
            known[fingerprint] = found.union(self._cache.cached_scores(fingerprint, sorted(keys - found)))
        return known

    def found(self) -> Forecast:
        """The sums."""
        sides = tuple(map(self._side, self._contenders, self._tallies))
        return Forecast(self.sessions, self.turns, self.unpooled_turns, sides, self._config.noise)

    def _side(self, contender: Contender, tally: _Tally) -> SideForecast:
        label, is_asking = contender.side.label, bool(asking_parts(contender.reranker))
        return SideForecast(
            contender.side,
            tally.turns,
            tally.pairs,
            tally.new_pairs,
            tally.new_turns,
            tally.usage if is_asking else None,
            self._config.prices.get(label),
            is_at_most=is_asking and not _is_asked_whole(contender),
        )


def _add_turns(tally: _Tally, contender: Contender, pooled: Sequence[PooledTurn]) -> None:
    rankable = [turn for turn in pooled if not (reads_text(contender.reranker) and has_no_text(turn))]
    tally.turns += len(rankable)
    tally.pairs += sum(len(turn.pool.entries) for turn in rankable)


def _add_new(tally: _Tally, works: Sequence[SideWork], known: Keys, fresh: Keys) -> int:
    """Count what is missing, and let it be fresh: the next side of the same reranker finds it. The number of turns."""
    places = set()
    for work in works:
        fingerprint = work.reranker.fingerprint
        for row in work.missing(dict.fromkeys(known[fingerprint] | fresh[fingerprint])):
            places.add(row.place)
            tally.new_pairs += len(row.keys)
            tally.usage += _expected(work.reranker, row.request)
            fresh[fingerprint].update(row.keys)
    return len(places)


def _expected(reranker: Reranker, request: ScoreRequest) -> Usage:
    """Nothing of a reranker that asks nobody, or that would fail on this turn."""
    if not isinstance(reranker, Asks):
        return Usage()
    found = guarded(lambda: reranker.estimate(request))
    return Usage() if isinstance(found, RerankerError) else found


class Recent:
    """The newest of the keys that were added, at least so many and at most twice as many, so that memory stays flat."""

    def __init__(self, at_least: int) -> None:
        self._at_least = at_least
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()

    def add(self, keys: Collection[bytes]) -> None:
        """Remember these, and forget the oldest."""
        self._new.update(keys if self._at_least else ())
        if len(self._new) > self._at_least:
            self._old, self._new = self._new, set()

    def among(self, keys: Collection[bytes]) -> set[bytes]:
        """Those of the keys that are remembered."""
        return {key for key in keys if key in self._new or key in self._old}


def _works(contender: Contender, seen: Sequence[PooledTurn]) -> list[SideWork]:
    """The side's text rerankers with their pairs, as the replay would have them."""
    return [SideWork(part, seen, contender.side.label) for part in _text_parts(contender.reranker)]


def _text_parts(reranker: Reranker | PoolReranker) -> Iterator[Reranker]:
    parts = scored_parts(reranker)
    yield from (part for part in parts if not isinstance(part, PoolReranker))
    for part in parts:
        if isinstance(part, PoolReranker):
            yield from (cast("Any", asking) for asking in asking_parts(part))


def _is_asked_whole(contender: Contender) -> bool:
    """Whether all that asks is asked for every turn that is not known: a cascade's gate spares its second part some."""
    if isinstance(contender.reranker, Cascades):
        return not asking_parts(contender.reranker.parts[1][1])
    parts = scored_parts(contender.reranker)
    return not any(isinstance(part, PoolReranker) and asking_parts(part) for part in parts)
