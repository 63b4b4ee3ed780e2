"""What a judge was shown and what it answered, word for word: to be checked by a person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from shadowdiff.judging.comparisons import Comparison, Exchange
from shadowdiff.render.lines import BOLD, DIM, Line, Span
from shadowdiff.render.tables import sentence
from shadowdiff.render.text import one_line, visible
from shadowdiff.verdicts import Verdict


def exchange_lines(exchanges: Sequence[Exchange], width: int) -> Iterator[Line]:
    """Each question in each order. What was said stands in lines as long as they are; all else fits `width` cells."""
    for number, exchange in enumerate(exchanges):
        yield from [[]] if number else []
        first, second = exchange.sides
        yield from _flush(f"List 1 is {first}'s, List 2 {second}'s · turn {exchange.comparison.turn_id}", width, BOLD)
        yield from _flush(f"stored under {exchange.key}", width, DIM)
        yield from sentence(f"entries: {_entries(exchange.comparison)}", width, DIM, lines=20)
        yield []
        yield from ([Span(visible(line))] for line in exchange.shown.splitlines())
        yield []
        yield from _answered(exchange.verdict, width)


def _answered(verdict: Verdict | None, width: int) -> Iterator[Line]:
    if verdict is None:
        yield from _flush("not asked yet", width, BOLD)
        return
    opinion, usage = verdict.opinion, verdict.usage
    when = f"{verdict.asked_at:%Y-%m-%d %H:%M:%S %Z}" if verdict.asked_at else "at a time that is not known"
    tokens = f", {usage.input_tokens:,} tokens in, {usage.output_tokens:,} out" if usage.calls else ""
    yield from _flush(
        f"{verdict.model} answered {opinion.choice} on {when} for run {verdict.run_id}{tokens}", width, BOLD
    )
    for name, text in (("note 1", opinion.first_note), ("note 2", opinion.second_note), ("reason", opinion.reason)):
        if text:
            yield from sentence(f"{name}: {one_line(text)}", width, lines=20)
    if opinion.raw:
        yield []
        yield from ([Span(visible(line))] for line in _indented(opinion.raw).splitlines())


def _entries(comparison: Comparison) -> str:
    """Which entry is which, and where each list has it."""
    a, b = ({entry_id: rank for rank, entry_id in enumerate(listed, start=1)} for listed in comparison.lists)
    named = (
        f"{number} {one_line(entry_id)} (A {a.get(entry_id, '–')}, {comparison.other} {b.get(entry_id, '–')})"
        for number, entry_id in enumerate(comparison.shown, start=1)
    )
    return " · ".join(named)


def _flush(text: str, width: int, style: str) -> Iterator[Line]:
    return (line[1:] for line in sentence(one_line(text), width, style))


def _indented(raw: str) -> str:
    """JSON as a person reads it; as it is where it is none."""
    try:
        return json.dumps(json.loads(raw), indent=2, ensure_ascii=False)
    except ValueError:
        return raw
