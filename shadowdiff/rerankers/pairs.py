"""Token ids of (query, document) pairs: each text tokenised once, pairs put together from ids, only documents cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shadowdiff.errors import ConfigError, PlainRerankerError
from shadowdiff.protocols import ScoreRequest

PROBE = ("one", "two")
"""A query and a document that every tokenizer turns into at least one token each."""
PAD_TOKENS = ("[PAD]", "<pad>", "<|padding|>", "<|endoftext|>")


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """What a model is fed for one pair, without padding."""

    ids: tuple[int, ...]
    type_ids: tuple[int, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class PairTemplate:
    """Where a tokenizer's pair template puts special tokens around a query and a document."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: tuple[int, ...]
    """Type ids of: before, the query's tokens, between, the document's tokens, after."""

    @property
    def special_tokens(self) -> int:
        """How many tokens the template adds to a pair."""
        return len(self.before) + len(self.between) + len(self.after)

    def pair(self, query: Sequence[int], document: Sequence[int], *, truncated: bool) -> EncodedPair:
        """The pair as the tokenizer itself would put it together."""
        parts = (self.before, query, self.between, document, self.after)
        return EncodedPair(
            ids=tuple(token for part in parts for token in part),
            type_ids=tuple(type_id for part, type_id in zip(parts, self.types, strict=True) for _ in part),
            truncated=truncated,
        )


class PairEncoder:
    """Encodes pairs as the tokenizer's own template would, cutting the document to fit `max_length` tokens.

    Raises ConfigError where the file is no tokenizer, or one that cannot encode pairs.
    """

    def __init__(self, tokenizer_file: Path, max_length: int) -> None:
        self._tokenizer = _load(tokenizer_file)
        self._max_length = max_length
        self._template = _template(self._tokenizer, tokenizer_file)
        self.pad_id = _pad_id(self._tokenizer)

    def encode(self, requests: Sequence[ScoreRequest]) -> list[list[EncodedPair]]:
        """Pairs per request, in order. Raises RerankerError where a query leaves no room for any document."""
        texts = list(dict.fromkeys(text for request in requests for text in (request.query, *request.documents)))
        encodings = self._tokenizer.encode_batch_fast([valid_unicode(text) for text in texts], add_special_tokens=False)
        ids: dict[str, list[int]] = {text: encoding.ids for text, encoding in zip(texts, encodings, strict=True)}
        return [
            [self._pair(ids[request.query], ids[document]) for document in request.documents] for request in requests
        ]

    def _pair(self, query: list[int], document: list[int]) -> EncodedPair:
        room = self._max_length - self._template.special_tokens - len(query)
        if room < 1:
            raise PlainRerankerError(query_too_long(len(query), self._max_length))
        return self._template.pair(query, document[:room], truncated=len(document) > room)


def query_too_long(tokens: int, max_length: int) -> str:
    """Why a turn fails whose query leaves no room: queries are never cut."""
    return f"the query alone has {tokens} tokens; with max_length={max_length} no document fits beside it"


def valid_unicode(text: str) -> str:
    """Lone surrogates become question marks: tokenizers take valid Unicode only."""
    return text.encode("utf-8", "replace").decode()


def _load(file: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:
        raise ConfigError(f"{file} is not a tokenizer file: {error}") from error
    # The file may carry the padding and truncation that its model was trained with.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _template(tokenizer: Any, file: Path) -> PairTemplate:
    """Read off an encoded pair, where the tokenizer says of each token which of the two texts it came from."""
    pair = tokenizer.encode(*PROBE)
    origins = pair.sequence_ids
    if 0 not in origins or 1 not in origins:
        raise ConfigError(f"{file} does not encode pairs of texts; a cross-encoder's tokenizer does")
    query, document = origins.index(0), origins.index(1)
    if query > document:
        raise ConfigError(f"{file} puts the document before the query; that order is not supported")
    between, after = query + origins.count(0), document + origins.count(1)
    types = (pair.type_ids[0], pair.type_ids[query], pair.type_ids[between], pair.type_ids[document], pair.type_ids[-1])
    return PairTemplate(
        before=tuple(pair.ids[:query]),
        between=tuple(pair.ids[between:document]),
        after=tuple(pair.ids[after:]),
        types=types,
    )


def _pad_id(tokenizer: Any) -> int:
    """Padding is masked, so any id would do; the tokenizer's own is the least surprising."""
    found = (tokenizer.token_to_id(token) for token in PAD_TOKENS)
    return next((token_id for token_id in found if token_id is not None), 0)
