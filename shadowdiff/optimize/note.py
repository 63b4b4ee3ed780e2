"""`variants.json`: how each variant beside a model was made, so that one made from an older model is found out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from shadowdiff.errors import ConfigError

NOTE_FILE = "variants.json"
SCHEMA = "shadowdiff.variants/1"


@dataclass(frozen=True, slots=True)
class Made:
    """One variant: from what, with what, and what came of it."""

    file: str
    sha256: str
    how: str
    method: str
    """Names the way of making; another one means that the file is to be made anew."""
    source: Mapping[str, str]
    """SHA-256 by name of the files that it was made from: the model and its outside weights."""
    tools: Mapping[str, str]
    """Versions by package."""


def read_note(directory: Path) -> dict[str, Made]:
    """What the note says, by variant; nothing where there is none. Raises ConfigError where it cannot be read."""
    path = directory / NOTE_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {name: Made(**made) for name, made in document["variants"].items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path} is not a note of `shadowdiff optimize`; move it away: {error}") from error


def note_text(made: Mapping[str, Made]) -> str:
    """The note, as it is written."""
    variants = {name: asdict(entry) for name, entry in sorted(made.items())}
    return json.dumps({"schema": SCHEMA, "variants": variants}, indent=1, sort_keys=True) + "\n"
