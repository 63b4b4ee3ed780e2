"""Files of lines and of JSON objects, each with its place, so that every refusal can name file and line."""

from __future__ import annotations

import gzip
import io
import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from shadowdiff.errors import BundleError

MAX_ID_BYTES = 512
"""Postgres indexes ids, and an index row holds few kilobytes."""
BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Line:
    """One JSON object of a file, with where it stands, so that every refusal can say so."""

    file: str
    number: int
    fields: Mapping[str, Any]
    unit: str = "line"
    """What `number` counts: lines, or the items of a JSON document."""

    @property
    def place(self) -> str:
        """Where it stands, as messages begin: `topics.tsv:3`, or `topics.json, item 3`."""
        return f"{self.file}:{self.number}" if self.unit == "line" else f"{self.file}, {self.unit} {self.number}"

    def refuse(self, reason: str) -> NoReturn:
        """Raise BundleError naming file and line."""
        raise BundleError(f"{self.place}: {reason}")

    def within(self, fields: object, what: str) -> Line:
        """An object inside this line, at the same place."""
        if not isinstance(fields, dict):
            self.refuse(f"{what} must be an object, not {shown(fields)}")
        return replace(self, fields=fields)

    def text(self, key: str, *, default: str | None = None) -> str:
        """A string that Postgres can hold. Absent or null: `default`, or a refusal where there is none."""
        value = self.fields.get(key)
        if value is None:
            if default is None:
                self.refuse(f"{key!r} is missing")
            return default
        if not isinstance(value, str):
            self.refuse(f"{key!r} must be a string, not {shown(value)}")
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
            self.refuse(f"{key!r} is not an ISO 8601 time: {shown(value)}")
        if not 1 < moment.year < 9999:
            self.refuse(f"{key!r} is out of range: {shown(value)}")
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def optional_time(self, key: str) -> datetime | None:
        """A time, or None where it is absent or null."""
        return None if self.fields.get(key) is None else self.time(key)

    def items(self, key: str) -> list[Any] | None:
        """A list, or None where it is absent or null."""
        value = self.fields.get(key)
        if value is not None and not isinstance(value, list):
            self.refuse(f"{key!r} must be a list, not {shown(value)}")
        return value

    def check_storable(self, key: str, value: str) -> None:
        """Refuse what Postgres cannot store as text."""
        if "\0" in value:
            self.refuse(f"{key!r} holds a NUL character, which Postgres cannot store")
        try:
            value.encode()
        except UnicodeEncodeError:
            self.refuse(f"{key!r} holds half of a surrogate pair, which is not valid Unicode")


class Unique:
    """Remembers where each id stood first, so that a duplicate names both lines."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._first: dict[object, tuple[str, int]] = {}

    def check(self, line: Line, shown: str, key: object) -> None:
        """Refuse the line where the key has stood before; `shown` is how the message spells it."""
        if key in self._first:
            file, number = self._first[key]
            elsewhere = "" if file == line.file else f" of {file}"
            line.refuse(f"duplicate {self._noun} {shown}, first on {line.unit} {number}{elsewhere}")
        self._first[key] = (line.file, line.number)


def json_lines(path: Path) -> Iterator[Line]:
    """The objects of a JSON Lines file; blank lines are skipped. Raises BundleError."""
    for line in text_lines(path):
        fields = parsed(line, str(line.fields["line"]).rstrip("\r\n"))
        if not isinstance(fields, dict):
            line.refuse(f"expected a JSON object, not {shown(fields)}")
        yield replace(line, fields=fields)


def json_items(path: Path) -> Iterator[Line]:
    """The objects of a JSON document that is one list. Raises BundleError."""
    whole = Line(path.name, 1, {})
    found = parsed(whole, whole_text(path))
    if not isinstance(found, list):
        whole.refuse(f"expected a JSON list, not {shown(found)}")
    for number, fields in enumerate(found, start=1):
        item = Line(path.name, number, {}, unit="item")
        yield item.within(fields, "each item")


def parsed(line: Line, text: str) -> Any:
    """The JSON value of a line. Raises BundleError: NaN, infinities and numbers past a float are refused too."""
    try:
        return json.loads(text, parse_constant=_refuse_constant(line), parse_float=_finite(line))
    except json.JSONDecodeError as error:
        broken = replace(line, number=line.number + error.lineno - 1)
        broken.refuse(f"not valid JSON: {error.msg} (column {error.colno})")
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits; thousands of brackets
        line.refuse(f"not JSON that can be read: {error}")


def text_lines(path: Path) -> Iterator[Line]:
    """Non-blank lines. Splits on newlines only: a title may hold U+2028. A `.gz` file is read as its content."""
    for number, text in _numbered(path):
        if text.strip():
            yield Line(path.name, number, {"line": text})


def whole_text(path: Path) -> str:
    """All of a file, without the byte order mark that some editors put first."""
    return "".join(text for _, text in _numbered(path)).removeprefix(BYTE_ORDER_MARK)


def _numbered(path: Path) -> Iterator[tuple[int, str]]:
    """Every line with its number from 1."""
    try:
        with opened(path) as file:
            for number, content in enumerate(file, start=1):
                yield number, _decoded(path, number, content)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error


def opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """The file's bytes, unpacked where its name ends in `.gz`."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _refuse_constant(line: Line) -> Callable[[str], NoReturn]:
    return lambda constant: line.refuse(f"{constant} is not valid JSON")


def _finite(line: Line) -> Callable[[str], float]:
    def read(digits: str) -> float:
        number = float(digits)
        return number if math.isfinite(number) else line.refuse(f"{shown(digits)} is too large a number")

    return read


def _decoded(path: Path, number: int, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{path.name}:{number}: not valid UTF-8: {error.reason}") from error


def shown(value: object) -> str:
    """A wrong value as a message may quote it: short, and no object or list spelled out."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
