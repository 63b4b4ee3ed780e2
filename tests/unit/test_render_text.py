"""Text made safe to show and cut to cells."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from rich.cells import get_character_cell_size

from shadowdiff.render.text import _NARROW, UNSAFE, _clusters, cells, clip, fit, one_line, visible, wrap

FAMILY = "👩\u200d👩\u200d👧"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain [/b] :smile:", "plain [/b] :smile:"),
        ("\x1b[2J", "␛[2J"),
        ("bell\x07 nul\x00 del\x7f", "bell␇ nul␀ del␡"),
        ("a\nb\tc\r\nd", "a b c d"),
        ("a\rb", "a␍b"),
        ("\x9b31m", "<U+009B>31m"),
        ("\u202eabc\u2066", "<U+202E>abc<U+2066>"),
        ("a\u2028b\u2029", "a<U+2028>b<U+2029>"),
        ("\ud800", "<U+D800>"),
        ("\ufdd0\U0010ffff", "<U+FDD0><U+10FFFF>"),
        ("\U000e0041", "<U+E0041>"),
        ("\ue000", "<U+E000>"),
        ("ad\u200bmin", "ad<U+200B>min"),
        ("ad\u200dmin", "ad<U+200D>min"),
        ("Daten\u00adschutz", "Datenschutz"),
        ("1\u00a0000\u3000円", "1 000 円"),
        (FAMILY, FAMILY),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_what_acts_on_a_terminal_is_spelled_out(raw: str, shown: str) -> None:
    """Controls, bidi, separators, surrogates and hidden characters get a visible form; text and emoji stay."""
    assert visible(raw) == shown


def test_no_control_or_format_character_of_unicode_is_missed() -> None:
    """Every Cc, Cf, Cs, Co, Zl and Zp that Python knows is caught, but for joiners between what they may join."""
    caught = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    characters = (chr(code) for code in range(sys.maxunicode + 1))
    missed = [
        char for char in characters if unicodedata.category(char) in caught and visible(f"a{char}b") == f"a{char}b"
    ]
    assert missed == []


def test_json_is_safe_for_every_control_that_python_knows() -> None:
    """What JSON does not escape by itself, UNSAFE matches; joiners and private use carry no danger."""
    dangerous = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    characters = (chr(code) for code in range(sys.maxunicode + 1))
    missed = [
        char
        for char in characters
        if unicodedata.category(char) in dangerous and not UNSAFE.match(char) and char not in "\u200c\u200d"
    ]
    assert missed == []
    assert json.loads(json.dumps("\u202e")) == "\u202e"


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("abc", 3),
        ("日本語", 6),
        ("e\u0301", 1),
        (FAMILY, 2),
        ("👍🏽", 2),
        ("🇩🇪🇫🇷", 4),
        ("❤\ufe0f", 2),
        ("1\ufe0f\u20e3", 2),
        ("क्\u200dष", 2),
        ("", 0),
    ],
)
def test_width_is_counted_in_cells(text: str, width: int) -> None:
    """Wide characters take two cells, marks none, and an emoji sequence as much as one emoji."""
    assert cells(text) == width


@pytest.mark.parametrize(
    ("text", "width", "fitted"),
    [
        ("abc", 5, "abc  "),
        ("abcdef", 4, "abc…"),
        ("ab cdef", 4, "ab… "),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日… "),
        (f"x{FAMILY}y", 3, "x… "),
        (f"x{FAMILY}yz", 4, f"x{FAMILY}…"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
        ("", 2, "  "),
    ],
)
def test_cut_text_fills_its_cells_and_keeps_characters_whole(text: str, width: int, fitted: str) -> None:
    """A cut is marked, never leaves half a wide character or an accent without its letter, and is padded."""
    assert fit(text, width) == fitted


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("one two", ["one two"]),
        ("one two three", ["one two", "three"]),
        ("one two three four five", ["one two", "three fou…"]),
        ("abcdefghijklmn", ["abcdefghij", "klmn"]),
        ("日本語テキスト日本", ["日本語テキ", "スト日本"]),
    ],
)
def test_long_text_is_wrapped_at_spaces_and_cut_after_the_last_line(text: str, lines: list[str]) -> None:
    """At most two lines of ten cells here; a word longer than a line is broken."""
    assert wrap(text, 10, 2) == lines


def test_one_line_folds_white_space() -> None:
    """Line breaks, tabs and runs of spaces become single spaces, none at the ends."""
    assert one_line("  a\r\n\r\nb\t\u3000c ") == "a b c"


def test_piled_up_accents_do_not_flood_a_cell() -> None:
    """Ten thousand combining marks on one letter are cut to what a letter can have."""
    assert len(clip("e" + "\u0301" * 10_000 + "abc", 10)) < 30


def test_a_line_of_a_megabyte_is_cut() -> None:
    """Text without spaces or ends is cut to its cells like any other."""
    assert cells(fit(one_line("é\x1b日" * 300_000), 30)) == 30


def test_characters_that_are_not_measured_take_one_cell() -> None:
    """What the short way counts as one cell is one when measured, shown as it is, and a cluster of its own."""
    narrow = [char for char in map(chr, range(0x110000)) if _NARROW.fullmatch(char)]
    assert len(narrow) > 500
    assert {get_character_cell_size(char) for char in narrow} == {1}
    assert visible("".join(narrow)) == "".join(narrow)
    together = "".join(narrow)
    assert [width for _, _, width in _clusters(together)] == [1] * len(narrow)
