"""Bound lists and batches of rows: how statements here stay few, however many values they take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ARRAY, LargeBinary, Text, bindparam

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
