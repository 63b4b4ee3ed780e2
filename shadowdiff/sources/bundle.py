"""Bundles: knowledge base, sessions, labels and embeddings as JSONL and npz files, read whole or refused.

A file that is wrong anywhere is refused with file, line and reason, before
anything is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shadowdiff.errors import BundleError
from shadowdiff.records import Entry, Label, RecordedEntry, Session, Turn
from shadowdiff.sources.embeddings import Embeddings, read_embeddings
from shadowdiff.sources.lines import Line, Unique, json_lines, shown, text_lines
from shadowdiff.sources.qrels import grade

ENTRIES_FILE = "kb_entries.jsonl"
SESSIONS_FILE = "sessions.jsonl"
LABELS_FILE = "qrels.txt"
EMBEDDINGS_FILE = "embeddings.npz"
LABEL_SOURCE = "bundle"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A checked bundle: every reference resolves, every id is unique."""

    entries: tuple[Entry, ...]
    sessions: tuple[Session, ...]
    labels: tuple[Label, ...] = ()
    embeddings: Embeddings | None = None


def read_bundle(directory: Path) -> Bundle:
    """Read and check a bundle. Raises BundleError with file, line and reason."""
    if not directory.is_dir():
        raise BundleError(
            f"{directory}: no such directory; a bundle is a directory with {ENTRIES_FILE} and {SESSIONS_FILE}"
        )
    entries = read_entries(directory / ENTRIES_FILE)
    known = {(entry.org_id, entry.entry_id) for entry in entries}
    sessions = read_sessions(directory / SESSIONS_FILE, known)
    labels = read_labels(directory / LABELS_FILE, sessions, known)
    embeddings = read_embeddings(directory / EMBEDDINGS_FILE, len(entries), sum(len(s.turns) for s in sessions))
    return Bundle(tuple(entries), tuple(sessions), tuple(labels), embeddings)


def read_entries(path: Path) -> list[Entry]:
    """Knowledge-base entries; ids unique within their org."""
    entries: list[Entry] = []
    unique = Unique("entry")
    for line in json_lines(path):
        entry = Entry(
            org_id=line.identifier("org_id"),
            entry_id=line.identifier("entry_id"),
            title=line.text("title", default=""),
            body=line.text("body"),
            updated_at=line.optional_time("updated_at"),
        )
        unique.check(line, f"{entry.entry_id!r} of org {entry.org_id!r}", (entry.org_id, entry.entry_id))
        entries.append(entry)
    return entries


def read_sessions(path: Path, known: set[tuple[str, str]]) -> list[Session]:
    """Sessions with their turns; ids unique; every entry named must be in `known`, by (org id, entry id)."""
    orgs = {org_id for org_id, _ in known}
    unique_sessions, unique_turns = Unique("session"), Unique("turn")
    sessions: list[Session] = []
    for line in json_lines(path):
        session = _session(line, orgs)
        unique_sessions.check(line, repr(session.session_id), session.session_id)
        for turn in session.turns:
            unique_turns.check(line, repr(turn.turn_id), turn.turn_id)
            _check_entries(line, session.org_id, turn, known)
        sessions.append(session)
    return sessions


def _session(line: Line, orgs: set[str]) -> Session:
    org_id = line.identifier("org_id")
    if org_id not in orgs:
        line.refuse(f"unknown org {org_id!r}: {ENTRIES_FILE} has no entry of it")
    turns = line.items("turns")
    if not turns:
        line.refuse("'turns' is missing or empty")
    return Session(
        session_id=line.identifier("session_id"),
        org_id=org_id,
        started_at=line.time("started_at"),
        turns=tuple(_turn(line, position, fields) for position, fields in enumerate(turns, start=1)),
        tags=_tags(line),
    )


def _tags(line: Line) -> Mapping[str, object]:
    tags = line.fields.get("tags")
    if tags is None:
        return {}
    if not isinstance(tags, dict):
        line.refuse(f"'tags' must be an object, not {shown(tags)}")
    for text in _texts_in(tags):
        line.check_storable("tags", text)
    return tags


def _texts_in(value: object) -> Iterator[str]:
    """Every string inside a JSON value, keys too; without recursion, for it may be nested deeply."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item


def _turn(line: Line, position: int, fields: object) -> Turn:
    inside = line.within(fields, f"turn {position}")
    pool = inside.items("pool")
    served = inside.items("served")
    return Turn(
        turn_id=inside.identifier("turn_id"),
        position=position,
        query=inside.text("query"),
        asked_at=inside.time("asked_at"),
        search_query=inside.optional_text("search_query"),
        answer=inside.optional_text("answer"),
        recorded_pool=None if pool is None else tuple(_recorded(inside, item) for item in pool),
        served=None if served is None else tuple(_served(inside, item) for item in served),
    )


def _recorded(line: Line, item: object) -> RecordedEntry:
    inside = line.within(item, "each item of 'pool'")
    return RecordedEntry(inside.identifier("entry_id"), _score(inside))


def _score(line: Line) -> float | None:
    score = line.fields.get("score")
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, int | float):
        line.refuse(f"'score' must be a number, not {shown(score)}")
    try:
        return float(score)
    except OverflowError:
        line.refuse("'score' is too large for a floating-point number")


def _served(line: Line, item: object) -> str:
    return line.within({"served": item}, "turn").identifier("served")


def _check_entries(line: Line, org_id: str, turn: Turn, known: set[tuple[str, str]]) -> None:
    listed = {
        "pool": [item.entry_id for item in turn.recorded_pool or ()],
        "served": list(turn.served or ()),
    }
    for what, entry_ids in listed.items():
        seen: set[str] = set()
        for entry_id in entry_ids:
            if (org_id, entry_id) not in known:
                line.refuse(
                    f"turn {turn.turn_id!r}: {what} names entry {entry_id!r}, which org {org_id!r} does not have"
                )
            if entry_id in seen:
                line.refuse(f"turn {turn.turn_id!r}: {what} names entry {entry_id!r} twice")
            seen.add(entry_id)


def read_labels(path: Path, sessions: list[Session], known: set[tuple[str, str]]) -> list[Label]:
    """Labels from TREC qrels (`turn_id 0 entry_id grade`); none where the file is absent."""
    if not path.exists():
        return []
    org_of = {turn.turn_id: session.org_id for session in sessions for turn in session.turns}
    unique = Unique("label")
    labels: list[Label] = []
    for line in text_lines(path):
        turn_id, entry_id, judged = _qrel(line)
        org_id = org_of.get(turn_id)
        if org_id is None:
            line.refuse(f"unknown turn {turn_id!r}")
        if (org_id, entry_id) not in known:
            line.refuse(f"entry {entry_id!r} is not in org {org_id!r}")
        unique.check(line, f"of {entry_id!r} for {turn_id!r}", (turn_id, entry_id))
        labels.append(Label(org_id, turn_id, entry_id, judged, LABEL_SOURCE))
    return labels


def _qrel(line: Line) -> tuple[str, str, int]:
    fields = str(line.fields["line"]).split()
    if len(fields) != 4:
        line.refuse(f"expected 'turn_id 0 entry_id grade', found {len(fields)} fields")
    return fields[0], fields[2], grade(line, fields[3])
