"""What a night came to, in a few lines for whoever started it by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

from shadowdiff.nights import GateOutcome, Night, Surroundings
from shadowdiff.render.closing import verdict
from shadowdiff.render.gates import crossed_text, gate_lines
from shadowdiff.render.lines import BOLD, Line, Span
from shadowdiff.render.sessions import counted
from shadowdiff.render.tables import sentence
from shadowdiff.render.text import clip, one_line
from shadowdiff.runs import Run


def night_lines(
    night: Night, run: Run | None, surroundings: Surroundings, place: Path | None, width: int
) -> Iterator[Line]:
    """Name, the sentence that the run comes down to, gates, and where the report is."""
    yield [Span(clip(f"night {one_line(night.name)}", width), BOLD)]
    yield from sentence(replayed_sentence(night, run), width)
    if run is not None and run.summary is not None:
        yield from sentence(verdict(run, run.summary), width)
    if surroundings.gates:
        yield []
        yield from gate_lines(surroundings.gates, width)
    yield []
    if place is not None:
        yield from sentence(f"report: {place}", width)
    if run is not None:
        yield from sentence(f"again: shadowdiff show {run.run_id}", width)


def replayed_sentence(night: Night, run: Run | None) -> str:
    """What was replayed of what came in when; times in UTC."""
    since, until = (f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" for moment in (night.since, night.until))
    summary = run and run.summary
    if not summary:
        return f"No session to replay: between {since} and {until} UTC none is over that an earlier night did not have."
    counts = f"{counted(summary.sessions, 'session')}, {counted(summary.turns, 'turn')}"
    return f"{counts}: new and over between {since} and {until} UTC."


def crossed_line(night: Night, outcome: GateOutcome) -> str:
    """One rule that does not hold, for cron's mail: the rule, and the figure that breaks it."""
    return f"night {night.name}: gate crossed: {crossed_text(outcome)}"
