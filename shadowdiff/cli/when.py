"""Times as people type them: `24h`, `7d`, `2026-11-19`, `2026-11-19T14:00+01:00`; and durations: `15s`, `10m`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from shadowdiff.durations import seconds
from shadowdiff.errors import ConfigError

if TYPE_CHECKING:
    Base = click.ParamType[datetime]
    DurationBase = click.ParamType[float]
else:
    Base = DurationBase = click.ParamType  # not generic before click 8.4

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


class Duration(DurationBase):
    """A duration in seconds, at least `least` of them."""

    name = "10m"

    def __init__(self, least: float = 0.0) -> None:
        self._least = least

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse, or fail with what is understood."""
        if isinstance(value, int | float):
            return float(value)
        found = seconds(str(value))
        if found is None:
            self.fail(f"{value!r} is no duration, such as 90, 30s, 10m or 2h", param, ctx)
        if found < self._least:
            self.fail(f"{value!r} is too short; it must be at least {self._least:g} s", param, ctx)
        return found


def require_order(since: datetime | None, until: datetime | None) -> None:
    """Raise ConfigError where no session can have started in between."""
    if since and until and since >= until:
        raise ConfigError("--since is not before --until; no session can be in between")


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
