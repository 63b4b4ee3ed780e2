"""Token ids of (query, document) pairs: each text tokenised once, pairs put together from ids, only documents cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shadowdiff.errors import ConfigError, RerankerError
from shadowdiff.protocols import ScoreRequest

MAX_DOCUMENT_CHARACTERS_PER_TOKEN = 64
"""A text is not tokenised past this many characters per token of room: no words are that long on average."""


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """What a model is fed for one pair, without padding."""

    ids: tuple[int, ...]
    type_ids: tuple[int, ...]
    truncated: bool


class PairEncoder:
    """Encodes pairs as the tokenizer's own template would, cutting the document to fit `max_length` tokens."""

    def __init__(self, tokenizer_file: Path, max_length: int) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Any = Tokenizer.from_file(str(tokenizer_file))
        except Exception as error:
            raise ConfigError(f"{tokenizer_file} is not a tokenizer file: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._max_length = max_length
        self._special_tokens: int = self._tokenizer.num_special_tokens_to_add(is_pair=True)
        self.pad_id = self._find_pad_id()

    def encode(self, requests: Sequence[ScoreRequest]) -> list[list[EncodedPair]]:
        """Pairs per request, in order. Raises RerankerError where a query leaves no room for any document."""
        texts = dict.fromkeys(text for request in requests for text in (request.query, *request.documents))
        encodings = dict(zip(texts, self._encode_texts(list(texts)), strict=True))
        return [
            [self._pair(encodings[request.query], encodings[document]) for document in request.documents]
            for request in requests
        ]

    def _encode_texts(self, texts: Sequence[str]) -> Sequence[Any]:
        limit = self._max_length * MAX_DOCUMENT_CHARACTERS_PER_TOKEN
        readable = [text[:limit].encode("utf-8", "replace").decode() for text in texts]
        encodings: Sequence[Any] = self._tokenizer.encode_batch(readable, add_special_tokens=False)
        return encodings

    def _pair(self, query: Any, document: Any) -> EncodedPair:
        room = self._max_length - self._special_tokens - len(query.ids)
        if room < 1:
            raise RerankerError(
                f"the query alone has {len(query.ids)} tokens; "
                f"with max_length={self._max_length} no document fits beside it"
            )
        truncated = len(document.ids) > room
        if truncated:
            document = _first_tokens(document, room)
        pair = self._tokenizer.post_process(query, document, add_special_tokens=True)
        return EncodedPair(tuple(pair.ids), tuple(pair.type_ids), truncated)

    def _find_pad_id(self) -> int:
        for token in ("[PAD]", "<pad>", "<|padding|>"):
            found: int | None = self._tokenizer.token_to_id(token)
            if found is not None:
                return found
        return 0


def _first_tokens(encoding: Any, count: int) -> Any:
    """A cut copy: truncating in place would cut the document for every other query as well."""
    import copy

    cut = copy.deepcopy(encoding)
    cut.truncate(count)
    return cut
