"""Redaction of a bundle: every text through one function; ids stay, since they are what holds it together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shadowdiff.privacy import Redactor
from shadowdiff.records import Entry, Session, Turn
from shadowdiff.sources.bundle import Bundle
from shadowdiff.sources.embeddings import Embeddings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Redaction:
    """Redacts bundles, and counts what it changed."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._entries = self._turns = self._vectors = self._ids = 0

    def bundle(self, bundle: Bundle) -> Bundle:
        """The bundle with every text redacted, and without the embeddings of changed ones: they give text away."""
        entries = tuple(map(self._redactor.entry, bundle.entries))
        sessions = tuple(map(self._redactor.session, bundle.sessions))
        self._entries += sum(a != b for a, b in zip(bundle.entries, entries, strict=True))
        self._turns += sum(a != b for a, b in zip(_turns(bundle.sessions), _turns(sessions), strict=True))
        self._ids += sum(self._redactor.text(found) != found for found in _ids(bundle))
        return replace(
            bundle, entries=entries, sessions=sessions, embeddings=self._embeddings(bundle, entries, sessions)
        )

    def notes(self) -> list[str]:
        """What a reader of the bundle should know."""
        notes = []
        if self._entries or self._turns:
            changed = f"entries: {self._entries}, turns: {self._turns}"
            notes.append(f"texts were redacted ({changed}); sides that read them may rank differently")
        if self._vectors:
            notes.append(f"embeddings of redacted texts left out: {self._vectors}; cosine fails where it needs them")
        if self._ids:
            notes.append(f"ids that match a pattern, and stay, since everything is found by them: {self._ids}")
        return notes

    def _embeddings(self, bundle: Bundle, entries: Sequence[Entry], sessions: Sequence[Session]) -> Embeddings | None:
        if bundle.embeddings is None:
            return None
        documents = [a == b for a, b in zip(bundle.entries, entries, strict=True)]
        queries = [
            a.search_text == b.search_text for a, b in zip(_turns(bundle.sessions), _turns(sessions), strict=True)
        ]
        return Embeddings(
            bundle.embeddings.model,
            self._kept(bundle.embeddings.entries, documents),
            self._kept(bundle.embeddings.turns, queries),
        )

    def _kept(self, vectors: NDArray[np.floating[Any]], unchanged: list[bool]) -> NDArray[np.floating[Any]]:
        import numpy as np

        keep = np.array(unchanged, dtype=np.bool_)
        self._vectors += int((vectors.any(axis=1) & ~keep).sum())
        return np.where(keep[:, None], vectors, vectors.dtype.type(0))


def _turns(sessions: Sequence[Session]) -> list[Turn]:
    return [turn for session in sessions for turn in session.turns]


def _ids(bundle: Bundle) -> Iterable[str]:
    """Every id once."""
    found: dict[str, None] = {}
    for entry in bundle.entries:
        found |= {entry.org_id: None, entry.entry_id: None}
    for session in bundle.sessions:
        found[session.session_id] = None
        found |= dict.fromkeys(turn.turn_id for turn in session.turns)
    return found
