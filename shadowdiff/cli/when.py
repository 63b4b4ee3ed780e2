"""Times as people type them: `24h`, `7d`, `2026-11-19`, `2026-11-19T14:00+01:00`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    Base = click.ParamType[datetime]
else:
    Base = click.ParamType  # not generic before click 8.4

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class When(Base):
    """A moment: an age before now, or an ISO 8601 date or time (UTC where it names no zone)."""

    name = "24h|DATE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse, or fail with what is understood."""
        if isinstance(value, datetime):
            return value
        moment = parse_when(str(value), datetime.now(UTC))
        if moment is None:
            self.fail(
                f"{value!r} is neither an age (30m, 24h, 7d, 2w) nor a date (2026-11-19, 2026-11-19T14:00)", param, ctx
            )
        return moment


def parse_when(text: str, now: datetime) -> datetime | None:
    """The moment meant, in UTC, or None where it cannot be read."""
    age = re.fullmatch(r"(\d+)([mhdw])", text.strip())
    try:
        if age:
            return now - timedelta(**{UNITS[age[2]]: int(age[1])})
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
