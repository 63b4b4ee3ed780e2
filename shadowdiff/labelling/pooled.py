"""Which entries of which turns are labelled, in which order: depth pooling, without a trace of who surfaced what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shadowdiff.ranking import surfaced
from shadowdiff.records import ReplayedSession, ReplayedTurn
from shadowdiff.runs import Side
from shadowdiff.sampling import draw, shuffled

EntryKey = tuple[str, str, str]
"""Org, turn and entry id."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which turns to label, and how deep."""

    depth: int
    """Of every side's ranking."""
    seed: int = 0
    queries: int | None = None
    """Draw this many turns; None: all."""
    is_stratified: bool = False
    """Every org gives its share of the turns."""
    org_ids: tuple[str, ...] = ()
    """Empty: of all orgs."""


@dataclass(frozen=True, slots=True)
class TurnToLabel:
    """A turn and its entries to label, in the order in which they are shown."""

    session_id: str
    org_id: str
    turn_id: str
    entry_ids: tuple[str, ...]

    @property
    def keys(self) -> list[EntryKey]:
        """Of its entries."""
        return [(self.org_id, self.turn_id, entry_id) for entry_id in self.entry_ids]


def turns_to_label(
    sides: Sequence[Side], sessions: Iterable[ReplayedSession], choice: Choice
) -> tuple[TurnToLabel, ...]:
    """Those that the choice takes, in the order of the sessions.

    A turn's entries are all that any side surfaced within the depth; sides that
    failed on it add none, and a turn without any is none to label. Their order
    hangs on the seed and the turn alone: whoever labels sees the same one, and a
    greater depth only puts more entries in between. Pools may be missing.
    """
    found = [
        TurnToLabel(session.session.session_id, session.session.org_id, turn.turn.turn_id, entry_ids)
        for session in sessions
        if not choice.org_ids or session.session.org_id in choice.org_ids
        for turn in session.turns
        if (entry_ids := _shown(sides, turn, session.session.org_id, choice))
    ]
    return tuple(found) if choice.queries is None else _drawn(found, choice.queries, choice)


def _shown(sides: Sequence[Side], turn: ReplayedTurn, org_id: str, choice: Choice) -> tuple[str, ...]:
    ranked = [(side, turn.rankings[side.label]) for side in sides if side.label in turn.rankings]
    pooled = {name for side, ranking in ranked for name in surfaced(ranking, choice.depth, side.min_score)}
    names = sorted(pooled)
    return tuple(names[place] for place in shuffled(names, str(choice.seed), org_id, turn.turn.turn_id))


def _drawn(found: Sequence[TurnToLabel], number: int, choice: Choice) -> tuple[TurnToLabel, ...]:
    strata = [turn.org_id for turn in found] if choice.is_stratified else None
    keys = [f"{turn.org_id}\0{turn.turn_id}" for turn in found]
    return tuple(found[place] for place in draw(keys, number, seed=choice.seed, strata=strata))
