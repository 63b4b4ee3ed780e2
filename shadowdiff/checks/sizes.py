"""How many sessions there are, how many turns they have, how large pools are; and whether ids and times make sense."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from shadowdiff.checks.checkup import Checkup, was_cancelled
from shadowdiff.errors import SourceError
from shadowdiff.findings import Finding, fail, ok, warn
from shadowdiff.records import Window
from shadowdiff.sources import statements
from shadowdiff.sources.values import moment

if TYPE_CHECKING:
    from sqlalchemy import Connection

DAYS = 30
MOST_COUNTED = 100_000
SMALL_POOL = 20
"""A reranker cannot rescue what retrieval never returned."""
NOTABLE_SHARE = 0.05
BRIEFLY = "5s"
CLOCKS_DIFFER = timedelta(minutes=5)
RETRIEVE = "they fail in a replay, unless it retrieves pools: --pool-from cosine, bm25 or hybrid"


def sampled(checkup: Checkup) -> Iterator[Finding]:
    """Whether there are sessions to replay, and what the other checks look at."""
    sample = checkup.sample
    if not sample.sessions:
        yield fail("sessions read", "there are none", "fill the tables, or let [source] sessions select some")
    elif not sample.turns:
        told = f"none of the newest {_counted(len(sample.sessions), 'session')} has a turn"
        yield fail("sessions read", told, "do session_id of [source] sessions and of turns name the same thing?")
    else:
        newest, oldest = sample.sessions[0].started_at, sample.sessions[-1].started_at
        orgs = len({session.org_id for session in sample.sessions})
        told = f"{_counted(len(sample.sessions), 'session')} of {_counted(orgs, 'org')}, {oldest:%Y-%m-%d} to"
        yield ok("sessions read", f"the newest {told} {newest:%Y-%m-%d}")


def per_day(checkup: Checkup) -> Iterator[Finding]:
    """Sessions per day, over the last month."""
    since = datetime.now(UTC) - timedelta(days=DAYS)

    def work(connection: Connection) -> tuple[int, datetime | None]:
        part = checkup.parts.get(connection, "sessions")
        window = Window(since=since, last=MOST_COUNTED)
        row = connection.execute(statements.started_since(part, window, checkup.mapping.timezone)).one()
        return int(row[0]), row.oldest and moment(row.oldest, checkup.mapping.timezone)

    count, oldest = checkup.read("counting sessions", work)
    if not count or oldest is None:
        newest = checkup.sample.sessions[0].started_at
        told = f"none in the last {DAYS} days; the newest started on {newest:%Y-%m-%d}"
        yield warn(
            "sessions per day", told, "is started_at the right column, and does this database still get sessions?"
        )
        return
    days = DAYS if count < MOST_COUNTED else max((datetime.now(UTC) - oldest).total_seconds() / 86_400, 1e-3)
    yield ok("sessions per day", f"{count / days:,.1f} ({count:,} in the last {days:,.1f} days)")


def turns_per_session(checkup: Checkup) -> Iterator[Finding]:
    """How long sessions are, and whether some have no turn at all."""
    turns = Counter(turn.session_id for turn in checkup.sample.turns)
    sizes = sorted(turns[session_id] for session_id in {session.session_id for session in checkup.sample.sessions})
    told = f"median {_median(sizes)}, 95% have at most {sizes[int(0.95 * (len(sizes) - 1))]}, largest {sizes[-1]}"
    without = sizes.count(0)
    if without:
        told += f"; {without} of {len(sizes)} sessions have none"
        yield warn("turns per session", told, "let [source] sessions leave them out: they take up places of --last N")
    else:
        yield ok("turns per session", told)


def pool_sizes(checkup: Checkup) -> Iterator[Finding]:
    """How many entries a reranker has to choose from."""
    sizes = [len(turn.pool) for turn in checkup.sample.turns if turn.pool is not None]
    if not sizes:
        return
    median, most = statistics.median(sizes), checkup.examinee.pool
    told = f"median {_median(sizes)}, smallest {min(sizes)}, largest {max(sizes)}"
    if median < SMALL_POOL:
        remedy = "let production retrieve and record more: a reranker cannot rescue what retrieval never returned"
        yield warn("pool size", f"{told}; that is few", f"{remedy}; or replay with --pool-from hybrid")
    elif median < most:
        remedy = f"give replays --pool {int(median)}, so that pools retrieved anew are as large as recorded ones"
        yield warn("pool size", f"{told}; a replay takes up to {most} (--pool)", remedy)
    else:
        cut = f"; a replay keeps the first {most} (--pool)" if max(sizes) > most else ""
        yield ok("pool size", told + cut)


def without_lists(checkup: Checkup) -> Iterator[Finding]:
    """How many turns have no recorded pool, or nothing served, where such lists are mapped."""
    turns = checkup.sample.turns
    mapped = checkup.read("describing turns", lambda connection: _lists_mapped(checkup, connection))
    remedies = {
        "pool": RETRIEVE,
        "served": "`-A served` fails on them; does the served list join on the turn's own id?",
    }
    for name in mapped:
        none = sum(not getattr(turn, name) for turn in turns)
        told = f"{none:,} of {len(turns):,} turns have none ({none / len(turns):.1%})"
        yield (
            warn(f"turns' {name}", told, remedies[name])
            if none
            else ok(f"turns' {name}", f"all {len(turns):,} have one")
        )


def _lists_mapped(checkup: Checkup, connection: Connection) -> list[str]:
    turns = checkup.parts.get(connection, "turns")
    return [name for name in ("pool", "served") if checkup.parts.has(name) or turns.has(name)]


def ids(checkup: Checkup) -> Iterator[Finding]:
    """Whether each id names one session, or one turn."""
    sessions = _repeated([session.session_id for session in checkup.sample.sessions])
    if sessions:
        told = f"{len(sessions)} session ids stand in several rows, such as {sessions[0]!r}"
        yield fail("session ids", told, "let [source] sessions give one row per session: GROUP BY, or DISTINCT ON")
    turns = [turn.turn_id for turn in checkup.sample.turns]
    twice = _repeated([turn_id for turn_id in turns if turn_id is not None])
    if None in turns or twice:
        told = f"{len(twice)} turn ids name several turns, such as {twice[0]!r}" if twice else "some turns have no id"
        remedy = "an id must name one turn of all sessions: session_id || ':' || position in the SQL makes one"
        yield fail("turn ids", told, remedy)
    if not sessions and None not in turns and not twice:
        yield ok("ids", "every session and every turn has one of its own")


def _repeated(values: Sequence[str]) -> list[str]:
    return [value for value, times in Counter(values).items() if times > 1]


def times(checkup: Checkup) -> Iterator[Finding]:
    """Whether starts and turns have times, none of them in the future."""
    soon = datetime.now(UTC) + CLOCKS_DIFFER
    sessions, turns = checkup.sample.sessions, checkup.sample.turns
    future = [session for session in sessions if session.started_at > soon]
    later = sum(turn.asked_at is not None and turn.asked_at > soon for turn in turns)
    if future or later:
        told = f"{len(future)} of {len(sessions)} sessions and {later} of {len(turns):,} turns lie in the future"
        yield warn("times", told, "is [source] timezone the zone that production writes its times in?")
    timeless = sum(turn.asked_at is None for turn in turns)
    if timeless:
        told = f"{timeless} of {len(turns):,} turns have no asked_at"
        yield warn("times", told, "they take their session's start; their order hangs on position alone")
    startless = _startless(checkup)
    if startless is not None:
        told = f"sessions without started_at, such as {startless!r}, are never replayed"
        yield warn("times", told, "give them a time in [source] sessions, or leave them out")
    if not (future or later or timeless or startless is not None):
        yield ok("times", "every session and turn has one, none in the future")


def _startless(checkup: Checkup) -> str | None:
    """A session without start; None too where there is no index on the start, and the table is large: not worth it."""

    def work(connection: Connection) -> str | None:
        connection.execute(text("SELECT set_config('statement_timeout', :limit, true)"), {"limit": BRIEFLY})
        found = connection.scalar(statements.without_start(checkup.parts.get(connection, "sessions")))
        return None if found is None else str(found)

    try:
        return checkup.read("looking for sessions without start", work)
    except SourceError as error:
        if was_cancelled(error):
            return None
        raise


def queries(checkup: Checkup) -> Iterator[Finding]:
    """Whether there is something to search for."""
    turns = checkup.sample.turns
    empty = sum(not turn.query.strip() for turn in turns)
    if empty == len(turns):
        yield fail(
            "queries", f"all of {empty} turns have an empty query", "is `query` of [source] turns the right column?"
        )
    elif empty:
        told = f"{empty:,} of {len(turns):,} turns have an empty query ({empty / len(turns):.1%})"
        yield warn("queries", told, "leave such turns out in [source] turns: no reranker can rank for nothing")
    else:
        yield ok("queries", f"none of {len(turns):,} is empty")


def _median(sizes: Sequence[int]) -> str:
    return f"{statistics.median(sizes):g}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
