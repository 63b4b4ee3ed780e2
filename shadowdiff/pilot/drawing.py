"""Which sessions a pilot replays: whole ones, as a turn needs its history, drawn until they hold enough turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from shadowdiff.protocols import Drawable
from shadowdiff.records import Window
from shadowdiff.sampling import drawing
from shadowdiff.summary import turns_per_month

AT_ONCE = 256
"""Sessions whose turns are counted by one statement."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sample of what a window selects."""

    session_ids: tuple[str, ...]
    """Oldest first; each has a turn."""
    turns: int
    of_sessions: int
    """Among which they were drawn."""
    turns_per_month: float | None
    """How often all of those are asked something, reckoned from the sample; None where their times do not say."""


def drawn_sessions(source: Drawable, window: Window, turns: int, *, seed: int = 0, by_org: bool = True) -> Drawn:
    """Sessions of the window that together hold so many turns, or the few more of the last one; all if they have less.

    A larger number draws all that a smaller one does. With `by_org` every org gives
    its share of the sessions. Raises SourceError, ConfigError.
    """
    org_of = source.session_orgs(window)
    ids = list(org_of)
    order = drawing(ids, seed=seed, strata=list(org_of.values()) if by_org else None)
    sample = _Sample(turns)
    for place, held in _counted(source, ids, order):
        sample.add(place, held)
        if sample.is_enough:
            break
    rate = None if not sample.places else _rate(source, ids, sample.turns / sample.looked_at * len(ids))
    return Drawn(tuple(ids[place] for place in sorted(sample.places)), sample.turns, len(ids), rate)


@dataclass(slots=True)
class _Sample:
    """What has been drawn so far."""

    wanted: int
    turns: int = 0
    looked_at: int = 0
    places: list[int] = field(default_factory=list)

    @property
    def is_enough(self) -> bool:
        return self.turns >= self.wanted

    def add(self, place: int, held: int) -> None:
        self.looked_at += 1
        self.turns += held
        if held:
            self.places.append(place)


def _counted(source: Drawable, ids: Sequence[str], order: Iterator[int]) -> Iterator[tuple[int, int]]:
    """Places in the order of drawing, with the turns of the session."""
    while places := list(islice(order, AT_ONCE)):
        held = source.activity([ids[place] for place in places])[1]
        yield from ((place, held[ids[place]].turns if ids[place] in held else 0) for place in places)


def _rate(source: Drawable, ids: Sequence[str], turns: float) -> float | None:
    """So many turns, over the time from the oldest session's first to the newest one's last."""
    ends = Window(session_ids=tuple(dict.fromkeys((ids[0], ids[-1]))))
    times: list[datetime] = []
    for session in source.sessions(ends):
        times += [session.started_at, *(turn.asked_at for turn in session.turns)]
    return turns_per_month(turns, min(times), max(times)) if times else None
