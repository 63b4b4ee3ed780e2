"""What holds for every pair of runs: each session's change is told once, and the same from either end."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from shadowdiff.comparison import changes, state
from shadowdiff.nights import ChangedSession
from shadowdiff.records import SessionDiff, SessionOutcome
from tests.render_cases import hard_run

RUN, (OUTCOME, *_) = hard_run(others=2)
LATER = replace(RUN, run_id="later")
DIFFS = st.builds(
    SessionDiff,
    only_in_a=st.sampled_from([(), ("a",)]),
    only_in_b=st.sampled_from([(), ("b",)]),
    both=st.just(("c",)),
    completed_turns=st.integers(0, 2),
    failed_turns=st.integers(0, 1),
)
PAIRS = st.fixed_dictionaries({"B": DIFFS, "C": DIFFS})


def outcomes(diffs: list[dict[str, SessionDiff]]) -> list[SessionOutcome]:
    """Sessions s0, s1, … with these diffs."""
    named = [replace(OUTCOME.session, session_id=f"s{at}") for at in range(len(diffs))]
    return [SessionOutcome(session, (), of) for session, of in zip(named, diffs, strict=True)]


@settings(max_examples=60)
@given(st.lists(st.tuples(PAIRS, PAIRS), max_size=8))
def test_each_change_is_told_once_and_backwards_it_is_the_same(pairs: list[tuple[dict[str, SessionDiff], ...]]) -> None:
    """No session is lost, none stands in two lists for one side, and nothing changes against itself."""
    before, after = (outcomes([pair[end] for pair in pairs]) for end in (0, 1))
    found = changes(RUN, LATER, before, after)
    told = [*found.newly_different, *found.newly_failing, *found.fixed]
    expected = {
        (one.session.session_id, side, state(one.diffs[side]), state(other.diffs[side]))
        for one, other in zip(before, after, strict=True)
        for side in "BC"
        if state(one.diffs[side]) != state(other.diffs[side])
    }
    assert {_key(each) for each in told} == expected
    assert len(told) == len(expected)
    assert found.sessions_in_both == len(pairs)
    back = changes(LATER, RUN, after, before)
    turned = {(name, side, was, now) for name, side, now, was in expected}
    assert {_key(each) for each in (*back.newly_different, *back.newly_failing, *back.fixed)} == turned
    still = changes(RUN, LATER, before, before)
    assert (still.newly_different, still.newly_failing, still.fixed) == ((), (), ())


def _key(session: ChangedSession) -> tuple[str, str, str, str]:
    return (session.session_id, session.side, session.before, session.after)
