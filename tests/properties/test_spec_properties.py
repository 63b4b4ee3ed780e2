"""A spec is its string: whatever can be constructed survives being written and read."""

from __future__ import annotations

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shadowdiff.errors import SpecError
from shadowdiff.rerankers.spec import Spec, parse

LOWER = string.ascii_lowercase
schemes = st.builds(str.__add__, st.sampled_from(LOWER), st.text(LOWER + string.digits + "-", max_size=8))
keys = st.builds(str.__add__, st.sampled_from(LOWER), st.text(LOWER + string.digits + "_", max_size=8))
awkward = st.sampled_from(
    [",", "%", "=", ":", " ", "\n", "\x00", "\x85", "\u2028", "\ud800", "%2C", "://a:b@c", "\ufeff"]
)
texts = st.lists(st.one_of(st.text(st.characters(), max_size=4), awkward), max_size=6).map("".join)


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Any spec that can be constructed; what cannot be is not drawn."""
    options = draw(st.dictionaries(keys, texts, max_size=4))
    try:
        return Spec(draw(schemes), draw(texts), tuple(options.items()))
    except SpecError:
        assume(False)
        raise


@given(specs())
def test_reading_what_was_written(spec: Spec) -> None:
    """parse(str(spec)) is the spec, surrogates, control characters and white space at the edges included."""
    assert parse(str(spec)) == spec


@given(specs())
def test_the_written_form_is_canonical(spec: Spec) -> None:
    """Writing, reading and writing again changes nothing."""
    assert str(parse(str(spec))) == str(spec)


@given(specs())
def test_the_written_form_is_one_printable_line(spec: Spec) -> None:
    """A spec can stand in a column header: no control character, no line break, nothing at the edges to be trimmed."""
    written = str(spec)
    assert written == written.strip()
    assert len(written.splitlines()) == 1
    written.encode("utf-8")


@given(specs(), specs())
def test_different_specs_are_written_differently(one: Spec, other: Spec) -> None:
    """The string is an identity: no two specs share one."""
    assert (str(one) == str(other)) == (one == other)


@given(st.one_of(st.text(st.characters()), texts.map("onnx:".__add__)))
def test_any_string_is_a_spec_or_a_spec_error(text: str) -> None:
    """Whatever somebody types is parsed or refused in one line; nothing else is raised."""
    try:
        spec = parse(text)
    except SpecError as refused:
        assert len(str(refused).splitlines()) == 1
    else:
        assert parse(str(spec)) == spec


def test_specs_cannot_be_changed() -> None:
    """A spec is a key of mappings."""
    with pytest.raises(AttributeError):
        Spec("onnx").target = "b"  # type: ignore[misc]
