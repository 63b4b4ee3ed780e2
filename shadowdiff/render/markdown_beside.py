"""What stands beside a run, as Markdown: what gates made of it, the nights before it, and the blessed run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shadowdiff.nights import ChangedSession, GateOutcome, History, NightFigures, Outlier, RunChanges, Surroundings
from shadowdiff.render.comparison import figure_rows
from shadowdiff.render.figures import heading, written
from shadowdiff.render.gates import LEGEND, figures_of, headline, outcome_word, rule_of
from shadowdiff.render.github import markdown, table
from shadowdiff.render.sessions import counted
from shadowdiff.runs import Run

MOST_RULES = 40
"""Rows of the table of gates; those that were crossed come first where there are more."""
RULE_CELLS = 100
NOTE_CELLS = 160
FOOTNOTE_CELLS = 600
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
    newest = history.nights[-1]
    found = [_outlier(item, newest) for item in history.outliers if item.night == newest.night]
    if not found:
        return "no figure leaves the band of the nights before"
    return f"outside the band of the nights before: {'; '.join(found)}"


def _outlier(item: Outlier, night: NightFigures) -> str:
    a = next((label for label, *_ in night.sides), "A")
    words = heading(item.figure, a, of_several=len(night.pairs) > 1)
    value, low, high = (written(item.figure, number) for number in (item.value, item.low, item.high))
    return f"{words} is {value} ({low} to {high} expected)"


def changes_block(surroundings: Surroundings, run: Run) -> Iterator[str]:
    """What is otherwise than in the blessed run, or why that cannot be said."""
    if surroundings.not_compared:
        yield from ["", f"Not compared with the blessed run: {markdown(surroundings.not_compared)}"]
    changes = surroundings.compared_with
    if changes is None:
        return
    yield from ["", f"**Since the blessed run {markdown(changes.before)}**: {_changed(changes)}", ""]
    rows = [tuple(markdown(text) for text in row) for row in figure_rows(changes, run)]
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


def _changed(changes: RunChanges) -> str:
    if not changes.sessions_in_both:
        return "no session is in both; the figures are over all sessions of each."
    counts = ", ".join(f"{len(sessions):,} {words}" for words, sessions in _kinds(changes))
    return f"{counts}, of {counted(changes.sessions_in_both, 'session')} in both."


def _named(sessions: Sequence[ChangedSession]) -> str:
    named = ", ".join(f"{markdown(session.session_id, ID_CELLS)} ({session.side})" for session in sessions[:MOST_NAMED])
    return named + (f" and {len(sessions) - MOST_NAMED:,} more" if len(sessions) > MOST_NAMED else "")
