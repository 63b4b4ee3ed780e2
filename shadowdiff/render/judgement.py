"""What a judge makes of a run, for a terminal: who won, on which queries, and whether the judge can be trusted."""

from __future__ import annotations

from collections.abc import Iterator

from shadowdiff.judging.results import JudgedBy, Judgement, JudgeReport, Preference
from shadowdiff.render.columns import heading_of
from shadowdiff.render.judgement_figures import (
    HEADINGS,
    HOW,
    PARTS_NOTE,
    circumstances,
    difference_rows,
    headline,
    orgs_text,
    others,
    overlap_text,
    part_headings,
    part_row,
    result_rows,
    right_text,
    spent_text,
    tested_text,
    ties_text,
    uncounted_texts,
)
from shadowdiff.render.judgement_trust import (
    MOST_FLAGGED,
    ONE_ORDER,
    cut_text,
    flagged_entry_text,
    flagged_fared_text,
    flagged_heading,
    flagged_quote,
    kappa_text,
    label_rows,
    trust_rows,
    warnings,
)
from shadowdiff.render.judgement_turns import entries_text, most_different, query_text, reason_text, where_text
from shadowdiff.render.lines import BOLD, DIM, FAILED, Line, Span, flowed
from shadowdiff.render.sessions import INDENT
from shadowdiff.render.tables import sentence, table
from shadowdiff.render.text import clip, one_line, wrap
from shadowdiff.runs import Run, Side

EXAMPLES = 3
"""Verdicts shown with their reason, for each side."""
DEEPER = INDENT + INDENT


def judgement_lines(judgement: Judgement, run: Run, width: int, examples: int = EXAMPLES) -> Iterator[Line]:
    """The whole, each line within `width` cells; of each side so many verdicts with the judge's reason."""
    a = run.baseline.label
    for side, report in others(judgement, run):
        yield from _conclusion(report, side, a, width)
        yield []
    yield [Span(clip(f"judgement of run {one_line(run.run_id)}", width), BOLD)]
    for side in run.sides:
        yield from flowed([Span(heading_of(side))], width, INDENT)
    yield from flowed([Span(fact) for fact in circumstances(judgement)], width, INDENT)
    yield from sentence(spent_text(judgement.spent), width)
    for side, report in others(judgement, run):
        yield from _report(report, side, run.baseline, judgement.by, width)
        yield from _examples(report, a, side.label, width, examples)
    yield []
    yield from sentence(HOW, width, DIM, lines=8)


def _conclusion(report: JudgeReport, side: Side, a: str, width: int) -> Iterator[Line]:
    """What a person repeats, and what must be said with it."""
    yield from ([Span(line, BOLD)] for line in wrap(headline(report, side), width, 4))
    texts = [right_text(report), tested_text(report, a, side.label)] if report.decided else []
    for text in [*texts, *uncounted_texts(report)]:
        yield from sentence(text, width, lines=6)
    for text in warnings(report, side.label):
        yield from sentence(text, width, FAILED, lines=6)


def _report(report: JudgeReport, side: Side, baseline: Side, by: JudgedBy, width: int) -> Iterator[Line]:
    yield []
    yield from _heading(f"{heading_of(side)} against {heading_of(baseline)}", width)
    yield from table(HEADINGS, result_rows(report, side.label), width)
    for text in (ties_text(report), overlap_text(report, by)):
        yield from sentence(text, width) if text else ()
    yield from _parts(report, side.label, width)
    yield from _trust(report, baseline.label, side.label, width)
    yield from _flagged(report, baseline.label, side.label, width)


def _parts(report: JudgeReport, b: str, width: int) -> Iterator[Line]:
    yield []
    yield from _heading("by how much the lists differ", width)
    yield from table(part_headings(b), difference_rows(report), width)
    if report.by_org:
        yield []
        yield from _heading("by org", width)
        yield from table(part_headings(b), [part_row(part) for part in report.by_org], width)
    yield from sentence(orgs_text(report), width) if orgs_text(report) else ()
    yield from sentence(PARTS_NOTE.format(b=b), width, DIM, lines=8)


def _trust(report: JudgeReport, a: str, b: str, width: int) -> Iterator[Line]:
    yield []
    yield from _heading("can the judge be trusted?", width)
    rows = trust_rows(report, b)
    if rows:
        yield from table(HEADINGS, rows, width)
    yield from sentence(ONE_ORDER, width) if not report.both_orders else ()
    yield from sentence(kappa_text(report), width)
    if report.labels is not None:
        yield from table(*label_rows(report.labels, a, b), width)
    yield from sentence(cut_text(report), width) if report.cut_entries else ()


def _flagged(report: JudgeReport, a: str, b: str, width: int) -> Iterator[Line]:
    if not report.flagged:
        yield from sentence(flagged_heading(report), width)
        return
    yield []
    yield from _heading(flagged_heading(report), width)
    for entry in report.flagged[:MOST_FLAGGED]:
        yield [Span(clip(f"{INDENT}{'! ' if entry.seems_obeyed else ''}{flagged_entry_text(entry)}", width))]
        for text in (flagged_fared_text(entry, a, b), flagged_quote(entry)):
            yield from _deeper(text, width, 2, DIM)
    if (more := len(report.flagged) - MOST_FLAGGED) > 0:
        yield from sentence(f"and {more:,} more, all of them with: --format json", width, DIM)


def _examples(report: JudgeReport, a: str, b: str, width: int, most: int) -> Iterator[Line]:
    for preference, label in ((Preference.B, b), (Preference.A, a)):
        found = most_different(report, preference, most)
        if not found:
            continue
        yield []
        yield from _heading(f"where the judge prefers {label}, the most different lists first", width)
        for result in found:
            yield [Span(clip(f"{INDENT}{where_text(result)}", width))]
            yield from _deeper(query_text(result), width, 2)
            entries = entries_text(result, a, b)
            yield from _deeper(entries, width, 3) if entries else ()
            yield from _deeper(reason_text(result, a, b), width, 5, DIM)


def _heading(text: str, width: int) -> Iterator[Line]:
    return ([Span(line, BOLD)] for line in wrap(text, width, 3))


def _deeper(text: str, width: int, lines: int, style: str = "") -> Iterator[Line]:
    return ([Span(DEEPER), Span(line, style)] for line in wrap(text, width - len(DEEPER), lines))
