"""Writes a commented shadowdiff.toml that names every setting there is. Pure.

Prose starts with `# `, a setting that is left at its default with `#` and no
space: taking that sign away puts the setting in force.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shadowdiff.config import KNOWN_KEYS, SOURCE_PARTS, ConnectionLimits, SourceSettings
from shadowdiff.config_template_nightly import GATE, NIGHTLY
from shadowdiff.render.text import visible

WIDTH = 118
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
ESCAPES = {"\b": "\\b", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}

Value = str | bool | Sequence[str] | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Filled:
    """What is known of a configuration; all else stands in the file as a comment."""

    url: str | None = None
    """Without a password."""
    lacks_password: bool = False
    """Whether one was left out."""
    presets: Mapping[str, str] = field(default_factory=dict)
    """The presets that there are, with what they are for."""
    source: SourceSettings = field(default_factory=SourceSettings)
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What a person should know, by part."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Why a part cannot be used as it is; it is commented out."""
    findings: Sequence[str] = ()
    """What was not found, for a person to map."""
    baseline: str | None = None
    others: tuple[str, ...] = ()
    production: str | None = None


def configuration(filled: Filled | None = None) -> str:
    """The whole file. `load_settings` reads it back to what was filled in."""
    filled = filled or Filled()
    ours = (_head(), _database(filled), _store(), _source(filled), _privacy(), _replay(filled), _rerankers())
    nights = (_tabled("nightly", NIGHTLY), _tabled("gate", GATE))
    sections = (*ours, *nights, _judge(), _providers(), _prices())
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def toml_text(text: str) -> str:
    """A TOML string that reads back as the text: as it stands over several lines, where that is possible."""
    if "\n" not in text:
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    if "'''" not in text and not text.endswith("'") and not CONTROL.search(text):
        return f"'''\n{text}'''"
    escaped = CONTROL.sub(_escaped, text.replace("\\", "\\\\").replace('"', '\\"'))
    return f'"""\n{escaped}"""'


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return toml_text(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {toml_text(item)}" for key, item in value.items()) + " }"
    return "[" + ", ".join(toml_text(item) for item in value) + "]"


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")


def _prose(*paragraphs: str) -> list[str]:
    """Comment lines. Names in them may come from a database."""
    return [f"# {line}" for text in paragraphs for line in textwrap.wrap(visible(text), WIDTH, break_long_words=False)]


def _set(key: str, value: Value) -> list[str]:
    return f"{_key(key)} = {_value(value)}".split("\n")


def _unset(key: str, value: Value) -> list[str]:
    """A setting as a comment."""
    return [f"#{line}" for line in _set(key, value)]


def _either(key: str, value: Value | None, example: Value) -> list[str]:
    return _set(key, value) if value else _unset(key, example)


def _head() -> list[str]:
    return _prose(
        "Settings of shadowdiff. Lines that start with # and a space explain; a # without a space switches a setting "
        "off, which then has the value that stands there, or is an example.",
        "Check all of it with: shadowdiff doctor",
    )


def _database(filled: Filled) -> Iterator[str]:
    limits = ConnectionLimits()
    yield "[database]"
    yield from _prose("The Postgres that holds your sessions. It is only read, in READ ONLY transactions.")
    if filled.lacks_password:
        yield from _prose(
            "The password is not written here. Give it in SHADOWDIFF_DATABASE_URL (the whole URL, which wins over this "
            "one), in PGPASSWORD, or in ~/.pgpass.",
        )
    else:
        yield from _prose("SHADOWDIFF_DATABASE_URL wins over this; without either, an embedded Postgres is used.")
    yield from _either("url", filled.url, "postgresql://shadowdiff_reader@db.example.com/app")
    for key, value, why in (
        ("application_name", limits.application_name, "What pg_stat_activity shows."),
        ("connect_timeout", limits.connect_timeout, "How long to wait for a connection."),
        ("statement_timeout", limits.statement_timeout, "The server cancels what takes longer; 0: its own setting."),
        ("lock_timeout", limits.lock_timeout, "How long to wait for a lock, say of a migration."),
        ("idle_timeout", limits.idle_timeout, "How long a transaction may sit idle."),
        ("retry_for", limits.retry_for, "How long a lost connection is tried again; 0: not at all."),
    ):
        yield from _prose(why)
        yield from _unset(key, value if isinstance(value, str) else f"{value:g}s")


def _store() -> Iterator[str]:
    yield "[store]"
    yield from _prose(
        "Where runs are written. Sessions that are mapped below are somebody's production, in which nothing is ever "
        "written: without a url here, or SHADOWDIFF_STORE_URL, runs go into an embedded Postgres on this machine.",
    )
    yield from _unset("url", "postgresql://shadowdiff@localhost/shadowdiff")


# -- [source] ---------------------------------------------------------------------------------------------------------

EXAMPLES = {
    "sessions": "SELECT id AS session_id, tenant_id AS org_id, created_at AS started_at FROM public.conversations",
    "turns": "SELECT conversation_id AS session_id, id AS turn_id, content AS query, created_at AS asked_at\n"
    "  FROM public.messages\n  WHERE role = 'user'",
    "pool": "SELECT message_id AS turn_id, document_id AS entry_id, rank, score FROM public.retrieved",
    "served": "SELECT message_id AS turn_id, document_id AS entry_id, rank FROM public.shown",
    "entries": "SELECT id AS entry_id, tenant_id AS org_id, title, body, updated_at, embedding FROM public.documents",
}
COLUMNS = {
    "sessions": "Columns: session_id, started_at; if there are any: org_id, tags (a JSON object).",
    "turns": "Columns: session_id, turn_id, query, asked_at; if there are any: position, search_query, answer, "
    "query_embedding, served_by; and pool and served, as a JSON or array column.",
    "pool": "What retrieval found for a turn, where that is rows of a table. Columns: turn_id, entry_id, rank; if "
    "there are any: score, title, body.",
    "served": "What users were shown, where that is rows of a table. Columns: turn_id, entry_id, rank.",
    "entries": "The knowledge base. Columns: entry_id, body; if there are any: org_id (none: all orgs share all "
    "entries), title, updated_at, embedding.",
}


def _source(filled: Filled) -> Iterator[str]:
    source = filled.source
    yield "[source]"
    yield from _prose(
        "Which SQL gives what. Each part is a SELECT, or just the name of a table or view; filters and limits are put "
        "around it, so that your indexes serve them. The names of its output columns count; others are ignored.",
        *(f"Not found: {finding}" for finding in filled.findings),
    )
    if filled.presets:
        yield from _prose("Presets give the parts that are not set below; one name, or a list of them:")
    for name, description in filled.presets.items():
        yield from _prose(f"- {name}: {description}")
    presets = source.presets[0] if len(source.presets) == 1 else list(source.presets)
    yield from _either("preset", presets, "shadowdiff")
    yield from _prose("The zone of times that are stored without one.")
    yield from _either("timezone", source.timezone, "UTC")
    for part in SOURCE_PARTS:
        yield from _part(part, filled)
    yield from _tables(source)


def _part(part: str, filled: Filled) -> Iterator[str]:
    yield ""
    yield from _prose(COLUMNS[part], *filled.notes.get(part, ()))
    sql = filled.source.parts.get(part)
    if part in filled.broken:
        what = "The preset's does not work here" if sql is None else "Switched off, because it does not work as it is"
        yield from _prose(f"{what}: {filled.broken[part]}")
    if sql is None or part in filled.broken:
        yield from _unset(part, _ended(sql or EXAMPLES[part]))
    else:
        yield from _set(part, _ended(sql))


def _ended(sql: str) -> str:
    """With a line break at the end, where there are lines: the closing quotes stand alone."""
    return sql.rstrip() + "\n" if "\n" in sql else sql


def _tables(source: SourceSettings) -> Iterator[str]:
    yield ""
    yield from _table("parameters", source.parameters, "Texts bound wherever SQL says :name.", {"tenant": "acme"})
    yield ""
    yield from _table("identifiers", source.identifiers, "Names put, quoted, where SQL says {name}.", {"table": "a.b"})
    yield ""
    why = "Keys of the objects in a JSON pool or served list, where they are not entry_id (or id), score, title, body."
    yield from _table("json", source.json_keys, why, {"entry_id": "doc_id", "score": "similarity"})


def _table(name: str, held: Mapping[str, str], why: str, example: Mapping[str, str]) -> Iterator[str]:
    yield f"[source.{name}]"
    yield from _prose(why)
    for key, value in (held or example).items():
        yield from _set(key, value) if held else _unset(key, value)


# -- The rest ---------------------------------------------------------------------------------------------------------

PRIVACY: Sequence[tuple[str, Value, str]] = (
    ("redact", ("email", "phone", "card", "key"), "What is replaced in every text before it leaves this machine."),
    ("phone_regions", ("DE", "GB"), "Countries whose national phone numbers are found too."),
    ("patterns", {"ticket": "TCK-[0-9]+"}, "Regular expressions of your own, by name."),
    ("redact_stored", False, "Redact what is stored as well."),
    ("store_text", True, "false: the store keeps ids and hashes only, and `show` reads texts from the source."),
    ("offline", False, "true: refuse every reranker that would open a connection beside the databases."),
)


def _privacy() -> Iterator[str]:
    yield "[privacy]"
    for key, value, why in PRIVACY:
        if key in KNOWN_KEYS["privacy"]:
            yield from _prose(why)
            yield from _unset(key, value)


def _replay(filled: Filled) -> Iterator[str]:
    yield "[replay]"
    yield from _prose(
        "The sides of a plain `shadowdiff replay`: specs, or names from [rerankers]. `shadowdiff rerankers` lists what "
        "there is. `served` is what users were shown.",
    )
    yield from _either("baseline", filled.baseline, "cosine")
    yield from _either("others", list(filled.others), ["bm25"])
    yield from _prose("The reranker that production runs: a side that is it is held against what was served.")
    yield from _either("production", filled.production, "v3")


def _tabled(section: str, keys: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """A section of settings that are all left at their defaults."""
    yield f"[{section}]"
    for key, value, why in keys:
        yield from _prose(why) if why else ()
        yield f"#{key} = {value}"


def _rerankers() -> Iterator[str]:
    yield "[rerankers]"
    yield from _prose("Short names for long specs.")
    yield from _unset("v3", "onnx:models/v3,max_length=256")
    yield from _unset("v4", "st:BAAI/bge-reranker-v2-m3")


PROVIDER: Sequence[tuple[str, str, str]] = (
    ("url", '"https://gateway.example.com"', "In place of the provider's own address."),
    ("connect_timeout", '"5s"', ""),
    ("read_timeout", '"30s"', "Until the next byte of an answer."),
    ("turn_deadline", '"2min"', "For one turn, with all attempts and waiting."),
    ("retries", "6", "After the first attempt, on 408, 424, 429, 5xx and lost connections; 0: none."),
    ("concurrency", "8", "Calls under way at a time."),
    ("requests_per_minute", "1000", "Left out: as many as it takes, until the provider throttles."),
    ("tokens_per_minute", "2000000", ""),
    ("allow_plain_http", "false", "true: http:// to another machine than this one."),
    ("region", '"eu-central-1"', "Bedrock; left out: as the AWS configuration says."),
    ("profile", '"search-team"', ""),
)


def _providers() -> Iterator[str]:
    yield from _prose(
        "How rerankers elsewhere are asked: a table per kind, such as [providers.cohere] or [providers.bedrock]. Keys "
        "never stand in this file: they come from COHERE_API_KEY, JINA_API_KEY, VOYAGE_API_KEY, or the AWS credentials."
    )
    first, *settings = _tabled("providers.cohere", PROVIDER)
    yield f"#{first}"
    yield from settings


def _judge() -> Iterator[str]:
    yield "[judge]"
    yield from _prose("Who compares two sides' lists for `shadowdiff judge`, without knowing whose they are.")
    yield from _unset("spec", "bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0")


def _prices() -> Iterator[str]:
    yield from _prose(
        "What they charge, in US dollars, by short name or spec; yours to look up and to keep right. Keys: request, "
        "search_unit, million_tokens, million_input_tokens, million_output_tokens, as_of. These are examples of "
        "November 2026, and no quotation."
    )
    yield '#[prices."bedrock:cohere.rerank-v3-5:0"]'
    yield "#search_unit = 0.002"
    yield '#as_of = "2026-11-01"'
    yield '#[prices."voyage:rerank-2.5"]'
    yield "#million_tokens = 0.05"
