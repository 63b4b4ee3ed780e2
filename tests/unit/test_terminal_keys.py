"""What a terminal sends, taken apart into keys: whole sequences, whole characters, whatever comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.terminal_keys import ESCAPE, UNKNOWN, first_key

KEYS = {
    b"2": "2",
    b"q": "q",
    "é".encode(): "é",
    "日".encode(): "日",
    "👍".encode(): "👍",
    b"\r": "enter",
    b"\n": "enter",
    b"\x7f": "backspace",
    b"\x04": "ctrl+d",
    b"\x1b[A": "up",
    b"\x1bOB": "down",
    b"\x1b[6~": "page down",
    b"\x1b[H": "home",
}


@pytest.mark.parametrize("sent", KEYS)
def test_a_key_is_told_once_it_is_whole(sent: bytes) -> None:
    """And not before; what follows it is left."""
    assert first_key(sent, is_all=False) == (KEYS[sent], len(sent))
    assert first_key(sent + b"21", is_all=False) == (KEYS[sent], len(sent))
    for end in range(1, len(sent)):
        assert first_key(sent[:end], is_all=False) is None


@pytest.mark.parametrize("sent", [b"\x1b[1;5A", b"\x1b[200~", b"\x1b2", b"\x1b\xc3\xa9", b"\xff", b"\x1b[<0;2;2M"])
def test_what_is_no_key_of_ours_is_none_of_its_parts_either(sent: bytes) -> None:
    """A click, or Alt and a digit, must not label anything."""
    assert first_key(sent, is_all=False) == (UNKNOWN, len(sent))


def test_a_lone_escape_is_a_key_once_nothing_follows() -> None:
    """And a sequence that was cut is none."""
    assert first_key(b"\x1b", is_all=False) is None
    assert first_key(b"\x1b", is_all=True) == (ESCAPE, 1)
    assert first_key(b"\x1b[2", is_all=True) == (UNKNOWN, 3)


@given(st.binary(min_size=1), st.booleans())
def test_whatever_comes_comes_to_an_end(sent: bytes, is_all: bool) -> None:
    """Every byte is taken, or waited for; with all there, none is."""
    while sent:
        taken = first_key(sent, is_all=is_all)
        if taken is None:
            assert not is_all
            break
        assert 0 < taken.size <= len(sent)
        sent = sent[taken.size :]


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_characters_come_as_they_were_typed(typed: str) -> None:
    """One by one."""
    sent, keys = typed.encode(), []
    while sent:
        taken = first_key(sent, is_all=True)
        assert taken is not None
        keys.append(taken.key)
        sent = sent[taken.size :]
    assert keys == list(typed)
