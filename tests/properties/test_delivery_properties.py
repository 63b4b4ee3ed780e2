"""Names of nights: which there are, which is the later, and that no other text ever becomes a path."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.delivery.directory import deliver_directory
from shadowdiff.delivery.names import checked_night, is_night, newest
from shadowdiff.errors import DeliveryError

NIGHTS = st.tuples(st.dates(date(1000, 1, 1), date(9999, 12, 31)), st.integers(1, 2000))


def named(night: tuple[date, int]) -> str:
    """As nights are called."""
    day, number = night
    return f"{day.isoformat()}-{number}" if number > 1 else day.isoformat()


@given(st.lists(NIGHTS, min_size=1), st.lists(st.text(max_size=12)), st.randoms(use_true_random=False))
def test_the_newest_is_the_one_that_came_last(
    nights: list[tuple[date, int]], others: list[str], chance: random.Random
) -> None:
    """By date, then number, in whatever order a directory lists them, and whatever else lies there."""
    listed = [*map(named, nights), *(text for text in others if not is_night(text))]
    chance.shuffle(listed)
    assert newest(listed) == named(max(nights))


@given(
    st.one_of(st.text(), st.from_regex(r"\d{4}-\d{2}-\d{2}(-\d+)?.?"), st.sampled_from(["..", "/etc", "2026-11-20/.."]))
)
def test_a_name_that_passes_is_one_plain_part_of_a_path(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """What does not is refused before anything is written."""
    if is_night(name):
        assert checked_night(name) == name
        assert name.isascii()
        assert Path("base", name).parts == ("base", name)
        return
    base = tmp_path_factory.getbasetemp() / "never-made"
    with pytest.raises(DeliveryError, match="is no name of a night"):
        deliver_directory(base, name, {})
    assert not base.exists()
