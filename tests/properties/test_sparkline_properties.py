"""What holds for every series that is drawn as bars."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.render.bars import BLOCKS
from shadowdiff.render.sparkline import ASCII_BLOCKS, in_ascii, sparkline

VALUES = st.lists(st.none() | st.floats(-1e9, 1e9), max_size=40)


@given(VALUES, st.floats(0, 10))
def test_one_bar_per_value_and_higher_is_never_lower(values: list[float | None], span: float) -> None:
    """A blank for what is not known, and for nothing else."""
    drawn = sparkline(values, span)
    assert len(drawn) == len(values)
    bars = [(value, BLOCKS.index(bar)) for value, bar in zip(values, drawn, strict=True) if value is not None]
    assert [value is None for value in values] == [bar == " " for bar in drawn]
    assert [height for _, height in sorted(bars)] == sorted(height for _, height in bars)


@given(VALUES)
def test_in_ascii_it_is_the_same_series(values: list[float | None]) -> None:
    """As high, and as long."""
    drawn = sparkline(values)
    plain = in_ascii(drawn)
    assert plain.isascii()
    assert [ASCII_BLOCKS.find(bar) for bar in plain] == [BLOCKS.find(bar) for bar in drawn]


def test_the_ends_of_a_series_are_the_lowest_and_the_highest_bar() -> None:
    """Unless its span is noise; and a constant one lies in the middle."""
    assert sparkline([1.0, 2.0, None, 3.0]) == "▁▅ █"
    assert sparkline([1.0, 1.1], least_span=10.0) == "▄▅"
    assert len(set(sparkline([0.3] * 4))) == 1
