"""Token ids of (query, document) pairs: each text tokenised once, pairs put together from ids, only documents cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shadowdiff.errors import ConfigError, PlainRerankerError, RerankerError
from shadowdiff.protocols import ScoreRequest
from shadowdiff.rerankers.fingerprint import file_hash

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PROBE = ("one", "two")
"""A query and a document that every tokenizer turns into at least one token each."""
PAD_TOKENS = ("[PAD]", "<pad>", "<|padding|>", "<|endoftext|>")
TOKEN_BYTES = 4
REMEMBERED_TOKENS = 4_000_000
"""Token ids that are kept of texts seen before: 16 MB."""
TOKENIZERS_KEPT = 8


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """A pair by its token ids: int32, as bytes, because bytes hash once and compare by identity first."""

    query: bytes
    document: bytes
    """As much of it as is read."""
    truncated: bool = field(default=False, compare=False)

    @property
    def tokens(self) -> int:
        """How many there are, without the template's."""
        return (len(self.query) + len(self.document)) // TOKEN_BYTES


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

    def fill(self, pair: EncodedPair, ids: NDArray[Any], types: NDArray[Any]) -> int:
        """Write the pair, as the tokenizer itself would put it together, to the start of two rows; its length."""
        import numpy as np

        parts: tuple[Sequence[int] | NDArray[np.int32], ...] = (
            self.before,
            np.frombuffer(pair.query, dtype=np.int32),
            self.between,
            np.frombuffer(pair.document, dtype=np.int32),
            self.after,
        )
        start = 0
        for part, type_id in zip(parts, self.types, strict=True):
            end = start + len(part)
            ids[start:end] = part
            if type_id:
                types[start:end] = type_id
            start = end
        return start


class TextTokenizer:
    """A tokenizer.json: one encoding per distinct text, remembered for the turns and sides that read it again."""

    def __init__(self, file: Path) -> None:
        self._tokenizer = _load(file)
        self._remembered: dict[str, bytes] = {}
        self._remembered_tokens = 0
        self.template = _template(self._tokenizer, file)
        self.pad_id = _pad_id(self._tokenizer)

    def tokens(self, texts: Sequence[str]) -> list[bytes]:
        """Token ids per text, without special tokens: int32, as bytes. Nothing is remembered, nor looked up."""
        distinct = list(dict.fromkeys(texts))
        fresh = dict(zip(distinct, self._encoded(distinct), strict=True))
        return [fresh[text] for text in texts]

    def remembered(self, texts: Sequence[str]) -> list[bytes]:
        """The same, each text tokenised once for all turns and sides that read it."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._remembered]
        fresh = dict(zip(missing, self._encoded(missing), strict=True))
        found = [fresh[text] if text in fresh else self._remembered[text] for text in texts]
        self._remember(fresh)
        return found

    def _encoded(self, texts: Sequence[str]) -> list[bytes]:
        import numpy as np

        if not texts:
            return []
        encodings = self._tokenizer.encode_batch_fast([valid_unicode(text) for text in texts], add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.int32).tobytes() for encoding in encodings]

    def _remember(self, fresh: dict[str, bytes]) -> None:
        self._remembered_tokens += sum(map(len, fresh.values())) // TOKEN_BYTES
        if self._remembered_tokens > REMEMBERED_TOKENS:
            self._remembered.clear()
            self._remembered_tokens = sum(map(len, fresh.values())) // TOKEN_BYTES
        self._remembered |= fresh


class PairEncoder:
    """Encodes pairs as the tokenizer's own template would, cutting the document to fit `max_length` tokens.

    Raises ConfigError where the file is no tokenizer, or one that cannot encode pairs.
    """

    def __init__(self, tokenizer_file: Path, max_length: int) -> None:
        self._tokenizer = text_tokenizer(tokenizer_file)
        self._max_length = max_length
        self.template = self._tokenizer.template
        self.pad_id = self._tokenizer.pad_id

    def encode(self, requests: Sequence[ScoreRequest]) -> list[list[EncodedPair]]:
        """Pairs per request, in order, tokenised anew: what timing a call must count.

        Raises RerankerError where a query leaves no room for any document.
        """
        rows = self._rows(requests, self._tokenizer.tokens)
        for row in rows:
            if isinstance(row, RerankerError):
                raise row
        return [row for row in rows if not isinstance(row, RerankerError)]

    def encode_each(self, requests: Sequence[ScoreRequest]) -> list[list[EncodedPair] | RerankerError]:
        """Pairs per request, in order, or why there are none: one query that is too long costs its own turn only."""
        return self._rows(requests, self._tokenizer.remembered)

    def _rows(
        self, requests: Sequence[ScoreRequest], tokens: Callable[[Sequence[str]], list[bytes]]
    ) -> list[list[EncodedPair] | RerankerError]:
        texts = [text for request in requests for text in (request.query, *request.documents)]
        ids = iter(tokens(texts))
        return [self._row(next(ids), [next(ids) for _ in request.documents]) for request in requests]

    def _row(self, query: bytes, documents: Sequence[bytes]) -> list[EncodedPair] | RerankerError:
        tokens = len(query) // TOKEN_BYTES
        room = self._max_length - self.template.special_tokens - tokens
        if room < 1 and documents:
            return PlainRerankerError(query_too_long(tokens, self._max_length))
        limit = room * TOKEN_BYTES
        return [EncodedPair(query, document[:limit], len(document) > limit) for document in documents]


def text_tokenizer(file: Path) -> TextTokenizer:
    """The tokenizer of that file, shared by every model that lies beside an equal one. Raises ConfigError."""
    return _shared_tokenizer(file_hash(file), _SameFile(file))


@dataclass(frozen=True, slots=True)
class _SameFile:
    """A path that takes no part in comparing: the contents decide."""

    path: Path = field(compare=False)


@lru_cache(maxsize=TOKENIZERS_KEPT)
def _shared_tokenizer(_digest: str, file: _SameFile) -> TextTokenizer:
    return TextTokenizer(file.path)


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
