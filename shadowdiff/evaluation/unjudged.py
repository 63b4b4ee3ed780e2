"""Which labels would say most: entries without one that a side brings up to its first k."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from shadowdiff.evaluation.results import Unjudged
from shadowdiff.evaluation.turns import LabelledTurn


def unjudged(turns: Sequence[LabelledTurn], sides: Sequence[str], depth: int) -> tuple[Unjudged, ...]:
    """Every such entry of every turn, the most valuable label first: one that sides place most differently."""
    found = (entry for turn in turns for entry in _of_turn(turn, sides, depth))
    return tuple(sorted(found, key=lambda item: (-item.stake, item.session_id, item.turn_id, item.entry_id)))


def _of_turn(turn: LabelledTurn, sides: Sequence[str], depth: int) -> Iterator[Unjudged]:
    places = {side: {name: rank for rank, name in enumerate(turn.listed[side], start=1)} for side in sides}
    tops = dict.fromkeys(entry_id for side in sides for entry_id in turn.listed[side][:depth])
    for entry_id in tops:
        if entry_id not in turn.grades:
            ranks = {side: places[side].get(entry_id) for side in sides}
            yield Unjudged(
                session_id=turn.session.session_id,
                org_id=turn.session.org_id,
                turn_id=turn.turn_id,
                query=turn.query,
                entry_id=entry_id,
                title=turn.titles.get(entry_id, ""),
                ranks=ranks,
                stake=_stake(ranks, depth),
            )


def _stake(ranks: Mapping[str, int | None], depth: int) -> float:
    """The widest gap between the discounts that nDCG@depth gives it: by so much a grade of 1 moves two sides apart."""
    discounts = [1 / math.log2(rank + 1) if rank is not None and rank <= depth else 0.0 for rank in ranks.values()]
    return max(discounts) - min(discounts)
