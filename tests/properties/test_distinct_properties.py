"""Distinct pairs are counted as a set would count them, in eight bytes each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff import distinct
from shadowdiff.distinct import MERGE_AT_LEAST, DistinctPairs

NAMES = st.text(st.characters(exclude_categories=()), max_size=3)


@given(st.lists(st.tuples(NAMES, st.lists(NAMES, max_size=5)), max_size=30), st.sampled_from([0, 4, 1 << 16]))
def test_it_counts_as_a_set_does(added: list[tuple[str, list[str]]], remembered: int) -> None:
    """In whatever order, and asked in between, however many are remembered; org and entry never run together."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct, "RECENT_AT_MOST", remembered)
        found, expected = DistinctPairs(), set()
        for org_id, entry_ids in added:
            found.update(org_id, entry_ids)
            expected |= {(org_id, entry_id) for entry_id in entry_ids}
            assert len(found) == len(expected)


def test_what_is_remembered_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many orgs and entries pass through."""
    monkeypatch.setattr(distinct, "RECENT_AT_MOST", 100)
    found = DistinctPairs()
    for org in range(300):
        found.update(f"org-{org}", map(str, range(7)))
        assert sum(map(len, found._recent.values())) <= 100
        assert len(found._recent) <= 100
    assert len(found) == 300 * 7


def test_what_is_added_is_merged_as_it_comes() -> None:
    """Ten times the same thousands take the room of one."""
    found = DistinctPairs()
    for _ in range(10):
        found.update("acme", map(str, range(3 * MERGE_AT_LEAST)))
        assert len(found._sorted) + len(found._added) <= 6 * MERGE_AT_LEAST
    found.update("zeta", ["1"])
    assert len(found) == 3 * MERGE_AT_LEAST + 1
