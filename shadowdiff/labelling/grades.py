"""What grades mean, wherever a person gives one."""

from __future__ import annotations

from collections.abc import Mapping

Scale = tuple[str, ...]
"""What each grade says, from 0 on."""

GRADED: Scale = ("not relevant", "background", "a part of the answer", "answers it")
SCALES: Mapping[int, Scale] = {
    1: ("not relevant", "relevant"),
    2: ("not relevant", "partly relevant", "relevant"),
    3: GRADED,
}
"""By their highest grade. Labels of several scales in one run do not add up."""


def meanings(scale: Scale) -> tuple[str, ...]:
    """Each grade with what it says: `0 not relevant`, `1 background`."""
    return tuple(f"{grade} {meaning}" for grade, meaning in enumerate(scale))
