"""Which sessions a night replays: each in exactly one night of its configuration, once it is over."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shadowdiff.nightly.settings import NightlySettings
from shadowdiff.protocols import SessionSource, WatchesSessions
from shadowdiff.records import Window


class Watched(SessionSource, WatchesSessions, Protocol):
    """A source that can tell whether a session is still going on."""


Replayed = Callable[[Sequence[str]], set[str]]
"""Of these sessions, those that earlier nights replayed."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a night is to replay."""

    session_ids: tuple[str, ...]
    """Oldest first."""
    still_open: int = 0
    """Sessions that are left to the next night, as they may go on."""


def window_of(
    settings: NightlySettings, watermark: datetime | None, now: datetime, since: datetime | None = None
) -> Window:
    """From where the last night ended, or `since`, to now: and the overlap before, for sessions that were open then."""
    start = since or (now - settings.first if watermark is None else watermark - settings.overlap)
    return Window(since=min(start, now), until=now, org_ids=settings.orgs)


def chosen(
    source: Watched, window: Window, settings: NightlySettings, watermark: datetime | None, replayed: Replayed
) -> Chosen:
    """The sessions of the window that are over and that no earlier night replayed. Raises SourceError, ConfigError.

    A session that the next night would not see any more is replayed although it may go on.
    """
    now = window.until
    assert now is not None, "a night's window ends when it begins"  # noqa: S101
    found = source.session_ids(window)
    known = replayed(found)
    fresh = [name for name in found if name not in known]
    asked = source.last_asked(fresh)
    seen_again = set(source.session_ids(Window(since=now - settings.overlap, until=now, org_ids=settings.orgs)))
    is_open = {name for name in fresh if name in seen_again and name in asked and asked[name] > now - settings.idle}
    over = [name for name in fresh if name not in is_open]
    if settings.sample is not None:
        over = _sampled(_unseen(source, over, asked, settings, watermark), settings.sample, now)
    return Chosen(tuple(over), len(is_open))


def _unseen(
    source: Watched,
    over: Sequence[str],
    asked: dict[str, datetime],
    settings: NightlySettings,
    watermark: datetime | None,
) -> list[str]:
    """Without the sessions among which the last night drew: what it did not draw is not drawn from again."""
    if watermark is None:
        return list(over)
    started_since = set(source.session_ids(Window(since=watermark, org_ids=settings.orgs)))
    open_then = watermark - settings.idle
    return [name for name in over if name in started_since or (name in asked and asked[name] > open_then)]


def _sampled(session_ids: Sequence[str], size: int, now: datetime) -> list[str]:
    """As many at random, the same ones however often the night is begun anew."""
    if size >= len(session_ids):
        return list(session_ids)
    chance = random.Random(now.isoformat())  # noqa: S311 sampling, not secrecy
    return [session_ids[place] for place in sorted(chance.sample(range(len(session_ids)), size))]
