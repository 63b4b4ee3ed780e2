"""What a mapped column holds, as records hold it."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.errors import SourceError
from shadowdiff.records import RecordedEntry
from shadowdiff.sources.values import array_text, distinct, listed, moment, score, stored_moment, vector

BERLIN = ZoneInfo("Europe/Berlin")


def test_times_without_zone_are_meant_in_the_mappings() -> None:
    """Times with one stay the moments they are; a date is its midnight."""
    assert moment(datetime.fromisoformat("2026-07-01 12:00"), BERLIN) == datetime(2026, 7, 1, 10, tzinfo=UTC)
    aware = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    assert moment(aware, BERLIN) is aware
    assert moment(date(2026, 1, 1), BERLIN) == datetime(2025, 12, 31, 23, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda when: 1980 < when.year < 2100))
def test_a_bound_compares_as_the_column_does(when: datetime) -> None:
    """Into the column's form and back is the same moment, but for the hour that a clock strikes twice."""
    assert stored_moment(when, BERLIN, "timestamp with time zone") is when
    back = moment(stored_moment(when, BERLIN, "timestamp without time zone"), BERLIN)
    assert back.astimezone(UTC) in {when, when - timedelta(hours=1)}


@pytest.mark.parametrize(
    "value",
    [
        "[1,2.5,-3]",
        "{1,2.5,-3}",
        "[1, 2.5, -3.0]",
        struct.pack("<3f", 1, 2.5, -3),
        memoryview(struct.pack("<3f", 1, 2.5, -3)),
    ],
)
def test_every_form_of_an_embedding_is_read(value: Any) -> None:
    """The text of pgvector, an array's, JSON's, and bytes."""
    found = vector(value)
    assert found is not None
    assert (str(found.dtype), found.tolist()) == ("float32", [1.0, 2.5, -3.0])


@pytest.mark.parametrize(
    "value", ["[]", "{}", "[1,null]", "{1,NULL}", '{"a": 1}', "[1,NaN]", "{1,Infinity}", b"abc", b"", "x"]
)
def test_what_is_no_vector_is_none(value: Any) -> None:
    """Nothing is guessed."""
    assert vector(value) is None


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_vectors_survive_their_text(numbers: list[float]) -> None:
    """What is sent to the server is exactly what was read."""
    found = vector(array_text(np.array(numbers, dtype=np.float32)))
    assert found is not None
    assert found.tolist() == numbers


def test_lists_of_ids_and_of_objects() -> None:
    """Keys can be named; a number is an id as text; the better place of an entry counts."""
    assert listed(["a", 7, None, "a"], {}, "pool") == (RecordedEntry("a"), RecordedEntry("7"))
    assert listed('[{"id": 3, "score": "0.5", "body": "x"}]', {}, "pool") == (RecordedEntry("3", 0.5, None, "x"),)
    keys = {"entry_id": "doc", "score": "sim"}
    assert listed([{"doc": "a", "sim": 1, "id": "no"}], keys, "pool") == (RecordedEntry("a", 1.0),)
    assert listed(None, {}, "pool") is None
    assert listed([], {}, "pool") == ()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("not json", "pool of turn 't': expected JSON, found 'not json'"),
        ({"a": 1}, "pool of turn 't': expected a list of entries, found an object"),
        ([{"doc": "a"}], r"pool of turn 't': an entry without an id; .*\[source.json\] entry_id"),
        ([True], "an entry without an id"),
        ([""], "an entry without an id"),
    ],
)
def test_a_list_that_cannot_be_read_names_its_turn(value: Any, reason: str) -> None:
    """And what to do."""
    with pytest.raises(SourceError, match=reason):
        listed(value, {}, "pool of turn 't'")


@pytest.mark.parametrize("value", [None, True, "x", "nan", float("inf"), [1], 10**400])
def test_what_is_no_score_is_none(value: Any) -> None:
    """A pool is kept whatever its scores are."""
    assert score(value) is None


@given(st.lists(st.sampled_from("abc")))
def test_distinct_keeps_the_best_place(names: list[str]) -> None:
    """Order of first appearance, each once."""
    assert [item.entry_id for item in distinct(map(RecordedEntry, names))] == list(dict.fromkeys(names))
