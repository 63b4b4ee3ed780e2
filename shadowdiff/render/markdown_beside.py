"""What stands beside a run, as Markdown: what gates made of it, the nights before it, and the blessed run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shadowdiff.history import FLOORS
from shadowdiff.nights import ChangedSession, GateOutcome, NightFigures, RunChanges, Surroundings
from shadowdiff.render.comparison import figure_rows
from shadowdiff.render.comparison import in_short as changes_in_short
from shadowdiff.render.figures import written
from shadowdiff.render.gates import LEGEND, figures_of, headline, outcome_word, rule_of
from shadowdiff.render.github import markdown, table
from shadowdiff.render.history import in_short, outside_band
from shadowdiff.render.sessions import counted
from shadowdiff.render.sparkline import sparkline
from shadowdiff.runs import Run

MOST_RULES = 40
"""Rows of the table of gates; those that were crossed come first where there are more."""
RULE_CELLS = 100
NOTE_CELLS = 160
FOOTNOTE_CELLS = 600
MOST_NIGHTS = 30
"""Bars of the line that says how the overlap went."""
MOST_NAMED = 10
"""Sessions of a kind that are named."""
ID_CELLS = 80


def gate_block(outcomes: Sequence[GateOutcome]) -> Iterator[str]:
    """A sentence, and a row per rule and side with the numbers that decided."""
    if not outcomes:
        return
    shown = list(outcomes)
    if len(shown) > MOST_RULES:
        shown = sorted(shown, key=lambda outcome: outcome.passed)[:MOST_RULES]
    yield from ["", f"**{markdown(headline(outcomes))}**", ""]
    yield from table(("", "rule", "value", "bound", "margin", ""), map(_gate_row, shown), left=(0, 1, 5))
    yield ""
    if len(shown) < len(outcomes):
        yield from [f"{len(outcomes) - len(shown):,} more are not shown.", ""]
    for text in _footnotes(shown):
        yield from [f"<sub>{markdown(text, FOOTNOTE_CELLS)}</sub>", ""]


def _gate_row(outcome: GateOutcome) -> tuple[str, ...]:
    word, found = outcome_word(outcome).replace(" ", "&nbsp;"), figures_of(outcome)
    shown = word if outcome.passed else f"**{word}**"
    why = outcome.note if outcome.value is None else ""
    return (shown, markdown(rule_of(outcome), RULE_CELLS), *found, markdown(why, NOTE_CELLS))


def _footnotes(outcomes: Sequence[GateOutcome]) -> Iterator[str]:
    """What a bound is; and which rules are judged without one, and why."""
    if any(outcome.bound is not None for outcome in outcomes):
        yield LEGEND
    noted = [outcome for outcome in outcomes if outcome.note and outcome.value is not None]
    for note in dict.fromkeys(outcome.note for outcome in noted):
        yield f"{note} ({', '.join(dict.fromkeys(rule.rule for rule in noted if rule.note == note))})"


def history_block(surroundings: Surroundings) -> Iterator[str]:
    """Where the newest night stands among those before, and how the overlap went."""
    history = surroundings.history
    if history is None or len(history.nights) < 2:
        return
    nights = history.nights[-MOST_NIGHTS:]
    newest = [item for item in history.outliers if item.night == nights[-1].night]
    labels = list(dict.fromkeys(label for night in nights for label in night.pairs))
    facts = [*outside_band(newest, history.nights), *(_trend(nights, label) for label in labels)]
    yield from ["", f"**History** of {counted(len(history.nights), 'night')} · {markdown(in_short(history))}", ""]
    yield from (f"- {markdown(fact)}" for fact in facts)


def _trend(nights: Sequence[NightFigures], label: str) -> str:
    """The overlap with one side over these nights, as bars and from the lowest to the highest."""
    values = [night.pairs[label].overlap.value if label in night.pairs else None for night in nights]
    known = [value for value in values if value is not None]
    bars = sparkline(values, 2 * FLOORS["overlap"]).strip()
    low, high = (written("overlap", end) for end in (min(known, default=None), max(known, default=None)))
    return f"overlap with {label} over {counted(len(nights), 'night')}: {bars} ({low} to {high})"


def changes_block(run: Run, surroundings: Surroundings) -> Iterator[str]:
    """What is otherwise than in the blessed run, or why that cannot be said."""
    if surroundings.not_compared:
        yield from ["", f"Not compared with the blessed run: {markdown(surroundings.not_compared)}"]
    changes = surroundings.compared_with
    if changes is None:
        return
    said = markdown(changes_in_short(changes))
    yield from ["", f"**Since the blessed run {markdown(changes.before)}** · {said}", ""]
    rows = [[markdown(text) for text in row] for row in figure_rows(changes, run)]
    if rows:
        yield from [*table(("", "before", "after", "change"), rows), ""]
    for words, sessions in _kinds(changes):
        if sessions:
            yield f"- {words}: {_named(sessions)}"
    yield from (f"- {markdown(note)}" for note in changes.notes)


def _kinds(changes: RunChanges) -> tuple[tuple[str, Sequence[ChangedSession]], ...]:
    return (
        ("newly different", changes.newly_different),
        ("newly failing", changes.newly_failing),
        ("fixed", changes.fixed),
    )


def _named(sessions: Sequence[ChangedSession]) -> str:
    named = ", ".join(f"{markdown(session.session_id, ID_CELLS)} ({session.side})" for session in sessions[:MOST_NAMED])
    return named + (f" and {len(sessions) - MOST_NAMED:,} more" if len(sessions) > MOST_NAMED else "")
