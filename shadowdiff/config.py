"""shadowdiff.toml and the environment, read once into one frozen Settings. Environment wins over file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shadowdiff.errors import ConfigError

FILE_NAME = "shadowdiff.toml"
KNOWN_KEYS: Mapping[str, Mapping[str, type]] = {
    "database": {"url": str},
    "store": {"url": str},
    "replay": {"baseline": str, "others": list},
    "rerankers": {},
}
"""Sections and their keys with the type of the value; `rerankers` takes names of the user's choice."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is configured outside the command line."""

    home: Path
    """Where the embedded server keeps its data."""
    database_url: str | None = None
    """None: the embedded server."""
    store_url: str | None = None
    """None: the same database as the source."""
    rerankers: Mapping[str, str] = field(default_factory=dict)
    """Short names for spec strings."""
    baseline: str | None = None
    """Side A where the command line names none."""
    others: tuple[str, ...] = ()
    """Sides B, C, … where the command line names none."""
    file: Path | None = None
    """The shadowdiff.toml that was read."""


def load_settings(file: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings of this invocation.

    `file` must exist when given (or named by SHADOWDIFF_CONFIG); otherwise
    ./shadowdiff.toml is read if it is there. Raises ConfigError naming file and key.
    """
    path = _config_file(file, environment)
    document = _read(path) if path else {}
    replay = document.get("replay", {})
    return Settings(
        home=_home(environment),
        database_url=environment.get("SHADOWDIFF_DATABASE_URL") or document.get("database", {}).get("url") or None,
        store_url=environment.get("SHADOWDIFF_STORE_URL") or document.get("store", {}).get("url") or None,
        rerankers=document.get("rerankers", {}),
        baseline=replay.get("baseline"),
        others=tuple(replay.get("others", ())),
        file=path,
    )


def _config_file(file: Path | None, environment: Mapping[str, str]) -> Path | None:
    named = file or (_expanded(environment["SHADOWDIFF_CONFIG"]) if environment.get("SHADOWDIFF_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError(f"no configuration file at {named}")
        return named
    default = Path(FILE_NAME)
    return default if default.is_file() else None


def _expanded(text: str) -> Path:
    """A path from the environment, where no shell may have expanded its `~`."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{text}: {error}") from error


def _home(environment: Mapping[str, str]) -> Path:
    if environment.get("SHADOWDIFF_HOME"):
        return _expanded(environment["SHADOWDIFF_HOME"]).absolute()
    import platformdirs

    return platformdirs.user_data_path("shadowdiff", appauthor=False)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    for section, content in document.items():
        _check_section(path, section, content)
    return document


def _check_section(path: Path, section: str, content: Any) -> None:
    if section not in KNOWN_KEYS:
        raise ConfigError(f"{path}: unknown section [{section}]; known: {', '.join(sorted(KNOWN_KEYS))}")
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: [{section}] must be a table, not {_kind(content)}")
    known = KNOWN_KEYS[section]
    for key, value in content.items():
        if known and key not in known:
            raise ConfigError(f"{path}: unknown key {key!r} in [{section}]; known: {', '.join(sorted(known))}")
        _check_value(path, f"[{section}] {key}", known.get(key, str), value)


def _check_value(path: Path, where: str, expected: type, value: Any) -> None:
    if expected is list and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        raise ConfigError(f"{path}: {where} must be a list of strings, not {_kind(value)}")
    if expected is str and not isinstance(value, str):
        raise ConfigError(f"{path}: {where} must be a string, not {_kind(value)}")


def _kind(value: Any) -> str:
    """What a wrong value is, without showing it: it may hold a password."""
    if isinstance(value, list):
        return "a list" if all(isinstance(item, str) for item in value) else "a list of other things"
    kinds = {str: "a string", bool: "true or false", int: "a number", float: "a number", dict: "a table"}
    return kinds.get(type(value), "a date or time")
