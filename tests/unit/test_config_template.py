"""The commented shadowdiff.toml: complete, readable by the loader, and true to what was filled in."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from shadowdiff.config import KNOWN_KEYS, SOURCE_PARTS, ConnectionLimits, SourceSettings, load_settings
from shadowdiff.config_template import EXAMPLES, Filled, configuration
from shadowdiff.sources.mapping import NEEDED, source_mapping

SWITCHED_OFF = re.compile(r"(?m)^#(?! \S)")
"""A sign that only switches a setting off; prose has exactly one space after it."""

HOSTILE = "a\"b'c; DROP TABLE x; -- \\ % :name {table} \r\t\x01\x7f é 𝛑"


def switched_on(text: str) -> str:
    """The file with every setting in force."""
    return SWITCHED_OFF.sub("", text)


def written(tmp_path: Path, filled: Filled | None = None) -> Path:
    """The file on disk."""
    file = tmp_path / "shadowdiff.toml"
    file.write_text(configuration(filled), encoding="utf-8", newline="")
    return file


def test_the_template_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is in force in it: the settings are those without any file."""
    monkeypatch.chdir(tmp_path)
    without = load_settings(None, {})
    file = written(tmp_path)
    assert without.file is None
    assert load_settings(file, {}) == replace(without, file=file)


def test_every_setting_stands_in_it(tmp_path: Path) -> None:
    """Switched on, each known key of each section is there, and the loader takes all of them."""
    file = written(tmp_path)
    file.write_text(switched_on(file.read_text(encoding="utf-8")), encoding="utf-8")
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    for section, keys in KNOWN_KEYS.items():
        assert set(keys) <= set(document[section]), section
    settings = load_settings(file, {})
    assert settings.limits == ConnectionLimits(), "what is commented out is the default"
    assert set(settings.source.parts) == set(SOURCE_PARTS)
    assert settings.rerankers


@pytest.mark.parametrize("part", SOURCE_PARTS)
def test_the_examples_have_the_columns_that_are_needed(part: str) -> None:
    """An example that a person switches on and adapts must not lead astray."""
    assert all(re.search(rf"\b{column}\b", EXAMPLES[part]) for column in NEEDED[part])


def test_what_was_filled_in_reads_back(tmp_path: Path) -> None:
    """Parts, presets, tables and sides, whatever their texts hold."""
    sql = f"SELECT 1 AS \"{HOSTILE}\"\n  FROM '{HOSTILE}'"
    parts = dict.fromkeys(SOURCE_PARTS, sql)
    tables = {"b": HOSTILE, 'we ird."k\\ey': "x"}
    source = SourceSettings(("shadowdiff", HOSTILE), parts, "Europe/Berlin", tables, tables, {"entry_id": HOSTILE})
    filled = Filled(
        url="postgresql://me@db/app",
        source=source,
        notes={"turns": [f"note {HOSTILE}\nurl = 'x'"]},
        findings=[HOSTILE + "\n[store]"],
        presets={HOSTILE: "x\ny = 1"},
        baseline="served",
        others=("bm25", "run:a\nb"),
        production="v3",
    )
    settings = load_settings(written(tmp_path, filled), {})
    read = settings.source
    assert {part: sql.rstrip("\n") for part, sql in read.parts.items()} == parts
    assert (read.presets, read.timezone) == (source.presets, source.timezone)
    assert (read.parameters, read.identifiers, read.json_keys) == (tables, tables, {"entry_id": HOSTILE})
    assert (settings.database_url, settings.store_url) == ("postgresql://me@db/app", None)
    assert (settings.baseline, settings.others, settings.production) == ("served", ("bm25", "run:a\nb"), "v3")


def test_a_broken_part_is_switched_off_with_its_reason(tmp_path: Path) -> None:
    """What the server refused stands there to be mended, and nothing else of the mapping suffers."""
    parts = {"sessions": "s", "turns": "t", "pool": "SELECT 1\n  FROM x\n  WHERE y"}
    filled = Filled(source=SourceSettings(parts=parts), broken={"pool": "column y does not exist\n[x]"})
    file = written(tmp_path, filled)
    assert set(load_settings(file, {}).source.parts) == {"sessions", "turns"}
    text = file.read_text(encoding="utf-8")
    assert "# Switched off, because it does not work as it is: column y does not exist [x]\n" in text
    assert tomllib.loads(switched_on(text))["source"]["pool"].rstrip() == parts["pool"]
    assert source_mapping(load_settings(file, {}).source).parts["turns"] == "SELECT * FROM t"


def test_it_says_where_the_password_comes_from(tmp_path: Path) -> None:
    """Only where one was left out."""
    with_, without = (configuration(Filled(url="x", lacks_password=lacks)) for lacks in (True, False))
    assert "PGPASSWORD" in with_
    assert "PGPASSWORD" not in without
