"""The embeddings that a source holds of a bundle's entries and turns, as the arrays of `embeddings.npz`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from shadowdiff.protocols import KnowledgeBase, NamesEmbeddings
from shadowdiff.records import Entry, Session
from shadowdiff.sources.embeddings import Embeddings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNNAMED = "unnamed"
"""The model of vectors whose source does not say it."""

Kind = tuple[str, int]
"""Model and number of dimensions."""


def stored_embeddings(
    source: KnowledgeBase, entries: Sequence[Entry], sessions: Sequence[Session]
) -> tuple[Embeddings | None, list[str]]:
    """Vectors in the order of entries and turns, zeros where there is none; None where no turn has one.

    A bundle holds vectors of one model: the one of most turns. The second
    value says what was left out. Raises SourceError.
    """
    owners = [(session.org_id, turn.turn_id) for session in sessions for turn in session.turns]
    queries = source.turn_vectors([turn_id for _, turn_id in owners])
    models = _models(source, sorted({org_id for org_id, _ in owners}))
    kinds = Counter((models[org_id], len(queries[turn_id])) for org_id, turn_id in owners if turn_id in queries)
    if not kinds:
        return None, []
    kind = min(kinds, key=lambda found: (-kinds[found], found))
    wanted: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if models.get(entry.org_id) == kind[0]:
            wanted[entry.org_id].add(entry.entry_id)
    documents = source.entry_vectors(wanted)
    entry_rows = (documents.get((entry.org_id, entry.entry_id)) for entry in entries)
    turn_rows = (queries.get(turn_id) if models[org_id] == kind[0] else None for org_id, turn_id in owners)
    found = Embeddings(kind[0], _stacked(entry_rows, len(entries), kind), _stacked(turn_rows, len(owners), kind))
    return found, _left_out(kinds, kind)


def _models(source: KnowledgeBase, org_ids: Sequence[str]) -> dict[str, str]:
    named: Mapping[str, str] = source.embedding_models(org_ids) if isinstance(source, NamesEmbeddings) else {}
    return {org_id: named.get(org_id, UNNAMED) for org_id in org_ids}


def _stacked(rows: Iterable[NDArray[np.float32] | None], count: int, kind: Kind) -> NDArray[np.float32]:
    import numpy as np

    stacked = np.zeros((count, kind[1]), dtype=np.float32)
    for place, row in enumerate(rows):
        if row is not None and len(row) == kind[1]:
            stacked[place] = row
    return stacked


def _left_out(kinds: Mapping[Kind, int], kept: Kind) -> list[str]:
    others = sum(turns for kind, turns in kinds.items() if kind != kept)
    if not others:
        return []
    return [f"turns whose embeddings are of another model than {kept[0]!r}, and left out: {others}"]
