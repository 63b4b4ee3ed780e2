"""What holds whatever production served."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from shadowdiff.diff import diff_session
from shadowdiff.fidelity import held_against
from shadowdiff.records import Pool, PoolOrigin, Ranking, ReplayedSession, ReplayedTurn, Session, Turn
from shadowdiff.runs import Fidelity, RunConfig, Side
from shadowdiff.summary import SummaryBuilder

UNHURRIED = settings(deadline=None, max_examples=60)
NOW = datetime(2026, 11, 19, 14, 2, tzinfo=UTC)
POOL = "abcdef"
SIDES = (Side("A", "a", "a", "0"), Side("B", "b", "b", "1"))
SHARES = st.sampled_from([0.0, 0.01, 0.3, 2.0])
SERVED = st.lists(st.sampled_from(POOL + "xyz"), min_size=1, max_size=8)
"""Entries in and outside the pool, now and then twice."""


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    """An order over the whole pool, with scores that often tie; the last entries may be unranked."""
    scores = sorted(draw(st.lists(st.integers(0, 9).map(float), min_size=6, max_size=6)), reverse=True)
    kept = draw(st.integers(0, 6))
    return Ranking(tuple(draw(st.permutations(POOL))), (*scores[:kept], *[None] * (6 - kept)))


@st.composite
def runs(draw: st.DrawFn) -> list[ReplayedSession]:
    """Some sessions; now and then side A is missing, or nothing was served."""
    turns = st.tuples(st.none() | st.just([]) | SERVED, st.none() | rankings(), st.sampled_from([None, "v1", "v2"]))
    drawn = draw(st.lists(st.lists(turns, max_size=4), max_size=5))
    return [
        ReplayedSession(
            Session(f"s{number}", "acme", NOW),
            tuple(
                ReplayedTurn(
                    Turn("t", 1, "?", NOW, served=None if served is None else tuple(served), served_by=model),
                    Pool((), PoolOrigin.RECORDED),
                    {} if ranking is None else {"A": ranking},
                )
                for served, ranking, model in session
            ),
        )
        for number, session in enumerate(drawn)
    ]


def fidelity_of(sessions: list[ReplayedSession]) -> Fidelity:
    """What the run says of A."""
    config = RunConfig(production="A")
    builder = SummaryBuilder(config, SIDES)
    for session in sessions:
        builder.add(diff_session(session, SIDES, config))
    found = builder.finish({}, unpooled_turns=0, missing_entries=0).fidelity
    assert found is not None
    return found


@given(rankings(), st.integers(1, 6), SHARES)
def test_the_beginning_of_the_ranking_is_reproduced(ranking: Ranking, length: int, share: float) -> None:
    """Served exactly what the side ranks first: identical, however many."""
    served = list(ranking.ranks())[:length]
    if served:
        found = held_against(ranking, served, share)
        assert (found.first_divergence, found.overlap, found.outside_pool) == (None, 1.0, 0)
        assert not found.by_near_ties


@given(rankings(), SERVED, SHARES)
def test_a_turn_is_what_a_few_plain_lines_say(ranking: Ranking, served: list[str], share: float) -> None:
    """Recomputed with loops over positions and sets."""
    found = held_against(ranking, served, share)
    wanted = sorted(set(served), key=served.index)
    shown = [entry for entry, score in zip(ranking.entry_ids, ranking.scores, strict=True) if score is not None]
    shown = shown[: len(wanted)]
    differing = [at + 1 for at, entry in enumerate(wanted) if at >= len(shown) or shown[at] != entry]
    assert found.served == len(wanted)
    assert found.outside_pool == len(set(served) - set(POOL))
    assert found.first_divergence == (differing[0] if differing else None)
    assert found.overlap == len(set(wanted) & set(shown)) / len(wanted)
    assert 0 <= found.overlap <= 1


@given(rankings(), SERVED, SHARES)
def test_near_ties_are_what_every_pair_says(ranking: Ranking, served: list[str], share: float) -> None:
    """Pair by pair: who was served behind, or not at all, is never better by the margin or more."""
    found = held_against(ranking, served, share)
    scores = {e: s for e, s in zip(ranking.entry_ids, ranking.scores, strict=True) if s is not None}
    wanted = sorted(set(served), key=served.index)
    expected = found.first_divergence is not None and set(wanted) <= set(scores)
    if expected:
        margin = share * (max(scores.values()) - min(scores.values()))
        place = {entry: at for at, entry in enumerate(wanted)}
        expected = all(
            scores[other] - scores[entry] < margin
            for entry in wanted
            for other in scores
            if place.get(other, len(place)) > place[entry]
        )
    assert found.by_near_ties == expected


@UNHURRIED
@given(runs(), st.data())
def test_the_order_of_sessions_and_turns_is_no_part_of_it(
    sessions: list[ReplayedSession], drawn: st.DataObject
) -> None:
    """The same sessions in another order, with their turns in another order, give the same, interval and names too."""
    shuffled = [
        ReplayedSession(each.session, tuple(drawn.draw(st.permutations(each.turns))))
        for each in drawn.draw(st.permutations(sessions))
    ]
    one, other = fidelity_of(sessions), fidelity_of(shuffled)
    assert one == other
    assert list(one.served_by) == list(other.served_by)


@UNHURRIED
@given(runs())
def test_every_turn_is_counted_once(sessions: list[ReplayedSession]) -> None:
    """Compared, failed or nothing served; and of those compared, identical or diverging."""
    found = fidelity_of(sessions)
    turns = [turn for session in sessions for turn in session.turns]
    assert found.turns + found.failed_turns + found.unserved_turns == len(turns)
    assert found.unserved_turns == sum(not turn.turn.served for turn in turns)
    diverging = found.turns - found.identical
    assert 0 <= max(found.reordered, found.near_ties, found.diverging_at_first) <= diverging
    assert (found.first_divergence is None) == (diverging == 0)
    assert (found.reproduces is None) == (found.turns == 0)
    assert found.reproduces is not False or diverging


@UNHURRIED
@given(runs())
def test_identical_lists_reproduce_production(sessions: list[ReplayedSession]) -> None:
    """Had production served what A ranks, the verdict could only be one."""
    served = [
        ReplayedSession(
            each.session,
            tuple(
                ReplayedTurn(Turn("t", 1, "?", NOW, served=tuple(a.ranks())[:3]), turn.pool, turn.rankings)
                for turn in each.turns
                if (a := turn.rankings.get("A")) is not None
            ),
        )
        for each in sessions
    ]
    found = fidelity_of(served)
    assert found.identical == found.turns
    assert found.reproduces in {True, None}
