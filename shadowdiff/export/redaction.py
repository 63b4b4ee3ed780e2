"""Redaction of a bundle: every text through one function; ids stay, since they are what holds it together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shadowdiff.records import Entry, Session, Turn
from shadowdiff.sources.bundle import Bundle
from shadowdiff.sources.embeddings import Embeddings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Redact = Callable[[str], str]


class Redaction:
    """Redacts bundles, and counts what it changed."""

    def __init__(self, redact: Redact) -> None:
        self._redact = redact
        self._texts = self._vectors = self._ids = 0

    def bundle(self, bundle: Bundle) -> Bundle:
        """The bundle with every text redacted, and without the embeddings of changed ones: they give text away."""
        entries = tuple(self._entry(entry) for entry in bundle.entries)
        sessions = tuple(self._session(session) for session in bundle.sessions)
        self._ids += sum(self._redact(found) != found for found in _ids(bundle))
        return replace(
            bundle, entries=entries, sessions=sessions, embeddings=self._embeddings(bundle, entries, sessions)
        )

    def notes(self) -> list[str]:
        """What a reader of the bundle should know."""
        notes = []
        if self._texts:
            notes.append(f"texts redacted: {self._texts}; sides that read them may rank differently")
        if self._vectors:
            notes.append(f"embeddings of redacted texts left out: {self._vectors}; cosine fails where it needs them")
        if self._ids:
            notes.append(f"ids that match a pattern, and stay, since everything is found by them: {self._ids}")
        return notes

    def _entry(self, entry: Entry) -> Entry:
        return replace(entry, title=self._text(entry.title), body=self._text(entry.body))

    def _session(self, session: Session) -> Session:
        turns = tuple(self._turn(turn) for turn in session.turns)
        tags = {self._text(name): self._value(value) for name, value in session.tags.items()}
        return replace(session, turns=turns, tags=tags)

    def _turn(self, turn: Turn) -> Turn:
        return replace(
            turn,
            query=self._text(turn.query),
            search_query=None if turn.search_query is None else self._text(turn.search_query),
            answer=None if turn.answer is None else self._text(turn.answer),
        )

    def _value(self, value: Any) -> Any:
        """A tag's value: texts in lists and objects too."""
        if isinstance(value, dict):
            return {self._text(name): self._value(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._value(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _embeddings(self, bundle: Bundle, entries: Sequence[Entry], sessions: Sequence[Session]) -> Embeddings | None:
        if bundle.embeddings is None:
            return None
        documents = [a == b for a, b in zip(bundle.entries, entries, strict=True)]
        queries = [a == b for a, b in zip(_searched(bundle.sessions), _searched(sessions), strict=True)]
        return Embeddings(
            bundle.embeddings.model,
            self._kept(bundle.embeddings.entries, documents),
            self._kept(bundle.embeddings.turns, queries),
        )

    def _text(self, text: str) -> str:
        redacted = self._redact(text)
        self._texts += redacted != text
        return redacted

    def _kept(self, vectors: NDArray[np.floating[Any]], unchanged: list[bool]) -> NDArray[np.floating[Any]]:
        import numpy as np

        keep = np.array(unchanged, dtype=np.bool_)
        self._vectors += int((vectors.any(axis=1) & ~keep).sum())
        return np.where(keep[:, None], vectors, vectors.dtype.type(0))


def _searched(sessions: Sequence[Session]) -> list[str]:
    return [turn.search_text for session in sessions for turn in session.turns]


def _ids(bundle: Bundle) -> Iterable[str]:
    """Every id once."""
    found: dict[str, None] = {}
    for entry in bundle.entries:
        found |= {entry.org_id: None, entry.entry_id: None}
    for session in bundle.sessions:
        found[session.session_id] = None
        found |= dict.fromkeys(turn.turn_id for turn in session.turns)
    return found
