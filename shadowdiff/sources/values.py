"""From what a mapped column holds to what records hold: times, embeddings, lists of entries. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from shadowdiff.errors import SourceError
from shadowdiff.records import RecordedEntry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def moment(value: date | datetime, zone: tzinfo) -> datetime:
    """A stored time as an aware one; what is stored without zone was meant in `zone`."""
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 the zone is set below
    return value if value.tzinfo else value.replace(tzinfo=zone)


def stored_moment(value: datetime, zone: tzinfo, kind: str) -> datetime:
    """An aware time as a column of this type would hold it, so that an index on that column serves comparisons."""
    return value if kind.endswith("with time zone") else value.astimezone(zone).replace(tzinfo=None)


def vector(value: Any) -> NDArray[np.float32] | None:
    """An embedding, shape (dimensions,), from its text (`[1,2]`, `{1,2}`) or from little-endian float32 bytes.

    None where the value holds no vector of finite numbers.
    """
    import numpy as np

    if isinstance(value, bytes | memoryview):
        raw = bytes(value)
        found = np.frombuffer(raw, dtype="<f4").astype(np.float32) if len(raw) % 4 == 0 else np.zeros(0, np.float32)
    else:
        found = _numbers(str(value))
    return found if len(found) and np.isfinite(found).all() else None


def _numbers(text: str) -> NDArray[np.float32]:
    import numpy as np

    parts = text.strip()[1:-1].split(",")
    try:
        return np.array(parts, dtype=np.float32)
    except ValueError:
        return np.zeros(0, np.float32)


def listed(value: Any, keys: Mapping[str, str], where: str) -> tuple[RecordedEntry, ...] | None:
    """Entries from a JSON or array column, best first, each once; None for null.

    Items are ids, or objects whose keys are `entry_id` (or `id`), `score`,
    `title` and `body` unless `keys` names others. Raises SourceError naming `where`.
    """
    if value is None:
        return None
    items = _parsed(value, where) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise SourceError(f"{where}: expected a list of entries, found {_kind(items)}")
    return distinct(_recorded(item, keys, where) for item in items if item is not None)


def distinct(items: Iterable[RecordedEntry]) -> tuple[RecordedEntry, ...]:
    """The entries in order, each at its best place: a pool of chunks may name its document again and again."""
    found: dict[str, RecordedEntry] = {}
    for item in items:
        found.setdefault(item.entry_id, item)
    return tuple(found.values())


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise SourceError(f"{where}: expected JSON, found {text[:40]!r}") from error


def _recorded(item: Any, keys: Mapping[str, str], where: str) -> RecordedEntry:
    if not isinstance(item, Mapping):
        return RecordedEntry(_id(item, where))
    named = item.get(keys.get("entry_id", "entry_id"))
    if named is None and "entry_id" not in keys:
        named = item.get("id")
    return RecordedEntry(
        _id(named, where),
        score(item.get(keys.get("score", "score"))),
        _text(item.get(keys.get("title", "title"))),
        _text(item.get(keys.get("body", "body"))),
    )


def _id(value: Any, where: str) -> str:
    if isinstance(value, bool | float | list | Mapping) or value is None or value == "":
        raise SourceError(f"{where}: an entry without an id; name the key that holds it: [source.json] entry_id")
    return str(value)


def score(value: Any) -> float | None:
    """A retrieval score; None where it is none, or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _kind(value: Any) -> str:
    return "an object" if isinstance(value, Mapping) else repr(value)[:40]


def tags(value: Any) -> Mapping[str, object]:
    """A session's tags; none where the column holds no JSON object."""
    return value if isinstance(value, dict) else {}


def array_text(numbers: Sequence[float] | NDArray[np.float32]) -> str:
    """Numbers as pgvector and Postgres arrays of JSON read them: `[1.0, 2.5]`, exact."""
    return "[" + ",".join(repr(float(number)) for number in numbers) + "]"
