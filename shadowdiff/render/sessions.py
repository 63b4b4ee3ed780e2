"""One session as a block of lines: a header, its turns, and its distinct counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from shadowdiff.records import (
    NOISE_SIDE,
    MissingText,
    Outcome,
    PoolOrigin,
    SessionDiff,
    SessionOutcome,
    Turn,
    TurnDiff,
    TurnFidelity,
    TurnOutcome,
)
from shadowdiff.render.columns import Lists, columns_of, drawn, fits_side_by_side, heading_of, lists_of
from shadowdiff.render.lines import (
    BOLD,
    DIM,
    FAILED,
    ONLY_A,
    ONLY_B,
    PLAIN,
    Line,
    Span,
    flowed,
    ruled,
    width_of,
)
from shadowdiff.render.text import cells, clip, one_line, wrap
from shadowdiff.runs import Run, Side

QUERY_LINES = 3
INDENT = "  "
MISSING = {
    MissingText.NOT_STORED: "text not stored",
    MissingText.CHANGED: "text not stored; changed in the source since",
    MissingText.GONE: "text not stored; no longer in the source",
}
"""Why a query or an entry has no text here."""

OUTCOME_STYLES = {
    Outcome.SAME: DIM,
    Outcome.REORDERED: PLAIN,
    Outcome.DIFFERENT: BOLD,
    Outcome.FAILED: FAILED,
}


def moment(when: datetime) -> str:
    """Date and time of day in UTC, to the minute."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M}"


def counted(number: int, noun: str) -> str:
    """`1 turn`, `2 turns`, `1,000 turns`; nouns that take an s only."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def session_lines(run: Run, outcome: SessionOutcome, width: int) -> Iterator[Line]:
    """The whole block, each line within `width` cells."""
    turns = max(len(outcome.session.turns), len(outcome.turns))
    yield from _header(run, outcome, turns, width)
    for turn in outcome.turns:
        yield from _turn_lines(run, turn, turns, width)
    for side in run.others:
        yield from session_counts(run, outcome, side, width)


def _header(run: Run, outcome: SessionOutcome, turns: int, width: int) -> Iterator[Line]:
    session = outcome.session
    facts = f"  {one_line(session.org_id)} · {moment(session.started_at)} · {counted(turns, 'turn')}"
    name = [Span("━ ", DIM), Span(clip(f"session {one_line(session.session_id)}", width - 2), BOLD)]
    right = [Span("   ".join(heading_of(side) for side in run.sides), DIM)]
    if width_of(name) + cells(facts) <= width:
        yield ruled([*name, Span(facts)], right, width, "━")
        return
    yield name
    yield from ([Span(f"  {line}")] for line in wrap(facts.strip(), width - 2, 2))


def _turn_lines(run: Run, turn: TurnOutcome, turns: int, width: int) -> Iterator[Line]:
    yield from turn_header(run, turn, turns, width)
    yield from turn_notes(run, turn, width)
    lists = lists_of(run, turn)
    for others in _blocks(run, width):
        if any(turn.outcome(side.label) is not Outcome.SAME for side in others):
            yield from drawn(columns_of(lists, turn, run, others), width, run.config.top_k)
        for side in others:
            yield from turn_counts(run, turn, lists, side, width)


def _blocks(run: Run, width: int) -> list[Sequence[Side]]:
    """Which sides stand beside the baseline at once: all while they fit, else one after the other."""
    if fits_side_by_side(width, len(run.sides), run.config.top_k):
        return [run.others]
    return [(side,) for side in run.others]


def turn_header(run: Run, turn: TurnOutcome, turns: int, width: int) -> Iterator[Line]:
    """Which of the session's `turns` it is, what was asked, and how it ended."""
    asked = turn.replayed.turn
    lead = [Span("─ ", DIM), Span(f"turn {asked.position}/{turns}", BOLD), Span("  ")]
    right = turn_outcomes(run, turn)
    indent = width_of(lead)
    room = width - indent - width_of(right) - 4
    if room < 20:
        yield ruled(lead[:2], right, width, "─")
        lead, indent, room = [Span(" " * 4)], 4, width - 5
        right = []
    lines = wrap(asked_text(asked), room, QUERY_LINES)
    yield ruled([*lead, Span(lines[0])], right, width, "─") if right else [*lead, Span(lines[0])]
    yield from ([Span(" " * indent), Span(line)] for line in lines[1:])
    if asked.search_query and asked.search_query != asked.query:
        searched = wrap(f"searched: “{one_line(asked.search_query)}”", width - indent, QUERY_LINES)
        yield from ([Span(" " * indent), Span(line, DIM)] for line in searched)


def asked_text(turn: Turn) -> str:
    """In quotation marks; what stands in brackets instead is not the user's."""
    if turn.missing_text is not None:
        return f"({MISSING[turn.missing_text]})"
    return f"“{one_line(turn.query)}”"


def turn_outcomes(run: Run, turn: TurnOutcome) -> Line:
    """How the turn ended for each pair."""
    line: Line = []
    for side in run.others:
        outcome = turn.outcome(side.label)
        label = f"{side.label} " if len(run.others) > 1 else ""
        line += [Span(" · " if line else "", DIM), Span(f"{label}{outcome.value}", OUTCOME_STYLES[outcome])]
    return line


def turn_notes(run: Run, turn: TurnOutcome, width: int) -> list[Line]:
    """What a reader must know of the turn's pool before believing its lists."""
    replayed, size = turn.replayed, len(turn.replayed.pool.entries)
    notes = []
    if replayed.unpooled:
        notes.append(_unpooled(replayed.pool.origin))
    if replayed.missing_entries:
        notes.append(f"{_entries(replayed.missing_entries)} of the recorded pool no longer in the knowledge base")
    notes += _unlike_served(run, turn.fidelity)
    if size < run.config.top_k:
        notes.append(f"the pool holds only {_entries(size)}" if size else "the pool is empty")
    return flowed([Span(note, DIM) for note in notes], width, INDENT)


def _unlike_served(run: Run, fidelity: TurnFidelity | None) -> list[str]:
    """Where a side that reproduces production over the run does not on this turn; elsewhere it is no news."""
    of_run = run.summary.fidelity if run.summary else None
    if fidelity is None or fidelity.first_divergence is None or fidelity.by_near_ties:
        return []
    if of_run is None or not of_run.reproduces:
        return []
    return [f"{of_run.side} differs from what production served, first at rank {fidelity.first_divergence}"]


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number:,} entries"


def _unpooled(origin: PoolOrigin) -> str:
    if origin is PoolOrigin.RECORDED:
        return "no recorded pool"
    made = "made of what the sides list" if origin is PoolOrigin.UNION else f"retrieved by {origin.value}"
    return f"no recorded pool: {made}"


def turn_counts(run: Run, turn: TurnOutcome, lists: Lists, side: Side, width: int) -> list[Line]:
    """What the turn comes to for the pair of the baseline and `side`."""
    diff = turn.diffs[side.label]
    label = f"{side.label}, " if len(run.others) > 1 else ""
    if diff is None:
        failed = [item.label for item in (run.baseline, side) if item.label not in lists.surfaced]
        return [[Span(f"{INDENT}{label}not compared: {' and '.join(failed) or 'a side'} failed", FAILED)]]
    noise = turn.diffs.get(NOISE_SIDE) if run.config.noise else None
    order = ", in the same order" if diff.outcome is Outcome.SAME and len(diff.both) > 1 else ""
    parts = [
        Span(f"{len(diff.both)} in both{order}"),
        *_only(run, len(diff.only_in_a), len(diff.only_in_b), side, noise),
        Span(f"RBO {diff.rbo:.2f}{_floor(run, None if noise is None else f'{noise.rbo:.2f}')}"),
    ]
    if diff.outcome is Outcome.SAME and not run.config.noise:
        parts = parts[:1]
    return _labelled(Span(f"{INDENT}{label}top {run.config.top_k}:"), parts, width)


def session_counts(run: Run, outcome: SessionOutcome, side: Side, width: int) -> list[Line]:
    """What the session comes to for the pair of the baseline and `side`: a label, and its distinct counts."""
    diff = outcome.diffs[side.label]
    noise = outcome.diffs.get(NOISE_SIDE) if run.config.noise else None
    label = f"session, {side.label}:" if len(run.others) > 1 else "session:"
    if not diff.completed_turns:
        reason, style = ("every turn failed", FAILED) if diff.failed_turns else ("it has no turns", DIM)
        return [[Span(label, BOLD), Span(f" nothing to compare: {reason}", style)]]
    parts = [
        Span(f"{len(diff.both)} in both"),
        *_only(run, len(diff.only_in_a), len(diff.only_in_b), side, noise),
        Span(f"distinct entries over {_turns_counted(diff)}", DIM),
    ]
    return _labelled(Span(label, BOLD), parts, width)


def _labelled(label: Span, parts: Sequence[Span], width: int) -> list[Line]:
    """The parts after a label, with further lines aligned to the first part."""
    lines = flowed(parts, width, " " * (cells(label.text) + 1))
    lines[0] = [label, Span(" "), *lines[0][1:]]
    return lines


def _only(run: Run, only_in_a: int, only_in_b: int, side: Side, noise: TurnDiff | SessionDiff | None) -> list[Span]:
    floor_a, floor_b = (None, None) if noise is None else (str(len(noise.only_in_a)), str(len(noise.only_in_b)))
    return [
        Span(f"{only_in_a} only in {run.baseline.label}{_floor(run, floor_a)}", ONLY_A if only_in_a else PLAIN),
        Span(f"{only_in_b} only in {side.label}{_floor(run, floor_b)}", ONLY_B if only_in_b else PLAIN),
    ]


def _floor(run: Run, noise: str | None) -> str:
    """What the baseline against itself gives for the same count, where that was measured."""
    return f" (noise {noise or '?'})" if run.config.noise else ""


def _turns_counted(diff: SessionDiff) -> str:
    if not diff.failed_turns:
        return counted(diff.completed_turns, "turn")
    total = diff.completed_turns + diff.failed_turns
    return f"{diff.completed_turns} of {counted(total, 'turn')}, {diff.failed_turns} failed"
