"""What `shadowdiff optimize` wrote and measured, as lines for people or as JSON.

JSON (`shadowdiff.optimize/1`) is one object: `schema`, `version`, `directory`,
`variants` (a list of `variant`, `file`, `state`, `how`, `bytes`) and
`comparison`, null where nothing was compared: `sessions`, `turns`, `left_out`,
`pairs`, `timed_pairs`, `rounds`, `top_k`, `machine`, `ways` (the reference
first; each with `name`, `spec`, `bytes` and either `measured` or `unavailable`)
and `recommendation` (`spec`, `reason`, `changes`, `rule`). All of it is ASCII,
everything else escaped. Fields are added, never renamed, within `/1`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from shadowdiff import __version__
from shadowdiff.optimize.recommend import RULE
from shadowdiff.optimize.report import Comparison, Measured, State, VariantFile, Way
from shadowdiff.render.lines import BOLD, DIM, Line, Span
from shadowdiff.render.sessions import INDENT
from shadowdiff.render.tables import Figure, TableRow, sentence, share_of, table
from shadowdiff.render.text import clip, one_line, wrap

SCHEMA = "shadowdiff.optimize/1"
REASON_LINES = 6
TRAP = (
    "int8 scales its activations over the whole batch: a pair's score depends on the pairs beside it, "
    "and another order of turns gives other scores. Use it only where the figures above are good enough."
)
HEADINGS = ("pairs/s", "top {k} shared", "RBO", "turns changed", "first changed", "Spearman", "max diff", "mates", "MB")


def optimize_lines(
    directory: str, written: Sequence[VariantFile], comparison: Comparison | None, width: int
) -> Iterator[Line]:
    """What was written; what was measured; what to use."""
    yield [Span(clip(one_line(f"variants in {directory}"), width), BOLD)]
    for file in written:
        yield from _file(file, width)
    if comparison is not None:
        yield []
        yield from _compared(comparison, width)


def optimize_json(directory: str, written: Sequence[VariantFile], comparison: Comparison | None) -> str:
    """The document, with a line end."""
    document = {
        "schema": SCHEMA,
        "version": __version__,
        "directory": directory,
        "variants": [
            {"variant": f.variant, "file": f.file, "state": f.state.value, "how": f.how, "bytes": f.size or None}
            for f in written
        ],
        "comparison": None if comparison is None else _document(comparison),
    }
    return json.dumps(document, indent=1) + "\n"


def _document(comparison: Comparison) -> dict[str, Any]:
    document = asdict(comparison)
    document["recommendation"]["rule"] = RULE
    document["ways"] = [
        {
            "name": way.name,
            "spec": way.spec,
            "bytes": way.size,
            "measured": None if way.measured is None else _measured(way.measured),
            "unavailable": way.unavailable,
        }
        for way in comparison.ways
    ]
    return document


def _measured(measured: Measured) -> dict[str, Any]:
    likeness, mates = measured.likeness, measured.mates
    return {
        **asdict(likeness),
        "share_changed": likeness.share_changed,
        "mates_shift": mates.shift,
        "depends_on_mates": mates.depends,
        "score_spread": mates.spread,
        "pairs_per_second": measured.speed.pairs_per_second,
        "speed_ratio": measured.speed.ratio,
    }


def _file(file: VariantFile, width: int) -> Iterator[Line]:
    size = "" if file.state is State.REFUSED else f", {_megabytes(file.size)} MB"
    state = "none" if file.state is State.REFUSED else file.state.value
    yield from sentence(one_line(f"{file.file}: {state}{size}; {file.how}"), width)


def _compared(comparison: Comparison, width: int) -> Iterator[Line]:
    measured = [(way, way.measured) for way in comparison.ways if way.measured is not None]
    yield from _heading(comparison, width)
    headings = [heading.format(k=comparison.top_k) for heading in HEADINGS]
    yield from table(headings, [_row(way, found) for way, found in measured], width)
    yield []
    for way in comparison.ways:
        if way.unavailable is not None:
            yield from sentence(one_line(f"{way.name}: {way.unavailable}"), width, DIM)
    yield from _explained(comparison, width)
    yield []
    yield from _recommended(comparison, width)


def _heading(comparison: Comparison, width: int) -> Iterator[Line]:
    c = comparison
    told = f"against {c.ways[0].name}: {_count(c.turns, 'turn')} of {_count(c.sessions, 'session')}, {c.pairs:,} pairs"
    left_out = f"; {_count(c.left_out, 'turn')} left out, without texts or with too long a query" if c.left_out else ""
    for line in wrap(one_line(told + left_out), width, 3):
        yield [Span(line, BOLD)]


def _row(way: Way, measured: Measured) -> TableRow:
    likeness, mates, speed = measured.likeness, measured.mates, measured.speed
    return TableRow(
        one_line(way.name),
        [
            Figure(f"{speed.pairs_per_second:,.1f}", f"{speed.ratio:.2f}×"),
            Figure(f"{likeness.overlap:.3f}"),
            Figure(f"{likeness.rbo:.3f}"),
            share_of(likeness.turns_changed, likeness.turns),
            share_of(likeness.top1_changed, likeness.turns),
            Figure(f"{likeness.spearman:.4f}"),
            Figure(f"{likeness.max_difference:.2g}"),
            Figure(f"{mates.shift:.1g}" if mates.depends else "no"),
            Figure(_megabytes(way.size)),
        ],
    )


def _explained(comparison: Comparison, width: int) -> Iterator[Line]:
    yield from sentence(
        one_line(
            f"pairs/s: text in, scores out, medians of {comparison.rounds} passes over {comparison.timed_pairs:,} "
            f"pairs, each in turn with the reference; {comparison.machine}"
        ),
        width,
        DIM,
    )
    yield from sentence(
        "mates: how far other pairs in the batch moved a pair's score; no: by rounding at most", width, DIM
    )
    if any(way.spec.endswith("dtype=int8") or ",dtype=int8," in way.spec for way in comparison.ways if way.measured):
        yield from sentence(TRAP, width, DIM)


def _recommended(comparison: Comparison, width: int) -> Iterator[Line]:
    found = comparison.recommendation
    yield [Span("use" if found.changes else "keep", BOLD)]
    # Never cut: it is there to be copied.
    yield [Span(INDENT), Span(one_line(f"-B {shlex.quote(found.spec)}"), BOLD)]
    for text, style in ((found.reason, ""), (f"The rule: {RULE}.", DIM)):
        yield from (
            [Span(INDENT), Span(line, style)] for line in wrap(one_line(text), width - len(INDENT), REASON_LINES)
        )


def _megabytes(size: int | None) -> str:
    return "–" if size is None else f"{size / 1e6:.1f}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
