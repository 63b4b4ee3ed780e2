"""Token vectors of documents: computed once per text, in memory for this run, on disk for the next."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from shadowdiff.rerankers.vectors_kept import KeptVectors, TokenVectors

MEMORY_BYTES = 512 << 20
"""Held in memory at most, beside those that are being scored; the least recently used go first."""

Encode = Callable[[Sequence[str]], Sequence[TokenVectors]]


class EntryVectors:
    """Vectors by text, wherever they come from: memory, disk or the model, in that order."""

    def __init__(self, encode: Encode, kept: KeptVectors | None = None, most_bytes: int = MEMORY_BYTES) -> None:
        """`encode` gets each text that is new, once; `kept` is None where nothing may lie on disk."""
        self._encode = encode
        self._kept = kept
        self._most_bytes = most_bytes
        self._held: OrderedDict[bytes, TokenVectors] = OrderedDict()
        self._held_bytes = 0

    def of(self, texts: Iterable[str]) -> dict[str, TokenVectors]:
        """The vectors of each distinct text. Raises what the model raises."""
        keys = {text: hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts}
        found = {key: self._held[key] for key in keys.values() if key in self._held}
        if self._kept is not None and len(found) < len(keys):
            found |= self._kept.opened([key for key in keys.values() if key not in found])
        missing = {text: key for text, key in keys.items() if key not in found}
        if missing:
            found |= self._computed(missing)
        self._hold(found)
        return {text: found[key] for text, key in keys.items()}

    def _computed(self, missing: dict[str, bytes]) -> dict[bytes, TokenVectors]:
        fresh = dict(zip(missing.values(), self._encode(list(missing)), strict=True))
        if self._kept is not None:
            self._kept.keep(fresh)
        return fresh

    def _hold(self, used: dict[bytes, TokenVectors]) -> None:
        for key, vectors in used.items():
            if key not in self._held:
                self._held_bytes += vectors.size
            self._held[key] = vectors
            self._held.move_to_end(key)
        while self._held_bytes > self._most_bytes:
            _, gone = self._held.popitem(last=False)
            self._held_bytes -= gone.size
