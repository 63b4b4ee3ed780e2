"""Bundles: knowledge base, sessions, labels and embeddings as JSONL and npz files, read whole or refused.

A file that is wrong anywhere is refused with file, line and reason, before
anything is written.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from shadowdiff.errors import BundleError
from shadowdiff.records import Entry, Label, RecordedEntry, Session, Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.lib.npyio import NpzFile
    from numpy.typing import NDArray

ENTRIES_FILE = "kb_entries.jsonl"
SESSIONS_FILE = "sessions.jsonl"
LABELS_FILE = "qrels.txt"
EMBEDDINGS_FILE = "embeddings.npz"
LABEL_SOURCE = "bundle"
MAX_ID_BYTES = 512
"""Postgres indexes ids, and an index row holds few kilobytes."""
MAX_GRADE = 32767


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

    def text(self, key: str, *, default: str | None = None) -> str:
        """A string that Postgres can hold. Absent or null: `default`, or a refusal where there is none."""
        value = self.fields.get(key)
        if value is None:
            if default is None:
                self.refuse(f"{key!r} is missing")
            return default
        if not isinstance(value, str):
            self.refuse(f"{key!r} must be a string, not {_shown(value)}")
        self.check_storable(key, value)
        return value

    def identifier(self, key: str) -> str:
        """A string that names something: not blank, and short enough for an index."""
        value = self.text(key)
        if not value.strip():
            self.refuse(f"{key!r} is empty")
        if len(value.encode()) > MAX_ID_BYTES:
            self.refuse(f"{key!r} is longer than {MAX_ID_BYTES} bytes")
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
        if not 1 < moment.year < 9999:
            self.refuse(f"{key!r} is out of range: {_shown(value)}")
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
        line.refuse(f"'tags' must be an object, not {_shown(tags)}")
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
        line.refuse(f"'score' must be a number, not {_shown(score)}")
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
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", fields[3]):
        line.refuse(f"the grade must be a whole number, not {_shown(fields[3])}")
    grade = int(fields[3])
    if not 0 <= grade <= MAX_GRADE:
        line.refuse(f"the grade must be from 0 to {MAX_GRADE}, not {grade}")
    return fields[0], fields[2], grade


def _read_embeddings(path: Path, entry_count: int, turn_count: int) -> Embeddings | None:
    if not path.exists():
        return None
    found = _load_embeddings(path)
    for what, array, count in (("entries", found.entries, entry_count), ("turns", found.turns, turn_count)):
        _check_array(path, what, array, count)
    if found.entries.shape[1] != found.turns.shape[1]:
        raise BundleError(f"{path.name}: 'entries' and 'turns' have different numbers of dimensions")
    return found


def _load_embeddings(path: Path) -> Embeddings:
    import zipfile
    import zlib

    import numpy as np

    try:
        if not zipfile.is_zipfile(path):
            raise BundleError(f"{path.name}: not an npz file")
        with np.load(path, allow_pickle=False) as arrays:
            _check_names(path, arrays)
            return Embeddings(_model_name(path, arrays["model"]), arrays["entries"], arrays["turns"])
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise BundleError(f"{path.name}: cannot be read: {error}") from error


def _check_names(path: Path, arrays: NpzFile) -> None:
    missing = [name for name in ("entries", "turns", "model") if name not in arrays]
    if missing:
        raise BundleError(f"{path.name}: has no array {missing[0]!r}; expected 'entries', 'turns' and 'model'")


def _model_name(path: Path, array: NDArray[Any]) -> str:
    if array.shape != () or array.dtype.kind != "U" or not str(array).strip():
        raise BundleError(f"{path.name}: 'model' must be one string, the name of the embedding model")
    return str(array)


def _check_array(path: Path, what: str, array: NDArray[Any], count: int) -> None:
    import numpy as np

    if array.ndim != 2 or len(array) != count or array.shape[1] == 0:
        raise BundleError(
            f"{path.name}: {what!r} has shape {array.shape}; the bundle has {count} {what}, one row is needed for each"
        )
    if not np.issubdtype(array.dtype, np.floating):
        raise BundleError(f"{path.name}: {what!r} must hold floating-point numbers, not {array.dtype}")
    with np.errstate(over="ignore"):
        stored = array.astype(np.float32)
    _refuse_rows(path, what, np.flatnonzero(~np.isfinite(stored).all(axis=1)), "not finite")
    _refuse_rows(path, what, np.flatnonzero(~stored.any(axis=1)), "all zeros, and has no cosine with anything")


def _refuse_rows(path: Path, what: str, bad: NDArray[np.intp], reason: str) -> None:
    if len(bad):
        raise BundleError(f"{path.name}: row {int(bad[0]) + 1} of {what!r} is {reason}")


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
            fields = json.loads(
                str(line.fields["line"]), parse_constant=_refuse_constant(line), parse_float=_finite(line)
            )
        except json.JSONDecodeError as error:
            line.refuse(f"not valid JSON: {error.msg} (column {error.colno})")
        except (ValueError, RecursionError) as error:  # an integer of thousands of digits; thousands of brackets
            line.refuse(f"not JSON that can be read: {error}")
        if not isinstance(fields, dict):
            line.refuse(f"expected a JSON object, not {_shown(fields)}")
        yield replace(line, fields=fields)


def _refuse_constant(line: Line) -> Callable[[str], NoReturn]:
    return lambda constant: line.refuse(f"{constant} is not valid JSON")


def _finite(line: Line) -> Callable[[str], float]:
    def read(digits: str) -> float:
        number = float(digits)
        return number if math.isfinite(number) else line.refuse(f"{_shown(digits)} is too large a number")

    return read


def _text_lines(path: Path) -> Iterator[Line]:
    """Non-blank lines. Splits on newlines only: a title may hold U+2028."""
    try:
        with path.open("rb") as file:
            for number, content in enumerate(file, start=1):
                line = Line(path.name, number, {"line": _decoded(path, number, content)})
                if content.strip():
                    yield line
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error


def _decoded(path: Path, number: int, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{path.name}:{number}: not valid UTF-8: {error.reason}") from error


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
