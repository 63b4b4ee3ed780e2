"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest

from shadowdiff.cli.when import Duration, When, parse_when
from shadowdiff.durations import written

NOW = datetime(2026, 11, 19, 14, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        (" 1h ", timedelta(hours=1)),
        ("0h", timedelta()),
    ],
)
def test_an_age_counts_back_from_now(text: str, ago: timedelta) -> None:
    """A number and a unit."""
    assert parse_when(text, NOW) == NOW - ago


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-19", datetime(2026, 11, 19, tzinfo=UTC)),
        ("2026-11-19T14:00", datetime(2026, 11, 19, 14, tzinfo=UTC)),
        ("2026-11-19 14:00:05", datetime(2026, 11, 19, 14, 0, 5, tzinfo=UTC)),
        ("2026-11-19T14:00Z", datetime(2026, 11, 19, 14, tzinfo=UTC)),
        ("2026-11-19T14:00+01:00", datetime(2026, 11, 19, 13, tzinfo=UTC)),
    ],
)
def test_a_date_is_utc_unless_it_names_a_zone(text: str, moment: datetime) -> None:
    """ISO 8601, date alone meaning its first moment."""
    assert parse_when(text, NOW) == moment


@pytest.mark.parametrize(
    "text",
    [
        *("", "h", "24", "24x", "-3h", "1.5h", "yesterday", "19.11.2026", "2026-13-01", "2026-02-30", "24h ago"),
        *("99999999999w", "9" * 5000 + "m", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"),
    ],
)
def test_anything_else_is_not_understood(text: str) -> None:
    """Also what lies outside the calendar, in UTC as well."""
    assert parse_when(text, NOW) is None


@click.command()
@click.option("--since", type=When())
def command(since: datetime | None) -> None:
    """Echo what arrived."""
    click.echo(repr(since))


def test_the_option_says_what_it_understands() -> None:
    """A usage error with examples of both forms."""
    with pytest.raises(click.BadParameter, match=r"'tomorow' is neither an age .*24h.* nor a date .*2026-11-19"):
        command.main(["--since", "tomorow"], standalone_mode=False)


def test_the_option_gives_an_aware_moment_and_takes_a_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Absent is None; a datetime given as a default passes through."""
    command.main(["--since", "2026-11-19"], standalone_mode=False)
    command.main([], standalone_mode=False)
    assert capsys.readouterr().out == f"{datetime(2026, 11, 19, tzinfo=UTC)!r}\nNone\n"
    assert When().convert(NOW, None, None) is NOW


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("90", 90, "90s"),
        ("15s", 15, "15s"),
        ("10m", 600, "10m"),
        ("2 min", 120, "2m"),
        ("2h", 7_200, "2h"),
        ("1.5s", 1.5, "1.5s"),
        ("7d", 604_800, "7d"),
        ("1s", 1, "1s"),
    ],
)
def test_a_duration_is_read_and_written_alike(text: str, seconds: float, shown: str) -> None:
    """In the largest unit that leaves no rest."""
    assert Duration(1).convert(text, None, None) == seconds
    assert written(seconds) == shown
    assert Duration().convert(shown, None, None) == seconds


@pytest.mark.parametrize(
    ("text", "why"), [("soon", "is no duration"), ("-1", "is no duration"), ("500ms", "too short")]
)
def test_what_is_no_duration_is_refused(text: str, why: str) -> None:
    """And what is shorter than makes sense."""
    with pytest.raises(click.BadParameter, match=why):
        Duration(1).convert(text, None, None)
