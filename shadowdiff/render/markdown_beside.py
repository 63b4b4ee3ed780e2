"""What stands beside a run, as Markdown: what gates made of it, the nights before it, and the blessed run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shadowdiff.nights import ChangedSession, GateOutcome, History, RunChanges, Surroundings
from shadowdiff.render.gates import LEGEND, figures_of, headline, number_text, outcome_word, rule_of
from shadowdiff.render.github import markdown, table
from shadowdiff.render.sessions import counted

MOST_RULES = 40
"""Rows of the table of gates; those that were crossed come first where there are more."""
RULE_CELLS = 100
NOTE_CELLS = 160
MOST_NIGHTS = 7
"""Nights of the line that says how a figure went."""
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
    yield from ["", *([f"{len(outcomes) - len(shown):,} more rules hold or are not shown.", ""])] * (
        len(shown) < len(outcomes)
    )
    if any(outcome.bound is not None for outcome in shown):
        yield from ["", f"<sub>{markdown(LEGEND)}</sub>"]


def _gate_row(outcome: GateOutcome) -> tuple[str, ...]:
    word, found = outcome_word(outcome), figures_of(outcome)
    shown = word if outcome.passed else f"**{word}**"
    return (shown, markdown(rule_of(outcome), RULE_CELLS), *found, markdown(outcome.note, NOTE_CELLS))


def history_block(surroundings: Surroundings) -> Iterator[str]:
    """How the overlap went over the last nights, and what of the last one leaves the band of those before."""
    history = surroundings.history
    if history is None or len(history.nights) < 2:
        return
    nights = history.nights[-MOST_NIGHTS:]
    labels = list(dict.fromkeys(label for night in nights for label in night.pairs))
    trends = [f"overlap of {label}: {_trend(history, label)}" for label in labels]
    yield from ["", f"**History**, {counted(len(nights), 'night')}, newest last · {markdown(' · '.join(trends))}"]
    yield f"· {markdown(_outliers(history), 1_000)}"


def _trend(history: History, label: str) -> str:
    values = [
        night.pairs[label].overlap.value if label in night.pairs else None for night in history.nights[-MOST_NIGHTS:]
    ]
    return " → ".join("–" if value is None else f"{value:.2f}" for value in values)


def _outliers(history: History) -> str:
    newest = history.nights[-1].night
    found = [
        f"{item.figure} is {number_text(item.value)} ({number_text(item.low)} to {number_text(item.high)} expected)"
        for item in history.outliers
        if item.night == newest
    ]
    if not found:
        return "no figure leaves the band of the nights before"
    return f"outside the band of the nights before: {'; '.join(found)}"


def changes_block(surroundings: Surroundings) -> Iterator[str]:
    """What is otherwise than in the blessed run, or why that cannot be said."""
    if surroundings.not_compared:
        yield from ["", f"Not compared with the blessed run: {markdown(surroundings.not_compared)}"]
    changes = surroundings.compared_with
    if changes is None:
        return
    yield from ["", f"**Since the blessed run {markdown(changes.before)}**: {_changed(changes)}", ""]
    rows = [(markdown(name), number_text(before), number_text(after)) for name, before, after in changes.figures]
    if rows:
        yield from [*table(("", "before", "after"), rows), ""]
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


def _changed(changes: RunChanges) -> str:
    if not changes.sessions_in_both:
        return "no session is in both; the figures are over all sessions of each."
    counts = ", ".join(f"{len(sessions):,} {words}" for words, sessions in _kinds(changes))
    return f"{counts}, of {counted(changes.sessions_in_both, 'session')} in both."


def _named(sessions: Sequence[ChangedSession]) -> str:
    named = ", ".join(f"{markdown(session.session_id, ID_CELLS)} ({session.side})" for session in sessions[:MOST_NAMED])
    return named + (f" and {len(sessions) - MOST_NAMED:,} more" if len(sessions) > MOST_NAMED else "")
