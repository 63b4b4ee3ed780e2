"""What the summary says of fidelity: a block of its own, apart from what the sides differ in."""

from __future__ import annotations

from collections.abc import Iterator

from shadowdiff.fidelity import REPRODUCED_OVERLAP, REPRODUCED_SHARE
from shadowdiff.render.lines import BOLD, DIM, Line
from shadowdiff.render.sessions import counted
from shadowdiff.render.tables import Figure, TableRow, mean, sentence, share_of, table
from shadowdiff.render.text import clip, one_line
from shadowdiff.runs import Fidelity, Run

NAME_CELLS = 40


def fidelity_lines(run: Run, fidelity: Fidelity, width: int) -> Iterator[Line]:
    """The whole block, each line within `width` cells."""
    yield from sentence(heading(run, fidelity), width, BOLD)
    if run.config.production_assumed:
        yield from sentence(assumed(fidelity.side), width, DIM)
    if fidelity.served_by:
        yield from sentence(served_by(fidelity), width)
    if fidelity.turns:
        yield []
        yield from table([f"{fidelity.side} → served"], fidelity_figures(fidelity), width)
        yield []
    for text in verdict(fidelity):
        yield from sentence(text, width)


def heading(run: Run, fidelity: Fidelity) -> str:
    """Which side is held against what."""
    name = next(clip(one_line(side.name), NAME_CELLS) for side in run.sides if side.label == fidelity.side)
    return f"Fidelity: {fidelity.side} ({name}) against what production served"


def verdict(fidelity: Fidelity) -> Iterator[str]:
    """Whether the side reproduces production, by which rule, and what follows from it."""
    side = fidelity.side
    if fidelity.reproduces is None:
        yield f"Nothing was compared: {_nothing(fidelity)}."
    elif fidelity.reproduces:
        yield f"{side} reproduces what production served: {_measured(fidelity)}."
    else:
        yield f"{side} does not reproduce what production served: {_measured(fidelity)}."
        yield f"So a difference from {side} is not a difference from what users saw."
        if fidelity.served_outside_pool:
            yield "Served entries that are not in the pools cannot be reproduced by any side."


def _measured(fidelity: Fidelity) -> str:
    """The two figures that decide, beside what they are held to."""
    reproduced = fidelity.turns - _diverging(fidelity) + fidelity.near_ties
    share = 100 * reproduced / fidelity.turns
    return (
        f"identical but for near-ties in {share:.1f}% of turns ({100 * REPRODUCED_SHARE:g}% needed), "
        f"overlap {fidelity.overlap.value or 0:.3f} ({REPRODUCED_OVERLAP:g} needed)"
    )


def assumed(side: str) -> str:
    """That nobody said which side is production's, and how to say it."""
    return (
        f"{side} is taken for production's reranker, because it is the baseline and nothing else was said; "
        "--production names another side, or none."
    )


def served_by(fidelity: Fidelity) -> str:
    """What production says it ranked with."""
    named = (f"{clip(one_line(name), NAME_CELLS)} ({turns:,})" for name, turns in fidelity.served_by.items())
    return f"Reranker that production says it used, and turns: {', '.join(named)}"


def _nothing(fidelity: Fidelity) -> str:
    if fidelity.failed_turns:
        return f"{fidelity.side} failed on all {counted(fidelity.failed_turns, 'turn')} with something served"
    return "no turn has a record of what was served"


def fidelity_figures(fidelity: Fidelity) -> list[TableRow]:
    """Rows of the table, of one column."""
    diverging = _diverging(fidelity)
    rows = [
        ("identical turns", share_of(fidelity.identical, fidelity.turns)),
        ("same entries, reordered", share_of(fidelity.reordered, fidelity.turns)),
        ("other entries", share_of(diverging - fidelity.reordered, fidelity.turns)),
        *([("  either by near-ties alone", share_of(fidelity.near_ties, diverging))] if diverging else []),
        ("overlap with served", mean(fidelity.overlap, 2)),
        *_divergence(fidelity, diverging),
        ("failed turns", Figure(f"{fidelity.failed_turns:,}")),
        *_if_any("turns without served", fidelity.unserved_turns),
        *_if_any("served, not in the pool", fidelity.served_outside_pool),
    ]
    return [TableRow(label, [figure]) for label, figure in rows]


def _divergence(fidelity: Fidelity, diverging: int) -> list[tuple[str, Figure]]:
    if fidelity.first_divergence is None:
        return []
    return [
        ("first divergence, rank", Figure(f"{fidelity.first_divergence:g}", "(median)")),
        ("  at rank 1", share_of(fidelity.diverging_at_first, diverging)),
    ]


def _if_any(label: str, count: int) -> list[tuple[str, Figure]]:
    return [(label, Figure(f"{count:,}"))] if count else []


def _diverging(fidelity: Fidelity) -> int:
    return fidelity.turns - fidelity.identical
