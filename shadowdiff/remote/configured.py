"""[providers] and [prices] of shadowdiff.toml, checked key by key."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from shadowdiff.errors import ConfigError
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.runs import Price

T = TypeVar("T", ProviderSettings, Price)
Reader = Callable[[Any], Any]
"""The value as the record holds it; None where it does not fit."""
TOKENS = "million_tokens"
"""In [prices]: where what is read and what is written cost the same."""


def provider_settings(path: Path, section: Any, seconds: Callable[[Any], float | None]) -> dict[str, ProviderSettings]:
    """[providers] by scheme; `seconds` reads durations. Raises ConfigError naming file, table and key."""
    readers: dict[str, Reader] = {
        "url": _text,
        "connect_timeout": lambda value: _above_zero(seconds(value)) if isinstance(value, int | float | str) else None,
        "retries": lambda value: value if is_number(value) and value == int(value) and value >= 0 else None,
        "concurrency": lambda value: value if is_number(value) and value == int(value) and value >= 1 else None,
        "requests_per_minute": _above_zero,
        "tokens_per_minute": _above_zero,
        "allow_plain_http": lambda value: value if isinstance(value, bool) else None,
        "region": _text,
        "profile": _text,
    }
    readers |= dict.fromkeys(("read_timeout", "turn_deadline"), readers["connect_timeout"])
    return _tables(path, "providers", section, readers, ProviderSettings)


def prices(path: Path, section: Any) -> dict[str, Price]:
    """[prices] by short name or spec. Raises ConfigError naming file, table and key."""
    names = [item.name for item in fields(Price) if item.name != "as_of"]
    readers: dict[str, Reader] = dict.fromkeys([*names, TOKENS], _not_negative) | {"as_of": _date}
    if isinstance(section, dict):
        section = {name: _spread(table) if isinstance(table, dict) else table for name, table in section.items()}
    return _tables(path, "prices", section, readers, Price)


def _spread(table: Mapping[str, Any]) -> dict[str, Any]:
    """One price for all tokens is one for each kind."""
    others = {key: value for key, value in table.items() if key != TOKENS}
    each = ("million_input_tokens", "million_output_tokens")
    return (dict.fromkeys(each, table[TOKENS]) if TOKENS in table else {}) | others


def _tables(path: Path, section: str, tables: Any, readers: Mapping[str, Reader], kind: type[T]) -> dict[str, T]:
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigError(f"{path}: [{section}] holds tables: write [{section}.NAME] and the keys below it")
    return {name: kind(**_read(path, f"{section}.{name}", table, readers)) for name, table in tables.items()}


def _read(path: Path, name: str, table: Mapping[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
    found = {}
    for key, value in table.items():
        if key not in readers:
            raise ConfigError(f"{path}: unknown key {key!r} in [{name}]; known: {', '.join(sorted(readers))}")
        found[key] = readers[key](value)
        if found[key] is None:
            raise ConfigError(f"{path}: [{name}] {key} has a value that cannot be used")
    return found


def is_number(value: Any) -> bool:
    """Whether it is one that can be compared with: not nan, not inf, and not true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _above_zero(value: Any) -> float | None:
    return value if is_number(value) and value > 0 else None


def _not_negative(value: Any) -> float | None:
    return value if is_number(value) and value >= 0 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _date(value: Any) -> str | None:
    """TOML has dates of its own; a text will do."""
    return str(value) if value and not isinstance(value, dict | list | bool) else None
