"""What `shadowdiff doctor` found, as lines for people or as JSON.

JSON (`shadowdiff.doctor/1`) is one object: `schema`, `version`, `findings` (a
list of objects with `area`, `check`, `status` (`ok`, `warn` or `fail`), `what`
and `do`, which is null where there is nothing to do) and `counts` by status.
All of it is ASCII, everything else escaped. Fields are added, never renamed,
within `/1`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from shadowdiff import __version__
from shadowdiff.findings import Examined, Finding, Status, counts
from shadowdiff.render.lines import BOLD, DIM, FAILED, PLAIN, Line, Paint, Span
from shadowdiff.render.text import clip, fit, one_line, wrap

SCHEMA = "shadowdiff.doctor/1"
STATUS_CELLS = 6
CHECK_CELLS = 19
NARROW = 60
"""Columns below which what was found stands under its check, not beside it."""
INDENT = 4
MOST_LINES = 40
STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: FAILED}


def finding_lines(examined: Iterable[Examined], width: int, paint: Paint) -> Iterator[str]:
    """Lines as the findings come, areas apart, with the counts at the end."""
    seen: list[Finding] = []
    area = None
    for item in examined:
        if item.area != area:
            yield from [""] if area is not None else []
            yield paint([Span(one_line(item.area), BOLD)])
            area = item.area
        seen.append(item.finding)
        yield from (paint(line) for line in _lines(item.finding, width))
    yield ""
    yield paint([Span(_counted(seen), BOLD)])


def findings_json(examined: Sequence[Examined]) -> str:
    """The document, with a line end."""
    document = {
        "schema": SCHEMA,
        "version": __version__,
        "findings": [
            {
                "area": item.area,
                "check": item.finding.check,
                "status": item.finding.status.value,
                "what": item.finding.what,
                "do": item.finding.do or None,
            }
            for item in examined
        ],
        "counts": {status.value: number for status, number in counts(item.finding for item in examined).items()},
    }
    return json.dumps(document, indent=1) + "\n"


def _lines(finding: Finding, width: int) -> Iterator[Line]:
    status = Span(fit(finding.status.value, STATUS_CELLS), STYLES[finding.status])
    check = one_line(finding.check)
    told = [(one_line(finding.what), "", PLAIN), *((one_line(text), mark, DIM) for text, mark in _remedy(finding))]
    if width < NARROW:
        yield [status, Span(clip(check, width - STATUS_CELLS))]
        yield from _wrapped(told, width, INDENT)
        return
    indent = STATUS_CELLS + CHECK_CELLS
    lines = list(_wrapped(told, width, indent))
    yield [status, Span(fit(check, CHECK_CELLS - 1) + " "), *lines[0][1:]]
    yield from lines[1:]


def _remedy(finding: Finding) -> Iterator[tuple[str, str]]:
    """What to do, line by line, each with what stands before it."""
    for place, text in enumerate(finding.do.splitlines()):
        yield text, "  " if place else "→ "


def _wrapped(told: Iterable[tuple[str, str, str]], width: int, indent: int) -> Iterator[Line]:
    """Each text with its mark, wrapped so that what follows the mark stays aligned."""
    for text, mark, style in told:
        for place, line in enumerate(wrap(text, width - indent - len(mark), MOST_LINES)):
            yield [Span(" " * indent), Span((" " * len(mark) if place else mark) + line, style)]


def _counted(findings: Sequence[Finding]) -> str:
    found = counts(findings)
    warnings = f"{found[Status.WARN]} warning{'' if found[Status.WARN] == 1 else 's'}"
    return f"{found[Status.OK]} ok, {warnings}, {found[Status.FAIL]} failed"
