"""Whatever names, rules and notes hold: a webhook's message calls nobody, links nowhere, and fits Slack's limits."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from shadowdiff.nights import GateOutcome, History, Outlier, RunChanges, Surroundings
from shadowdiff.render.message import APART, HEADER_CHARS, SECTION_CHARS, code, slack_text, webhook_message
from shadowdiff.render.text import one_line
from tests.render_cases import hard_run
from tests.unit.test_render_message import NIGHT

NASTY = st.one_of(
    st.text(max_size=300),
    st.text("<>&@#!|`*_~:\n\u202e\u2060hre a", max_size=300),
    st.sampled_from(["<!channel>", "@here", "@channel@everyone", "<https://evil.example|x>", "&amp;", "a" * 5_000]),
)
RUN = hard_run()[0]
ENTITY = re.compile(r"&(amp|lt|gt);")
CALLS = re.compile(r"[@#][^\s…]")


@given(NASTY, st.integers(1, 200))
@example("<!here> @here <@U123> <#C1>", 120)
def test_data_says_what_it_said_and_calls_nobody(text: str, limit: int) -> None:
    """Read back it is the line that it was, as far as it fits; raw markup and mentions are nowhere in it."""
    sent = slack_text(text, limit)
    assert len(sent) <= limit
    assert "<" not in sent
    assert ">" not in sent
    assert "&" not in ENTITY.sub("", sent)
    assert not CALLS.search(sent.replace(APART, " "))
    read = html.unescape(sent.replace(APART, ""))
    assert read == one_line(text) or (read.endswith("…") and one_line(text).startswith(read[:-1]))


@given(NASTY)
def test_code_ends_where_it_should(text: str) -> None:
    """One span, never empty."""
    sent = code(text)
    assert (sent[0], sent[-1], sent.count("`")) == ("`", "`", 2)
    assert len(sent) > 2


@given(st.lists(NASTY, min_size=5, max_size=5), st.integers(0, 40), st.one_of(st.none(), NASTY))
def test_messages_fit_slack(texts: list[str], many: int, url: str | None) -> None:
    """However long names are and however many gates are crossed: header, sections, their number, and no second link."""
    name, rule, note, figure, why = texts
    gates = (GateOutcome(rule, figure, 3.0, 4.0, 2.0, passed=False, note=note),) * many
    outliers = (Outlier(NIGHT.name, figure, 1e300, -0.0, 5e-324, 14),) * many
    sides = tuple(replace(side, name=name) for side in RUN.sides)
    run = replace(RUN, sides=sides, run_id=name)
    changes = RunChanges(name, name, 3, (), (), ())
    beside = Surroundings(gates, History(name, (), outliers), changes if many else None, why)
    message: Any = webhook_message(run, replace(NIGHT, configuration=name), beside, url)
    header, *sections, context = message["blocks"]
    assert len(header["text"]["text"]) <= HEADER_CHARS
    assert len(message["blocks"]) <= 50
    texts_sent = [section["text"]["text"] for section in sections] + [context["elements"][0]["text"]]
    assert all(0 < len(text) <= SECTION_CHARS for text in texts_sent)
    assert len(message["text"]) <= SECTION_CHARS
    links = re.findall(r"<[^>]*>", "\n".join([message["text"], *texts_sent]))
    assert all(link.startswith(("<http://", "<https://")) and link.endswith("|Open the report>") for link in links)
    assert len(links) <= 1
    json.dumps(message, allow_nan=False)
