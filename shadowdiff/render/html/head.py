"""What stands above the sessions, ready for the template: every word of it is text, and the template escapes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shadowdiff.nights import ChangedSession, GateOutcome, RunChanges, Surroundings
from shadowdiff.records import Outcome
from shadowdiff.render import fidelity
from shadowdiff.render.closing import INTERVAL, circumstances, cut_short, pair_figures, verdict
from shadowdiff.render.columns import heading_of
from shadowdiff.render.comparison import figure_rows, in_short
from shadowdiff.render.gates import LEGEND, figures_of, headline, number_text, outcome_word, rule_of
from shadowdiff.render.html.drawing import Chart
from shadowdiff.render.html.spreads import latency_chart, pair_charts
from shadowdiff.render.html.tallies import Tallies
from shadowdiff.render.html.trend import outlier_lines, restart_lines, trend_charts
from shadowdiff.render.sides import failure_notes, side_figures, side_notes
from shadowdiff.render.tables import Figure, TableRow, mean, share_of
from shadowdiff.render.text import one_line
from shadowdiff.runs import PairSummary, Run, RunSummary, Side

CHANGES_LISTED = 50


@dataclass(frozen=True, slots=True)
class Table:
    """A table of figures with what is to be said below it."""

    caption: str
    headings: list[str]
    rows: list[TableRow]
    notes: list[str]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Tile:
    """One of the few figures that a reader looks at first."""

    label: str
    figure: Figure
    noise: str
    css: str = ""


@dataclass(frozen=True, slots=True)
class GateRow:
    """A rule, what became of it, and the numbers that decided."""

    rule: str
    passed: bool
    outcome: str
    figures: tuple[str, ...]
    """Which figure, its value, its bound, the limit, the margin."""
    note: str


@dataclass(frozen=True, slots=True)
class PairChart:
    """A chart of one pair of sides, by the label of the other side; without one, of all sides."""

    label: str
    pair: str
    """The pair in words, where the title must say it."""
    chart: Chart


@dataclass(frozen=True, slots=True)
class ChangeList:
    """Sessions that a run and the blessed one tell apart, of one kind."""

    heading: str
    sessions: Sequence[ChangedSession]
    more: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What is otherwise than in the blessed run."""

    before: str
    in_short: str
    figures: list[tuple[str, str, str, str]]
    """Name, before, after, difference."""
    lists: list[ChangeList]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Head:
    """All of it."""

    run_id: str
    verdict: str
    facts: list[str]
    cut_short: str
    sides: list[tuple[Side, str, str]]
    """With its name and its spec; the spec is empty where the name says it."""
    gates: list[GateRow]
    gate_sentence: str
    """Empty where no gate was asked for."""
    tiles: list[tuple[str, str, list[Tile]]]
    """Per pair: the other side's label, a heading, and figures."""
    tables: list[Table]
    changes: Changes | None
    not_compared: str
    gate_legend: str
    trend: list[Chart]
    trend_flags: list[str]
    trend_restarts: list[str]
    trend_rule: str
    charts: list[PairChart]


def head_of(run: Run, tallies: Tallies, surroundings: Surroundings) -> Head:
    """Gather it; `tallies` hold the run's sessions."""
    summary, history = run.summary, surroundings.history
    trend = trend_charts(history) if history else []
    return Head(
        run_id=one_line(run.run_id),
        verdict=verdict(run, summary) if summary else "This run has no summary yet: it was not finished.",
        facts=circumstances(run),
        cut_short=cut_short(run),
        sides=[(side, one_line(side.name), _spec(side)) for side in run.sides],
        gates=[_gate_row(outcome) for outcome in surroundings.gates],
        gate_sentence=headline(surroundings.gates) if surroundings.gates else "",
        tiles=list(_tiles(run, summary)) if summary else [],
        tables=list(_tables(run, summary)) if summary and summary.turns else [],
        changes=_changes(surroundings.compared_with, run),
        not_compared=one_line(surroundings.not_compared),
        gate_legend=LEGEND if any(outcome.bound is not None for outcome in surroundings.gates) else "",
        trend=trend,
        trend_flags=outlier_lines(history) if history and trend else [],
        trend_restarts=restart_lines(history) if history and trend else [],
        trend_rule=history.rule if history and trend else "",
        charts=_charts(run, summary, tallies) if summary and summary.turns else [],
    )


def _spec(side: Side) -> str:
    name, spec = one_line(side.name), one_line(side.spec)
    return "" if name == spec else spec


def _gate_row(outcome: GateOutcome) -> GateRow:
    numbers = figures_of(outcome)
    limit = number_text(outcome.limit)
    figures = (one_line(outcome.figure), numbers.value, numbers.bound, limit, numbers.margin)
    return GateRow(rule_of(outcome), outcome.passed, outcome_word(outcome), figures, one_line(outcome.note))


def _tiles(run: Run, summary: RunSummary) -> Iterator[tuple[str, str, list[Tile]]]:
    a = run.baseline.label
    for side in run.others:
        pair = summary.pairs.get(side.label)
        if pair is not None and pair.sessions:
            heading = f"{heading_of(run.baseline)} against {heading_of(side)}"
            yield side.label, heading, _pair_tiles(run, a, side.label, summary, pair)


def _pair_tiles(run: Run, a: str, label: str, summary: RunSummary, pair: PairSummary) -> list[Tile]:
    failed = pair.turns.get(Outcome.FAILED, 0)

    def floor(of: Callable[[PairSummary], Figure]) -> str:
        """What the baseline against itself gives for the same figure; empty where that was not measured."""
        return "" if summary.noise is None else f"noise floor {of(summary.noise).number}"

    def tile(name: str, of: Callable[[PairSummary], Figure], css: str = "") -> Tile:
        return Tile(name, of(pair), floor(of), css)

    return [
        tile("sessions that differ", lambda each: share_of(each.sessions_changed, each.sessions)),
        tile(f"only in {a}, per session", lambda each: mean(each.only_in_a_per_session, 1), "side-a"),
        tile(f"only in {label}, per session", lambda each: mean(each.only_in_b_per_session, 1), "side-b"),
        tile(f"overlap@{run.config.top_k}", lambda each: mean(each.overlap, 2)),
        Tile("failed turns", Figure(f"{failed:,}", f"of {summary.turns:,}"), "", "failed" if failed else ""),
    ]


def _tables(run: Run, summary: RunSummary) -> Iterator[Table]:
    headings, rows = pair_figures(run, summary)
    noise = [] if run.config.noise else ["No noise floor was measured; `--noise` replays the baseline a second time."]
    yield Table("What the sides surfaced", headings, rows, [INTERVAL, *noise], [])
    headings, rows = side_figures(run, summary)
    if headings:
        warnings = list(failure_notes(run, summary))
        yield Table("What each side did", headings, rows, side_notes(run, summary), warnings)
    found = summary.fidelity
    if found is not None:
        notes = [fidelity.assumed(found.side)] if run.config.production_assumed else []
        notes += [fidelity.served_by(found)] if found.served_by else []
        rows = fidelity.fidelity_figures(found) if found.turns else []
        verdicts = list(fidelity.verdict(found))
        yield Table(fidelity.heading(run, found), [f"{found.side} → served"], rows, [*verdicts, *notes], [])


def _changes(changes: RunChanges | None, run: Run) -> Changes | None:
    if changes is None:
        return None
    kinds = {
        "Newly different": changes.newly_different,
        "Newly failing": changes.newly_failing,
        "Fixed": changes.fixed,
    }
    lists = [
        ChangeList(heading, sessions[:CHANGES_LISTED], max(0, len(sessions) - CHANGES_LISTED))
        for heading, sessions in kinds.items()
        if sessions
    ]
    notes = [one_line(note) for note in changes.notes]
    return Changes(one_line(changes.before), in_short(changes), figure_rows(changes, run), lists, notes)


def _charts(run: Run, summary: RunSummary, tallies: Tallies) -> list[PairChart]:
    """Those of each pair of sides, named where there are several pairs, then that of the sides themselves."""
    several = len(tallies.pairs) > 1
    found = [
        PairChart(label, f"{run.baseline.label} → {label}" if several else "", chart)
        for label, tally in tallies.pairs.items()
        if tallies.sessions and label in summary.pairs
        for chart in pair_charts(run, label, tally, summary)
    ]
    latency = latency_chart(run, summary)
    return found if latency is None else [*found, PairChart("", "", latency)]
