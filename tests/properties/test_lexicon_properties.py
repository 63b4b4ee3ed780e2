"""A lexicon's best entries are those of a plain sort, and what comes from disk scores as it was built, to the bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowdiff.lexical import OrgLexicon, _best
from shadowdiff.lexicons_kept import KeptLexicons
from shadowdiff.records import Entry
from shadowdiff.rerankers.documents import document_text

WORDS = st.sampled_from(
    ["data", "encrypted", "rest", "pricing", "seat", "the", "naïve", "日本語", "x", "\x00", "\ud800"]
)
TEXTS = st.lists(WORDS, max_size=8).map(" ".join)
ENTRIES = st.lists(st.tuples(st.text(max_size=4), TEXTS, TEXTS), max_size=30, unique_by=lambda entry: entry[0])


def entries_of(drawn: list[tuple[str, str, str]]) -> list[Entry]:
    """Entries of one org."""
    return [Entry("o", entry_id, title, body) for entry_id, title, body in drawn]


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.25]), max_size=60), st.integers(0, 70))
def test_best_is_the_head_of_a_plain_sort(scores: list[float], limit: int) -> None:
    """Highest first, equal ones in order of place, at the cut too."""
    expected = sorted(range(len(scores)), key=lambda place: (-scores[place], place))[:limit]
    assert _best(np.array(scores, dtype=np.float64), limit).tolist() == expected


@given(ENTRIES, TEXTS, st.integers(0, 40))
def test_top_agrees_with_a_plain_sort_of_scores(drawn: list[tuple[str, str, str]], query: str, limit: int) -> None:
    """In whatever order entries come: score descending, then entry id."""
    entries = entries_of(drawn)
    lexicon = OrgLexicon(entries)
    scores = lexicon.scores(query, [document_text(entry) for entry in entries])
    named = [(entry.entry_id, score) for entry, score in zip(entries, scores, strict=True)]
    expected = sorted(named, key=lambda item: (-item[1], item[0]))
    assert lexicon.top(query, limit) == expected[:limit]


@settings(max_examples=40)
@given(ENTRIES, st.lists(TEXTS, min_size=1, max_size=4), TEXTS)
def test_from_disk_it_scores_as_it_was_built(
    drawn: list[tuple[str, str, str]], queries: list[str], elsewhere: str
) -> None:
    """Scores of held and of other texts, and the best entries, are equal to the last bit."""
    entries = entries_of(drawn)
    built = OrgLexicon(entries)
    documents = [*(document_text(entry) for entry in entries), elsewhere, "pricing of naïve data"]
    with tempfile.TemporaryDirectory() as directory:
        kept = KeptLexicons(Path(directory))
        opened = kept.keep("version", built)
        assert (opened is built) is (built.parts.index is None)
        for query in queries:
            assert list(opened.scores(query, documents)) == list(built.scores(query, documents))
            assert opened.top(query, 7) == built.top(query, 7)
