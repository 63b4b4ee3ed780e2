"""Whatever is asked to be seen: the walk stops at every turn that fits, at no other, and comes back the same way."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.records import Outcome
from shadowdiff.review.model import DIFFERENCES, IndexedSession, IndexedTurn, View, Walk, by_contrast

STARTED = datetime(2026, 11, 20, tzinfo=UTC)
OUTCOMES = st.fixed_dictionaries({"B": st.sampled_from(Outcome), "C": st.sampled_from(Outcome)})
IDS = st.text("aB1 ", min_size=1, max_size=3)
TURNS = st.tuples(st.text("aäB1 ", max_size=4), OUTCOMES, st.lists(IDS, max_size=3))
SESSIONS = st.lists(
    st.tuples(IDS, st.sampled_from(["acme", "globex"]), st.lists(TURNS, max_size=4), st.integers(-3, 0)), max_size=5
)
VIEWS = st.builds(
    View,
    side=st.sampled_from("BC"),
    outcome=st.none() | st.sampled_from(Outcome),
    org=st.none() | st.sampled_from(["acme", "globex"]),
    sought=st.text("aÄb1", max_size=2),
)

Session = tuple[str, str, list[tuple[str, dict[str, Outcome], list[str]]], int]


def indexed(drawn: list[Session]) -> list[IndexedSession]:
    """Sessions as the index holds them, in their order."""
    sessions = []
    for place, (name, org, turns, contrast) in enumerate(drawn):
        made = tuple(
            IndexedTurn(f"{place}-{at}", words.casefold(), outcomes, tuple(dict.fromkeys(entries)))
            for at, (words, outcomes, entries) in enumerate(turns)
        )
        only = {"B": (0, 0), "C": (0, 0)}
        sessions.append(IndexedSession(name, org, STARTED, made, only, (float(contrast), 1.0)))
    return by_contrast(sessions)


def fits(session: IndexedSession, turn: IndexedTurn, view: View, titles: dict[tuple[str, str], str]) -> bool:
    """Whether the view asks for this turn, said once more and plainly."""
    outcome = turn.outcomes[view.side]
    if view.outcome is not None and outcome is not view.outcome:
        return False
    if not view.sought:
        return view.outcome is not None or outcome in DIFFERENCES
    texts = [turn.words, session.session_id, *turn.surfaced]
    texts += [titles.get((session.org_id, entry_id), "") for entry_id in turn.surfaced]
    return any(view.sought.casefold() in text.casefold() for text in texts)


def stops(walk: Walk, *, forward: bool) -> list[str]:
    """Ids of the turns at which the walk stops from here on."""
    found = []
    while walk.step(forward):
        session = walk.session
        assert session is not None
        found.append(session.turns[walk.turn].turn_id)
    return found


@given(
    SESSIONS, VIEWS, st.dictionaries(st.tuples(st.sampled_from(["acme", "globex"]), IDS), st.text("aÄb1", max_size=3))
)
def test_the_walk_stops_where_the_view_says(
    drawn: list[Session], view: View, titles: dict[tuple[str, str], str]
) -> None:
    """Once at each turn that fits, in the order shown, and back; nothing else is shown as fitting."""
    sessions = indexed(drawn)
    walk = Walk(sessions, "B")
    walk.learn_titles(titles)
    walk.look(view)
    fitting = [
        (session, turn)
        for session in sessions
        for turn in session.turns
        if view.org in (None, session.org_id) and fits(session, turn, view, titles)
    ]
    if walk.session and walk.session.turns and view.sought:
        texts = {name: f"{name}\n{titles.get((walk.session.org_id, name), '')}" for name in walk.found_entries()}
        assert all(view.sought.casefold() in text.casefold() for text in texts.values())
    stops(walk, forward=False)
    first = walk.session.turns[walk.turn].turn_id if walk.session and walk.session.turns else None
    ahead = stops(walk, forward=True)
    expected = [turn.turn_id for _, turn in fitting]
    assert ([first] if first in expected else []) + ahead == expected
    assert stops(walk, forward=False) == expected[:-1][::-1]
    if view.picks_turns:
        assert {id(session) for session in walk.shown} == {id(session) for session, _ in fitting}
    else:
        assert [item for item in sessions if view.org in (None, item.org_id)] == list(walk.shown)


@given(SESSIONS, VIEWS, st.integers(0, 9))
def test_what_is_still_shown_is_stayed_at(drawn: list[Session], view: View, at: int) -> None:
    """A search or filter leaves the reader where they stand, if that fits; leaving it always does."""
    walk = Walk(indexed(drawn), view.side)
    walk.go(at)
    before = walk.session
    walk.look(view)
    assert walk.found_entries() == [] or view.sought
    if any(session is before for session in walk.shown):
        assert walk.session is before
    here = walk.session
    walk.look(View(view.side))
    assert walk.session is here or here is None
    assert len(walk.shown) == walk.total
