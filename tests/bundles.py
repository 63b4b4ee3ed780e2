"""Small bundles, as files that a test can spoil and as records that a test can load."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shadowdiff.records import Entry, Label, RecordedEntry, Session, Turn
from shadowdiff.sources.bundle import ENTRIES_FILE, LABELS_FILE, SESSIONS_FILE

AT = datetime(2026, 11, 19, 14, 2, tzinfo=UTC)

ENTRY_LINES: tuple[dict[str, Any], ...] = (
    {"org_id": "acme", "entry_id": "e1", "title": "Prices", "body": "Nine dollars."},
    {"org_id": "acme", "entry_id": "e2", "body": "Encrypted.", "updated_at": "2026-01-02T03:04:05Z"},
    {"org_id": "zeta", "entry_id": "e1", "title": "Étage 3 \u2028 日本", "body": ""},
)
TURN: dict[str, Any] = {
    "turn_id": "t1",
    "query": "how much?",
    "search_query": "price of the product",
    "asked_at": "2026-11-19T14:02:00+01:00",
    "answer": "Nine.",
    "pool": [{"entry_id": "e2", "score": 0.5}, {"entry_id": "e1"}],
    "served": ["e1"],
}
SESSION: dict[str, Any] = {
    "session_id": "s1",
    "org_id": "acme",
    "started_at": "2026-11-19",
    "tags": {"channel": "web"},
    "turns": [TURN, {"turn_id": "t2", "query": "", "asked_at": "2026-11-19T14:03:00"}],
}
QRELS = "t1 0 e1 3\n\nt1 0 e2 0\nt2 0 e2 1\n"

Lines = Sequence[Mapping[str, Any] | str]


def write_bundle(
    directory: Path,
    entries: Lines = ENTRY_LINES,
    sessions: Lines = (SESSION,),
    qrels: str | None = QRELS,
) -> Path:
    """Write a bundle; a line given as text is written as it is."""
    for name, lines in ((ENTRIES_FILE, entries), (SESSIONS_FILE, sessions)):
        written = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (directory / name).write_text("".join(f"{line}\n" for line in written), encoding="utf-8")
    if qrels is not None:
        (directory / LABELS_FILE).write_text(qrels, encoding="utf-8")
    return directory


def entry(entry_id: str, org_id: str = "acme", title: str = "", body: str | None = None) -> Entry:
    """An entry of acme, with a body of its own."""
    return Entry(org_id, entry_id, title or f"Title of {entry_id}", f"Body of {entry_id}." if body is None else body)


def turn(turn_id: str, position: int = 1, pool: Sequence[str] | None = None, query: str = "") -> Turn:
    """A turn whose pool holds these entries, scored from the best down."""
    recorded = None if pool is None else tuple(RecordedEntry(name, 1.0 / place) for place, name in enumerate(pool, 1))
    served = tuple(pool[:1]) if pool else None
    return Turn(turn_id, position, query or f"Query of {turn_id}?", AT, recorded_pool=recorded, served=served)


def session(session_id: str, *turns: Turn, org_id: str = "acme") -> Session:
    """A session of acme."""
    return Session(session_id, org_id, AT, turns, {"channel": "web"})


def label(turn_id: str, entry_id: str, grade: int = 1) -> Label:
    """A label as a bundle's qrels give it."""
    return Label("acme", turn_id, entry_id, grade, "bundle")
