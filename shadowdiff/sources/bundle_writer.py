"""Write a bundle's files. What is written, `bundle.read_bundle` reads back as the same records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shadowdiff.records import Entry, RecordedEntry, Session, Turn
from shadowdiff.sources.bundle import EMBEDDINGS_FILE, ENTRIES_FILE, LABELS_FILE, SESSIONS_FILE, Bundle
from shadowdiff.sources.embeddings import write_embeddings
from shadowdiff.trec import qrels_line

Json = dict[str, Any]


def write_bundle(bundle: Bundle, directory: Path) -> None:
    """Write kb_entries.jsonl and sessions.jsonl, and where there are any, qrels.txt and embeddings.npz.

    Equal bundles make equal bytes; times are written in UTC. Raises OSError,
    and ConfigError for a label whose ids no qrels file can hold.
    """
    _write(directory / ENTRIES_FILE, _json_lines(map(_entry, bundle.entries)))
    _write(directory / SESSIONS_FILE, _json_lines(map(_session, bundle.sessions)))
    if bundle.labels:
        _write(directory / LABELS_FILE, map(qrels_line, bundle.labels))
    if bundle.embeddings is not None:
        write_embeddings(directory / EMBEDDINGS_FILE, bundle.embeddings)


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)


def _json_lines(values: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for value in values:
        yield json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"


def _entry(entry: Entry) -> Json:
    fields: Json = {"org_id": entry.org_id, "entry_id": entry.entry_id}
    if entry.title:
        fields["title"] = entry.title
    fields["body"] = entry.body
    if entry.updated_at is not None:
        fields["updated_at"] = _time(entry.updated_at)
    return fields


def _session(session: Session) -> Json:
    fields: Json = {
        "session_id": session.session_id,
        "org_id": session.org_id,
        "started_at": _time(session.started_at),
    }
    if session.tags:
        fields["tags"] = dict(session.tags)
    return fields | {"turns": [_turn(turn) for turn in session.turns]}


def _turn(turn: Turn) -> Json:
    fields: Json = {
        "turn_id": turn.turn_id,
        "query": turn.query,
        "search_query": turn.search_query,
        "asked_at": _time(turn.asked_at),
        "answer": turn.answer,
        "pool": None if turn.recorded_pool is None else [_recorded(item) for item in turn.recorded_pool],
        "served": None if turn.served is None else list(turn.served),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _recorded(item: RecordedEntry) -> Json:
    return {"entry_id": item.entry_id} if item.score is None else {"entry_id": item.entry_id, "score": item.score}


def _time(when: datetime) -> str:
    return when.astimezone(UTC).isoformat()
