"""Names of nights, as directories and as parts of a key: which there are, and which of two is the later."""

from __future__ import annotations

import re
from collections.abc import Iterable

from shadowdiff.errors import DeliveryError

NAME = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:-([1-9]\d{0,8}))?", re.ASCII)


def is_night(name: str) -> bool:
    """Whether it is `2026-11-20`, or `2026-11-20-2` for the second night of a date."""
    return NAME.fullmatch(name) is not None


def checked_night(name: str) -> str:
    """The name as it is. Raises DeliveryError for what could be anything else in a path."""
    if not is_night(name):
        raise DeliveryError(f"{name!r} is no name of a night such as 2026-11-20 or 2026-11-20-2; nothing was written")
    return name


def order(name: str) -> tuple[int, ...]:
    """What nights sort by: date, then number, so that the tenth of a date comes after its second."""
    found = NAME.fullmatch(name)
    return () if found is None else tuple(int(part or 1) for part in found.groups())


def newest(names: Iterable[str]) -> str | None:
    """The latest night among names of any kind; None where there is none."""
    return max(filter(is_night, names), key=order, default=None)
