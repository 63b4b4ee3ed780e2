"""Scoring token pairs as fast as a model can: equal pairs once, sorted by length, in batches of a token budget.

    pairs of any turns and sides ──▶ sorted by length ──▶ batches ──▶ backend ──▶ scores by pair

An engine belongs to one model on one backend. Sides that use the same model
share it, so their pairs are sorted and scored together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shadowdiff.rerankers.pairs import EncodedPair, PairTemplate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs that go through the model together."""

    pairs: Sequence[EncodedPair]
    """Shortest first."""
    input_ids: NDArray[np.int64]
    """Shape (pairs, tokens of the longest)."""
    attention_mask: NDArray[np.int64]
    token_type_ids: NDArray[np.int64]


class Backend(Protocol):
    """A model, loaded into a runtime."""

    name: str
    """The runtime, in words for a person."""
    dtype: str
    """What it computes in: fp32, bf16, fp16 or int8."""

    def run(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, NDArray[np.float64]]]:
        """Logits per batch, shape (pairs,), in any order of batches. Takes a batch when it has a worker free for it.

        Raises ConfigError where the model gives something else than one logit per pair.
        """
        ...


class Engine:
    """Scores pairs of token ids through one backend."""

    def __init__(self, backend: Backend, template: PairTemplate, pad_id: int, batch_tokens: int) -> None:
        """`batch_tokens`: padded tokens per call, at most, unless a single pair has more."""
        self.backend = backend
        self._template = template
        self._pad_id = pad_id
        self._batch_tokens = batch_tokens

    def score(self, pairs: Iterable[EncodedPair]) -> Iterator[dict[EncodedPair, float]]:
        """Logits of the distinct pairs, a batch at a time, longest pairs first. Not judged: they may be NaN."""
        ordered = sorted(set(pairs), key=lambda pair: (pair.tokens, pair.query, pair.document))
        batches = (self._batch(cut) for cut in reversed(self.cuts(ordered)))
        for batch, logits in self.backend.run(batches):
            yield dict(zip(batch.pairs, logits.tolist(), strict=True))

    def cuts(self, ordered: Sequence[EncodedPair]) -> list[Sequence[EncodedPair]]:
        """Runs of pairs, given shortest first, whose padded size stays within the token budget."""
        special = self._template.special_tokens
        batches: list[Sequence[EncodedPair]] = []
        start = 0
        for end in range(1, len(ordered) + 1):
            grown = (end + 1 - start) * (ordered[end].tokens + special) if end < len(ordered) else None
            if grown is None or grown > self._batch_tokens:
                batches.append(ordered[start:end])
                start = end
        return batches

    def _batch(self, pairs: Sequence[EncodedPair]) -> Batch:
        import numpy as np

        shape = len(pairs), pairs[-1].tokens + self._template.special_tokens
        ids = np.full(shape, self._pad_id, dtype=np.int64)
        mask, types = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for row, pair in enumerate(pairs):
            mask[row, : self._template.fill(pair, ids[row], types[row])] = 1
        return Batch(pairs, ids, mask, types)
