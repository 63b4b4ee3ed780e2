"""Pairs put together from ids are what the tokenizer itself would have made of them, cut in the document only."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shadowdiff.errors import ConfigError, RerankerError
from shadowdiff.protocols import ScoreRequest
from shadowdiff.rerankers.pairs import EncodedPair, PairEncoder
from shadowdiff.testing import UNUSUAL_TEXTS
from tests.conftest import MODEL

TOKENIZER = MODEL / "tokenizer.json"
SHORT = 24
WORDS = st.lists(
    st.sampled_from(["data", "encryption", "AES-256,", "Größe", "[SEP]", "暗号化", "…", "x" * 30]), max_size=40
)
TEXTS = st.text(max_size=60) | WORDS.map(" ".join) | st.sampled_from([*UNUSUAL_TEXTS[:5], ""])


@cache
def encoder(max_length: int = SHORT) -> PairEncoder:
    """Over the sample tokenizer."""
    return PairEncoder(TOKENIZER, max_length)


@cache
def whole() -> Any:
    """The sample tokenizer itself, cutting nothing."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(TOKENIZER))


@cache
def oracle(max_length: int = SHORT) -> Any:
    """The sample tokenizer itself, cutting the second text only."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.enable_truncation(max_length, strategy="only_second")
    return tokenizer


def encode(query: str, *documents: str) -> list[EncodedPair]:
    """Pairs of one request."""
    return encoder().encode([ScoreRequest(query, documents)])[0]


def assembled(pair: EncodedPair, encoder: PairEncoder) -> tuple[list[int], list[int]]:
    """Ids and type ids, as the model is fed them."""
    width = pair.tokens + encoder.template.special_tokens
    ids, types = np.zeros(width, dtype=np.int64), np.zeros(width, dtype=np.int64)
    assert encoder.template.fill(pair, ids, types) == width
    return ids.tolist(), types.tolist()


@given(TEXTS, TEXTS)
def test_pairs_equal_the_tokenizer_s_own(query: str, document: str) -> None:
    """Ids and token types of any pair whose query leaves room are the tokenizer's own, cut or not."""
    assume(len(whole().encode(query, add_special_tokens=False).ids) <= SHORT - 4)
    found = encode(query, document)[0]
    expected = oracle().encode(query, document)
    assert assembled(found, encoder()) == (expected.ids, expected.type_ids)
    assert found.truncated == bool(expected.overflowing)


@given(st.lists(st.tuples(TEXTS, st.lists(TEXTS, max_size=3).map(tuple)), max_size=3))
def test_what_is_remembered_is_what_is_tokenised_anew(asked: list[tuple[str, tuple[str, ...]]]) -> None:
    """Texts seen in an earlier window give the pairs that they give when nothing is remembered."""
    requests = [ScoreRequest(query, documents) for query, documents in asked]
    for _ in range(2):
        for request, row in zip(requests, encoder().encode_each(requests), strict=True):
            if isinstance(row, RerankerError):
                with pytest.raises(RerankerError):
                    encoder().encode([request])
            else:
                assert encoder().encode([request]) == [row]
                assert [pair.truncated for pair in row] == [pair.truncated for pair in encoder().encode([request])[0]]


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=5))
def test_queries_are_never_cut(query: str, documents: list[str]) -> None:
    """Every pair holds the whole query and fits, or the query is refused because it is too long."""
    ids = whole().encode(query, add_special_tokens=False).ids
    if len(ids) > SHORT - 4:
        with pytest.raises(RerankerError, match=f"the query alone has {len(ids)} tokens; with max_length={SHORT} no"):
            encode(query, *documents)
        return
    pairs = encode(query, *documents)
    assert len(pairs) == len(documents)
    fed = [assembled(pair, encoder())[0] for pair in pairs]
    assert all(row[1 : 1 + len(ids)] == ids and len(row) <= SHORT for row in fed)


def test_saved_truncation_and_padding_are_lifted(tmp_path: Path) -> None:
    """A tokenizer.json that was saved in the middle of a training still reads whole texts."""
    from tokenizers import Tokenizer

    saved = Tokenizer.from_file(str(TOKENIZER))
    saved.enable_truncation(6)
    saved.enable_padding(length=64)
    saved.save(str(tmp_path / "tokenizer.json"))
    request = ScoreRequest("how is it", ("encrypted at rest",))
    assert PairEncoder(tmp_path / "tokenizer.json", 64).encode([request]) == PairEncoder(TOKENIZER, 64).encode(
        [request]
    )


def test_templates_of_other_families(tmp_path: Path) -> None:
    """RoBERTa's two separators, one token type and other special tokens are read off the file."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "data": 4, "price": 5}
    tokenizer: Any = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))  # noqa: S106 no password
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    found = PairEncoder(tmp_path / "tokenizer.json", 8)
    pair = found.encode([ScoreRequest("data", ("price price price price",))])[0][0]
    assert assembled(pair, found) == ([0, 4, 2, 2, 5, 5, 5, 2], [0] * 8)
    assert pair.truncated
    assert found.pad_id == 1


def test_refuses_templates_that_turn_the_pair_round(tmp_path: Path) -> None:
    """A document before its query is no order that is known here."""
    from tokenizers import Tokenizer, processors

    tokenizer: Any = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $B [SEP] $A [SEP]", special_tokens=[("[CLS]", 101), ("[SEP]", 102)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigError, match=r"tokenizer\.json puts the document before the query"):
        PairEncoder(tmp_path / "tokenizer.json", 16)


def test_lone_surrogates_are_read_as_question_marks() -> None:
    """What is no valid Unicode is scored as a person would see it."""
    assert encode("a", "key \ud83d here") == encode("a", "key ? here")
