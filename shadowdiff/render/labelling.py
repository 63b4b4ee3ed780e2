"""How far the labelling of a run is, and how far those who label agree: for people and for programs.

JSON (`shadowdiff.labelling/1`) is one object: `schema`, `version`, `run_id`, `turns`, `entries`,
`min_grade`, `labelled` (`entries`, `turns_begun`, `turns_complete`), `raters` (a list of `author`,
`source` and the same three counts), `agreement` (a list of `first`, `second`, `sessions`, `entries`,
`grades` and `relevance` (`agreed`, `kappa`, `ci95`), and `table`, a list of `first`, `second`
and `entries`), `disputed` (a list of `org_id`, `session_id`, `turn_id`, `entry_id` and
`grades`, a list of `author`, `source` and `grade`), and `disputed_in_all`. A rater
without an author is a source of labels, a qrels file say. All of it is ASCII.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from shadowdiff import __version__
from shadowdiff.agreement import Agreement
from shadowdiff.labelling.pooled import EntryKey
from shadowdiff.labelling.report import Disputed, LabellingReport, Pair, Rater, Share
from shadowdiff.render.lines import BOLD, DIM, Line, Span
from shadowdiff.render.sessions import INDENT, counted
from shadowdiff.render.structured import PLACES
from shadowdiff.render.tables import Figure, TableRow, mean, sentence, share_of, table
from shadowdiff.render.text import clip, one_line
from shadowdiff.runs import Estimate, Run

SCHEMA = "shadowdiff.labelling/1"
NAME_CELLS = 24
KAPPA_PLACES = 2
HOW = (
    "kappa: Cohen's, agreement beyond chance; 1 is perfect, 0 is chance. [ ]: 95% interval, resampling whole "
    "sessions. Any two grades that are not the same disagree, however close."
)


class Told(NamedTuple):
    """What a disputed entry is about."""

    asked: str
    title: str


Texts = Mapping[EntryKey, Told]


def name_of(rater: Rater) -> str:
    """A person's name, or which source the labels are of."""
    return clip(one_line(rater.author) if rater.author else f"{one_line(rater.source)} (source)", NAME_CELLS)


def labelling_lines(report: LabellingReport, run: Run, depth: int, texts: Texts, width: int) -> Iterator[Line]:
    """The whole, each line within `width` cells; a disputed entry without a text is told by its id."""
    yield [Span(clip(f"labels of run {one_line(run.run_id)}", width), BOLD)]
    to_label = f"{_entries(report.entries)} on {counted(report.turns, 'turn')}: what any side surfaced"
    yield from sentence(f"to label: {to_label} in its first {depth}", width)
    if not report.by_rater:
        yield from sentence("nothing is labelled yet", width)
        return
    yield from table(
        ["entries", "turns begun", "turns complete"],
        [TableRow(name_of(rater), _share(share, report)) for rater, share in report.by_rater.items()]
        + [TableRow("by anyone", _share(report.by_anyone, report))],
        width,
    )
    for pair in report.pairs:
        yield []
        yield from _pair(pair, report.min_grade, width)
    if report.pairs:
        yield from sentence(HOW, width, DIM)
    elif len(report.by_rater) > 1:
        yield from sentence("agreement: no two have labelled the same entry", width)
    yield from _disputed(report, texts, width)


def _share(share: Share, report: LabellingReport) -> list[Figure]:
    return [
        share_of(share.entries, report.entries),
        share_of(share.turns_begun, report.turns),
        share_of(share.turns_complete, report.turns),
    ]


def _pair(pair: Pair, min_grade: int, width: int) -> Iterator[Line]:
    first, second = name_of(pair.first), name_of(pair.second)
    both = f"{counted(pair.sessions, 'session')}, {_entries(pair.grades.items)} labelled by both"
    yield from sentence(f"{first} and {second}: {both}", width, BOLD)
    rows = [
        TableRow("grades", _figures(pair.grades)),
        TableRow(f"relevant (from {min_grade} on) or not", _figures(pair.relevance)),
    ]
    yield from table(["agreed", "kappa"], rows, width)
    yield from sentence(f"grades of {first} down, of {second} across:", width)
    grades = sorted({grade for both_grades in pair.table for grade in both_grades})
    crossed = [
        TableRow(str(down), [Figure(f"{pair.table.get((down, across), 0) or '·'}") for across in grades])
        for down in grades
    ]
    yield from table([str(grade) for grade in grades], crossed, width)


def _figures(found: Agreement) -> list[Figure]:
    agreed = Figure(f"{found.agreed / found.items:.0%}", f"({found.agreed:,} of {found.items:,})")
    return [agreed, mean(Estimate(*found.kappa), KAPPA_PLACES)]


def _disputed(report: LabellingReport, texts: Texts, width: int) -> Iterator[Line]:
    if not report.disputed:
        return
    yield []
    of = f"{len(report.disputed)} of " if report.disputed_in_all > len(report.disputed) else ""
    apart = f"to talk about: {of}{_entries(report.disputed_in_all)} with different grades"
    yield [Span(clip(apart, width), BOLD)]
    for item in report.disputed:
        yield from _disputed_lines(item, texts.get((item.turn.org_id, item.turn.turn_id, item.entry_id)), width)


def _disputed_lines(item: Disputed, told: Told | None, width: int) -> Iterator[Line]:
    given = " · ".join(f"{grade} {name_of(rater)}" for rater, grade in item.grades)
    yield from sentence(given, width)
    name = one_line(f"{item.entry_id}  {told.title if told else ''}")
    asked = one_line(f"turn {item.turn.turn_id}  {told.asked if told else ''}")
    yield [Span(clip(f"{INDENT * 2}{name}", width))]
    yield [Span(clip(f"{INDENT * 2}{asked}", width), DIM)]


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number:,} entries"


def labelling_json(report: LabellingReport, run: Run) -> str:
    """The document, with a line end."""
    document = {
        "schema": SCHEMA,
        "version": __version__,
        "run_id": run.run_id,
        "turns": report.turns,
        "entries": report.entries,
        "min_grade": report.min_grade,
        "labelled": _counts(report.by_anyone),
        "raters": [{**rater._asdict(), **_counts(share)} for rater, share in report.by_rater.items()],
        "agreement": [_agreement(pair) for pair in report.pairs],
        "disputed": [_disputed_entry(item) for item in report.disputed],
        "disputed_in_all": report.disputed_in_all,
    }
    return json.dumps(document, indent=1) + "\n"


def _counts(share: Share) -> dict[str, int]:
    return {"entries": share.entries, "turns_begun": share.turns_begun, "turns_complete": share.turns_complete}


def _agreement(pair: Pair) -> dict[str, Any]:
    return {
        "first": pair.first._asdict(),
        "second": pair.second._asdict(),
        "sessions": pair.sessions,
        "entries": pair.grades.items,
        "grades": _kappa(pair.grades),
        "relevance": _kappa(pair.relevance),
        "table": [
            {"first": first, "second": second, "entries": entries}
            for (first, second), entries in sorted(pair.table.items())
        ],
    }


def _kappa(found: Agreement) -> dict[str, Any]:
    value, *ends = (None if number is None else round(number, PLACES) for number in found.kappa)
    return {"agreed": found.agreed, "kappa": value, "ci95": None if None in ends else ends}


def _disputed_entry(item: Disputed) -> dict[str, Any]:
    return {
        "org_id": item.turn.org_id,
        "session_id": item.turn.session_id,
        "turn_id": item.turn.turn_id,
        "entry_id": item.entry_id,
        "grades": [{**rater._asdict(), "grade": grade} for rater, grade in item.grades],
    }
