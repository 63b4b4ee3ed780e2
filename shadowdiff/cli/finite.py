"""Numbers of options: none of them may be `nan` or `inf`, which click takes and no comparison stops."""

from __future__ import annotations

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """A number within bounds. A cap of nan would cap nothing, as nothing is more than it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, if it is one."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number that can be compared with.", param, ctx)
        return number
