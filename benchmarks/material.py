"""What is scored: real turns with pools of 50 real entries, the same texts for every variant, and where the model lies.

Reads ../shared where it is there, else the sample.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shadowdiff.lexical import OrgLexicon
from shadowdiff.protocols import ScoreRequest
from shadowdiff.records import Entry, Turn
from shadowdiff.rerankers.documents import document_text
from shadowdiff.sources.bundle import Bundle, read_bundle

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
SAMPLE = ROOT / "sample_sessions"
MODEL = "minilm-l6-v3"
POOL = 50
SHORT = 400
"""Characters of a document in the short form."""


@dataclass(frozen=True, slots=True)
class Material:
    """Turns to score and the model to score them with."""

    name: str
    """`mtrag` or `sample`."""
    model: Path
    requests: tuple[ScoreRequest, ...]

    @property
    def pairs(self) -> int:
        """How many (query, document) pairs the turns come to."""
        return sum(len(request.documents) for request in self.requests)


def load_material(turns: int, *, characters: int | None = SHORT, seed: int = 7) -> Material:
    """`turns` labelled turns drawn by `seed`, each with 50 documents cut to `characters` (None: whole).

    A pool is the entries that annotators marked relevant and, by BM25, the best others of the org.
    """
    shared = SHARED / "data" / "mtrag"
    name, home = ("mtrag", shared) if shared.is_dir() else ("sample", SAMPLE)
    models = SHARED / "models" if (SHARED / "models" / MODEL).is_dir() else SAMPLE / "models"
    requests = _requests(read_bundle(home), turns, characters, seed)
    return Material(name, models / MODEL, tuple(requests))


def _requests(bundle: Bundle, turns: int, characters: int | None, seed: int) -> list[ScoreRequest]:
    entries: dict[str, list[Entry]] = defaultdict(list)
    for entry in bundle.entries:
        entries[entry.org_id].append(entry)
    relevant: dict[str, list[str]] = defaultdict(list)
    for label in bundle.labels:
        if label.grade > 0:
            relevant[label.turn_id].append(label.entry_id)
    labelled = [
        (session.org_id, turn) for session in bundle.sessions for turn in session.turns if relevant[turn.turn_id]
    ]
    drawn = random.Random(seed).sample(labelled, min(turns, len(labelled)))  # noqa: S311 a reproducible draw
    lexicons = {org_id: OrgLexicon(entries[org_id]) for org_id in sorted({org_id for org_id, _ in drawn})}
    return [
        _request(turn, _pool(turn, relevant[turn.turn_id], lexicons[org_id]), entries[org_id], characters)
        for org_id, turn in drawn
    ]


def _pool(turn: Turn, relevant: Sequence[str], lexicon: OrgLexicon) -> list[str]:
    """Entry ids, in an order that says nothing about relevance."""
    lexical = (entry_id for entry_id, _ in lexicon.top(turn.search_text, POOL))
    return sorted(list(dict.fromkeys([*relevant, *lexical]))[:POOL])


def _request(turn: Turn, pool: Iterable[str], entries: Iterable[Entry], characters: int | None) -> ScoreRequest:
    texts = {entry.entry_id: document_text(entry)[:characters] for entry in entries}
    return ScoreRequest(turn.search_text, tuple(texts[entry_id] for entry_id in pool))
