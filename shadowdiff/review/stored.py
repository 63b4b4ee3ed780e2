"""A stored run as the review reads it: all of it once without pools, then session by session as it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from shadowdiff.diff import diff_session
from shadowdiff.records import Comment, Label, SessionOutcome
from shadowdiff.review.model import EntryKey, IndexedSession, by_contrast, indexed
from shadowdiff.runs import Run
from shadowdiff.store.labels import Labels
from shadowdiff.store.runs import RunStore

SESSIONS_PER_WORD = 64
"""How often the reader is told how far the index is."""

Fill = Callable[[Iterator[SessionOutcome]], Iterator[SessionOutcome]]
"""Puts texts where the run stored none."""


@dataclass(slots=True)
class Opened:
    """A session that is looked at, with what people said of its turns."""

    outcome: SessionOutcome
    labels: list[Label]
    """Of all its turns, whoever gave them; the newest of an entry first."""
    comments: list[Comment]
    """Oldest first."""


class StoredRun:
    """Reads one run. Every method raises StoreError when the database fails."""

    def __init__(self, run: Run, store: RunStore, filled: Fill) -> None:
        self.run = run
        self.labels = Labels(store)
        self._store = store
        self._filled = filled

    def index(self, progress: Callable[[int, int], None]) -> list[IndexedSession]:
        """Every session of the run, most different first; `progress` is told sessions read, and sessions in all."""
        done, _ = self._store.progress(self.run.run_id)
        found = []
        for replayed in self._store.sessions(self.run.run_id, with_pools=False):
            found.append(indexed(diff_session(replayed, self.run.sides, self.run.config)))
            if len(found) % SESSIONS_PER_WORD == 0:
                progress(len(found), done)
        return by_contrast(found)

    def titles(self) -> Mapping[EntryKey, str]:
        """Titles of the entries in the run's pools, by org and entry id."""
        return self._store.titles(self.run.run_id)

    def read(self, session_id: str) -> Opened:
        """One session whole."""
        outcome = self.outcome(session_id)
        turn_ids = [turn.replayed.turn.turn_id for turn in outcome.turns]
        org_id = outcome.session.org_id
        return Opened(outcome, self.labels.of_turns(org_id, turn_ids), self.labels.comments_of_turns(org_id, turn_ids))

    def outcome(self, session_id: str) -> SessionOutcome:
        """One session, with its texts."""
        stored = self._store.sessions(self.run.run_id, [session_id])
        (outcome,) = self._filled(diff_session(item, self.run.sides, self.run.config) for item in stored)
        return outcome
