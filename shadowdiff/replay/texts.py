"""Texts of a run that stored none, fetched from the source when it is shown, and only if they are what was ranked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from shadowdiff.errors import ShadowdiffError
from shadowdiff.protocols import Source
from shadowdiff.records import (
    Entry,
    MissingText,
    Pool,
    RecordedEntry,
    ReplayedTurn,
    Session,
    SessionOutcome,
    Turn,
    TurnOutcome,
    Window,
)

SESSIONS_PER_FETCH = 16


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the source holds now of some sessions and of the entries in their pools."""

    sessions: Mapping[str, Session] = field(default_factory=dict)
    entries: Mapping[tuple[str, str], Entry] = field(default_factory=dict)
    """By (org id, entry id)."""


class SourceTexts:
    """Fills in texts, a few sessions in memory at a time, and counts what it could not."""

    def __init__(self, source: Callable[[], Source]) -> None:
        """`source` is called when the first text is needed."""
        self._source = source
        self._unreachable: ShadowdiffError | None = None
        self._queries: Counter[MissingText] = Counter()
        self._entries: set[tuple[str, str]] = set()

    def filled(self, outcomes: Iterable[SessionOutcome]) -> Iterator[SessionOutcome]:
        """The outcomes, in order, with every text that is still what it was. Never fails for want of the source."""
        iterator = iter(outcomes)
        while batch := list(islice(iterator, SESSIONS_PER_FETCH)):
            fetched = self._fetched(batch)
            for outcome in batch:
                yield self._filled(outcome, fetched)

    def warnings(self) -> Iterator[str]:
        """What a reader must know of the texts that are missing, once everything has been filled."""
        if self._unreachable is not None:
            yield f"this run stored no texts, and the source cannot be read, so ids are shown: {self._unreachable}"
        changed, gone = self._queries[MissingText.CHANGED], self._queries[MissingText.GONE]
        if changed or gone or self._entries:
            yield (
                f"this run stored no texts, and the source no longer has all of them as they were ranked: "
                f"{changed} queries changed, {gone} gone, {len(self._entries)} entries changed or gone; ids are shown"
            )

    def _fetched(self, batch: Sequence[SessionOutcome]) -> Fetched | None:
        """None once the source could not be read: it is not asked again."""
        if self._unreachable is not None:
            return None
        wanted: defaultdict[str, set[str]] = defaultdict(set)
        for outcome in batch:
            for turn in outcome.turns:
                wanted[outcome.session.org_id].update(turn.replayed.pool.entry_ids)
        try:
            source = self._source()
            window = Window(session_ids=tuple(outcome.session.session_id for outcome in batch))
            sessions = {session.session_id: session for session in source.sessions(window)}
            named = {org_id: entry_ids for org_id, entry_ids in wanted.items() if entry_ids}
            return Fetched(sessions, source.entries(named) if named else {})
        except ShadowdiffError as error:
            self._unreachable = error
            return None

    def _filled(self, outcome: SessionOutcome, fetched: Fetched | None) -> SessionOutcome:
        if fetched is None:
            return outcome
        now = fetched.sessions.get(outcome.session.session_id)
        turns_now = {turn.turn_id: turn for turn in now.turns} if now else {}
        turns = tuple(self._filled_turn(turn, turns_now, fetched) for turn in outcome.turns)
        return replace(outcome, session=replace(outcome.session, tags=now.tags if now else {}), turns=turns)

    def _filled_turn(self, outcome: TurnOutcome, turns_now: Mapping[str, Turn], fetched: Fetched) -> TurnOutcome:
        replayed: ReplayedTurn = outcome.replayed
        now = turns_now.get(replayed.turn.turn_id)
        turn = _turn_as_it_was(replayed.turn, now)
        if turn.missing_text is not None:
            self._queries[turn.missing_text] += 1
        recorded = {item.entry_id: item for item in (now.recorded_pool or ())} if now else {}
        pool = self._filled_pool(replayed.pool, recorded, fetched)
        return replace(outcome, replayed=replace(replayed, turn=turn, pool=pool))

    def _filled_pool(self, pool: Pool, recorded: Mapping[str, RecordedEntry], fetched: Fetched) -> Pool:
        items = []
        for item in pool.entries:
            key = (item.entry.org_id, item.entry.entry_id)
            entry = _entry_as_it_was(item.entry, recorded.get(key[1]), fetched.entries.get(key))
            if entry.missing_text is not None:
                self._entries.add(key)
            items.append(replace(item, entry=entry))
        return replace(pool, entries=tuple(items))


def _turn_as_it_was(turn: Turn, now: Turn | None) -> Turn:
    if now is None:
        return replace(turn, missing_text=MissingText.GONE)
    if now.query_hash != turn.query_hash:
        return replace(turn, missing_text=MissingText.CHANGED)
    return replace(turn, query=now.query, search_query=now.search_query, answer=now.answer, missing_text=None)


def _entry_as_it_was(entry: Entry, recorded: RecordedEntry | None, now: Entry | None) -> Entry:
    """The entry with the text that was ranked: production's recording, the knowledge base's, or none at all."""
    texts = [("", "")]
    if now is not None:
        texts.append((now.title, now.body))
    if recorded is not None and recorded.body is not None:
        texts.append((recorded.title or "", recorded.body))
    for title, body in reversed(texts):
        if Entry(entry.org_id, entry.entry_id, title, body).content_hash == entry.content_hash:
            return replace(entry, title=title, body=body, missing_text=None)
    return replace(entry, missing_text=MissingText.GONE if len(texts) == 1 else MissingText.CHANGED)
