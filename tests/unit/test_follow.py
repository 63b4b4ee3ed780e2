"""What does not go beside --follow, how following ends, and how sessions are found while it goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shadowdiff.cli.ending import Ending
from shadowdiff.cli.follow import FollowOptions, followed
from shadowdiff.cli.output import OutputOptions
from shadowdiff.errors import ConfigError, SourceError
from shadowdiff.records import Activity, Window
from shadowdiff.replay.coming import OVERLAP, Coming, Ears
from shadowdiff.replay.follow import Following
from shadowdiff.sources.listening import ANY_SESSION

NOW = datetime(2026, 11, 29, 9, tzinfo=UTC)
NOT_GIVEN = dict.fromkeys(("idle", "poll", "last", "until", "sample"))
GIVEN_NOTHING: dict[str, Any] = NOT_GIVEN | {"follow": True, "session_ids": (), "dry_run": False, "latency_turns": 0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"last": 3}, "--follow does not go with --last: it waits for sessions to come"),
        ({"until": NOW}, "--follow does not go with --until: it ends with Ctrl-C"),
        ({"session_ids": ("s",)}, "--follow does not go with --session: it shows every session"),
        ({"sample": 5}, "--follow does not go with --sample: nobody knows yet"),
        ({"dry_run": True}, "--follow does not go with --dry-run: nobody knows yet"),
        ({"latency_turns": 9}, "--follow does not go with --latency: turns are timed when a run is through"),
        ({"resume": "r1"}, "--follow does not go with --resume: go on with a run that was cut short"),
        ({"sort": "contrast"}, "shows sessions as they come, not by contrast; give -o FILE"),
        ({"follow": False, "idle": 5.0}, "--idle goes with --follow"),
        ({"follow": False, "poll": 5.0}, "--poll goes with --follow"),
    ],
)
def test_options_that_mean_nothing_beside_it_are_refused(given: dict[str, Any], message: str) -> None:
    """With the reason, and what to do."""
    output, resume = OutputOptions(sort=given.pop("sort", "time")), given.pop("resume", None)
    with pytest.raises(ConfigError, match=message):
        followed(GIVEN_NOTHING | given, output, resume)


def test_what_is_written_at_the_end_may_be_sorted() -> None:
    """A file, and a format that is one document."""
    for output in (OutputOptions(output=Path("f"), sort="contrast"), OutputOptions("json", sort="contrast")):
        assert followed(dict(GIVEN_NOTHING), output, None) == FollowOptions(600.0, None)
    assert followed(GIVEN_NOTHING | {"follow": False}, OutputOptions(sort="contrast"), "r1") is None


def test_the_first_signal_asks_for_the_end_and_the_second_forces_it() -> None:
    """For Ctrl-C and for what systemd sends; what stood before stands again afterwards."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for first, second in ((signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)):
        told: list[str] = []
        with Ending(lambda told=told: told.append("asked")) as ending:  # type: ignore[misc]
            assert not ending.is_asked()
            signal.raise_signal(first)
            assert ending.is_asked()
            ending.pause(3600)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(second)
        assert told == ["asked"]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


class Production:
    """A source on a clock of its own: sessions by id with start and last turn; and every window it was asked for."""

    def __init__(self, sessions: dict[str, datetime]) -> None:
        self.sessions = sessions
        self.asked: list[Window] = []
        self.is_away = False

    def selected(self, window: Window) -> list[str]:
        """By start and id."""
        if self.is_away:
            raise SourceError("gone")
        self.asked.append(window)
        named = window.session_ids or tuple(self.sessions)
        since = window.since or NOW
        return [name for name in named if name in self.sessions and self.sessions[name] >= since]

    def activity(self, session_ids: Sequence[str]) -> tuple[datetime, dict[str, Activity]]:
        """Every session had its one turn at its start, an hour and more ago."""
        return NOW, {name: Activity(1, self.sessions[name]) for name in session_ids}


def coming(production: Production, ears: Ears, rounds: int, and_then: Callable[[], None] | None = None) -> Coming:
    """Ends after so many looks; polls once at the start, and then when it must."""
    left = iter(range(rounds))

    def is_over() -> bool:
        over = next(left, None) is None
        if and_then is not None and not over:
            and_then()
        return over

    window = Window(since=NOW - timedelta(days=1), org_ids=("acme",))
    return Coming(production, window, Following(timedelta(minutes=10)), ears, lambda: 3600.0, is_over)


def test_what_is_heard_is_found_without_a_poll_and_what_is_missed_by_the_next() -> None:
    """Repeated ids, ids of other orgs, and ids that were shown before are no sessions; each comes once."""
    steps: list[tuple[str, list[str]]] = [
        ("old", []),
        ("new", ["new", "new", "old"]),
        ("late", ["late", "stranger"]),
        ("missed", [ANY_SESSION]),
    ]
    production, ears = Production({}), Ears()

    def go_on() -> None:
        written, heard = steps.pop(0)
        production.sessions[written] = NOW - timedelta(hours=5)
        for name in heard:
            ears.hear(name)

    found = list(coming(production, ears, 4, go_on))
    assert found == [["old"], ["new"], ["late"], ["missed"]]
    assert [window.session_ids for window in production.asked] == [(), ("new",), ("late", "stranger"), ()]
    assert {window.org_ids for window in production.asked} == {("acme",)}
    assert {window.since for window in production.asked} == {NOW - timedelta(days=1)}


def test_a_poll_looks_back_a_little_and_a_source_that_is_away_ends_only_what_is_over() -> None:
    """Not over all that there was since the beginning: a follower stays for weeks."""
    production, ears = Production({}), Ears()
    polling = coming(production, ears, 3, ears.wake)
    polling._seconds_between_polls = lambda: 0.0
    assert list(polling) == []
    first, *others = (window.since for window in production.asked)
    assert first == NOW - timedelta(days=1)
    assert len(others) == 2
    assert all(since is not None and abs(since - (NOW - OVERLAP)) < timedelta(minutes=1) for since in others)
    production.is_away = True
    with pytest.raises(SourceError):
        list(coming(production, ears, 9))
    assert list(coming(production, ears, 1)) == []
