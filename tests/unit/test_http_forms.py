"""How requests are written down, what counts as an answer, and how a pool is split."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.records import Usage
from shadowdiff.rerankers.http_forms import (
    COHERE,
    JINA,
    OWN_COHERE,
    OWN_JINA,
    TEI,
    VOYAGE,
    Form,
    UnusableError,
    calls,
)

FORMS = {"cohere": COHERE, "jina": JINA, "voyage": VOYAGE, "tei": TEI, "own cohere": OWN_COHERE, "own jina": OWN_JINA}
DOCUMENTS = ("one", "two", "three")


def answer(form: Form, results: Sequence[Any]) -> Any:
    """Results where the form keeps them."""
    return {form.results[0]: list(results)} if form.results else list(results)


def results(form: Form, scores: Sequence[Any]) -> list[dict[str, Any]]:
    """One result per score, in order."""
    return [{"index": index, form.score: score} for index, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (COHERE, {"model": "m", "query": "q", "documents": ["one", "two", "three"], "top_n": 3}),
        (JINA, {"model": "m", "query": "q", "documents": [*DOCUMENTS], "top_n": 3, "return_documents": False}),
        (VOYAGE, {"model": "m", "query": "q", "documents": [*DOCUMENTS], "top_k": 3, "return_documents": False}),
        (TEI, {"model": "m", "query": "q", "texts": [*DOCUMENTS], "return_text": False}),
        (OWN_COHERE, {"model": "m", "query": "q", "documents": [*DOCUMENTS], "top_n": 3}),
    ],
)
def test_all_results_are_asked_for_and_no_document_back(form: Form, expected: dict[str, Any]) -> None:
    """As many results as documents, never more."""
    assert form.body("q", DOCUMENTS, {"model": "m"}) == expected


@given(st.sampled_from(sorted(FORMS)), st.lists(st.floats(-1e300, 1e300), max_size=20), st.randoms())
def test_scores_come_back_in_the_order_that_was_sent(name: str, scores: list[float], random: Any) -> None:
    """Whatever the order of the results, and over JSON unchanged."""
    form = FORMS[name]
    shuffled = results(form, scores)
    random.shuffle(shuffled)
    assert form.scores(json.loads(json.dumps(answer(form, shuffled))), len(scores)) == scores


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["index", "score", "relevance_score", "x"]), inner, max_size=3)
    ),
    max_leaves=4,
)


@given(st.sampled_from(sorted(FORMS)), st.lists(JSON, max_size=4), st.integers(0, 4))
def test_any_results_are_scores_or_refused(name: str, found: list[Any], count: int) -> None:
    """Nothing else is raised, and what is given is whole and finite."""
    form = FORMS[name]
    try:
        scores = form.scores(answer(form, found), count)
    except UnusableError:
        return
    assert len(scores) == count == len(found)
    assert all(math.isfinite(score) for score in scores)


@given(st.sampled_from(sorted(FORMS)), JSON)
def test_any_json_is_an_answer_or_refused(name: str, found: Any) -> None:
    """Also where there are no results at all; what it says of usage is never negative."""
    form = FORMS[name]
    with pytest.raises(UnusableError):
        form.scores(found, 3)
    usage = form.usage(found)
    assert usage.calls == 1
    assert usage.search_units >= 0
    assert usage.input_tokens >= 0


@pytest.mark.parametrize(
    ("indices", "scores", "reason"),
    [
        ([0, 1, 2, 4], [0.1] * 4, "missing index 3 of 5"),
        ([0, 1, 3, 3, 4], [0.1] * 5, "index 3 twice"),
        ([0, 1, 2, 3, 9], [0.1] * 5, "index 9 of 5"),
        ([0, 1, 2, 3, -1], [0.1] * 5, "index -1 of 5"),
        ([0, 1, 2, 3, "4"], [0.1] * 5, "a result without index"),
        ([0, 1, 2, 3, True], [0.1] * 5, "a result without index"),
        ([0, 1, 2, 3, 4], [0.1, 0.1, float("nan"), 0.1, 0.1], "no finite score at index 2"),
        ([0, 1, 2, 3, 4], [0.1, 0.1, 0.1, 0.1, 10**400], "no finite score at index 4"),
        ([0, 1, 2, 3, 4], ["0.1", 0.1, 0.1, 0.1, 0.1], "no finite score at index 0"),
        ([0, 1, 2, 3, 4], [0.1, None, 0.1, 0.1, 0.1], "no finite score at index 1"),
        ([], [], "missing index 0 of 5"),
    ],
)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_what_is_wrong_is_said(form: Form, indices: list[Any], scores: list[Any], reason: str) -> None:
    """Which index, of how many."""
    found = [{"index": index, form.score: score} for index, score in zip(indices, scores, strict=True)]
    with pytest.raises(UnusableError) as caught:
        form.scores(answer(form, found), 5)
    assert str(caught.value) == reason


@pytest.mark.parametrize("found", [None, {}, {"results": None}, {"results": {}}, [], "results", {"data": 3}])
def test_an_answer_without_results(found: Any) -> None:
    """Is none."""
    with pytest.raises(UnusableError, match="no list of results"):
        COHERE.scores(found, 1)


def test_older_builds_of_infinity() -> None:
    """Answer under another name, in the forms of servers of one's own only."""
    found = {"object": "rerank", "data": [{"index": 0, "relevance_score": 0.5}]}
    assert OWN_JINA.scores(found, 1) == OWN_COHERE.scores(found, 1) == [0.5]
    with pytest.raises(UnusableError, match="no list of results"):
        JINA.scores(found, 1)


@pytest.mark.parametrize(
    ("found", "usage"),
    [
        ({"meta": {"billed_units": {"search_units": 2}}}, Usage(1, 2.0)),
        ({"usage": {"total_tokens": 17}}, Usage(1, 0.0, 17)),
        ({"usage": {"total_tokens": "17"}, "meta": []}, Usage(1)),
        ({"usage": {"total_tokens": -3}, "meta": {"billed_units": {"search_units": float("nan")}}}, Usage(1)),
        ([], Usage(1)),
    ],
)
def test_usage_is_what_the_answer_says(found: Any, usage: Usage) -> None:
    """And nothing where it says nothing that can be counted."""
    assert COHERE.usage(found) == usage


@pytest.mark.parametrize(("count", "units"), [(1, 1), (100, 1), (101, 2), (1000, 10)])
def test_units_are_estimated_by_hundreds_of_documents(count: int, units: int) -> None:
    """For the provider that charges them; others are estimated in tokens."""
    assert COHERE.estimate("q" * 8, ["d" * 8] * count) == Usage(1, units)
    assert JINA.estimate("q" * 8, ["d" * 8] * count) == Usage(1, 0, 4 * count)
    assert TEI.estimate("q", ["d"] * count) == Usage(1)


@given(st.text(max_size=30), st.lists(st.text(max_size=40), max_size=30), st.integers(1, 7), st.integers(1, 60))
def test_calls_hold_every_document_once_and_keep_the_limits(
    query: str, documents: list[str], most: int, tokens: int
) -> None:
    """In order; only a document that is too long by itself goes over the limit, and alone."""
    parts = list(calls(query, documents, most, tokens))
    assert [document for part in parts for document in part] == documents
    for part in parts:
        assert 1 <= len(part) <= most
        size = sum(len((query + document).encode("utf-8", "surrogatepass")) for document in part)
        assert len(part) == 1 or size <= 3 * tokens * (1 + 1e-9)


def test_as_few_calls_as_the_limit_allows() -> None:
    """Every call but the last is full."""
    assert [len(part) for part in calls("q", ["d"] * 70, 32, None)] == [32, 32, 6]
    assert [len(part) for part in calls("q", ["d"] * 64, 32, None)] == [32, 32]
    assert list(calls("q", [], 32, None)) == []
    assert [len(part) for part in calls("aaa", ["bbb"] * 5, 32, 4)] == [2, 2, 1]
