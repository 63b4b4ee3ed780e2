"""Highlighted words are words of the query, wherever they stand and whatever stands around them."""

from __future__ import annotations

from itertools import pairwise

from bm25s.stopwords import STOPWORDS_EN
from hypothesis import example, given
from hypothesis import strategies as st

from shadowdiff.render.matches import STOP_WORDS, matches, words_of

TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("abcé İßﬁ日本のデータไทย\u0301\u200d’-_")), max_size=60)


def shown(text: str, query: str) -> list[str]:
    """What would be highlighted."""
    return [text[start:end] for start, end in matches(text, words_of(query))]


@given(TEXTS, TEXTS)
@example("İstanbul STRASSE", "istanbul straße")
def test_stretches_lie_in_the_text_in_order_and_apart(text: str, query: str) -> None:
    """Nothing empty, nothing twice, nothing outside; and no white space is ever part of one."""
    found = matches(text, words_of(query))
    flat = [place for stretch in found for place in stretch]
    assert all(before < after for before, after in pairwise(flat))
    assert not flat or (flat[0] >= 0 and flat[-1] <= len(text))
    assert all(not any(map(str.isspace, text[start:end])) for start, end in found)


@given(TEXTS)
def test_a_text_matches_itself_wherever_it_has_a_word(text: str) -> None:
    """The words of a query are found in the query."""
    assert bool(matches(text, words_of(text))) == bool(words_of(text))


@given(TEXTS, TEXTS)
def test_texts_without_a_common_word_share_nothing(text: str, query: str) -> None:
    """Only what is a word of both is highlighted."""
    assert bool(matches(text, words_of(query))) == bool(words_of(text) & words_of(query))


@given(TEXTS, TEXTS, TEXTS)
def test_what_stands_on_other_lines_changes_nothing(before: str, text: str, after: str) -> None:
    """A wrapped text can be highlighted line by line."""
    words, moved = words_of(text), len(before) + 1
    whole = matches(f"{before}\n{text}\n{after}", words)
    inside = [(start - moved, end - moved) for start, end in whole if moved <= start < moved + len(text)]
    assert inside == matches(text, words)


def test_words_are_found_in_their_other_forms() -> None:
    """Case, accents written two ways, plural and tense; stop words and single letters are left out."""
    assert shown("Encrypting the data: Encryption, encrypted.", "is the data encrypted?") == [
        "Encrypting",
        "data",
        "Encryption",
        "encrypted",
    ]
    assert shown("Cafe\u0301 and CAFÉ, cafeteria", "café") == ["Cafe\u0301", "CAFÉ"]
    assert shown("a b of the x1", "a of the b x1") == ["x1"]
    assert shown("データの保存期間", "保存される期間は？") == ["保存期間"]


def test_stop_words_are_those_of_bm25() -> None:
    """What BM25 does not look for is not shown as found."""
    assert frozenset(STOPWORDS_EN) == STOP_WORDS
