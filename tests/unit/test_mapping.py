"""From [source] to one mapping: presets, overriding, names of tables, what is refused."""

from __future__ import annotations

import pytest

from shadowdiff.config import SourceSettings
from shadowdiff.errors import ConfigError
from shadowdiff.sources.mapping import (
    NEEDED,
    OPTIONAL,
    preset_description,
    preset_names,
    shape_problems,
    source_mapping,
)

MINE = {"sessions": "SELECT 1", "turns": "SELECT 2"}


def test_without_a_word_it_is_the_own_schema() -> None:
    """All five parts, and nothing to configure."""
    mapping = source_mapping()
    assert (mapping.is_own, sorted(mapping.parts)) == (True, sorted(NEEDED))
    assert mapping.timezone.key == "UTC"


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_says_what_it_is_and_can_stand_with_own_sessions(name: str) -> None:
    """It has a description, and only parts that exist."""
    assert preset_description(name)
    mapping = source_mapping(SourceSettings(presets=(name,), parts=MINE))
    assert set(mapping.parts) <= set(NEEDED)
    assert mapping.parts["turns"] == "SELECT 2"
    assert not mapping.is_own


def test_the_users_parts_override_the_presets_part_by_part() -> None:
    """And an empty one takes a part away."""
    mapping = source_mapping(SourceSettings(presets=("shadowdiff",), parts={"pool": "SELECT 3", "served": ""}))
    assert mapping.parts["pool"] == "SELECT 3"
    assert "served" not in mapping.parts
    assert "shadowdiff.turns" in mapping.parts["turns"]
    assert not mapping.is_own


def test_a_bare_name_is_a_table_or_view() -> None:
    """Qualified and quoted names too; a statement stays as it is, without its semicolon."""
    parts = {"sessions": "reporting.sessions", "turns": '"Chat"."Turns v2"', "pool": " SELECT 1 ; "}
    mapping = source_mapping(SourceSettings(parts=parts))
    assert mapping.parts == {
        "sessions": "SELECT * FROM reporting.sessions",
        "turns": 'SELECT * FROM "Chat"."Turns v2"',
        "pool": "SELECT 1",
    }


def test_identifiers_are_quoted_whatever_they_hold() -> None:
    """A table name from the configuration cannot end its quotes."""
    parts = MINE | {"entries": "SELECT * FROM {table} WHERE path = '{a,b}'"}
    identifiers = {"table": 'public.kb"; DROP TABLE x; --'}
    mapping = source_mapping(SourceSettings(parts=parts, identifiers=identifiers))
    assert mapping.parts["entries"] == """SELECT * FROM "public"."kb""; DROP TABLE x; --" WHERE path = '{a,b}'"""


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (SourceSettings(presets=("fenix",)), r"preset 'fenix' is not known; known: .*shadowdiff"),
        (SourceSettings(parts={"turns": "SELECT 1"}), "maps no sessions; sessions and turns are needed"),
        (SourceSettings(presets=("shadowdiff",), timezone="Mars/Olympus"), "timezone 'Mars/Olympus' is not known"),
        (SourceSettings(parts=MINE, timezone="../../etc/passwd"), "timezone .* is not known"),
        (SourceSettings(parts=MINE, json_keys={"entry": "x"}), r"\[source.json\] 'entry' is not known"),
        (SourceSettings(parts=MINE | {"pool": " ; "}), "pool holds no SQL"),
        (SourceSettings(parts=MINE, identifiers={"table": "a..b"}), r"table = 'a..b' is no name of a table"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: SourceSettings, reason: str) -> None:
    """In one line that names the key."""
    if settings.identifiers:
        settings = SourceSettings(parts=MINE | {"entries": "{table}"}, identifiers=settings.identifiers)
    with pytest.raises(ConfigError, match=reason):
        source_mapping(settings)


def test_columns_are_checked_by_name_and_type() -> None:
    """Each problem names its column; types in another schema are known by their last name."""
    problems = shape_problems(
        "turns",
        [
            ("session_id", "uuid"),
            ("session_id", "uuid"),
            ("query", "text"),
            ("asked_at", "text"),
            ("query_embedding", "extensions.vector"),
            ("pool", "integer"),
            ("mood", "hstore"),
        ],
    )
    assert problems == [
        "has no column 'turn_id'",
        "has column 'session_id' twice",
        "column 'asked_at' is of type text; expected a timestamp, with or without time zone",
        "column 'pool' is of type integer; expected json, jsonb or an array",
    ]


def test_needed_and_optional_columns_do_not_overlap() -> None:
    """A column is one or the other."""
    assert all(not set(NEEDED[part]) & set(OPTIONAL[part]) for part in NEEDED)
