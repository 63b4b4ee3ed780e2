"""Bound lists and batches of rows: how statements here stay few, however many values they take."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ARRAY, JSON, FromClause, LargeBinary, TableClause, Text, bindparam, cast, column, func

ROWS_PER_STATEMENT = 1_000
T = TypeVar("T")


def texts(values: Sequence[str]) -> Any:
    """One bound text array: for `= ANY (…)` and unnest."""
    return bindparam(None, list(values), type_=ARRAY(Text))


def hashes(values: Sequence[bytes]) -> Any:
    """One bound bytea array."""
    return bindparam(None, list(values), type_=ARRAY(LargeBinary))


def batches(rows: Iterable[T]) -> Iterator[list[T]]:
    """The rows in lists that one statement takes; nothing for none."""
    iterator = iter(rows)
    while batch := list(islice(iterator, ROWS_PER_STATEMENT)):
        yield batch


def given_rows(table: TableClause, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> FromClause:
    """Rows to select from, with these columns of the table's; bound as one value, JSON, that the server takes apart."""
    bound = cast(bindparam(None, as_json(rows), type_=Text), JSON)
    columns = [column(name, table.c[name].type) for name in names]
    return func.json_to_recordset(bound).table_valued(*columns).render_derived(name="given", with_types=True)


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Postgres reads them: exact numbers, bytes in hex, times in ISO 8601."""
    try:
        return json.dumps(rows, ensure_ascii=False, allow_nan=False, default=_as_text)
    except ValueError:
        return json.dumps(_spelled(rows), ensure_ascii=False, default=_as_text)


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in which it is stored")


def _spelled(value: Any) -> Any:
    """With numbers that JSON lacks as the words that Postgres reads."""
    if isinstance(value, Mapping):
        return {name: _spelled(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
