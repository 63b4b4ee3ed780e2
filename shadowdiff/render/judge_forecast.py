"""What asking a judge would take: for a terminal, and as JSON (`shadowdiff.judge-forecast/1`).

The JSON is one object: `schema`, `judge`, `drawn` (turns, one per side), `identical`,
`questions`, `stored`, `calls`, `input_tokens`, `output_tokens`, `usd` (null where
nobody said what is charged) and `max_usd` as given. All of it is ASCII.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from shadowdiff.judging.forecast import JudgeForecast
from shadowdiff.render.amounts import usd
from shadowdiff.render.lines import BOLD, FAILED, Line, Span
from shadowdiff.render.sessions import counted
from shadowdiff.render.tables import sentence
from shadowdiff.render.text import clip, one_line

SCHEMA = "shadowdiff.judge-forecast/1"


def judge_forecast_lines(found: JudgeForecast, width: int, max_usd: float | None = None) -> Iterator[Line]:
    """What would be asked, and what that costs; each line within `width` cells."""
    yield [Span(clip(f"judge {one_line(found.judge)} would be asked", width), BOLD)]
    yield from sentence(
        f"{counted(found.drawn, 'comparison')} drawn, of which {found.identical:,} with the same list on both sides, "
        "which nobody is asked about",
        width,
    )
    yield from sentence(
        f"{counted(found.questions, 'question')}, of which {found.stored:,} have a verdict already", width
    )
    if found.usage.calls:
        yield from sentence(
            f"{counted(found.usage.calls, 'call')} to make, of about {found.usage.input_tokens:,} tokens in and "
            f"{found.usage.output_tokens:,} out: {_costs(found)}",
            width,
        )
    if max_usd is not None and found.usd is not None and found.usd > max_usd:
        yield from sentence(f"--max-usd {max_usd:g} would stop it before the end.", width, FAILED)


def judge_forecast_json(found: JudgeForecast, max_usd: float | None = None) -> str:
    """The same as one object."""
    document = {
        "schema": SCHEMA,
        "judge": found.judge,
        "drawn": found.drawn,
        "identical": found.identical,
        "questions": found.questions,
        "stored": found.stored,
        "calls": found.usage.calls,
        "input_tokens": found.usage.input_tokens,
        "output_tokens": found.usage.output_tokens,
        "usd": found.usd,
        "max_usd": max_usd,
    }
    return json.dumps(document, indent=1) + "\n"


def _costs(found: JudgeForecast) -> str:
    return "nobody said what that costs ([prices])" if found.usd is None else f"about {usd(found.usd)}"
