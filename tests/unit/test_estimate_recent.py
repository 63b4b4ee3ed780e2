"""What is remembered of earlier windows stays small, and is the newest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.replay.estimate import Recent

KEYS = st.lists(st.sets(st.integers(0, 40).map(lambda number: bytes([number])), max_size=5), max_size=20)


@given(KEYS, st.integers(0, 20))
def test_the_newest_are_remembered_and_never_many(added: list[set[bytes]], at_least: int) -> None:
    """Whatever was added last is there, up to the number promised; all that is remembered was added."""
    recent = Recent(at_least)
    for keys in added:
        recent.add(keys)
    every = set().union(*added)
    found = recent.among(every)
    assert len(found) <= 2 * (at_least + 5) * bool(at_least)
    newest: set[bytes] = set()
    for keys in reversed(added):
        if len(newest | keys) > at_least:
            break
        newest |= keys
    assert newest <= found or not at_least
