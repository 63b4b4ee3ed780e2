"""A stored run as a bundle: what another machine loads, to replay the same pools to the same rankings.

Texts are those that were replayed. The knowledge base around the pools, the
embeddings and what was served come from the source, where it still has them;
whatever differs from the run is said in `Exported.notes`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shadowdiff.export.redaction import Redaction
from shadowdiff.export.vectors import stored_embeddings
from shadowdiff.protocols import Source
from shadowdiff.records import Entry, Label, RecordedEntry, ReplayedSession, ReplayedTurn, Session, Turn, Window
from shadowdiff.sources.bundle import Bundle
from shadowdiff.trec import fits

Key = tuple[str, str]
"""(org id, entry id)."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle, and in which ways it is not the run."""

    bundle: Bundle
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Entries:
    """The bundle's entries, and how they differ from what was replayed."""

    by_key: dict[Key, Entry] = field(default_factory=dict)
    bare: bool = False
    """The source has no entry of these orgs."""
    differing: set[Key] = field(default_factory=set)
    """Replayed with more than one text."""
    drifted: set[Key] = field(default_factory=set)
    """With another text in the source than in the run."""


def exported_bundle(
    replayed: Sequence[ReplayedSession],
    labels: Sequence[Label],
    source: Source | None,
    *,
    whole: bool,
    redaction: Redaction | None = None,
) -> Exported:
    """The run's sessions with their frozen pools as a bundle.

    `whole`: with all entries of the orgs, which BM25's statistics need; else
    with those that a pool, a served list or a label names. Without `source`,
    with the pools' entries only. All of it is held in memory. Raises SourceError.
    """
    replayed = [item for item in replayed if item.turns]
    served = _served(replayed, source)
    entries = _pool_entries(replayed)
    if source is not None:
        _complete(entries, replayed, served, labels, source, whole=whole)
    sessions = [_session(item, served, entries.by_key) for item in replayed]
    ordered = [entries.by_key[key] for key in sorted(entries.by_key)]
    embeddings, notes = (None, []) if source is None else stored_embeddings(source, ordered, sessions)
    held = [label for label in labels if _can_stand(label, entries.by_key)]
    bundle = Bundle(tuple(ordered), tuple(sessions), tuple(held), embeddings)
    gone = sum(map(len, served.values())) - sum(len(turn.served or ()) for item in sessions for turn in item.turns)
    notes = [*_notes(entries, gone, len(labels) - len(held)), *notes]
    if redaction is not None:
        bundle = redaction.bundle(bundle)
        notes += redaction.notes()
    return Exported(bundle, tuple(notes))


def _served(replayed: Sequence[ReplayedSession], source: Source | None) -> dict[str, tuple[str, ...]]:
    """What was served by turn id, each entry once: as the run has it, else as the source does."""
    turns = {turn.turn.turn_id: turn.turn for item in replayed for turn in item.turns}
    recorded = {turn_id: turn.served for turn_id, turn in turns.items() if turn.served is not None}
    if source is not None and len(recorded) < len(turns):
        wanted = Window(session_ids=tuple(item.session.session_id for item in replayed))
        for turn in (turn for session in source.sessions(wanted) for turn in session.turns):
            if turn.turn_id in turns and turn.served is not None:
                recorded.setdefault(turn.turn_id, turn.served)
    return {turn_id: tuple(dict.fromkeys(entry_ids)) for turn_id, entry_ids in recorded.items()}


def _pool_entries(replayed: Sequence[ReplayedSession]) -> _Entries:
    """The entries of the pools, with the texts that were replayed; the last one where there were several."""
    found = _Entries()
    for turn in (turn for item in replayed for turn in item.turns):
        for entry in (item.entry for item in turn.pool.entries):
            key = (entry.org_id, entry.entry_id)
            before = found.by_key.get(key, entry)
            if before.content_hash != entry.content_hash:
                found.differing.add(key)
            found.by_key[key] = entry
    return found


def _complete(
    entries: _Entries,
    replayed: Sequence[ReplayedSession],
    served: Mapping[str, tuple[str, ...]],
    labels: Sequence[Label],
    source: Source,
    *,
    whole: bool,
) -> None:
    """Add what the source holds of the orgs beyond the pools, and when the pools' own entries were changed last."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for org_id, entry_id in entries.by_key:
        wanted[org_id].add(entry_id)
    for item in replayed:
        for turn in item.turns:
            wanted[item.session.org_id].update(served.get(turn.turn.turn_id, ()))
    for label in labels:
        wanted[label.org_id].add(label.entry_id)
    if whole:
        stored = [entry for org_id in sorted(wanted) for entry in source.org_entries(org_id)]
    else:
        stored = list(source.entries({org_id: ids for org_id, ids in wanted.items() if ids}).values())
    entries.bare = not stored
    for entry in stored:
        key = (entry.org_id, entry.entry_id)
        ours = entries.by_key.get(key, entry)
        if ours.content_hash != entry.content_hash:
            entries.drifted.add(key)
        entries.by_key[key] = replace(ours, updated_at=entry.updated_at)


def _session(item: ReplayedSession, served: Mapping[str, tuple[str, ...]], known: Mapping[Key, Entry]) -> Session:
    org_id = item.session.org_id
    turns = []
    for position, turn in enumerate(item.turns, start=1):
        listed = served.get(turn.turn.turn_id)
        held = None if listed is None else tuple(entry_id for entry_id in listed if (org_id, entry_id) in known)
        turns.append(_turn(turn, position, held))
    return replace(item.session, turns=tuple(turns))


def _turn(replayed: ReplayedTurn, position: int, served: tuple[str, ...] | None) -> Turn:
    scores: dict[str, float | None] = {}
    for item in replayed.pool.entries:
        scores.setdefault(item.entry.entry_id, item.score)
    pool = tuple(
        RecordedEntry(entry_id, None if score is None or not math.isfinite(score) else score)
        for entry_id, score in scores.items()
    )
    had_none = not pool and not replayed.rankings
    return replace(replayed.turn, position=position, recorded_pool=None if had_none else pool, served=served)


def _can_stand(label: Label, known: Mapping[Key, Entry]) -> bool:
    return (label.org_id, label.entry_id) in known and fits(label.turn_id) and fits(label.entry_id)


def _notes(entries: _Entries, gone: int, lost_labels: int) -> list[str]:
    notes = []
    if entries.bare:
        notes.append("the source has no knowledge base: BM25's statistics are those of the pools' entries")
    if entries.differing:
        notes.append(
            "entries that were replayed with several texts, of which a bundle holds the last: "
            f"{len(entries.differing)}; their turns may rank differently"
        )
    if entries.drifted:
        notes.append(
            f"entries that have changed since the run: {len(entries.drifted)}; their texts are those of the run, "
            "embeddings and BM25's statistics those of today"
        )
    if gone:
        notes.append(f"left out of served lists, because their entries are not there: {gone}")
    if lost_labels:
        notes.append(f"labels left out, because their entry is not there or an id holds white space: {lost_labels}")
    return notes
