"""Which sessions of a run are looked at, in which order, and where the reader stands among them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shadowdiff.diff import contrast
from shadowdiff.records import NOISE_SIDE, Outcome, SessionOutcome, TurnOutcome

DIFFERENCES = frozenset({Outcome.DIFFERENT, Outcome.FAILED})
"""What is worth stopping at, where no filter says otherwise."""

EntryKey = tuple[str, str]
"""Org id and entry id."""


@dataclass(frozen=True, slots=True)
class IndexedTurn:
    """What is kept in memory of every turn of the run."""

    turn_id: str
    words: str
    """Query and search query, case folded; empty where the run stored no texts."""
    outcomes: Mapping[str, Outcome]
    """By label of the side compared with A."""
    surfaced: tuple[str, ...]
    """Ids of the entries that any side surfaced."""


@dataclass(frozen=True, slots=True)
class IndexedSession:
    """What is kept in memory of every session of the run."""

    session_id: str
    org_id: str
    started_at: datetime
    turns: tuple[IndexedTurn, ...]
    only: Mapping[str, tuple[int, int]]
    """Distinct entries only in A, and only in the side, by its label."""
    contrast: tuple[float, ...]


def indexed(outcome: SessionOutcome) -> IndexedSession:
    """What the walk needs of a session; pools need not have been read."""
    session = outcome.session
    return IndexedSession(
        session.session_id,
        session.org_id,
        session.started_at,
        tuple(_indexed_turn(turn) for turn in outcome.turns),
        {label: (len(diff.only_in_a), len(diff.only_in_b)) for label, diff in outcome.diffs.items()},
        contrast(outcome),
    )


def by_contrast(sessions: Iterable[IndexedSession]) -> list[IndexedSession]:
    """Most different first; those that differ equally stay in the order in which they come."""
    return sorted(sessions, key=lambda session: session.contrast)


def _indexed_turn(turn: TurnOutcome) -> IndexedTurn:
    asked, labels = turn.replayed.turn, [label for label in turn.diffs if label != NOISE_SIDE]
    diffs = [diff for label in labels if (diff := turn.diffs[label]) is not None]
    surfaced = dict.fromkeys(entry_id for diff in diffs for entry_id in (*diff.surfaced_a, *diff.surfaced_b))
    return IndexedTurn(
        asked.turn_id,
        f"{asked.query}\n{asked.search_query or ''}".casefold().strip(),
        {label: turn.outcome(label) for label in labels},
        tuple(surfaced),
    )


@dataclass(frozen=True, slots=True)
class View:
    """What the reader asked to see."""

    side: str
    """Label of the side that is held against A."""
    outcome: Outcome | None = None
    org: str | None = None
    sought: str = ""
    """Stands in the query, the session's id, or the id or title of an entry that a side surfaced; in any case."""

    @property
    def picks_turns(self) -> bool:
        """Whether it asks for some turns rather than for all of a session."""
        return bool(self.outcome or self.sought)


class Walk:
    """The reader's way through a run: what is shown of it, and the turn at which they stand."""

    def __init__(self, sessions: Sequence[IndexedSession], side: str) -> None:
        """`sessions` in the order in which they are shown."""
        self._sessions = sessions
        self._folded = {
            (session.org_id, entry_id): entry_id.casefold()
            for session in sessions
            for turn in session.turns
            for entry_id in turn.surfaced
        }
        self._found: Collection[EntryKey] = ()
        self.view = View(side)
        self.shown: Sequence[IndexedSession] = sessions
        self.at = 0
        """Place of the session among those shown."""
        self.turn = 0
        """Place of the turn in the session."""
        self._stand_at_first()

    @property
    def total(self) -> int:
        """Sessions, shown or not."""
        return len(self._sessions)

    @property
    def orgs(self) -> list[str]:
        """Every org of the run, in order."""
        return sorted({session.org_id for session in self._sessions})

    @property
    def session(self) -> IndexedSession | None:
        """None where nothing is shown."""
        return self.shown[self.at] if self.shown else None

    def learn_titles(self, titles: Mapping[EntryKey, str]) -> None:
        """Titles to search in, by org and entry id; those of entries that nobody surfaced are passed over."""
        for key in self._folded.keys() & titles.keys():
            self._folded[key] = f"{key[1]}\n{titles[key]}".casefold()

    def look(self, view: View) -> None:
        """Show what this view asks for, and stay at the turn where that is still shown."""
        before = self.session
        self.view = view
        sought = view.sought.casefold()
        self._found = {key for key, folded in self._folded.items() if sought in folded} if sought else ()
        self.shown = [session for session in self._sessions if self._is_shown(session)]
        kept = next((at for at, session in enumerate(self.shown) if session is before), None)
        if kept is None:
            self.at = self.turn = 0
            self._stand_at_first()
        else:
            self.at = kept
            if view.picks_turns and not self._is_stop(self.shown[kept], self.turn):
                self.turn = self._first_stop(self.shown[kept])

    def go(self, at: int) -> bool:
        """To a session, by its place, and there to its first stop. Whether that moved anything."""
        if not self.shown:
            return False
        at = max(0, min(at, len(self.shown) - 1))
        moved, self.at = at != self.at, at
        if moved:
            self.turn = self._first_stop(self.shown[at])
        return moved

    def step_turn(self, by: int) -> bool:
        """To another turn of the session. Whether there is one."""
        session = self.session
        if session is None or not 0 <= self.turn + by < len(session.turns):
            return False
        self.turn += by
        return True

    def step(self, forward: bool) -> bool:
        """To the next stop, or the one before, across sessions. Whether there is one."""
        for at, turn in self._ahead() if forward else self._behind():
            if self._is_stop(self.shown[at], turn):
                self.at, self.turn = at, turn
                return True
        return False

    def found_entries(self) -> list[str]:
        """Ids of the entries on the turn at hand that the search found."""
        session = self.session
        if session is None or not session.turns or not self._found:
            return []
        surfaced = session.turns[self.turn].surfaced
        return [entry_id for entry_id in surfaced if (session.org_id, entry_id) in self._found]

    def near(self, ahead: int, behind: int) -> list[str]:
        """Ids of the session at hand and of those that the reader may come to next, the likeliest first."""
        places = [*range(self.at, self.at + ahead + 1), *range(self.at - 1, self.at - behind - 1, -1)]
        return [self.shown[at].session_id for at in places if 0 <= at < len(self.shown)]

    def _ahead(self) -> Iterator[tuple[int, int]]:
        for at in range(self.at, len(self.shown)):
            first = self.turn + 1 if at == self.at else 0
            yield from ((at, turn) for turn in range(first, len(self.shown[at].turns)))

    def _behind(self) -> Iterator[tuple[int, int]]:
        for at in range(self.at, -1, -1):
            end = self.turn if at == self.at else len(self.shown[at].turns)
            yield from ((at, turn) for turn in range(end - 1, -1, -1))

    def _stand_at_first(self) -> None:
        if self.shown:
            self.turn = self._first_stop(self.shown[0])

    def _first_stop(self, session: IndexedSession) -> int:
        return next((turn for turn in range(len(session.turns)) if self._is_stop(session, turn)), 0)

    def _is_shown(self, session: IndexedSession) -> bool:
        if self.view.org is not None and session.org_id != self.view.org:
            return False
        return not self.view.picks_turns or any(self._is_stop(session, turn) for turn in range(len(session.turns)))

    def _is_stop(self, session: IndexedSession, place: int) -> bool:
        """Whether the turn is one that the view asks for; a difference, where it asks for none in particular."""
        turn, view = session.turns[place], self.view
        if view.outcome is not None and turn.outcomes[view.side] is not view.outcome:
            return False
        if view.sought:
            return self._has(session, turn, view.sought.casefold())
        return view.outcome is not None or turn.outcomes[view.side] in DIFFERENCES

    def _has(self, session: IndexedSession, turn: IndexedTurn, sought: str) -> bool:
        if sought in turn.words or sought in session.session_id.casefold():
            return True
        return any((session.org_id, entry_id) in self._found for entry_id in turn.surfaced)
