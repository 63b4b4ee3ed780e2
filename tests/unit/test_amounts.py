"""Money and times as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.render.amounts import bound, duration, file_size, number, usd


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "$0"),
        (0.0021, "$0.0021"),
        (0.0125, "$0.0125"),
        (0.00000123456, "$0.00000123"),
        (0.5, "$0.50"),
        (0.30000000000000004, "$0.30"),
        (0.9996, "$1.00"),
        (2, "$2.00"),
        (19.999, "$20.00"),
        (999.994, "$999.99"),
        (999.996, "$1,000"),
        (1240.4, "$1,240"),
        (1234567.8, "$1,234,568"),
    ],
)
def test_money_has_the_digits_that_mean_something(amount: float, shown: str) -> None:
    """Cents from a dollar on, none from a thousand on, three digits below a dollar."""
    assert usd(amount) == shown


@given(st.floats(1e-9, 1e9))
def test_money_is_never_far_off_and_never_in_powers_of_ten(amount: float) -> None:
    """Within half a per cent, whatever the amount."""
    shown = usd(amount)
    assert "e" not in shown
    assert float(shown.removeprefix("$").replace(",", "")) == pytest.approx(amount, rel=0.006)


def test_times_and_counts() -> None:
    """Milliseconds below a second; bounds without digits that say nothing."""
    assert [duration(seconds) for seconds in (0.00214, 0.1872, 0.9996, 61)] == [
        "2.14 ms",
        "187 ms",
        "1.00 s",
        "61.00 s",
    ]
    assert [bound(seconds) for seconds in (1e-05, 0.0015, 0.2, 1.5, 1000)] == [
        "0.01 ms",
        "1.5 ms",
        "200 ms",
        "1.5 s",
        "1000 s",
    ]
    assert [number(amount) for amount in (1204, 1204.0, 0.5, 1204.25)] == ["1,204", "1,204", "0.50", "1,204.25"]
    assert [file_size(size) for size in (0, 812, 14_230_000, 999_600, 3.2e12)] == [
        "0 B",
        "812 B",
        "14.2 MB",
        "1 MB",
        "3.2 TB",
    ]
