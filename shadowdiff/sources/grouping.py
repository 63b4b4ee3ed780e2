"""Query ids such as `106_3` to sessions: 106 is the session, 3 the turn. Collections know neither sessions nor times.

Times are made up, the same on every load: sessions start a minute apart from
the first second of 2000 on, in the order in which the topics file has them,
and their turns follow each other by a second. So `--last N` takes the last N.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from shadowdiff.errors import ConfigError
from shadowdiff.records import RecordedEntry, Session, Turn
from shadowdiff.sources.lines import Line

DEFAULT_PATTERN = (
    r"(?P<session>[0-9]+(?=-)|[^0-9]*[0-9].*(?=_|:|<::>))"  # 106 before a hyphen; before the others, what has a digit
    r"(?:-|_|:|<::>)"
    r"(?P<turn>[0-9]{1,3})"
)
"""Groups 106_3, 106:3, 106-3, un-13a8:1 and 13a8<::>1; leaves PLAIN-2, query_7 and UUIDs alone."""

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
BETWEEN_SESSIONS = timedelta(minutes=1)
BETWEEN_TURNS = timedelta(seconds=1)

Pools = Mapping[str, tuple[RecordedEntry, ...]]


@dataclass(frozen=True, slots=True)
class Topic:
    """One query of a collection."""

    line: Line
    """Where it stands."""
    turn_id: str
    query: str
    search_query: str | None = None
    answer: str | None = None
    session_id: str | None = None
    """Given where the file itself knows sessions; else the id says it, or nothing does."""
    number: int | None = None
    """The turn's number within the session; given with `session_id`."""


def session_pattern(text: str) -> re.Pattern[str]:
    """The pattern of whole query ids. Raises ConfigError where it does not compile or lacks a group."""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ConfigError(f"--session-pattern {text!r} is no regular expression: {error}") from error
    missing = {"session", "turn"} - pattern.groupindex.keys()
    if missing:
        raise ConfigError(
            f"--session-pattern {text!r} has no group {min(missing)!r}; "
            r"it needs two, as in '(?P<session>.+)_(?P<turn>\d+)'"
        )
    return pattern


def grouped(topics: Iterable[Topic], pattern: re.Pattern[str], org_id: str, pools: Pools) -> list[Session]:
    """Topics as sessions of one org, in order of first appearance, turns by number; `pools` by turn id.

    An id that the pattern does not match is a session of its own, with one
    turn. Raises BundleError where such an id is another session's name, or a
    turn is no number.
    """
    members: dict[str, list[Topic]] = {}
    for topic in topics:
        placed = topic if topic.session_id else _placed(topic, pattern)
        beside = members.setdefault(str(placed.session_id), [])
        if beside and None in (placed.number, beside[0].number):
            placed.line.refuse(
                f"{placed.session_id!r} is a query of its own and a session of others; say which with --session-pattern"
            )
        beside.append(placed)
    return [
        _session(place, session_id, org_id, turns, pools) for place, (session_id, turns) in enumerate(members.items())
    ]


def _placed(topic: Topic, pattern: re.Pattern[str]) -> Topic:
    found = pattern.fullmatch(topic.turn_id)
    if found is None:
        return replace(topic, session_id=topic.turn_id)
    session_id, number = found["session"], found["turn"]
    if not (session_id or "").strip():
        topic.line.refuse(f"query id {topic.turn_id!r}: the pattern's group 'session' is empty")
    if not re.fullmatch(r"[0-9]{1,18}", number or ""):
        topic.line.refuse(f"query id {topic.turn_id!r}: the pattern's group 'turn' is {number!r}, not a whole number")
    return replace(topic, session_id=session_id, number=int(number))


def _session(place: int, session_id: str, org_id: str, topics: list[Topic], pools: Pools) -> Session:
    started_at = EPOCH + place * BETWEEN_SESSIONS
    ordered = sorted(topics, key=lambda topic: topic.number or 0)
    turns = (_turn(position, topic, started_at, pools) for position, topic in enumerate(ordered, start=1))
    return Session(session_id, org_id, started_at, tuple(turns))


def _turn(position: int, topic: Topic, started_at: datetime, pools: Pools) -> Turn:
    return Turn(
        turn_id=topic.turn_id,
        position=position,
        query=topic.query,
        asked_at=started_at + (position - 1) * BETWEEN_TURNS,
        search_query=topic.search_query,
        answer=topic.answer,
        recorded_pool=pools.get(topic.turn_id),
    )
