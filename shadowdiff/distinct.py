"""Counting distinct things in eight bytes each, so that a run over many sessions stays small in memory. Pure."""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Iterable

MERGE_AT_LEAST = 4_096
RECENT_AT_MOST = 1 << 16
"""Pairs remembered as they are, so that what is surfaced again and again is hashed once."""


class DistinctPairs:
    """How many distinct (org id, entry id) pairs were added, by a 64-bit hash of each.

    Two pairs among n share a hash with a probability of about n² / 2^65: one in
    37 million for a million pairs.
    """

    def __init__(self) -> None:
        self._sorted = array("Q")
        self._added = array("Q")
        self._recent: defaultdict[str, set[str]] = defaultdict(set)
        self._remembered = 0

    def update(self, org_id: str, entry_ids: Iterable[str]) -> None:
        """Add an org's entries."""
        new = set(entry_ids).difference(self._recent[org_id])
        if new:
            self._remember(org_id, new)
            self._hash(org_id, new)

    def __len__(self) -> int:
        """The count so far."""
        self._merge()
        return len(self._sorted)

    def _remember(self, org_id: str, new: set[str]) -> None:
        if self._remembered + len(new) > RECENT_AT_MOST:
            self._recent.clear()
            self._remembered = 0
        self._recent[org_id] |= new
        self._remembered += len(new)

    def _hash(self, org_id: str, entry_ids: Iterable[str]) -> None:
        org = org_id.encode("utf-8", "surrogatepass")
        head = hashlib.blake2b(len(org).to_bytes(8, "big") + org, digest_size=8)
        for entry_id in entry_ids:
            digest = head.copy()
            digest.update(entry_id.encode("utf-8", "surrogatepass"))
            self._added.append(int.from_bytes(digest.digest(), "big"))
        if len(self._added) > max(MERGE_AT_LEAST, len(self._sorted)):
            self._merge()

    def _merge(self) -> None:
        import numpy as np

        if self._added:
            both = np.concatenate([np.frombuffer(self._sorted, np.uint64), np.frombuffer(self._added, np.uint64)])
            self._sorted, self._added = array("Q", np.unique(both).tobytes()), array("Q")
