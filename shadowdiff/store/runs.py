"""RunStore: runs and everything computed for them, written as it comes and read back in the same order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import LargeBinary, cast, exists, func, insert, literal, literal_column, select, true, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from shadowdiff.database import database_errors
from shadowdiff.errors import ConfigError, StoreError
from shadowdiff.records import ReplayedSession, TurnAsked
from shadowdiff.retry import Retries
from shadowdiff.runs import Run, RunStatus, RunSummary, Side
from shadowdiff.store import rows
from shadowdiff.store.codec import decode_config, decode_summary, encode
from shadowdiff.store.holds import Hold, held_now, hold_of
from shadowdiff.store.schema import (
    asks,
    entry_texts,
    failures,
    rankings,
    run_sessions,
    run_sides,
    run_turns,
    runs,
    score_cache,
)
from shadowdiff.store.statements import batches, given_rows, hashes, texts

if TYPE_CHECKING:
    from sqlalchemy import Column, ColumnElement, Connection, Engine, Insert, Row
    from sqlalchemy.dialects.postgresql import Insert as Upsert
    from sqlalchemy.sql.dml import ReturningUpdate

SESSIONS_PER_READ = 64
ASKS_PER_READ = 5_000
TEXTS_REMEMBERED = 1 << 17
POOL = frozenset({"pool_entry_ids", "pool_contents", "pool_scores"})
REPLAYED = ("session_id", "org_id", "started_at", "tags", "turns")
"""Columns of a session that is replayed and no longer only planned."""
LATEST = "latest"
T = TypeVar("T")
Beside = Callable[["Connection", Run], None]
"""Writes something that is stored with a new run, or not at all."""


@dataclass(frozen=True, slots=True)
class CachedScore:
    """A score as the cache keeps it."""

    score: float
    truncated: bool


class RunStore:
    """Reads and writes the store tables. Every method raises StoreError when the database fails, after `retries`."""

    def __init__(self, engine: Engine, retries: Retries | None = None) -> None:
        self._engine = engine
        self._retries = retries or Retries()
        self._hold: Hold | None = None
        self._texts_held: set[str] = set()
        """Hashes of texts that this process has stored: a night's pools name the same ones again and again."""

    def create(self, run: Run, session_ids: Sequence[str], beside: Beside | None = None) -> None:
        """Store a run before anything is computed, with the sessions it will replay, in order.

        What `beside` writes is stored with it, or neither is.
        """

        def work(connection: Connection) -> None:
            row = {"run_id": run.run_id, "started_at": run.started_at, "version": run.version, "status": run.status}
            connection.execute(insert(runs), row | {"config": encode(run.config)})
            sides = enumerate(run.sides)
            write(connection, insert(run_sides), (_side_row(run.run_id, place, side) for place, side in sides))
            write(connection, insert(run_sessions), _planned_rows(run.run_id, session_ids))
            if beside is not None:
                beside(connection, run)

        self.transaction("storing the run", work)

    def plan(self, run_id: str, session_ids: Sequence[str]) -> None:
        """Add sessions to those that the run will replay, in order, after the others; those planned before stay."""

        def work(connection: Connection) -> None:
            # After a connection that was lost while it committed, this may be the second time.
            of_run, name = run_sessions.c.run_id == run_id, run_sessions.c.session_id
            planned = set(connection.scalars(select(name).where(of_run, name == func.any(texts(session_ids)))))
            last = connection.scalar(select(func.max(run_sessions.c.position)).where(of_run)) or 0
            write(connection, insert(run_sessions), _planned_rows(run_id, session_ids, planned, last))

        self.transaction("updating the run", work)

    def pending(self, run_id: str) -> list[str]:
        """Ids of the run's sessions that are not replayed yet, in order."""
        return self._planned(run_id, run_sessions.c.turns.is_(None))

    def drop_sessions(self, run_id: str, session_ids: Sequence[str]) -> None:
        """Forget planned sessions that the source no longer has."""
        where = (run_sessions.c.run_id == run_id, run_sessions.c.session_id == func.any(texts(session_ids)))
        statement = run_sessions.delete().where(*where, run_sessions.c.turns.is_(None))
        self.transaction("updating the run", lambda connection: connection.execute(statement))

    def save(self, run_id: str, replayed: Sequence[ReplayedSession]) -> None:
        """Store replayed sessions: all of these or none. Sessions that are stored already are left as they are."""
        written: set[str] = set()

        def work(connection: Connection) -> None:
            # After a connection that was lost while it committed, this may be the second time.
            marked = set(connection.scalars(_mark_replayed(run_id, replayed))) if replayed else ()
            pending = [item for item in replayed if item.session.session_id in marked]
            written.update(self._write_texts(connection, pending))
            turns = [(item.session, turn) for item in pending for turn in item.turns]
            write(connection, insert(run_turns), (rows.turn_row(run_id, session, turn) for session, turn in turns))
            write(connection, insert(rankings), (row for _, turn in turns for row in rows.ranking_rows(run_id, turn)))
            write(connection, insert(failures), (row for _, turn in turns for row in rows.failure_rows(run_id, turn)))

        self.transaction("storing rankings", work)
        self._texts_held |= written

    def finish(self, run_id: str, status: RunStatus, summary: RunSummary | None, finished_at: datetime | None) -> None:
        """Record how the run ended."""
        values = {"status": status, "summary": None if summary is None else encode(summary), "finished_at": finished_at}
        statement = update(runs).where(runs.c.run_id == run_id).values(**values)
        self.transaction("storing the summary", lambda connection: connection.execute(statement))

    def get(self, name: str) -> Run:
        """The run with this id, an unambiguous beginning of one, or `latest`. Raises ConfigError."""
        statement = select(runs).order_by((runs.c.run_id == name).desc(), runs.c.number.desc())
        if name != LATEST:
            statement = statement.where(runs.c.run_id.startswith(name, autoescape=True))

        def work(connection: Connection) -> Run:
            found = list(connection.execute(statement.limit(1 if name == LATEST else 2)))
            exact = [row for row in found if row.run_id == name]
            if len(exact or found) != 1:
                raise ConfigError(_not_one(name, found))
            return self._with_sides(connection, exact or found)[0]

        return self.transaction("reading runs", work)

    def newest(self, limit: int | None = None, since: datetime | None = None) -> list[Run]:
        """The newest runs, newest first; with `since` those that started from then on."""
        statement = select(runs).order_by(runs.c.number.desc()).limit(limit)
        if since is not None:
            statement = statement.where(runs.c.started_at >= since)
        return self.transaction(
            "reading runs", lambda connection: self._with_sides(connection, list(connection.execute(statement)))
        )

    def named(self, run_ids: Sequence[str]) -> dict[str, Run]:
        """Runs by id, those of these ids that are stored. One transaction."""
        statement = select(runs).where(runs.c.run_id == func.any(texts(run_ids)))
        found = self.transaction(
            "reading runs", lambda connection: self._with_sides(connection, list(connection.execute(statement)))
        )
        return {run.run_id: run for run in found}

    def progress(self, run_id: str) -> tuple[int, int]:
        """Sessions replayed, and sessions planned."""
        statement = select(func.count(run_sessions.c.turns), func.count()).where(run_sessions.c.run_id == run_id)
        done, planned = self.transaction("reading the run", lambda connection: connection.execute(statement).one())
        return int(done), int(planned)

    def order(self, run_id: str) -> list[str]:
        """Ids of the run's replayed sessions, in the order in which they were planned."""
        return self._planned(run_id, run_sessions.c.turns.is_not(None))

    def sessions(
        self, run_id: str, session_ids: Sequence[str] | None = None, *, with_pools: bool = True
    ) -> Iterator[ReplayedSession]:
        """Replayed sessions in the order given, a batch in memory at a time; five statements a batch.

        Without pools, which are most of what is stored, every pool is empty but for its origin.
        Raises ConfigError for a session that the run has not replayed.
        """
        wanted = self.order(run_id) if session_ids is None else session_ids
        for start in range(0, len(wanted), SESSIONS_PER_READ):
            batch = wanted[start : start + SESSIONS_PER_READ]
            read = partial(_read_sessions, run_id=run_id, session_ids=batch, with_pools=with_pools)
            yield from self.transaction("reading rankings", read)

    def _write_texts(self, connection: Connection, replayed: Sequence[ReplayedSession]) -> set[str]:
        """Each distinct text once, however many nights name it; in one order, so that concurrent runs cannot deadlock.

        Redacted texts take the place of what earlier nights stored in the clear.
        Returns the hashes that need not be sent again.
        """
        pools = [turn.pool for item in replayed for turn in item.turns]
        is_redacted = any(item.entry.original_hash for pool in pools for item in pool.entries)
        named = rows.texts_of(pools)
        if is_redacted:
            write(connection, _redacting(), (rows.text_row(named[key]) for key in sorted(named)))
            return set()
        if len(self._texts_held) > TEXTS_REMEMBERED:
            self._texts_held.clear()
        new = named.keys() - self._texts_held
        statement = upsert(entry_texts).on_conflict_do_nothing()
        write(connection, statement, (rows.text_row(named[key]) for key in sorted(new)))
        return new

    def titles(self, run_id: str) -> dict[tuple[str, str], str]:
        """Titles by (org id, entry id) of all entries in the run's pools; none where it stored no texts."""
        pooled = func.unnest(run_turns.c.pool_entry_ids, run_turns.c.pool_contents).table_valued("entry_id", "content")
        pooled = pooled.render_derived(name="pooled")
        statement = (
            select(run_sessions.c.org_id, pooled.c.entry_id, entry_texts.c.title)
            .select_from(run_turns)
            .join(
                run_sessions,
                (run_sessions.c.run_id == run_turns.c.run_id) & (run_sessions.c.session_id == run_turns.c.session_id),
            )
            .join(pooled, true())
            .join(entry_texts, entry_texts.c.content_hash == pooled.c.content)
            .where(run_turns.c.run_id == run_id, run_turns.c.query.is_not(None))
            .distinct()
        )
        found = self.transaction("reading titles", lambda connection: list(connection.execute(statement)))
        return {(row.org_id, row.entry_id): row.title for row in found}

    def cached_scores(self, fingerprint: str, pairs: Sequence[bytes]) -> dict[bytes, CachedScore]:
        """Scores of these pairs under this reranker, where the cache has them. One statement."""
        if not pairs:
            return {}
        statement = select(score_cache.c.pair, score_cache.c.score, score_cache.c.truncated).where(
            score_cache.c.fingerprint == bytes.fromhex(fingerprint),
            score_cache.c.pair == func.any(hashes(pairs)),
        )
        found = self.transaction("reading the score cache", lambda connection: list(connection.execute(statement)))
        return {row.pair: CachedScore(row.score, row.truncated) for row in found}

    def has_scores(self, fingerprint: str) -> bool:
        """Whether the cache has any score under this reranker."""
        key = bytes.fromhex(fingerprint)
        statement = select(exists().where(score_cache.c.fingerprint == key))
        return bool(self.transaction("reading the score cache", lambda connection: connection.scalar(statement)))

    def keep(
        self, run_id: str, scores: Mapping[str, Mapping[bytes, CachedScore]], asked: Sequence[TurnAsked] = ()
    ) -> None:
        """Keep scores by fingerprint, and what asking for them took a run: both or neither.

        Another command may have kept the same scores meanwhile. What a turn took is added to what it took before.
        """
        values = [
            {"fingerprint": bytes.fromhex(name), "pair": pair, "score": item.score, "truncated": item.truncated}
            for name, kept in sorted(scores.items())
            for pair, item in sorted(kept.items())
        ]

        def work(connection: Connection) -> None:
            write(connection, upsert(score_cache).on_conflict_do_nothing(), values)
            write(connection, _adding_asks(), rows.ask_rows(run_id, asked))

        self.transaction("writing the score cache", work)

    def asks(self, run_id: str) -> Iterator[TurnAsked]:
        """What asking providers took the run, in order of turn id and side, a batch in memory at a time."""
        last: TurnAsked | None = None
        while batch := self.transaction("reading the run", partial(_read_asks, run_id=run_id, after=last)):
            yield from batch
            last = batch[-1]

    def _with_sides(self, connection: Connection, found: Sequence[Row[Any]]) -> list[Run]:
        statement = select(run_sides).where(run_sides.c.run_id.in_([row.run_id for row in found]))
        sides: dict[str, list[Side]] = {}
        for row in connection.execute(statement.order_by(run_sides.c.run_id, run_sides.c.position)):
            side = Side(row.label, row.name, row.spec, row.fingerprint, row.min_score)
            sides.setdefault(row.run_id, []).append(side)
        return [_run(row, tuple(sides[row.run_id])) for row in found]

    def _planned(self, run_id: str, which: ColumnElement[bool]) -> list[str]:
        statement = (
            select(run_sessions.c.session_id)
            .where(run_sessions.c.run_id == run_id, which)
            .order_by(run_sessions.c.position)
        )
        return self.transaction("reading the run", lambda connection: list(connection.scalars(statement)))

    @contextmanager
    def carrying_out(self, run_id: str) -> Iterator[None]:
        """Hold the run for this process; the server lets go when the process ends, however it ends.

        Raises ConfigError where another process holds it. The hold is a lock of
        one open transaction, which a pooler between keeps together; when the
        connection is lost, the next write takes it again, or fails.
        """
        with self.held(
            hold_of(run_id), f"run {run_id} is being carried out by another command; wait for it, or stop it"
        ) as hold:
            self._hold = hold
            try:
                yield
            finally:
                self._hold = None

    def as_they_are(self, runs: Sequence[Run]) -> list[Run]:
        """The runs, those that nobody carries out any more as interrupted: who is killed cannot say so."""
        running = {hold_of(run.run_id) for run in runs if run.status is RunStatus.RUNNING}
        if not running:
            return list(runs)
        held = self.transaction("reading who carries out runs", lambda connection: held_now(connection, running))
        return [
            replace(run, status=RunStatus.INTERRUPTED)
            if run.status is RunStatus.RUNNING and hold_of(run.run_id) not in held
            else run
            for run in runs
        ]

    def held(self, what: str, refusal: str) -> Hold:
        """A hold on anything by its name, let go with its holder; entering raises HeldError where it is taken."""
        return Hold(self._engine, what, refusal)

    def transaction(self, what: str, work: Callable[[Connection], T]) -> T:
        """What `work` makes of one transaction; all of it again where the server went away meanwhile."""

        def once() -> T:
            with database_errors(StoreError, what, self._engine.url):
                if self._hold is not None:
                    self._hold.keep()
                with self._engine.begin() as connection:
                    return work(connection)

        return self._retries.run(once)


def _side_row(run_id: str, position: int, side: Side) -> dict[str, Any]:
    row = {"run_id": run_id, "position": position, "label": side.label, "name": side.name, "spec": side.spec}
    return row | {"fingerprint": side.fingerprint, "min_score": side.min_score}


def _planned_rows(
    run_id: str, session_ids: Sequence[str], planned: Collection[str] = (), last: int = 0
) -> Iterator[dict[str, Any]]:
    new = (name for name in session_ids if name not in planned)
    for place, name in enumerate(new, start=last + 1):
        yield {"run_id": run_id, "position": place, "session_id": name}


def _mark_replayed(run_id: str, replayed: Sequence[ReplayedSession]) -> ReturningUpdate[Any]:
    """Touches a session only once, and returns the ids of those that it touched."""
    columns = run_sessions.c
    given = given_rows(run_sessions, REPLAYED, [_replayed_row(item) for item in replayed]).c
    return (
        update(run_sessions)
        .where(columns.run_id == run_id, columns.session_id == given.session_id, columns.turns.is_(None))
        .values({name: given[name] for name in REPLAYED if name != "session_id"})
        .returning(columns.session_id)
    )


def _replayed_row(replayed: ReplayedSession) -> dict[str, Any]:
    session = replayed.session
    facts = (session.session_id, session.org_id, session.started_at, dict(session.tags), len(replayed.turns))
    return dict(zip(REPLAYED, facts, strict=True))


def _redacting() -> Upsert:
    """Writes over a stored text with one that is not what its hash says, and with no other."""
    statement = upsert(entry_texts)
    given, stored = statement.excluded, entry_texts.c
    nul = literal(b"\0", LargeBinary)
    text_given = func.convert_to(given.title, "UTF8").concat(nul).concat(func.convert_to(given.body, "UTF8"))
    return statement.on_conflict_do_update(
        index_elements=[stored.content_hash],
        set_={"title": given.title, "body": given.body},
        where=(func.sha256(text_given) != given.content_hash)
        & ((stored.title != given.title) | (stored.body != given.body)),
    )


def _adding_asks() -> Upsert:
    """Adds to what a turn took before; a latency takes the place of an earlier one."""
    statement = upsert(asks)
    given, stored = statement.excluded, asks.c
    added = {column.name: column + given[column.name] for column in stored if not column.primary_key}
    return statement.on_conflict_do_update(
        index_elements=[stored.run_id, stored.turn_id, stored.side],
        set_=added | {"seconds": func.coalesce(given.seconds, stored.seconds)},
    )


def write(connection: Connection, statement: Insert, values: Iterable[dict[str, Any]]) -> None:
    """Insert the rows, which all have the same columns: a statement for many, one round trip each."""
    for batch in batches(values):
        names = list(batch[0])
        given = given_rows(statement.table, names, batch)
        connection.execute(statement.from_select(names, select(*given.c)))


def _read_sessions(
    connection: Connection, run_id: str, session_ids: Sequence[str], *, with_pools: bool
) -> list[ReplayedSession]:
    wanted = texts(session_ids)
    heads = select(run_sessions).where(
        run_sessions.c.run_id == run_id,
        run_sessions.c.session_id == func.any(wanted),
        run_sessions.c.turns.is_not(None),
    )
    columns = run_turns.c if with_pools else [_empty(item) if item.name in POOL else item for item in run_turns.c]
    turns = select(*columns).where(run_turns.c.run_id == run_id, run_turns.c.session_id == func.any(wanted))
    turn_rows = list(connection.execute(turns.order_by(run_turns.c.session_id, run_turns.c.position)))
    turn_ids = texts([row.turn_id for row in turn_rows])
    ranked = select(rankings).where(rankings.c.run_id == run_id, rankings.c.turn_id == func.any(turn_ids))
    failed = select(failures).where(failures.c.run_id == run_id, failures.c.turn_id == func.any(turn_ids))
    by_session = rows.sessions_from_rows(
        heads=list(connection.execute(heads)),
        turns=turn_rows,
        texts=_read_texts(connection, turn_rows),
        rankings=list(connection.execute(ranked.order_by(rankings.c.side))),
        failures=list(connection.execute(failed.order_by(failures.c.side))),
    )
    unknown = [session_id for session_id in session_ids if session_id not in by_session]
    if unknown:
        raise ConfigError(f"run {run_id!r} has not replayed session {unknown[0]!r}; see: shadowdiff show {run_id}")
    return [by_session[session_id] for session_id in session_ids]


def _read_asks(connection: Connection, run_id: str, after: TurnAsked | None) -> list[TurnAsked]:
    key = tuple_(asks.c.turn_id, asks.c.side)
    statement = select(asks).where(asks.c.run_id == run_id).order_by(asks.c.turn_id, asks.c.side).limit(ASKS_PER_READ)
    if after is not None:
        statement = statement.where(key > tuple_(literal(after.turn_id), literal(after.side)))
    return [TurnAsked(row.turn_id, row.side, rows.asked_from_row(row)) for row in connection.execute(statement)]


def _empty(column: Column[Any]) -> ColumnElement[Any]:
    """An array column's place, with nothing in it."""
    return cast(literal_column("'{}'"), column.type).label(column.name)


def _read_texts(connection: Connection, turn_rows: Sequence[Row[Any]]) -> dict[bytes, tuple[str, str]]:
    wanted = sorted({content for row in turn_rows for content in row.pool_contents})
    if not wanted:
        return {}
    statement = select(entry_texts).where(entry_texts.c.content_hash == func.any(hashes(wanted)))
    return {row.content_hash: (row.title, row.body) for row in connection.execute(statement)}


def _run(row: Row[Any], sides: tuple[Side, ...]) -> Run:
    return Run(
        run_id=row.run_id,
        started_at=row.started_at,
        version=row.version,
        config=decode_config(row.config),
        sides=sides,
        status=RunStatus(row.status),
        finished_at=row.finished_at,
        summary=None if row.summary is None else decode_summary(row.summary),
    )


def _not_one(name: str, found: Sequence[Row[Any]]) -> str:
    if not found:
        if name == LATEST:
            return "no run is stored yet; make one with: shadowdiff replay"
        return f"no run {name!r}; list them with: shadowdiff runs"
    return f"{name!r} begins several runs, {found[0].run_id} and {found[1].run_id} among them; give more of it"
