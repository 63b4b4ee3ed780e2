"""What gates made of a run, for people: a line per rule and side, crossed or kept, with the numbers that decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from shadowdiff.gates.figures import FIGURES, Figure
from shadowdiff.nights import GateOutcome
from shadowdiff.render.amounts import NOT_KNOWN
from shadowdiff.render.lines import BOLD, DIM, FAILED, PLAIN, Line, Span, flowed
from shadowdiff.render.sessions import INDENT
from shadowdiff.render.tables import sentence
from shadowdiff.render.text import cells, fit, one_line, wrap

DIGITS = 4
OUTCOME_CELLS = 11
NOTE_INDENT = " " * (len(INDENT) + OUTCOME_CELLS)
GAP = 2
RULE_CELLS = 24
"""Cells that a rule needs for its figures to stand beside it."""
RULE_LINES = 4
NAME_CELLS = GAP + max(cells(figure.name) for figure in FIGURES)
SIDES_CELLS = GAP + max(cells(figure.sides) for figure in FIGURES)
HEADINGS = ("value", "bound", "margin")
LEGEND = (
    "bound: the bad end of the 95% interval, which is what is judged; margin: how far inside the limit, - beyond it"
)


class GateFigures(NamedTuple):
    """The numbers of an outcome as text."""

    value: str
    bound: str
    margin: str


def gate_lines(outcomes: Sequence[GateOutcome], width: int) -> Iterator[Line]:
    """The whole block, each line within `width` cells; nothing where no gate was asked for."""
    if not outcomes:
        return
    yield from sentence(headline(outcomes), width, PLAIN if all(item.passed for item in outcomes) else FAILED)
    yield []
    numbers = [figures_of(outcome) for outcome in outcomes]
    columns = [max(cells(text) for text in column) for column in zip(HEADINGS, *numbers, strict=True)]
    room = width - len(INDENT) - OUTCOME_CELLS - sum(columns) - GAP * len(columns)
    rule_cells = min(room, max(cells(rule_of(outcome)) for outcome in outcomes))
    if room >= RULE_CELLS:
        yield [Span(" " * (len(NOTE_INDENT) + rule_cells) + _columns(HEADINGS, columns), DIM)]
    for place, (outcome, found) in enumerate(zip(outcomes, numbers, strict=True), start=1):
        if room >= RULE_CELLS:
            yield from _beside(outcome, _columns(found, columns), rule_cells)
        else:
            yield from _below(outcome, found, width)
        following = outcomes[place].note if place < len(outcomes) else ""
        yield from _note(outcome.note if outcome.note != following else "", width)
    if any(outcome.bound is not None for outcome in outcomes):
        yield from sentence(LEGEND, width, DIM)


def headline(outcomes: Sequence[GateOutcome]) -> str:
    """How many rules were crossed, each counted once for every side that it judges."""
    crossed = sum(not outcome.passed for outcome in outcomes)
    if not crossed:
        return f"Gate: {'the rule holds' if len(outcomes) == 1 else f'all {len(outcomes):,} rules hold'}."
    if len(outcomes) == 1:
        return "Gate crossed: the rule does not hold."
    return f"Gate crossed: {crossed:,} of {len(outcomes):,} rules {'does' if crossed == 1 else 'do'} not hold."


def crossed_line(outcomes: Sequence[GateOutcome], most: int) -> str:
    """The rules that do not hold, `most` of them by name, in one line for an error; empty where all hold."""
    crossed = [outcome for outcome in outcomes if not outcome.passed]
    if not crossed:
        return ""
    named = "; ".join(crossed_text(outcome) for outcome in crossed[:most])
    others = f"; and {len(crossed) - most:,} more" if len(crossed) > most else ""
    return f"gate crossed: {named}{others}"


def crossed_text(outcome: GateOutcome) -> str:
    """A rule that does not hold, and the figure that breaks it or why there is none."""
    found = figures_of(outcome)
    figure = f"is {found.value}" + ("" if outcome.bound is None else f", at worst {found.bound}")
    why = f" ({outcome.note})" if outcome.note and outcome.value is None else ""
    return f"{rule_of(outcome)}: {one_line(figure + why)}"


def rule_of(outcome: GateOutcome) -> str:
    """The rule as written, and the side that it was held against where it names none."""
    rule = one_line(outcome.rule)
    label = outcome.figure.rpartition(".")[2] if "." in outcome.figure else ""
    return rule if not label or outcome.figure in outcome.rule else f"{rule} ({one_line(label)})"


def figures_of(outcome: GateOutcome) -> GateFigures:
    """Value, bound and margin; the margin has a minus where the limit is crossed."""
    value, bound, margin = (number_text(number) for number in (outcome.value, outcome.bound, outcome.margin))
    is_beyond = not outcome.passed and bool(outcome.margin)
    return GateFigures(value, bound, f"-{margin}" if is_beyond else margin)


def number_text(number: float | None) -> str:
    """To four digits and never in powers of ten; `–` where there is none."""
    if number is None:
        return NOT_KNOWN
    if abs(number) >= 10**DIGITS:
        return f"{number:,.0f}"
    return f"{Decimal(f'{number:.{DIGITS}g}'):f}"


def outcome_word(outcome: GateOutcome) -> str:
    """`✓ kept` or `✗ crossed`: the sign says it where there is no colour."""
    return "✓ kept" if outcome.passed else "✗ crossed"


def figure_lines(width: int) -> Iterator[Line]:
    """The figures that a rule can name, as a table for `--gate-figures`."""
    yield from sentence("A rule is FIGURE[.SIDE] <=, <, >= or > NUMBER, such as: mean_overlap.B >= 0.7", width)
    text = "Without a side: the run's figure where it has one, else that of every side, each judged by itself."
    yield from sentence(text, width)
    yield []
    for figure in FIGURES:
        yield from _figure(figure, width)


def _figure(figure: Figure, width: int) -> Iterator[Line]:
    """Name, sides and meaning beside each other; the meaning below where there is no room."""
    short = f"; short: {figure.short}" if figure.short else ""
    lead = fit(figure.name, NAME_CELLS) + fit(figure.sides, SIDES_CELLS)
    room = width - len(INDENT) - cells(lead)
    indent = cells(lead) if room >= RULE_CELLS else 2 * len(INDENT)
    lines = wrap(f"{figure.meaning} [{figure.unit.value}]{short}", width - len(INDENT) - indent, RULE_LINES)
    head = [Span(INDENT), Span(fit(figure.name, NAME_CELLS), BOLD), Span(fit(figure.sides, SIDES_CELLS), DIM)]
    yield [*head, Span(lines.pop(0))] if room >= RULE_CELLS else head
    yield from ([Span(INDENT + " " * indent), Span(line)] for line in lines)


def _columns(texts: Sequence[str], widths: Sequence[int]) -> str:
    """Right-aligned, each after a gap."""
    return "".join(" " * (GAP + width - cells(text)) + text for text, width in zip(texts, widths, strict=True))


def _beside(outcome: GateOutcome, figures: str, rule_cells: int) -> Iterator[Line]:
    style = PLAIN if outcome.passed else FAILED
    first, *rest = wrap(rule_of(outcome), rule_cells, RULE_LINES)
    lead = [Span(INDENT), Span(fit(outcome_word(outcome), OUTCOME_CELLS), style)]
    yield [*lead, Span(fit(first, rule_cells)), Span(figures)]
    yield from ([Span(NOTE_INDENT), Span(line)] for line in rest)


def _below(outcome: GateOutcome, figures: GateFigures, width: int) -> Iterator[Line]:
    """Where there is no room beside the rule."""
    style = PLAIN if outcome.passed else FAILED
    first, *rest = wrap(rule_of(outcome), width - len(NOTE_INDENT), RULE_LINES)
    yield [Span(INDENT), Span(fit(outcome_word(outcome), OUTCOME_CELLS), style), Span(first)]
    yield from ([Span(NOTE_INDENT), Span(line)] for line in rest)
    parts = [Span(f"{name} {text}") for name, text in zip(HEADINGS, figures, strict=True)]
    yield from flowed(parts, width, NOTE_INDENT)


def _note(note: str, width: int) -> Iterator[Line]:
    """Once for rules that follow each other and share it."""
    if note:
        lines = wrap(one_line(note), width - len(NOTE_INDENT), RULE_LINES)
        yield from ([Span(NOTE_INDENT), Span(line, DIM)] for line in lines)
