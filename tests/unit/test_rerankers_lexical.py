"""`bm25`, and the statistics of an org's knowledge base behind it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.errors import RerankerError, SpecError
from shadowdiff.lexical import OrgLexicon
from shadowdiff.protocols import PoolReranker
from shadowdiff.records import Entry
from shadowdiff.rerankers.documents import document_text
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse
from shadowdiff.testing import make_turn

KNOWLEDGE = (
    Entry("acme", "b", "Encryption", "Data is encrypted at rest."),
    Entry("acme", "a", "Encryption", "Data is encrypted at rest."),
    Entry("acme", "c", "", "Pricing per seat, pricing per month, pricing per year."),
    Entry("acme", "d", "Empty", ""),
    Entry("acme", "e", "", ""),
    Entry("acme", "f", "Security", "Policies on passwords: rotate passwords, never share a password with anyone."),
)
WORDS = st.sampled_from(["data", "encrypted", "rest", "pricing", "seat", "password", "rotate", "the", "unknown", "!"])
QUERIES = st.lists(WORDS, max_size=8).map(" ".join)


def test_scores_by_hand() -> None:
    """Lucene's BM25: idf times tf over tf plus k1 times length norm, without the constant factor k1 + 1."""
    entries = [Entry("o", "1", "", "apple banana"), Entry("o", "2", "", "banana banana banana cherry")]
    lexicon = OrgLexicon(entries)
    idf = math.log(1 + (2 - 1 + 0.5) / (1 + 0.5))
    expected = idf * 1 / (1 + 1.5 * (0.25 + 0.75 * 2 / 3))
    assert lexicon.scores("apples", ["apple banana", "banana banana banana cherry"]) == pytest.approx(
        [expected, 0.0], rel=1e-5
    )


@given(QUERIES)
def test_indexed_and_unindexed_documents_score_alike(query: str) -> None:
    """A text that is not in the knowledge base is scored by the formula that indexed ones are scored by."""
    lexicon = OrgLexicon(KNOWLEDGE)
    texts = [document_text(entry) for entry in KNOWLEDGE]
    elsewhere = [f"{text} !" for text in texts]
    assert lexicon.scores(query, elsewhere) == pytest.approx(lexicon.scores(query, texts), rel=1e-5, abs=1e-5)


@given(st.lists(QUERIES, min_size=1, max_size=6), QUERIES)
def test_any_knowledge_base_scores_finitely(bodies: list[str], query: str) -> None:
    """Whatever is in it, scores are floats of at least zero, and equal texts score equally."""
    lexicon = OrgLexicon([Entry("o", str(place), "", body) for place, body in enumerate(bodies)])
    scores = lexicon.scores(query, [*bodies, *bodies, "not in it"])
    assert all(isinstance(score, float) and math.isfinite(score) and score >= 0 for score in scores)
    assert list(scores[: len(bodies)]) == list(scores[len(bodies) : -1])


def test_best_entries_first_and_ties_by_id() -> None:
    """`top` orders by score, then entry id, and cuts."""
    top = OrgLexicon(KNOWLEDGE).top("encrypted data", 3)
    assert [entry_id for entry_id, _ in top] == ["a", "b", "c"]
    assert top[0][1] == top[1][1] > top[2][1] == 0.0


def test_top_agrees_with_scores() -> None:
    """What a pool is retrieved by and what it is reranked by are one score."""
    lexicon = OrgLexicon(KNOWLEDGE)
    by_id = dict(lexicon.top("rotate the pricing data", 99))
    scores = lexicon.scores("rotate the pricing data", [document_text(entry) for entry in KNOWLEDGE])
    assert [by_id[entry.entry_id] for entry in KNOWLEDGE] == list(scores)


@pytest.mark.parametrize("query", ["", " ", "!?", "the of and", "zebra", "\x00", "日本語", "\ud800", "x"])
def test_queries_without_a_known_term_score_zero(query: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No term in common is a score of 0.0: no warning, no NaN, nothing printed."""
    assert OrgLexicon(KNOWLEDGE).scores(query, [document_text(KNOWLEDGE[0]), "elsewhere"]) == [0.0, 0.0]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("entries", [(), (Entry("o", "1", "", ""),), (Entry("o", "1", "", "the !"),)])
def test_knowledge_bases_without_a_term(entries: tuple[Entry, ...]) -> None:
    """An org with no entry, or none with a word in it, scores everything 0.0."""
    lexicon = OrgLexicon(entries)
    scores = lexicon.scores("data", ["data", ""])
    assert list(scores) == [0.0, 0.0]
    assert all(isinstance(score, float) for score in scores)
    assert lexicon.top("data", 5) == [(entry.entry_id, 0.0) for entry in entries]


def test_words_are_folded_and_stemmed() -> None:
    """Case and inflection are no difference; English stopwords count for nothing."""
    lexicon = OrgLexicon(KNOWLEDGE)
    text = document_text(KNOWLEDGE[0])
    assert lexicon.scores("ENCRYPTS the DATA", [text]) == lexicon.scores("encrypted data", [text])
    assert lexicon.scores("encrypted data", [text])[0] > 0


def test_the_reranker_reads_the_turn_s_statistics() -> None:
    """`bm25` scores title and body under the org's statistics, with the search query where there is one."""
    reranker = build(parse("bm25"))
    assert isinstance(reranker, PoolReranker)
    assert reranker.needs == {"lexical"}
    turn = make_turn([document_text(entry) for entry in KNOWLEDGE], "what about it?")
    turn = replace(turn, turn=replace(turn.turn, search_query="encrypted data"))
    assert list(reranker.score_pool(turn)) == list(
        OrgLexicon(KNOWLEDGE).scores("encrypted data", [document_text(entry) for entry in KNOWLEDGE])
    )


def test_missing_statistics_fail_the_turn() -> None:
    """Without statistics there is no ranking, and the reason says so."""
    with pytest.raises(RerankerError, match="term statistics"):
        build(parse("bm25")).score_pool(replace(make_turn(("a",)), lexical=None))  # type: ignore[union-attr]


@pytest.mark.parametrize("spec", ["bm25:x", "bm25,k1=2"])
def test_takes_neither_target_nor_options(spec: str) -> None:
    """What would be ignored is refused."""
    with pytest.raises(SpecError):
        build(parse(spec))
