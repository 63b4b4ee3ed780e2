"""Durations as people write them in shadowdiff.toml and on the command line: `90`, `"500ms"`, `"30s"`, `"2d"`."""

from __future__ import annotations

import re

DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(ms|s|min|h|m|d)?")
SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(text: str | float) -> float | None:
    """A duration such as `90`, `"500ms"`, `"30s"`, `"2min"`, `"1h"` or `"7d"` in seconds; None where it is none."""
    if isinstance(text, str):
        found = DURATION.fullmatch(text.strip())
        return float(found[1]) * SECONDS[found[2]] if found else None
    return None if isinstance(text, bool) or text < 0 else float(text)


def written(length: float) -> str:
    """Seconds as a person would write them: `90s`, `10m`, `2h`; `seconds` reads it back."""
    unit = next((unit for unit in ("d", "h", "m") if length and length % SECONDS[unit] == 0), "s")
    return f"{length / SECONDS[unit]:g}{unit}"
