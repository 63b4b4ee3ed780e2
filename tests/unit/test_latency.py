"""Latency: which calls are made, in what order, which count, and what is said of them. By a clock of our own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.protocols import PooledTurn
from shadowdiff.replay import latency
from shadowdiff.replay.latency import Latency, TurnSample, measure, measure_all, percentile
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.rrf import ReciprocalRankFusion
from shadowdiff.rerankers.spec import parse
from shadowdiff.testing import KeywordReranker, make_turn

TEXTS = ("encrypted at rest", "price list", "holidays")


class Clock:
    """Stands still but for what rerankers take."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        """Seconds since some moment."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which latency is measured."""
    clock = Clock()
    monkeypatch.setattr(latency, "time", clock)
    return clock


class Recording(KeywordReranker):
    """Writes down which query it was asked, and takes as long as it is told, or fails where it is told nothing."""

    def __init__(self, name: str, calls: list[str], clock: Clock, takes: Callable[[str], float | None]) -> None:
        super().__init__()
        self._name, self._calls, self._clock, self._takes = name, calls, clock, takes

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """As KeywordReranker."""
        self._calls.append(self._name + query)
        assert tuple(documents) == TEXTS
        seconds = self._takes(query)
        self._clock.now += 0.5 if seconds is None else seconds
        if seconds is None:
            raise RuntimeError("made to fail")
        return super().score(query, documents)


def turns(number: int) -> list[PooledTurn]:
    """Turns with the queries 1, 2, 3 and so on."""
    return [make_turn(TEXTS, str(at), turn_id=f"t{at}") for at in range(1, number + 1)]


def sides(names: str, calls: list[str], clock: Clock, seen: Sequence[PooledTurn]) -> list[latency.Side]:
    """One side per letter, each a second a turn."""
    return [(Recording(name, calls, clock, lambda query: 1.0), seen) for name in names]


def test_sides_take_turns_and_change_who_begins(clock: Clock) -> None:
    """One call per side and turn, after one on the last turn for each."""
    calls: list[str] = []
    measure_all(sides("AB", calls, clock, turns(4)))
    assert " ".join(calls) == "A4 B4 A1 B1 B2 A2 A3 B3 B4 A4"
    calls.clear()
    measure_all(sides("ABC", calls, clock, turns(3)))
    assert " ".join(calls) == "A3 B3 C3 A1 B1 C1 B2 C2 A2 C3 A3 B3"


def test_the_warm_up_is_a_turn_that_is_not_timed_where_there_is_one(clock: Clock) -> None:
    """Of four turns, two to be timed: the fourth warms up, the third is left alone."""
    calls: list[str] = []
    found = measure_all(sides("AB", calls, clock, turns(4)), timed=2)
    assert " ".join(calls) == "A4 B4 A1 B1 B2 A2"
    assert [side.turns for side in found] == [2, 2]


def test_what_the_first_call_takes_is_in_no_figure(clock: Clock) -> None:
    """Loading a model takes longer than any call does."""
    calls: list[str] = []
    found = measure(Recording("A", calls, clock, lambda query: 100.0 if len(calls) == 1 else float(query)), turns(3))
    assert (found.turns, found.p50_seconds) == (3, 2.0)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, (1, None, None)),
        (2, (1, None, None)),
        (19, (10, None, None)),
        (20, (10, 19, None)),
        (99, (50, 95, None)),
        (100, (50, 95, 99)),
        (200, (100, 190, 198)),
    ],
)
def test_percentiles_are_given_where_enough_turns_stand_behind_them(
    number: int, expected: tuple[float | None, ...], clock: Clock
) -> None:
    """The slowest of nineteen turns is no 95th percentile."""
    found = measure(Recording("A", [], clock, float), turns(number)[::-1])
    assert found.turns == number
    assert (found.p50_seconds, found.p95_seconds, found.p99_seconds) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300).map(sorted), st.integers(1, 100))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(ordered: list[float], percent: int) -> None:
    """Nearest rank: a value that was measured, never one in between."""
    found = percentile(ordered, percent)
    assert found in ordered
    assert 100 * sum(value <= found for value in ordered) >= percent * len(ordered)
    assert 100 * sum(value < found for value in ordered) < percent * len(ordered)


def test_turns_that_fail_are_counted_and_not_timed(clock: Clock) -> None:
    """Whatever they took: what a failure takes says nothing of an answer."""
    found = measure(Recording("A", [], clock, lambda query: None if query in "24" else 3.0), turns(5))
    assert found == Latency(turns=3, failed_turns=2, p50_seconds=3.0, histogram=((3.0, 3),))


def test_a_side_that_always_fails_has_no_latency_and_stops_no_other(clock: Clock) -> None:
    """The other side's figures stand."""
    seen = turns(3)
    failing = Recording("A", [], clock, lambda query: None)
    found = measure_all([(failing, seen), *sides("B", [], clock, seen)])
    assert found == [Latency(failed_turns=3), Latency(turns=3, p50_seconds=1.0, histogram=((1.0, 3),))]


def test_without_turns_nothing_is_called(clock: Clock) -> None:
    """Not even to warm up: a model that is not asked for is not loaded."""
    calls: list[str] = []
    assert measure_all(sides("AB", calls, clock, [])) == [Latency(), Latency()]
    assert measure_all([]) == []
    assert calls == []


def test_looking_up_what_was_recorded_is_no_latency(clock: Clock) -> None:
    """A side that lists entries by itself ranks nothing now; the others are timed as without it."""
    seen, calls = turns(2), list[str]()
    found = measure_all([(build(parse("served")), seen), *sides("AB", calls, clock, seen)])
    timed = Latency(turns=2, p50_seconds=1.0, histogram=((1.0, 2),))
    assert found == [Latency(), timed, timed]
    assert " ".join(calls) == "A2 B2 A1 B1 B2 A2"


def test_a_turn_without_any_text_is_not_timed(clock: Clock) -> None:
    """It fails in a replay, and would be answered in no time."""
    calls: list[str] = []
    seen = [make_turn(("", ""), "0"), *turns(1)]
    timed = Latency(turns=1, failed_turns=1, p50_seconds=1.0, histogram=((1.0, 1),))
    assert measure(sides("A", calls, clock, seen)[0][0], seen) == timed
    assert calls == ["A1", "A1"]


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(0, 12))
def test_the_same_turns_are_drawn_in_whatever_windows_they_come(windows: list[int], timed: int) -> None:
    """As many as are to be timed and one more; none where none is."""
    passing = turns(sum(windows))
    at_once, one_by_one = TurnSample(timed), TurnSample(timed)
    at_once.add(passing)
    for size in windows:
        one_by_one.add(passing[:size])
        passing = passing[size:]
    assert one_by_one.turns == at_once.turns
    assert len(at_once.turns) == (min(timed + 1, sum(windows)) if timed else 0)


def test_turns_are_drawn_from_the_whole_run() -> None:
    """Not the first ones: these may all be of one org."""
    sample = TurnSample(20)
    sample.add(turns(1000))
    numbers = [int(turn.turn.query) for turn in sample.turns]
    assert min(numbers) < 300
    assert max(numbers) > 700


class Placed(KeywordReranker):
    """Says what it computes with."""

    def __init__(self, threads: int, accelerator: str | None = None) -> None:
        super().__init__()
        self.threads = threads
        self.accelerator = accelerator


def test_a_side_says_what_it_computes_with() -> None:
    """Threads and GPU, its own or its parts'; where nobody says, nothing is claimed."""
    parts = [("one", Placed(2)), ("two", Placed(4, "NVIDIA H100")), ("three", KeywordReranker())]
    fused = ReciprocalRankFusion(parse("rrf:one+two+three"), parts, 60)
    for reranker, expected in (
        (Placed(2, "NVIDIA H100"), (2, "NVIDIA H100")),
        (Placed(3), (3, None)),
        (fused, (4, "NVIDIA H100")),
        (KeywordReranker(), (None, None)),
    ):
        found = measure(reranker, turns(1))
        assert (found.threads, found.accelerator) == expected
