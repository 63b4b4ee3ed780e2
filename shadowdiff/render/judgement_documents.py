"""What a judge makes of a run, for programs and for a pull request.

JSON (`shadowdiff.judgement/1`) is one object: `schema`, `version`, `run_id`, `sides` as in `shadowdiff.run/1`,
`judged_by`, `spent`, and `reports` by label of the other side. A report has the counts (`drawn`, `sessions`,
`better`, `worse`, `tied`, `ties` by kind, `abstained` and `undecided` by reason, `set_aside`), its shares (each
with `count`, `of`, `share`, `wilson95` and `sessions_ci95`), the sign-flip test, the parts, the checks of the judge
(`flips`, `length`, `labels`, `flagged`), `warnings`, and `turns`: every drawn turn with its decision and with
what the judge said where the baseline's list was shown first (`a_first`) and second (`b_first`). All of it is ASCII,
everything else escaped. Fields are added, never renamed, within `/1`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

from shadowdiff import __version__
from shadowdiff.judging.results import (
    FlaggedEntry,
    Flips,
    Judgement,
    JudgeReport,
    LabelCheck,
    LengthCheck,
    Part,
    Preference,
    Share,
    TurnResult,
)
from shadowdiff.judging.tally import kind_of_difference
from shadowdiff.paired import Balance
from shadowdiff.records import Usage
from shadowdiff.render.columns import heading_of
from shadowdiff.render.evaluation_documents import details, figures_table, rounded
from shadowdiff.render.github import MOST_CHARACTERS, length, markdown
from shadowdiff.render.judgement import EXAMPLES
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
from shadowdiff.render.structured import side_json
from shadowdiff.runs import Run, Side
from shadowdiff.stats import Interval
from shadowdiff.verdicts import Opinion

SCHEMA = "shadowdiff.judgement/1"
CELL = 120
NOTE_CELLS = 900
FEWER = "more would not fit a comment: the whole stands in --format json"

Json = dict[str, Any]
Hashes = tuple[str | None, str | None]


def judgement_json(judgement: Judgement, run: Run) -> str:
    """The document, with a line end; every drawn turn stands in it."""
    spent = judgement.spent
    document = {
        "schema": SCHEMA,
        "version": __version__,
        "run_id": run.run_id,
        "sides": list(map(side_json, run.sides)),
        "judged_by": asdict(judgement.by),
        "spent": {
            "asked": spent.asked,
            "reused": spent.reused,
            "now": _usage(spent.now, spent.usd_now),
            "whole": _usage(spent.whole, spent.usd_whole),
        },
        "reports": {
            side.label: _report(report, side.label, judgement.prompt_hashes) for side, report in others(judgement, run)
        },
    }
    return json.dumps(rounded(document), indent=1) + "\n"


def _usage(usage: Usage, dollars: float | None) -> Json:
    return {
        "calls": usage.calls,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "usd": dollars,
    }


def _report(report: JudgeReport, b: str, hashes: Mapping[tuple[str, str, str], Hashes]) -> Json:
    return {
        "conclusion": tested_text(report, "A", b) if report.decided else None,
        "drawn": report.drawn,
        "sessions": report.sessions,
        "decided_sessions": report.decided_sessions,
        **_balance(report.balance),
        "ties": {kind.value: number for kind, number in report.ties.items()},
        "abstained": {kind.value: number for kind, number in report.abstained.items()},
        "undecided": report.undecided,
        "set_aside": _balance(report.set_aside),
        "both_orders": report.both_orders,
        "count_flagged": report.count_flagged,
        "shares": {"better": _share(report.wins), "worse": _share(report.losses), "tied": _share(report.tied)},
        "right_when_they_disagreed": _share(report.right),
        "p": report.test.p,
        "p_exact": report.test.is_exact,
        "overlap": {"mean": report.overlap.value, "sessions_ci95": _ends(report.overlap)},
        "identical": _share(report.identical),
        "reordered": _part(report.reordered),
        "different": _part(report.different),
        "by_difference": list(map(_part, report.by_difference)),
        "by_org": list(map(_part, report.by_org)),
        "orgs": report.orgs,
        **_checks(report),
        "warnings": list(warnings(report, b)),
        "turns": [_turn(result, b, hashes) for result in report.turns],
    }


def _checks(report: JudgeReport) -> Json:
    flips, length = report.flips, report.length
    return {
        "flips": {**_shares(flips), "place": _difference(flips.place)},
        "length": {**_shares(length), "difference": _difference(length.difference)},
        "labels": None if report.labels is None else _labels(report.labels),
        "flagged": list(map(_flagged, report.flagged)),
        "flagged_lists_won": _share(report.holders),
        "cut": {"entries": report.cut_entries, "turns": report.cut_turns},
    }


def _shares(record: Flips | LengthCheck) -> Json:
    """Its shares, by name."""
    found = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: _share(value) for name, value in found.items() if isinstance(value, Share)}


def _difference(interval: Interval) -> Json:
    return {"value": interval.value, "newcombe95": _ends(interval)}


def _share(share: Share) -> Json:
    return {
        "count": share.part,
        "of": share.whole,
        "share": share.value,
        "wilson95": _ends(share.wilson),
        "sessions_ci95": _ends(share.over_sessions),
    }


def _ends(interval: Interval) -> list[float | None] | None:
    return None if interval.low is None else [interval.low, interval.high]


def _balance(balance: Balance) -> Json:
    return {"better": balance.wins, "worse": balance.losses, "tied": balance.ties}


def _part(part: Part) -> Json:
    return {
        "name": part.name,
        "drawn": part.drawn,
        "sessions": part.sessions,
        **_balance(part.balance),
        "right_when_they_disagreed": _share(part.right),
    }


def _labels(labels: LabelCheck) -> Json:
    found = labels.agreement
    return {
        "turns": found.items,
        "agreed": found.agreed,
        "kappa": {"value": found.kappa.value, "sessions_ci95": _ends(found.kappa)},
        "table": {of.value: {judge.value: count for judge, count in row.items()} for of, row in labels.table.items()},
        "both_named": _share(labels.both_named),
    }


def _flagged(entry: FlaggedEntry) -> Json:
    return {**asdict(entry), "favoured": _share(entry.favoured), "seems_obeyed": entry.seems_obeyed}


def _turn(result: TurnResult, b: str, hashes: Mapping[tuple[str, str, str], Hashes]) -> Json:
    turn, comparison = result.turn, result.turn.comparison
    a_hash, b_hash = hashes.get((b, comparison.org_id, comparison.turn_id), (None, None))
    return {
        "org_id": comparison.org_id,
        "session_id": comparison.session_id,
        "turn_id": comparison.turn_id,
        "query": comparison.query,
        "decision": result.decision.value,
        "counted": result.is_decided,
        "difference": kind_of_difference(comparison),
        "lists": {"a": comparison.lists[0], "b": comparison.lists[1]},
        "shown": comparison.shown,
        "overlap": comparison.overlap,
        "characters": {"a": comparison.characters[0], "b": comparison.characters[1]},
        "cut": comparison.cut,
        "flagged": [entry.entry_id for entry in comparison.flagged],
        "asked_first": "a_first" if comparison.a_first else "b_first",
        "a_first": _opinion(turn.a_first, a_hash),
        "b_first": _opinion(turn.b_first, b_hash),
        "failure": turn.failure or None,
        "gain": turn.gain,
    }


def _opinion(opinion: Opinion | None, prompt_hash: str | None) -> Json | None:
    if opinion is None:
        return None
    return {
        "choice": opinion.choice.value,
        "abstention": opinion.abstention.value if opinion.abstention else None,
        "reason": opinion.reason,
        "first_note": opinion.first_note,
        "second_note": opinion.second_note,
        "prompt_hash": prompt_hash,
    }


def judgement_markdown(judgement: Judgement, run: Run, examples: int = EXAMPLES) -> str:
    """For a pull request: the conclusions and what speaks against them, then a table for each side, the rest folded.

    It fits a comment: where it would not, there are fewer examples, and then nothing folded.
    """
    found = _document(judgement, run, examples)
    while length(found) > MOST_CHARACTERS and examples:
        examples //= 2
        found = _document(judgement, run, examples, FEWER)
    return found if length(found) <= MOST_CHARACTERS else _document(judgement, run, None, FEWER)


def _document(judgement: Judgement, run: Run, examples: int | None, *notes: str) -> str:
    """With so many examples of each preference; None: without anything that is folded."""
    a = run.baseline.label
    blocks: list[str] = []
    for side, report in others(judgement, run):
        blocks += _conclusion(report, side, a)
    blocks += [
        " · ".join(markdown(heading_of(side), CELL) for side in run.sides),
        markdown(" · ".join(circumstances(judgement)), NOTE_CELLS),
        markdown(spent_text(judgement.spent), NOTE_CELLS),
    ]
    for side, report in others(judgement, run):
        blocks += [f"**{markdown(f'{heading_of(side)} against {heading_of(run.baseline)}', CELL)}**"]
        blocks += _tables(report, side.label, judgement)
        blocks += [] if examples is None else _folded(report, a, side.label, examples)
    return "\n\n".join([*blocks, *map(_small, (*notes, HOW))]) + "\n"


def _conclusion(report: JudgeReport, side: Side, a: str) -> Iterator[str]:
    yield f"**{markdown(headline(report, side), NOTE_CELLS)}**"
    texts = [right_text(report), tested_text(report, a, side.label)] if report.decided else []
    if points := [f"- {markdown(text, NOTE_CELLS)}" for text in [*texts, *uncounted_texts(report)]]:
        yield "\n".join(points)
    yield from (f"**Warning:** {markdown(text, NOTE_CELLS)}" for text in warnings(report, side.label))


def _tables(report: JudgeReport, b: str, judgement: Judgement) -> Iterator[str]:
    yield figures_table(HEADINGS, result_rows(report, b))
    notes = [text for text in (ties_text(report), overlap_text(report, judgement.by)) if text]
    yield markdown(" · ".join(notes), NOTE_CELLS)


def _folded(report: JudgeReport, a: str, b: str, examples: int) -> Iterator[str]:
    yield details("Can the judge be trusted?", *_trust(report, a, b))
    yield details("By how much the lists differ, and by org", *_parts(report, b))
    if report.flagged:
        yield details("Entries whose text reads like an instruction", *_flagged_entries(report, a, b))
    for preference, label in ((Preference.B, b), (Preference.A, a)):
        found = most_different(report, preference, examples)
        if found:
            yield details(f"Where the judge prefers {label}", *(_example(result, a, b) for result in found))


def _trust(report: JudgeReport, a: str, b: str) -> Iterator[str]:
    rows = trust_rows(report, b)
    if rows:
        yield figures_table(HEADINGS, rows)
    if not report.both_orders:
        yield ONE_ORDER
    yield markdown(kappa_text(report), NOTE_CELLS)
    if report.labels is not None:
        yield figures_table(*label_rows(report.labels, a, b))
    if report.cut_entries:
        yield cut_text(report)


def _parts(report: JudgeReport, b: str) -> Iterator[str]:
    yield figures_table(part_headings(b), difference_rows(report))
    if report.by_org:
        yield figures_table(part_headings(b), [part_row(part) for part in report.by_org])
    elif orgs_text(report):
        yield orgs_text(report)
    yield _small(PARTS_NOTE.format(b=b))


def _flagged_entries(report: JudgeReport, a: str, b: str) -> Iterator[str]:
    yield markdown(flagged_heading(report), NOTE_CELLS)
    for entry in report.flagged[:MOST_FLAGGED]:
        texts = (flagged_entry_text(entry), flagged_fared_text(entry, a, b), flagged_quote(entry))
        yield "- " + "<br>".join(markdown(text) for text in texts)
    if (more := len(report.flagged) - MOST_FLAGGED) > 0:
        yield f"and {more:,} more, all of them with: --format json"


def _example(result: TurnResult, a: str, b: str) -> str:
    texts = (where_text(result), query_text(result), entries_text(result, a, b), reason_text(result, a, b))
    return "- " + "<br>".join(markdown(text, NOTE_CELLS) for text in texts if text)


def _small(text: str) -> str:
    return f"<sub>{markdown(text, NOTE_CELLS)}</sub>"
