"""A run for reading in a terminal, a pipe or a pull request: sessions side by side, then the summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from shadowdiff.nights import GateOutcome, Surroundings
from shadowdiff.records import SessionOutcome
from shadowdiff.render.closing import summary_lines
from shadowdiff.render.columns import fits_side_by_side, heading_of
from shadowdiff.render.gates import gate_lines
from shadowdiff.render.lines import BOLD, DIM, ONLY_A, ONLY_B, Line, Paint, Span, flowed, painter
from shadowdiff.render.sessions import INDENT, counted, session_lines
from shadowdiff.runs import Run, RunSummary

NARROWEST = 40


class TerminalRenderer:
    """Draws within `width` cells (at least 40), plain or in the terminal's own 16 colours.

    With `only_changed` the outcomes are taken to be filtered by
    `diff.only_changed` already; a line says how much of the run is not shown. Of
    the surroundings it shows what gates made of the run, at the very end.
    """

    def __init__(
        self, width: int, color: bool, only_changed: bool = False, surroundings: Surroundings | None = None
    ) -> None:
        self._width = max(width, NARROWEST)
        self._paint = painter(color=color)
        self._only_changed = only_changed
        self._gates = surroundings.gates if surroundings else ()

    def render(self, run: Run, outcomes: Iterable[SessionOutcome], out: TextIO) -> None:
        """Write session by session, so that nothing but the one at hand is held in memory."""
        stream = self.stream(run, out)
        for outcome in outcomes:
            stream.add(outcome)
        stream.end(run, self._gates)

    def stream(self, run: Run, out: TextIO) -> TerminalStream:
        """Begin to write the run to `out`."""
        return TerminalStream(run, out, self._width, self._paint, only_changed=self._only_changed)


class TerminalStream:
    """A run that is written as it comes."""

    def __init__(self, run: Run, out: TextIO, width: int, paint: Paint, *, only_changed: bool) -> None:
        self._run = run
        self._out = out
        self._width = width
        self._paint = paint
        self._only_changed = only_changed
        self._sessions = self._turns = 0

    def add(self, outcome: SessionOutcome) -> None:
        """Write a session, before the first one who is compared."""
        self._write([[]] if self._sessions else _opening(self._run, self._width))
        self._write(session_lines(self._run, outcome, self._width))
        self._sessions += 1
        self._turns += len(outcome.turns)

    def end(self, run: Run, gates: Sequence[GateOutcome] = ()) -> None:
        """Write the summary, and what gates made of the run."""
        if self._sessions:
            self._write([[]])
        if self._only_changed and run.summary is not None:
            self._write(_not_shown(run.summary, self._sessions, self._turns, self._width))
        self._write(summary_lines(run, self._width))
        if gates:
            self._write([[], *gate_lines(gates, self._width)])

    def _write(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._out.write(self._paint(line) + "\n")


def _opening(run: Run, width: int) -> Iterator[Line]:
    """Who is compared, and what the signs mean."""
    a, first, *others = (heading_of(side) for side in run.sides)
    yield from flowed([Span(part, BOLD) for part in (f"{a}  against  {first}", *others)], width, "")
    yield from flowed(_legend(run, width), width, "", separator="   ")
    yield []


def _legend(run: Run, width: int) -> list[Span]:
    return legend(run, is_wide=len(run.others) > 1 and fits_side_by_side(width, len(run.sides), run.config.top_k))


def legend(run: Run, *, is_wide: bool) -> list[Span]:
    """What the signs mean; `is_wide`: where several sides stand beside the baseline at once."""
    a, others = run.baseline.label, [side.label for side in run.others]
    several = len(others) > 1
    top = f"top {run.config.top_k}"
    return [
        Span(f"- only in {a}", ONLY_A),
        Span(f"+ not in {a}" if several else f"+ only in {others[0] if others else ''}", ONLY_B),
        *([Span(f"-{others[0]} not in {others[0]}", ONLY_A)] if is_wide else []),
        Span("≈ near-tie at the cut", DIM),
        Span("▸ 3 rank on the other side", DIM),
        Span("= same rank", DIM),
        *([Span(f"{others[0]}▸3 {others[0]}= {others[0]}·14 the same, in {others[0]}", DIM)] if is_wide else []),
        Span(f"· now 14, · was 14 outside the other's {top}", DIM),
        *([Span("cut: in it, below min_score", DIM)] if any(side.min_score is not None for side in run.sides) else []),
    ]


def _not_shown(summary: RunSummary, sessions: int, turns: int, width: int) -> list[Line]:
    parts = not_shown(summary, sessions, turns)
    return [*flowed([Span(part, DIM) for part in parts], width, INDENT), []] if parts else []


def not_shown(summary: RunSummary, sessions: int, turns: int) -> list[str]:
    """How much of the run is not among the sessions and turns that are shown, as nothing differs in it."""
    hidden_sessions, hidden_turns = summary.sessions - sessions, summary.turns - turns
    if not hidden_turns:
        return []
    parts = [f"not shown, as no entry differs: {hidden_turns:,} of {counted(summary.turns, 'turn')}"]
    if hidden_sessions:
        parts.append(f"{hidden_sessions:,} of {counted(summary.sessions, 'session')} entirely")
    return parts
