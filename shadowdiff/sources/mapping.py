"""From `[source]` and presets to one mapping: which SQL gives sessions, turns, pools, served lists and entries."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shadowdiff.config import SOURCE_PARTS, SourceSettings
from shadowdiff.errors import ConfigError

OWN = "shadowdiff"
DEFAULT_ORG = "default"
"""The org of sessions for which none is mapped."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "sessions": ("session_id", "started_at"),
    "turns": ("session_id", "turn_id", "query", "asked_at"),
    "pool": ("turn_id", "entry_id", "rank"),
    "served": ("turn_id", "entry_id", "rank"),
    "entries": ("entry_id", "body"),
}
"""Columns that each part must have."""

OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "sessions": ("org_id", "tags"),
    "turns": (
        "position",
        "search_query",
        "query_embedding",
        "answer",
        "pool",
        "served",
        "pool_recorded",
        "served_recorded",
        "served_by",
    ),
    "pool": ("score", "title", "body"),
    "served": (),
    "entries": ("org_id", "title", "updated_at", "embedding"),
}
"""Columns that each part may have; any other is ignored."""

JSON_KEYS = ("entry_id", "score", "title", "body")
RELATION = re.compile(r'(?:[^\W\d][\w$]*|"[^"]+")(?:\.(?:[^\W\d][\w$]*|"[^"]+")){0,2}')


@dataclass(frozen=True, slots=True)
class SourceMapping:
    """What is read from where. SQL texts are the user's own; whatever shadowdiff adds is bound."""

    name: str
    """The presets that it was made of, for messages; `own` where the user wrote all of it."""
    parts: Mapping[str, str]
    """SELECT statements by part of SOURCE_PARTS; a part that is not mapped is absent."""
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    """Zone of times that are stored without one."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    json_keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_own(self) -> bool:
        """Whether this is shadowdiff's own schema, as `shadowdiff db upgrade` makes it."""
        return self.name == OWN


def source_mapping(settings: SourceSettings | None = None) -> SourceMapping:
    """The mapping that `[source]` describes; the own schema without one. Raises ConfigError."""
    settings = settings or SourceSettings()
    presets = settings.presets or (() if settings.parts else (OWN,))
    layers = [_preset(name) for name in presets]
    layers.append({**settings.parts, "parameters": settings.parameters, "json": settings.json_keys})
    layers[-1]["identifiers"] = settings.identifiers
    merged: dict[str, Any] = {"parameters": {}, "identifiers": {}, "json": {}}
    for layer in layers:
        for key, value in layer.items():
            merged[key] = {**merged[key], **value} if isinstance(value, Mapping) else value
    parts = {part: _statement(part, merged[part], merged["identifiers"]) for part in SOURCE_PARTS if merged.get(part)}
    _check(parts, merged["json"])
    return SourceMapping(
        name="+".join(presets) + ("*" if presets and settings.parts else "") or "own",
        parts=parts,
        timezone=_zone(settings.timezone or merged.get("timezone", "UTC")),
        parameters=merged["parameters"],
        json_keys=merged["json"],
    )


def preset_names() -> list[str]:
    """The presets that are shipped, by name."""
    found = files("shadowdiff.sources").joinpath("presets").iterdir()
    return sorted(item.name.removesuffix(".toml") for item in found if item.name.endswith(".toml"))


def preset_description(name: str) -> str:
    """One line on a shipped preset. Raises ConfigError."""
    return str(_preset(name).get("description", ""))


def preset_parts(name: str) -> frozenset[str]:
    """The parts that a shipped preset maps. Raises ConfigError."""
    return frozenset(SOURCE_PARTS).intersection(_preset(name))


def _preset(name: str) -> dict[str, Any]:
    if name not in preset_names():
        raise ConfigError(f"[source] preset {name!r} is not known; known: {', '.join(preset_names())}")
    text = files("shadowdiff.sources").joinpath("presets", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _statement(part: str, written: str, identifiers: Mapping[str, str]) -> str:
    """A part as a statement; a bare name stands for all columns of that table or view."""
    statement = written.strip().rstrip(";").rstrip()
    for name, identifier in identifiers.items():
        statement = statement.replace(f"{{{name}}}", _quoted(name, identifier))
    if not statement:
        raise ConfigError(f"[source] {part} holds no SQL")
    return f"SELECT * FROM {statement}" if RELATION.fullmatch(statement) else statement  # noqa: S608 a whole name


def _quoted(name: str, identifier: str) -> str:
    """Each dotted part in double quotes, so that whatever it holds is a name and nothing else."""
    parts = [part.strip('"') for part in identifier.split(".")]
    if not all(parts) or "\0" in identifier:
        raise ConfigError(f"[source.identifiers] {name} = {identifier!r} is no name of a table")
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def _check(parts: Mapping[str, str], json_keys: Mapping[str, str]) -> None:
    missing = [part for part in ("sessions", "turns") if part not in parts]
    if missing:
        raise ConfigError(f"[source] maps no {' and no '.join(missing)}; sessions and turns are needed")
    unknown = sorted(set(json_keys) - set(JSON_KEYS))
    if unknown:
        raise ConfigError(f"[source.json] {unknown[0]!r} is not known; known: {', '.join(JSON_KEYS)}")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"[source] timezone {name!r} is not known; use a name such as 'Europe/Berlin'") from error


def shape_problems(part: str, columns: Sequence[tuple[str, str]]) -> list[str]:
    """What is wrong with the columns (name, type) that a part's statement gives; nothing where all is well."""
    names = [name for name, _ in columns]
    known = NEEDED[part] + OPTIONAL[part]
    problems = [f"has no column {name!r}" for name in NEEDED[part] if name not in names]
    problems += [f"has column {name!r} twice" for name in known if names.count(name) > 1]
    for name, kind in dict(columns).items():
        usable = USABLE.get(name)
        if name in known and usable is not None and not usable.fullmatch(kind.rpartition(".")[2]):
            problems.append(f"column {name!r} is of type {kind}; expected {EXPECTED[name]}")
    return problems


TIMES = re.compile(r"timestamp with(out)? time zone|date")
VECTORS = re.compile(r"vector|halfvec|real\[\]|double precision\[\]|jsonb?|bytea")
LISTS = re.compile(r"jsonb?|text|.*\[\]")
NUMBERS = re.compile(r"real|double precision|numeric|smallint|integer|bigint")
USABLE: Mapping[str, re.Pattern[str]] = {
    "started_at": TIMES,
    "asked_at": TIMES,
    "updated_at": TIMES,
    "embedding": VECTORS,
    "query_embedding": VECTORS,
    "pool": LISTS,
    "served": LISTS,
    "score": NUMBERS,
    "rank": NUMBERS,
    "position": NUMBERS,
    "pool_recorded": re.compile("boolean"),
    "served_recorded": re.compile("boolean"),
    "tags": re.compile("jsonb?"),
}
"""By column, the Postgres types that can be used; any type will do for the others, which are read as text."""

_VECTOR_WORDS = "vector, halfvec, real[], double precision[], json, jsonb or bytea"
EXPECTED: Mapping[str, str] = {
    **dict.fromkeys(("started_at", "asked_at", "updated_at"), "a timestamp, with or without time zone"),
    **dict.fromkeys(("embedding", "query_embedding"), _VECTOR_WORDS),
    **dict.fromkeys(("pool", "served"), "json, jsonb or an array"),
    **dict.fromkeys(("score", "rank", "position"), "a number"),
    **dict.fromkeys(("pool_recorded", "served_recorded"), "boolean"),
    "tags": "json or jsonb",
}
