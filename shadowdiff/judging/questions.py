"""Turns of a run as a judge is to see them: two lists of entries under neutral names, without anything of the sides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shadowdiff.judging.comparisons import Comparison, Flagged, Question, ShownEntry
from shadowdiff.judging.injection import instruction_in
from shadowdiff.privacy import NO_REDACTION, Redactor
from shadowdiff.ranking import surfaced
from shadowdiff.records import Entry, ReplayedSession, ReplayedTurn, Turn
from shadowdiff.runs import Side
from shadowdiff.sampling import coin, shuffled

HISTORY_TURNS = 6
HISTORY_CHARACTERS = 1_000
"""Of each earlier query and answer."""
QUERY_CHARACTERS = 8_000
ELLIPSIS = " […]"


@dataclass(frozen=True, slots=True)
class Showing:
    """How turns are shown."""

    top_k: int
    max_chars: int
    """Of an entry's body."""
    seed: int = 0
    redactor: Redactor = NO_REDACTION
    """What is taken out of texts that leave this machine."""


def comparable(turn: ReplayedTurn, sides: Sequence[Side]) -> bool:
    """Whether every one of the sides ranked the turn."""
    return all(side.label in turn.rankings for side in sides)


def compare(replayed: ReplayedSession, position: int, a: Side, other: Side, showing: Showing) -> Comparison:
    """The lists of two sides that ranked the turn which is `position` in the session's order (from 0)."""
    turn, session = replayed.turns[position], replayed.session
    lists = _surfaced(turn, a, showing.top_k), _surfaced(turn, other, showing.top_k)
    in_a, in_b = map(frozenset, lists)
    salt = (str(showing.seed), session.org_id, turn.turn.turn_id)
    entries = {item.entry.entry_id: item.entry for item in turn.pool.entries}
    longest = max(map(len, lists))
    found = Comparison(
        org_id=session.org_id,
        session_id=session.session_id,
        turn_id=turn.turn.turn_id,
        query=turn.turn.query,
        other=other.label,
        lists=lists,
        only_in_a=len(in_a - in_b),
        only_in_b=len(in_b - in_a),
        overlap=len(in_a & in_b) / longest if longest else 1.0,
        is_identical=lists[0] == lists[1],
        characters=(_length(lists[0], entries, showing), _length(lists[1], entries, showing)),
        a_first=coin(*salt, other.label),
    )
    if found.is_identical:
        return found
    ids = sorted(in_a | in_b)
    shown = {ids[place]: entries[ids[place]] for place in shuffled(ids, *salt)}
    return replace(
        found,
        question=_question(replayed, position, lists, shown, showing),
        shown=tuple(shown),
        cut=sum(len(entry.body) > showing.max_chars for entry in shown.values()),
        flagged=tuple(_flagged(shown, in_a, in_b)),
    )


def _question(
    replayed: ReplayedSession,
    position: int,
    lists: tuple[Sequence[str], Sequence[str]],
    shown: Mapping[str, Entry],
    showing: Showing,
) -> Question:
    """What a judge reads, and nothing else: `shown` by id, in the order in which entries are numbered."""
    places = {entry_id: place for place, entry_id in enumerate(shown)}
    first, second = (tuple(places[entry_id] for entry_id in ranked) for ranked in lists)
    return Question(
        history=tuple(_history([turn.turn for turn in replayed.turns[:position]], showing.redactor)),
        query=_cut(showing.redactor.turn(replayed.turns[position].turn).query, QUERY_CHARACTERS),
        entries=tuple(_shown(entry, showing) for entry in shown.values()),
        first=first,
        second=second,
    )


def missing_texts(replayed: ReplayedSession, position: int, comparison: Comparison) -> bool:
    """Whether a text that would be shown is not there: the run stored none, and the source has another one now."""
    if comparison.question is None:
        return False
    turn = replayed.turns[position]
    shown = set(comparison.shown)
    entries = (item.entry for item in turn.pool.entries if item.entry.entry_id in shown)
    return turn.turn.missing_text is not None or any(entry.missing_text is not None for entry in entries)


def _surfaced(turn: ReplayedTurn, side: Side, top_k: int) -> tuple[str, ...]:
    return surfaced(turn.rankings[side.label], top_k, side.min_score)


def _history(turns: Sequence[Turn], redact: Redactor) -> Iterator[tuple[str, str]]:
    """The turns before, without the answer of the one that is judged: that was made from one side's list."""
    for turn in map(redact.turn, turns[-HISTORY_TURNS:]):
        yield _cut(turn.query, HISTORY_CHARACTERS), _cut(turn.answer or "", HISTORY_CHARACTERS)


def _shown(entry: Entry, showing: Showing) -> ShownEntry:
    redacted = showing.redactor.entry(entry)
    return ShownEntry(_cut(redacted.title, showing.max_chars), _cut(redacted.body, showing.max_chars))


def _length(ranked: Sequence[str], entries: Mapping[str, Entry], showing: Showing) -> int:
    return sum(len(entries[each].title) + min(len(entries[each].body), showing.max_chars) for each in ranked)


def _flagged(shown: Mapping[str, Entry], in_a: frozenset[str], in_b: frozenset[str]) -> Iterator[Flagged]:
    for entry_id, entry in sorted(shown.items()):
        quote = instruction_in(f"{entry.title}\n{entry.body}")
        if quote is not None:
            yield Flagged(entry_id, entry.title, quote, entry_id in in_a, entry_id in in_b)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - len(ELLIPSIS)] + ELLIPSIS
