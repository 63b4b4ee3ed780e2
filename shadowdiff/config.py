"""shadowdiff.toml and the environment, read once into one frozen Settings. Environment wins over file."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from shadowdiff.durations import seconds
from shadowdiff.errors import ConfigError
from shadowdiff.nightly.settings import GateSettings, NightlySettings, Strict, gate_settings, nightly_settings
from shadowdiff.records import POOLS_TO_ASK_FOR
from shadowdiff.remote.configured import is_number, prices, provider_settings
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.runs import Price

FILE_NAME = "shadowdiff.toml"
SOURCE_PARTS = ("sessions", "turns", "pool", "served", "entries")
REDACTIONS = ("key", "email", "card", "phone")
"""The built-in patterns, in the order in which they are applied."""
PATTERN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")

Kind = Literal[
    "text",
    "name",
    "texts",
    "text or texts",
    "flag",
    "duration",
    "table",
    "count",
    "some",
    "number",
    "share",
    "numbers",
    "strict",
    "pools",
]

KNOWN_KEYS: Mapping[str, Mapping[str, Kind]] = {
    "database": {
        "url": "text",
        "application_name": "text",
        "connect_timeout": "duration",
        "statement_timeout": "duration",
        "lock_timeout": "duration",
        "idle_timeout": "duration",
        "retry_for": "duration",
    },
    "store": {"url": "text"},
    "source": {
        "preset": "text or texts",
        "timezone": "text",
        **dict.fromkeys(SOURCE_PARTS, "text"),
        "parameters": "table",
        "identifiers": "table",
        "json": "table",
    },
    "privacy": {
        "redact": "texts",
        "phone_regions": "texts",
        "patterns": "table",
        "redact_stored": "flag",
        "store_text": "flag",
        "offline": "flag",
    },
    "replay": {"baseline": "text", "others": "texts", "production": "text"},
    "nightly": {
        **dict.fromkeys(("name", "directory"), "name"),
        **dict.fromkeys(("baseline", "s3", "s3_endpoint", "s3_region", "s3_profile"), "text"),
        **dict.fromkeys(("webhook_env", "report_url"), "text"),
        "pool_from": "pools",
        **dict.fromkeys(("others", "orgs"), "texts"),
        **dict.fromkeys(("first", "overlap", "idle", "delivery_timeout"), "duration"),
        **dict.fromkeys(("sample", "top_k", "pool"), "some"),
        "latency": "count",
        "max_usd": "number",
        "max_failures": "share",
        **dict.fromkeys(("noise", "s3_allow_plain_http"), "flag"),
        "min_score": "numbers",
    },
    "gate": {"rules": "texts", "strict": "strict"},
    "judge": {"spec": "text"},
    "rerankers": {},
    "providers": {},
    "prices": {},
}
"""Sections and their keys with the kind of the value; those without keys take names of the user's choice."""
OF_TABLES = ("providers", "prices")
"""Sections whose names stand for tables; read in remote.configured."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How patient shadowdiff is with a database, in seconds; 0 leaves the server's own setting."""

    application_name: str = "shadowdiff"
    connect_timeout: float = 10.0
    statement_timeout: float = 120.0
    lock_timeout: float = 10.0
    idle_timeout: float = 300.0
    """How long a transaction may sit idle before the server ends it."""
    retry_for: float = 60.0
    """How long a lost connection is tried again before the run ends; 0: not at all."""


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """[source]: what the user says of their schema, before any preset is looked up."""

    presets: tuple[str, ...] = ()
    """Later ones override earlier ones, part by part; none: the own schema."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """SQL, or the name of a table or view, by part of SOURCE_PARTS."""
    timezone: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Bound wherever the SQL says `:name`."""
    identifiers: Mapping[str, str] = field(default_factory=dict)
    """Put, quoted, where the SQL says `{name}`."""
    json_keys: Mapping[str, str] = field(default_factory=dict)
    """Keys of the objects in JSON pools, by what they hold: entry_id, score, title, body."""

    @property
    def is_mapped(self) -> bool:
        """Whether sessions come from tables that are not shadowdiff's own."""
        return bool(self.parts) or any(name != "shadowdiff" for name in self.presets)


@dataclass(frozen=True, slots=True)
class PrivacySettings:
    """[privacy]: what may leave this machine, and what may be stored."""

    redact: tuple[str, ...] = ()
    """Names of the built-in patterns that are on, of REDACTIONS."""
    phone_regions: tuple[str, ...] = ()
    """Countries (`DE`, `GB`) whose national phone numbers are found too, beside those in international form."""
    patterns: Mapping[str, str] = field(default_factory=dict)
    """The user's own regular expressions, by name."""
    redact_stored: bool = False
    """Texts are redacted before they are stored, too."""
    store_text: bool = True
    """False: the store keeps ids and hashes only."""
    offline: bool = False
    """Sides that would open a network connection are refused; databases are not."""

    @property
    def keeps_words(self) -> bool:
        """Whether the words of a knowledge base may lie on this machine as they are."""
        return self.store_text and not self.redact_stored


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is configured outside the command line."""

    home: Path
    """Where the embedded server keeps its data."""
    database_url: str | None = None
    """None: the embedded server."""
    store_url: str | None = None
    """None: the source's database where that is the own schema, else the embedded server."""
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    source: SourceSettings = field(default_factory=SourceSettings)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    rerankers: Mapping[str, str] = field(default_factory=dict)
    """Short names for spec strings."""
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict)
    """How remote rerankers are asked, by scheme."""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """What remote rerankers charge, by short name or spec."""
    baseline: str | None = None
    """Side A where the command line names none."""
    others: tuple[str, ...] = ()
    """Sides B, C, … where the command line names none."""
    production: str | None = None
    """Spec or short name of the reranker that production runs; None: not said."""
    nightly: NightlySettings = field(default_factory=NightlySettings)
    gate: GateSettings = field(default_factory=GateSettings)
    judge: str | None = None
    """Spec of the judge where the command line names none."""
    cache: Path | None = None
    """Where what can be made again is kept for the next command; None: nowhere."""
    file: Path | None = None
    """The shadowdiff.toml that was read."""

    @property
    def text_cache(self) -> Path | None:
        """Where what is made of texts may be kept for the next command; None: nowhere."""
        return self.cache if self.privacy.keeps_words else None


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
        cache=_cache(environment),
        database_url=environment.get("SHADOWDIFF_DATABASE_URL") or document.get("database", {}).get("url") or None,
        store_url=environment.get("SHADOWDIFF_STORE_URL") or document.get("store", {}).get("url") or None,
        limits=_limits(document.get("database", {})),
        source=_source(document.get("source", {})),
        privacy=_privacy(document.get("privacy", {}), environment),
        rerankers=document.get("rerankers", {}),
        providers=provider_settings(path or Path(FILE_NAME), document.get("providers", {}), seconds),
        prices=prices(path or Path(FILE_NAME), document.get("prices", {})),
        baseline=replay.get("baseline"),
        others=tuple(replay.get("others", ())),
        production=replay.get("production"),
        nightly=nightly_settings(document.get("nightly", {}), path.parent if path else Path()),
        gate=gate_settings(document.get("gate", {})),
        judge=document.get("judge", {}).get("spec"),
        file=path,
    )


def _limits(section: Mapping[str, Any]) -> ConnectionLimits:
    kinds = KNOWN_KEYS["database"]
    given: dict[str, Any] = {
        name: seconds(value) if kinds[name] == "duration" else value for name, value in section.items() if name != "url"
    }
    return ConnectionLimits(**given)


def _source(section: Mapping[str, Any]) -> SourceSettings:
    preset = section.get("preset", [])
    return SourceSettings(
        presets=tuple([preset] if isinstance(preset, str) else preset),
        parts={part: section[part] for part in SOURCE_PARTS if part in section},
        timezone=section.get("timezone"),
        parameters=section.get("parameters", {}),
        identifiers=section.get("identifiers", {}),
        json_keys=section.get("json", {}),
    )


def _privacy(section: Mapping[str, Any], environment: Mapping[str, str]) -> PrivacySettings:
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in section.items()}
    offline = _switch("SHADOWDIFF_OFFLINE", environment)
    return PrivacySettings(**given if offline is None else given | {"offline": offline})


def _switch(name: str, environment: Mapping[str, str]) -> bool | None:
    """A variable that turns something on or off; None where it is not set."""
    match environment.get(name, "").strip().lower():
        case "":
            return None
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
        case _:
            raise ConfigError(f"{name} must be 1 or 0")


def _check_privacy(path: Path, section: Mapping[str, Any]) -> None:
    """Raise ConfigError for patterns that do not exist, do not compile, or are asked for and not there."""
    redact, patterns = section.get("redact", []), section.get("patterns", {})
    unknown = [name for name in redact if name not in REDACTIONS]
    if unknown:
        raise ConfigError(f"{path}: [privacy] redact knows no {unknown[0]!r}; it knows {', '.join(REDACTIONS)}")
    for name, pattern in patterns.items():
        if not PATTERN_NAME.fullmatch(name):
            raise ConfigError(f"{path}: [privacy] patterns: a name holds letters, digits, '-' and '_', not {name!r}")
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            reason = f"is not a regular expression: {error}"
            raise ConfigError(f"{path}: [privacy] patterns: {name!r} {reason}") from error
    if section.get("redact_stored") and not (redact or patterns):
        raise ConfigError(f"{path}: [privacy] redact_stored is on, and redact and patterns name nothing to redact")


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


def _cache(environment: Mapping[str, str]) -> Path:
    """Beside the data where the user says where that lies, else where this system keeps caches."""
    if environment.get("SHADOWDIFF_HOME"):
        return _home(environment) / "cache"
    import platformdirs

    return platformdirs.user_cache_path("shadowdiff", appauthor=False)


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
    if section in OF_TABLES:
        return
    known = KNOWN_KEYS[section]
    for key, value in content.items():
        if known and key not in known:
            raise ConfigError(f"{path}: unknown key {key!r} in [{section}]; known: {', '.join(sorted(known))}")
        expected = known.get(key, "text")
        if not _fits(expected, value):
            raise ConfigError(f"{path}: [{section}] {key} must be {EXPECTED[expected]}, not {_kind(value, expected)}")
    if section == "privacy":
        _check_privacy(path, content)


EXPECTED: Mapping[Kind, str] = {
    "text": "a string",
    "texts": "a list of strings",
    "text or texts": "a string or a list of strings",
    "flag": "true or false",
    "duration": "seconds, or a time such as '500ms', '30s' or '2min'",
    "table": "a table of strings",
    "count": "a whole number, 0 or more",
    "some": "a whole number, 1 or more",
    "name": "a string that is not empty",
    "number": "a number, 0 or more",
    "share": "a number from 0 to 1",
    "numbers": "a table of numbers",
    "strict": " or ".join(repr(item.value) for item in Strict),
    "pools": " or ".join([", ".join(map(repr, POOLS_TO_ASK_FOR[:-1])), repr(POOLS_TO_ASK_FOR[-1])]),
}


def _fits(expected: Kind, value: Any) -> bool:
    return FITS[expected](value)


ALIKE: Mapping[Kind, tuple[type, ...]] = {
    "name": (str,),
    "strict": (str,),
    "pools": (str,),
    "some": (int, float),
    "share": (int, float),
    "duration": (str, int, float),
    "count": (int, float),
    "number": (int, float),
}
"""Of which only some will do, so that to name its type would not say what is wrong with a value."""
LONGEST_SECONDS = 36_500 * 86_400.0
"""A century: no date of ours is left by going back so far."""


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_whole(value: Any, least: int) -> bool:
    return is_number(value) and value == int(value) and value >= least


def _is_duration(value: Any) -> bool:
    length = seconds(value) if isinstance(value, str) or is_number(value) else None
    return length is not None and length <= LONGEST_SECONDS


FITS: Mapping[Kind, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "name": lambda value: isinstance(value, str) and bool(value.strip()),
    "texts": _are_texts,
    "text or texts": lambda value: isinstance(value, str) or _are_texts(value),
    "flag": lambda value: isinstance(value, bool),
    "duration": _is_duration,
    "table": lambda value: isinstance(value, dict) and all(isinstance(item, str) for item in value.values()),
    "count": lambda value: _is_whole(value, 0),
    "some": lambda value: _is_whole(value, 1),
    "number": lambda value: is_number(value) and value >= 0,
    "share": lambda value: is_number(value) and 0 <= value <= 1,
    "numbers": lambda value: isinstance(value, dict) and all(map(is_number, value.values())),
    "pools": lambda value: value in POOLS_TO_ASK_FOR,
    "strict": lambda value: isinstance(value, str) and value in set(Strict),
}


def _kind(value: Any, expected: Kind = "table") -> str:
    """What a wrong value is, without showing it: it may hold a password."""
    if isinstance(value, list):
        return "a list" if _are_texts(value) else "a list of other things"
    kinds = {str: "a string", bool: "true or false", int: "a number", float: "a number", dict: "a table"}
    kind = kinds.get(type(value), "a date or time")
    return kind.replace("a ", "another ", 1) if isinstance(value, ALIKE.get(expected, ())) else kind
