"""What holds for every run, whatever its sessions."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from shadowdiff.diff import diff_session, only_changed
from shadowdiff.records import (
    Outcome,
    Pool,
    PoolOrigin,
    Ranking,
    ReplayedSession,
    ReplayedTurn,
    Session,
    SessionOutcome,
    Turn,
)
from shadowdiff.runs import PairSummary, RunConfig, RunSummary, Side
from shadowdiff.summary import SummaryBuilder

if TYPE_CHECKING:
    from collections.abc import Sequence

UNHURRIED = settings(deadline=None, max_examples=60)
NOW = datetime(2026, 11, 19, 14, 2, tzinfo=UTC)
POOL = "abcde"
CONFIGS = st.builds(RunConfig, top_k=st.integers(1, 4))
MIN_SCORES = st.tuples(st.none() | st.integers(-1, 1).map(float), st.none() | st.integers(-1, 1).map(float))


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    """An order over the whole pool, with scores that often tie."""
    scores = draw(st.lists(st.integers(-2, 2), min_size=len(POOL), max_size=len(POOL)))
    return Ranking(tuple(draw(st.permutations(POOL))), tuple(sorted(map(float, scores), reverse=True)))


@st.composite
def runs(draw: st.DrawFn) -> list[ReplayedSession]:
    """Some sessions of two orgs; now and then a side is missing from a turn."""
    by_side = st.fixed_dictionaries({}, optional={"A": rankings(), "B": rankings()}) | st.fixed_dictionaries(
        {"A": rankings(), "B": rankings()}
    )
    sessions = draw(st.lists(st.tuples(st.sampled_from(["acme", "birch"]), st.lists(by_side, max_size=3)), max_size=6))
    return [
        ReplayedSession(
            Session(f"s{number}", org_id, NOW),
            tuple(
                ReplayedTurn(Turn("t", place, "?", NOW), Pool((), PoolOrigin.RECORDED), turn)
                for place, turn in enumerate(turns, start=1)
            ),
        )
        for number, (org_id, turns) in enumerate(sessions)
    ]


def sides(min_scores: tuple[float | None, float | None]) -> tuple[Side, Side]:
    """A and B with their thresholds."""
    min_a, min_b = min_scores
    return Side("A", "a", "a", "0", min_a), Side("B", "b", "b", "1", min_b)


def exchanged(sessions: Sequence[ReplayedSession]) -> list[ReplayedSession]:
    """The run with A's rankings under B and B's under A."""
    other = {"A": "B", "B": "A"}
    return [
        ReplayedSession(
            each.session,
            tuple(
                ReplayedTurn(turn.turn, turn.pool, {other[label]: found for label, found in turn.rankings.items()})
                for turn in each.turns
            ),
        )
        for each in sessions
    ]


def outcomes_of(
    sessions: Sequence[ReplayedSession], pair: tuple[Side, Side], config: RunConfig
) -> list[SessionOutcome]:
    """Every session's outcome."""
    return [diff_session(each, pair, config) for each in sessions]


def summary_of(sessions: Sequence[ReplayedSession], pair: tuple[Side, Side], config: RunConfig) -> RunSummary:
    """What the run comes to."""
    builder = SummaryBuilder(config, pair)
    for outcome in outcomes_of(sessions, pair, config):
        builder.add(outcome)
    return builder.finish({}, unpooled_turns=0, missing_entries=0)


def directed(pair: PairSummary) -> tuple[object, ...]:
    """The figures that belong to A, then those that belong to B."""
    of_a = (pair.only_in_a, pair.distinct_a, pair.only_in_a_per_session, pair.turn_only_in_a)
    of_b = (pair.only_in_b, pair.distinct_b, pair.only_in_b_per_session, pair.turn_only_in_b)
    return (of_a, of_b)


def mutual(pair: PairSummary) -> tuple[object, ...]:
    """The figures that belong to both sides alike."""
    counts = (pair.turns, pair.sessions, pair.sessions_changed, pair.both, pair.near_tie_entries)
    return (*counts, pair.overlap, pair.rbo, pair.same_top1)


@UNHURRIED
@given(runs(), CONFIGS, MIN_SCORES)
def test_swapping_the_sides_swaps_the_run(
    sessions: list[ReplayedSession], config: RunConfig, min_scores: tuple[float | None, float | None]
) -> None:
    """Every figure of A becomes B's, intervals included; every mutual figure stays."""
    forth = summary_of(sessions, sides(min_scores), config).pairs["B"]
    back = summary_of(exchanged(sessions), sides(min_scores[::-1]), config).pairs["B"]
    assert directed(back) == directed(forth)[::-1]
    assert mutual(back) == mutual(forth)


@UNHURRIED
@given(runs(), CONFIGS, MIN_SCORES)
def test_swapping_the_sides_swaps_every_session(
    sessions: list[ReplayedSession], config: RunConfig, min_scores: tuple[float | None, float | None]
) -> None:
    """Only-in-A and only-in-B of a session change places, in the same order; `both` holds the same entries."""
    forth = outcomes_of(sessions, sides(min_scores), config)
    back = outcomes_of(exchanged(sessions), sides(min_scores[::-1]), config)
    for one, other in zip(forth, back, strict=True):
        assert other.diffs["B"].only_in_a == one.diffs["B"].only_in_b
        assert other.diffs["B"].only_in_b == one.diffs["B"].only_in_a
        assert set(other.diffs["B"].both) == set(one.diffs["B"].both)


@UNHURRIED
@given(runs(), CONFIGS, st.data())
def test_the_order_of_sessions_is_no_part_of_the_summary(
    sessions: list[ReplayedSession], config: RunConfig, drawn: st.DataObject
) -> None:
    """The same sessions in another order give the same summary, intervals included."""
    shuffled = drawn.draw(st.permutations(sessions))
    pair = sides((None, None))
    assert summary_of(shuffled, pair, config) == summary_of(sessions, pair, config)


@UNHURRIED
@given(runs(), CONFIGS)
def test_every_turn_ends_as_exactly_one_outcome(sessions: list[ReplayedSession], config: RunConfig) -> None:
    """Outcomes add up to the turns, and failed are just those on which a ranking is missing."""
    summary = summary_of(sessions, sides((None, None)), config)
    turns = [turn for each in sessions for turn in each.turns]
    failed = sum(set(turn.rankings) != {"A", "B"} for turn in turns)
    assert sum(summary.pairs["B"].turns.values()) == summary.turns == len(turns)
    assert summary.pairs["B"].turns[Outcome.FAILED] == summary.failed_turns == failed


@UNHURRIED
@given(runs(), CONFIGS, MIN_SCORES)
def test_counts_are_those_of_a_few_plain_lines(
    sessions: list[ReplayedSession], config: RunConfig, min_scores: tuple[float | None, float | None]
) -> None:
    """Recounting from the rankings with nothing but sets gives the summary's counts."""
    only: Counter[str] = Counter()
    distinct: dict[str, set[tuple[str, str]]] = {"A": set(), "B": set()}
    for each in sessions:
        shown: dict[str, set[str]] = {"A": set(), "B": set()}
        for turn in each.turns:
            if len(turn.rankings) < 2:
                continue
            for label, min_score in zip("AB", min_scores, strict=True):
                ranking = turn.rankings[label]
                top = list(zip(ranking.entry_ids, ranking.scores, strict=True))[: config.top_k]
                shown[label] |= {
                    entry for entry, score in top if min_score is None or (score is not None and score >= min_score)
                }
        only.update({"A": len(shown["A"] - shown["B"]), "B": len(shown["B"] - shown["A"])})
        only.update({"changed": shown["A"] != shown["B"], "adds": not shown["B"] <= shown["A"]})
        for label, entries in shown.items():
            distinct[label] |= {(each.session.org_id, entry) for entry in entries}
    pair = summary_of(sessions, sides(min_scores), config).pairs["B"]
    assert (pair.only_in_a, pair.only_in_b) == (only["A"], only["B"])
    assert (pair.distinct_a, pair.distinct_b) == (len(distinct["A"]), len(distinct["B"]))
    assert (pair.sessions_changed, pair.sessions_where_b_adds) == (only["changed"], only["adds"])


@UNHURRIED
@given(runs(), CONFIGS)
def test_only_changed_shows_every_different_and_failed_turn(sessions: list[ReplayedSession], config: RunConfig) -> None:
    """Hiding what is unchanged hides neither a difference nor a failure."""
    outcomes = outcomes_of(sessions, sides((None, None)), config)
    shown = [changed for outcome in outcomes if (changed := only_changed(outcome)) is not None]
    kept = Counter(turn.outcome("B") for outcome in shown for turn in outcome.turns)
    every = Counter(turn.outcome("B") for outcome in outcomes for turn in outcome.turns)
    assert kept == {outcome: count for outcome, count in every.items() if outcome in {"different", "failed"}}
