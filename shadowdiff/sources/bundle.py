"""Bundles: knowledge base, sessions, labels and embeddings as JSONL and npz files, read whole or refused.

A file that is wrong anywhere is refused with file, line and reason, before
anything is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from shadowdiff.errors import BundleError
from shadowdiff.records import Entry, Label, RecordedEntry, Session, Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENTRIES_FILE = "kb_entries.jsonl"
SESSIONS_FILE = "sessions.jsonl"
LABELS_FILE = "qrels.txt"
EMBEDDINGS_FILE = "embeddings.npz"
LABEL_SOURCE = "bundle"


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of one model, row by row in the order of the bundle's files."""

    model: str
    entries: NDArray[np.floating[Any]]
    """Shape (entries, dimensions)."""
    turns: NDArray[np.floating[Any]]
    """Shape (turns, dimensions), turns in file order."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A checked bundle: every reference resolves, every id is unique."""

    entries: tuple[Entry, ...]
    sessions: tuple[Session, ...]
    labels: tuple[Label, ...] = ()
    embeddings: Embeddings | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One JSON object of a file, with where it stands, so that every refusal can say so."""

    file: str
    number: int
    fields: Mapping[str, Any]

    def refuse(self, reason: str) -> NoReturn:
        """Raise BundleError naming file and line."""
        raise BundleError(f"{self.file}:{self.number}: {reason}")

    def within(self, fields: object, what: str) -> Line:
        """An object inside this line, at the same place."""
        if not isinstance(fields, dict):
            self.refuse(f"{what} must be an object, not {_shown(fields)}")
        return replace(self, fields=fields)

    def text(self, key: str, *, default: str | None = None, empty: bool = True) -> str:
        """A string that Postgres can hold. Absent or null: `default`, or a refusal where there is none."""
        value = self.fields.get(key)
        if value is None:
            if default is None:
                self.refuse(f"{key!r} is missing")
            return default
        if not isinstance(value, str):
            self.refuse(f"{key!r} must be a string, not {_shown(value)}")
        self.check_storable(key, value)
        if not empty and not value.strip():
            self.refuse(f"{key!r} is empty")
        return value

    def optional_text(self, key: str) -> str | None:
        """A string, or None where it is absent, null or empty."""
        return self.text(key, default="") or None

    def time(self, key: str) -> datetime:
        """An ISO 8601 time; one without zone counts as UTC."""
        value = self.text(key)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.refuse(f"{key!r} is not an ISO 8601 time: {_shown(value)}")
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def optional_time(self, key: str) -> datetime | None:
        """A time, or None where it is absent or null."""
        return None if self.fields.get(key) is None else self.time(key)

    def items(self, key: str) -> list[Any] | None:
        """A list, or None where it is absent or null."""
        value = self.fields.get(key)
        if value is not None and not isinstance(value, list):
            self.refuse(f"{key!r} must be a list, not {_shown(value)}")
        return value

    def check_storable(self, key: str, value: str) -> None:
        """Refuse what Postgres cannot store as text."""
        if "\0" in value:
            self.refuse(f"{key!r} holds a NUL character, which Postgres cannot store")
        try:
            value.encode()
        except UnicodeEncodeError:
            self.refuse(f"{key!r} holds half of a surrogate pair, which is not valid Unicode")


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
    embeddings = _read_embeddings(directory / EMBEDDINGS_FILE, len(entries), sum(len(s.turns) for s in sessions))
    return Bundle(tuple(entries), tuple(sessions), tuple(labels), embeddings)


def read_entries(path: Path) -> list[Entry]:
    """Knowledge-base entries; ids unique within their org."""
    entries: list[Entry] = []
    unique = _Unique("entry")
    for line in _json_lines(path):
        entry = Entry(
            org_id=line.text("org_id", empty=False),
            entry_id=line.text("entry_id", empty=False),
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
    unique_sessions, unique_turns = _Unique("session"), _Unique("turn")
    sessions: list[Session] = []
    for line in _json_lines(path):
        session = _session(line, orgs)
        unique_sessions.check(line, repr(session.session_id), session.session_id)
        for turn in session.turns:
            unique_turns.check(line, repr(turn.turn_id), turn.turn_id)
            _check_entries(line, session.org_id, turn, known)
        sessions.append(session)
    return sessions


def _session(line: Line, orgs: set[str]) -> Session:
    org_id = line.text("org_id", empty=False)
    if org_id not in orgs:
        line.refuse(f"unknown org {org_id!r}: {ENTRIES_FILE} has no entry of it")
    turns = line.items("turns")
    if not turns:
        line.refuse("'turns' is missing or empty")
    return Session(
        session_id=line.text("session_id", empty=False),
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
        line.refuse(f"'tags' must be an object, not {_shown(tags)}")
    line.check_storable("tags", json.dumps(tags, ensure_ascii=False))
    return tags


def _turn(line: Line, position: int, fields: object) -> Turn:
    inside = line.within(fields, f"turn {position}")
    pool = inside.items("pool")
    served = inside.items("served")
    return Turn(
        turn_id=inside.text("turn_id", empty=False),
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
    score = inside.fields.get("score")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float)):
        inside.refuse(f"'score' must be a number, not {_shown(score)}")
    return RecordedEntry(inside.text("entry_id", empty=False), None if score is None else float(score))


def _served(line: Line, item: object) -> str:
    return line.within({"served": item}, "turn").text("served", empty=False)


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
    unique = _Unique("label")
    labels: list[Label] = []
    for line in _text_lines(path):
        turn_id, entry_id, grade = _qrel(line)
        org_id = org_of.get(turn_id)
        if org_id is None:
            line.refuse(f"unknown turn {turn_id!r}")
        if (org_id, entry_id) not in known:
            line.refuse(f"entry {entry_id!r} is not in org {org_id!r}")
        unique.check(line, f"of {entry_id!r} for {turn_id!r}", (turn_id, entry_id))
        labels.append(Label(org_id, turn_id, entry_id, grade, LABEL_SOURCE))
    return labels


def _qrel(line: Line) -> tuple[str, str, int]:
    fields = str(line.fields["line"]).split()
    if len(fields) != 4:
        line.refuse(f"expected 'turn_id 0 entry_id grade', found {len(fields)} fields")
    try:
        grade = int(fields[3])
    except ValueError:
        line.refuse(f"the grade must be a whole number, not {_shown(fields[3])}")
    if not 0 <= grade <= 32767:
        line.refuse(f"the grade must be 0 or more, not {grade}")
    return fields[0], fields[2], grade


def _read_embeddings(path: Path, entry_count: int, turn_count: int) -> Embeddings | None:
    if not path.exists():
        return None
    import zipfile

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = Embeddings(str(arrays["model"]), arrays["entries"], arrays["turns"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path}: not an npz with arrays 'entries', 'turns' and 'model': {error}") from error
    for what, array, count in (("entries", found.entries, entry_count), ("turns", found.turns, turn_count)):
        _check_array(path, what, array, count)
    if found.entries.shape[1:] != found.turns.shape[1:]:
        raise BundleError(f"{path}: 'entries' and 'turns' have different numbers of dimensions")
    return found


def _check_array(path: Path, what: str, array: NDArray[np.float16], count: int) -> None:
    import numpy as np

    if array.ndim != 2 or len(array) != count:
        raise BundleError(f"{path}: {what!r} has shape {array.shape}, but the bundle has {count} {what}")
    if not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all():
        raise BundleError(f"{path}: {what!r} must hold finite floating-point numbers")


class _Unique:
    """Remembers where each id stood first, so that a duplicate names both lines."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._first: dict[object, int] = {}

    def check(self, line: Line, shown: str, key: object) -> None:
        if key in self._first:
            line.refuse(f"duplicate {self._noun} {shown}, first on line {self._first[key]}")
        self._first[key] = line.number


def _json_lines(path: Path) -> Iterator[Line]:
    for line in _text_lines(path):
        try:
            fields = json.loads(str(line.fields["line"]), parse_constant=_refuse_constant(line))
        except (json.JSONDecodeError, RecursionError) as error:
            line.refuse(f"not valid JSON: {error}")
        if not isinstance(fields, dict):
            line.refuse(f"expected a JSON object, not {_shown(fields)}")
        yield replace(line, fields=fields)


def _refuse_constant(line: Line) -> Callable[[str], NoReturn]:
    return lambda constant: line.refuse(f"{constant} is not valid JSON")


def _text_lines(path: Path) -> Iterator[Line]:
    """Non-blank lines. Splits on newlines only: a title may hold U+2028."""
    number = 0
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, content in enumerate(file, start=1):
                if content.strip():
                    yield Line(path.name, number, {"line": content})
    except UnicodeDecodeError as error:
        raise BundleError(f"{path.name}:{number + 1}: not valid UTF-8: {error.reason}") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
