"""One examination: what is examined, opened when a check first asks for it, and how checks are run one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from shadowdiff.checks.sample import Named, Sample, held_entries, read_sample
from shadowdiff.config import ConnectionLimits, Settings
from shadowdiff.database import database_errors, source_engine, store_engine
from shadowdiff.errors import DatabaseError, ShadowdiffError, SourceError, first_line
from shadowdiff.findings import Examined, Finding, Status, fail, warn
from shadowdiff.replay.sides import Contender
from shadowdiff.sources.mapping import SourceMapping
from shadowdiff.sources.parts import Part, Parts
from shadowdiff.sources.postgres import PostgresSource

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

T = TypeVar("T")
CANCELLED_STATES = frozenset({"57014", "55P03"})
"""SQLSTATEs of a statement that ran into its timeout, and of one that waited too long for a lock."""


@dataclass(frozen=True)
class Examinee:
    """What the configuration and the command line name. What may fail is a call, so that only its own check fails."""

    settings: Settings
    mapping: Callable[[], SourceMapping]
    source_url: Callable[[], str]
    store_url: Callable[[], str]
    sides: Sequence[tuple[str, str]] = ()
    """The part that each plays (`A`, `B`, `production`; empty for one that is only named), and its spec or name."""
    sessions: int = 200
    """How many of the newest sessions are looked at."""
    pool: int = 50
    """Entries in a pool, at most, as `replay --pool` has it."""
    online: bool = False
    """Whether managed rerankers may be asked, which may cost money."""


class Checkup:
    """What the checks of one examination share. Raises what opening it raises, to whichever check asks first."""

    def __init__(self, examinee: Examinee) -> None:
        self.examinee = examinee
        self.settings = examinee.settings
        self.contenders: list[Contender] = []
        """The sides that could be built and loaded."""

    @cached_property
    def limits(self) -> ConnectionLimits:
        """The configured limits; a doctor is never without a statement timeout."""
        given = self.settings.limits
        return replace(given, statement_timeout=given.statement_timeout or ConnectionLimits().statement_timeout)

    @cached_property
    def mapping(self) -> SourceMapping:
        """What is read from where."""
        return self.examinee.mapping()

    @cached_property
    def engine(self) -> Engine:
        """The source, read-only."""
        return source_engine(self.examinee.source_url(), self.limits)

    @cached_property
    def source(self) -> PostgresSource:
        """The source as a replay reads it, but impatient: what is away is told at once."""
        return PostgresSource(self.engine, self.mapping)

    @cached_property
    def parts(self) -> Parts:
        """The mapping's parts on this database."""
        return Parts(self.mapping)

    @cached_property
    def store(self) -> Engine:
        """The store."""
        return store_engine(self.examinee.store_url(), self.limits)

    @cached_property
    def sample(self) -> Sample:
        """The newest sessions."""
        return read_sample(self.source, self.parts, self.examinee.sessions)

    @cached_property
    def held(self) -> dict[Named, datetime | None]:
        """What is there of the entries that the sample names, and when it was changed."""
        return held_entries(self.source, self.parts, self.sample)

    @property
    def is_embedded(self) -> bool:
        """Whether the source is the embedded server."""
        return self.settings.database_url is None

    def ask(self, what: str, work: Callable[[Connection], T]) -> T:
        """As `read`, without the mapping: for what is asked of the server itself. Raises SourceError."""
        with database_errors(SourceError, what, self.engine.url), self.engine.connect() as connection:
            return work(connection)

    def read(self, what: str, work: Callable[[Connection], T]) -> T:
        """What `work` makes of one READ ONLY transaction on the source. Raises SourceError, ConfigError."""
        return self.source.read(what, work)

    def part(self, connection: Connection, name: str) -> Part | None:
        """A part of the mapping; None where it is not mapped."""
        return self.parts.get(connection, name) if self.parts.has(name) else None

    def close(self) -> None:
        """Let go of what was opened."""
        for name in ("engine", "store"):
            if name in self.__dict__:
                self.__dict__[name].dispose()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    area: str
    name: str
    look: Callable[[Checkup], Iterable[Finding]]
    needs: tuple[str, ...] = ()
    """Names of checks without which this one means nothing."""


def examine(checkup: Checkup, checks: Sequence[Check]) -> Iterator[Examined]:
    """Every finding as it is made. A check that raises fails by itself; those that need it are said to be skipped."""
    roots: dict[str, str] = {}
    for area, members in groupby(checks, key=lambda check: check.area):
        skipped: dict[str, list[str]] = defaultdict(list)
        for check in members:
            root = next((roots[need] for need in check.needs if need in roots), None)
            if root is not None:
                roots[check.name] = root
                skipped[root].append(check.name)
                continue
            found, is_whole = _carried_out(check, checkup)
            if not is_whole:
                roots[check.name] = check.name
            yield from (Examined(area, finding) for finding in found)
        yield from (Examined(area, _skipped(root, names)) for root, names in skipped.items())


def _skipped(root: str, names: Sequence[str]) -> Finding:
    return warn("not checked", f"{', '.join(names)}: {root} did not pass", f"mend {root} first")


def _carried_out(check: Check, checkup: Checkup) -> tuple[list[Finding], bool]:
    """What a check found, and whether others may build on it."""
    found: list[Finding] = []
    try:
        found.extend(check.look(checkup))
    except DatabaseError as error:
        return [*found, _cancelled(check.name) if was_cancelled(error) else fail(check.name, str(error))], False
    except ShadowdiffError as error:
        return [*found, fail(check.name, str(error))], False
    except Exception as error:  # one check that breaks must not hide what the others see
        told = f"the check itself broke: {type(error).__name__}: {first_line(error)}"
        return [*found, fail(check.name, told, "please report it; the other checks stand")], False
    return found, all(finding.status is not Status.FAIL for finding in found)


def was_cancelled(error: DatabaseError) -> bool:
    """Whether the server ended the statement because it took, or waited, too long."""
    from sqlalchemy.exc import DBAPIError

    cause = error.__cause__
    return isinstance(cause, DBAPIError) and getattr(cause.orig, "sqlstate", None) in CANCELLED_STATES


def _cancelled(name: str) -> Finding:
    return warn(
        name,
        "not known: the statement ran into the statement or lock timeout",
        "look at fewer sessions (--sessions), add the indexes suggested here, or raise [database] statement_timeout",
    )
