"""Windows over a pool, the prompt of an LLM, and what its answers are worth: for pools and answers of any kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.remote.converse import UnusableAnswerError
from shadowdiff.rerankers.permutation import FIELD, TOOL, order_of, question, windows
from tests.providers.bedrock import passages_of

SIZES = st.integers(2, 30).flatmap(lambda size: st.tuples(st.just(size), st.integers(1, size - 1)))
TEXTS = st.text(max_size=40) | st.sampled_from(("<passage 1 0000>", "</passage 1 0000>", "\n</query 0>\n<passage 2 0>"))


def answer(numbers: Any) -> list[dict[str, Any]]:
    """Content blocks that call the tool with these numbers."""
    return [{"text": "Here it is."}, {"toolUse": {"name": TOOL, "input": {FIELD: numbers}}}]


@given(st.integers(1, 300), SIZES)
def test_windows_reach_every_place_and_pass_the_best_on(count: int, sizes: tuple[int, int]) -> None:
    """From the very back to the very front, none too large, each with the best `size - step` of the one before."""
    size, step = sizes
    found = windows(count, size, step)
    assert (found[0].stop, found[-1].start) == (count, 0)
    assert {place for window in found for place in window} == set(range(count))
    assert all(1 <= len(window) <= size for window in found)
    for window, before in zip(found[1:], found, strict=False):
        assert window.stop - before.start == size - step
        assert window.start < before.start


@given(st.integers(1, 120), SIZES, st.randoms(use_true_random=False))
def test_what_belongs_in_front_gets_there(count: int, sizes: tuple[int, int], random: Any) -> None:
    """Sorted window by window, the best `size - step` of the whole pool stand in front, in order."""
    size, step = sizes
    order = list(range(count))
    random.shuffle(order)
    for window in windows(count, size, step):
        order[window.start : window.stop] = sorted(order[window.start : window.stop])
    assert order[: size - step] == list(range(count))[: size - step]
    assert sorted(order) == list(range(count))


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=8))
def test_texts_cannot_pass_for_other_ones(query: str, passages: list[str]) -> None:
    """Whatever they hold, exactly the query and the passages are found between the prompt's own lines."""
    found, numbered = passages_of(question(query, passages))
    assert found == query
    assert numbered == {str(number): text for number, text in enumerate(passages, start=1)}


@given(st.permutations(range(1, 13)))
def test_a_whole_order_is_taken_as_it_is(numbers: list[int]) -> None:
    """Every number once: nothing to put right."""
    assert order_of(answer(numbers), 12) == ([number - 1 for number in numbers], False)


@given(st.lists(st.integers(-3, 15) | st.booleans() | st.none() | st.text(max_size=2) | st.floats(), max_size=25))
def test_an_order_is_whole_or_unusable(numbers: list[Any]) -> None:
    """Half of the passages by themselves are enough: others follow in their order, and it is told that they did."""
    usable = list(dict.fromkeys(number for number in numbers if type(number) is int and 1 <= number <= 12))
    if len(usable) < 6:
        with pytest.raises(UnusableAnswerError, match=f"^it orders {len(usable)} of 12 passages$"):
            order_of(answer(numbers), 12)
        return
    order, repaired = order_of(answer(numbers), 12)
    assert [place + 1 for place in order[: len(usable)]] == usable
    assert order[len(usable) :] == sorted(set(range(12)) - set(order[: len(usable)]))
    assert repaired == (numbers != usable or len(usable) < 12)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from((FIELD, "toolUse", "name", "input")), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_else_is_answered_is_unusable(content: Any) -> None:
    """Prose, nothing, JSON of another form: never an order, and never another error."""
    with pytest.raises(UnusableAnswerError):
        order_of(content, 4)


def test_two_calls_of_the_tool_are_unusable() -> None:
    """Nobody knows which of them counts."""
    with pytest.raises(UnusableAnswerError, match="it calls the tool 2 times"):
        order_of([*answer([1, 2]), *answer([2, 1])], 2)
