"""Why turns failed: the most frequent reasons, in memory that does not grow."""

from __future__ import annotations

import pytest

from shadowdiff.records import TurnFailure
from shadowdiff.replay import reasons
from shadowdiff.replay.reasons import FailureReasons


def test_the_most_frequent_reasons_come_first() -> None:
    """Three of them, equal ones by their words, each side by itself."""
    found = FailureReasons()
    for reason, turns in {"b": 2, "a": 2, "c": 5, "d": 1}.items():
        for _ in range(turns):
            found.add(TurnFailure("B", reason))
    found.add(TurnFailure("C", "d"))
    assert found.most_frequent("B") == (("c", 5), ("a", 2), ("b", 2))
    assert found.most_frequent("C") == (("d", 1),)
    assert found.most_frequent("A") == ()


@pytest.mark.parametrize("counted", [3, 50])
def test_reasons_that_are_all_different_do_not_pile_up(monkeypatch: pytest.MonkeyPatch, counted: int) -> None:
    """A reason that quotes its turn is one more string for every turn; those that came first are still counted."""
    monkeypatch.setattr(reasons, "COUNTED", counted)
    found = FailureReasons()
    for number in range(100):
        found.add(TurnFailure("B", f"turn {number} is odd"))
        found.add(TurnFailure("B", "HTTP 503"))
    assert found.most_frequent("B") == (("HTTP 503", 100), ("turn 0 is odd", 1), ("turn 1 is odd", 1))


def test_how_long_a_provider_was_asked_makes_no_other_reason() -> None:
    """Eleven turns that found nobody listening are one line of eleven; what else stands in brackets is kept."""
    found = FailureReasons()
    for number in range(11):
        found.add(TurnFailure("B", f"host: connection refused ({number + 1} attempts in 1{number}.5 s)"))
    found.add(TurnFailure("B", "HTTP 400 (it said: (2 of 3))"))
    found.add(TurnFailure("B", "HTTP 503 (1 attempt in 1.0 s, and the deadline leaves no time to wait 2.0 s)"))
    assert found.most_frequent("B") == (
        ("host: connection refused", 11),
        ("HTTP 400 (it said: (2 of 3))", 1),
        ("HTTP 503", 1),
    )
