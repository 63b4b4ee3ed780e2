"""A run under review without a database: what the app is given in the tests of its keys and of how it looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from shadowdiff.errors import StoreError
from shadowdiff.records import Comment, Label, SessionOutcome
from shadowdiff.review.app import Given, ReviewApp
from shadowdiff.review.model import EntryKey, IndexedSession, by_contrast, indexed
from shadowdiff.review.stored import Opened, StoredRun
from shadowdiff.runs import Run
from shadowdiff.store.labels import Labels
from tests.render_cases import hard_run

if TYPE_CHECKING:
    from textual.app import App
    from textual.pilot import Pilot

NOW = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
SECONDS = 120.0
"""How long a screen may take to come to what is waited for."""

Drive = Callable[["Pilot[None]", ReviewApp], Awaitable[None]]


@dataclass
class KeptLabels(Labels):
    """Labels and comments in lists; `away` says that the database is."""

    labels: list[Label] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    away: bool = False

    def put(self, label: Label) -> None:
        """In place of an equal one."""
        self.remove(label)
        self.labels.append(label)

    def remove(self, label: Label) -> None:
        """Whatever its grade."""
        self.check()
        key = replace(label, grade=0, labelled_at=None)
        self.labels = [item for item in self.labels if replace(item, grade=0, labelled_at=None) != key]

    def comment(self, comment: Comment) -> None:
        """One more."""
        self.check()
        self.comments.append(comment)

    def check(self) -> None:
        """Fail as a database that is away does."""
        if self.away:
            raise StoreError("storing the label failed on postgresql://store: nothing listens there [red]x[/red]")


class KeptRun(StoredRun):
    """A run in memory."""

    def __init__(self, run: Run, outcomes: Sequence[SessionOutcome], labels: KeptLabels) -> None:
        self.run, self.labels, self.kept = run, labels, labels
        self.reads: list[str] = []
        self._outcomes = {outcome.session.session_id: outcome for outcome in outcomes}

    def index(self, progress: Callable[[int, int], None]) -> list[IndexedSession]:
        """All of it at once."""
        self.kept.check()
        return by_contrast([indexed(outcome) for outcome in self._outcomes.values()])

    def titles(self) -> Mapping[EntryKey, str]:
        """Of all pools."""
        entries = [
            item.entry
            for outcome in self._outcomes.values()
            for turn in outcome.turns
            for item in turn.replayed.pool.entries
        ]
        return {(entry.org_id, entry.entry_id): entry.title for entry in entries}

    def read(self, session_id: str) -> Opened:
        """With all labels and comments: the app takes what is the turn's."""
        self.kept.check()
        self.reads.append(session_id)
        return Opened(self._outcomes[session_id], list(self.kept.labels), list(self.kept.comments))


@dataclass
class Sitting:
    """An app, and what it was given."""

    app: ReviewApp
    stored: KeptRun
    labels: KeptLabels
    opened: list[str]
    """Links that a browser was sent to."""


def sitting(
    others: int = 1,
    *,
    labels: KeptLabels | None = None,
    display: bool = True,
    case: tuple[Run, list[SessionOutcome]] | None = None,
) -> Sitting:
    """A review of `case`, or of the run that holds every case; the clock goes on by a minute each time it is asked."""
    run, outcomes = case or hard_run(others=others)
    kept = labels or KeptLabels()
    stored, minutes = KeptRun(run, outcomes, kept), iter(range(1_000))
    opened: list[str] = []
    given = Given(
        stored,
        "ann [b]",
        lambda: Path("/nights/2026-11-20/report.html"),
        opened.append if display else None,
        lambda: NOW + timedelta(minutes=next(minutes)),
    )
    return Sitting(ReviewApp(given), stored, kept, opened)


def driven(app: ReviewApp, drive: Drive, size: tuple[int, int] = (80, 24)) -> None:
    """Run the app in memory, and drive it once it shows a turn."""

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: "reading the run" not in screen(app) or "not read" in screen(app))
            await drive(pilot, app)

    asyncio.run(run())


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Until that holds."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, screen(pilot.app)
        await pilot.pause(0.01)
    await pilot.pause()


async def settled(pilot: Pilot[None], app: ReviewApp) -> str:
    """The screen once nothing is being read or stored, and nothing changes any more."""
    seen = ["", screen(app)]

    def is_settled() -> bool:
        seen.append(screen(app))
        is_busy = app._writer.unsaved() or app._saying.unsaved or "reading " in seen[-1]
        return not is_busy and seen[-1] == seen[-2] == seen[-3]

    await until(pilot, is_settled)
    return seen[-1]


def screen(app: App[None]) -> str:
    """What stands on it, line by line."""
    strips = app.screen._compositor.render_strips()
    return "".join(f"{strip.text.rstrip()}\n" for strip in strips)
