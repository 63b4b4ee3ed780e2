"""Spec strings: any spec that can be constructed survives being written down."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import assume, given
from hypothesis import strategies as st

from shadowdiff.errors import SpecError
from shadowdiff.rerankers.spec import Spec, parse

ANY_TEXT = st.text(st.characters(codec=None, categories=None, exclude_categories=()), max_size=30)
AWKWARD = st.text(st.sampled_from(" ,=%:+\n\t\x00\x1f\x7f\x85\u2028\ud800\udc00\u00a0a2C"), max_size=12)
KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
SCHEMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
VALUES = ANY_TEXT | AWKWARD


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Any spec that the constructor takes."""
    options = draw(st.dictionaries(KEYS, VALUES, max_size=4))
    try:
        return Spec(draw(SCHEMES), draw(VALUES), tuple(options.items()))
    except SpecError:
        assume(condition=False)
        raise


@given(specs())
def test_written_specs_parse_back(spec: Spec) -> None:
    """`parse(str(spec)) == spec`, and the canonical form is its own canonical form."""
    assert parse(str(spec)) == spec
    assert str(parse(str(spec))) == str(spec)


@given(specs())
def test_canonical_form_is_one_printable_line(spec: Spec) -> None:
    """No control character and no lone surrogate reaches a header or the store."""
    text = str(spec)
    assert text == text.strip()
    assert len(text.splitlines()) == 1
    assert "\x00" not in text
    text.encode()


@given(specs())
def test_order_of_options_does_not_matter(spec: Spec) -> None:
    """A spec is the same whichever way round its options were written."""
    assert Spec(spec.scheme, spec.target, spec.options[::-1]) == spec


@given(st.text())
def test_any_text_parses_or_is_refused(text: str) -> None:
    """No text makes the parser fail in any other way than a SpecError."""
    with suppress(SpecError):
        assert parse(str(parse(text))) == parse(text)
