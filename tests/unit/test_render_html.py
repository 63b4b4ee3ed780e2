"""The HTML report without a browser: what the file holds, and what its charts are drawn from."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import weakref
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.nights import History, Surroundings
from shadowdiff.records import Outcome, Pool, SessionOutcome
from shadowdiff.render.html.drawing import LEFT, Canvas, Series, columns, lines
from shadowdiff.render.html.renderer import HtmlRenderer
from shadowdiff.render.html.spreads import latency_chart, pair_charts
from shadowdiff.render.html.tallies import Tallies
from shadowdiff.render.html.trend import outlier_lines, restart_lines, trend_charts
from shadowdiff.runs import Run
from tests.night_cases import a_history
from tests.render_cases import hard_run
from tests.report_cases import billing_run, hostile_run, hostile_surroundings, long_run, surroundings, timed

URLS = ("src", "href", "action", "data", "formaction", "srcset", "poster", "background", "ping")


class Parsed(HTMLParser):
    """Tags with their attributes, and what stands in scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[dict[str, str | None], str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note it where it is a script's or a style's."""
        if self.cdata_elem:
            self.raw.append((self.tags[-1][1], data))

    def block(self, name: str) -> list[Any]:
        """What a block of data carries, line by line."""
        (text,) = (raw for attributes, raw in self.raw if attributes.get("id") == f"{name}-block")
        return [json.loads(line) for line in gzip.decompress(b64decode(text, validate=True)).splitlines()]


def rendered(run: Run, outcomes: list[SessionOutcome], beside: Surroundings | None = None, **options: Any) -> str:
    """The page."""
    out = io.StringIO()
    HtmlRenderer(beside, **options).render(run, outcomes, out)
    return out.getvalue()


def drawn(svg: str) -> Element:
    """The drawing, if it is XML."""
    return fromstring(svg)  # noqa: S314 our own


def test_a_page_needs_nothing_and_allows_nothing_but_its_own_parts() -> None:
    """Policy and parts agree by hash; nothing points elsewhere; no attribute holds a script or a style."""
    page = rendered(*hostile_run(), hostile_surroundings())
    parsed = Parsed(page)
    ours = [raw for attributes, raw in parsed.raw if not attributes.get("type")]
    hashes = {f"'sha256-{b64encode(hashlib.sha256(raw.encode()).digest()).decode()}'" for raw in ours}
    (policy,) = (each["content"] for tag, each in parsed.tags if each.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert set(re.findall(r"'sha256-[^']+'", policy)) == hashes
    assert len(ours) == 2
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag, attributes in parsed.tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag
        for name in URLS:
            assert (attributes.get(name) or "#").startswith(("#", "data:image/svg+xml,")), (tag, attributes)
    assert "\n\n<!doctype" not in page.lower()
    assert page.startswith("<!doctype html>")


def test_every_text_stands_once_and_the_same_run_is_the_same_bytes() -> None:
    """Entries by id, texts by content; a second rendering differs in nothing."""
    page = rendered(*long_run(12))
    assert page == rendered(*long_run(12))
    parsed = Parsed(page)
    assert len(parsed.block("sessions")) == 12
    assert len(parsed.block("entries")) == len(parsed.block("texts")) == 6
    twins = rendered(*hard_run())
    entries, texts = (Parsed(twins).block(name) for name in ("entries", "texts"))
    assert len({entry[2] for entry in entries}) == len(texts) == len({tuple(text) for text in texts})


def test_texts_stop_where_the_page_would_grow_too_big() -> None:
    """They are left out with a word on where they are; titles stay."""
    full, bare = (Parsed(rendered(*billing_run(), text_bytes=size)) for size in (1 << 20, 0))
    assert bare.block("texts") == []
    assert [entry[:2] for entry in bare.block("entries")] == [entry[:2] for entry in full.block("entries")]
    assert [type(entry[2]) for entry in full.block("entries")] == [int, int, int, str, str]
    assert "left out of this page" in bare.block("entries")[0][2]
    assert "the texts of 3 entries are not in it" in rendered(*billing_run(), text_bytes=0)


def test_a_page_of_some_sessions_says_so() -> None:
    """Filtered before they came: charts and list count what is here, beside the figures of the whole run."""
    run, outcomes = long_run(12)
    said = "This page holds 2 of the run's 12 sessions. The charts count these alone."
    assert said in unescape(rendered(run, outcomes[:2]))
    assert "This page holds" not in rendered(run, outcomes)


def test_sessions_stream() -> None:
    """When the third session is asked for, nothing holds the first one any more."""
    run, _ = long_run(8)
    pools: list[weakref.ref[Pool]] = []

    def outcomes() -> Iterator[SessionOutcome]:
        for at in range(8):
            assert [pool() for pool in pools[:-1]] == [None] * max(0, at - 1)
            outcome = long_run(at + 1)[1][at]
            pools.append(weakref.ref(outcome.turns[0].replayed.pool))
            yield outcome
            del outcome

    HtmlRenderer().render(run, outcomes(), io.StringIO())
    assert len(pools) == 8


@pytest.mark.parametrize("make", [lambda: hard_run(others=2, noise=True), billing_run, lambda: long_run(30)])
def test_charts_count_what_the_summary_counts(make: Any) -> None:
    """Sums over each spread are the summary's own figures, for every pair."""
    run, outcomes = make()
    tallies = Tallies(run)
    for outcome in outcomes:
        tallies.add(outcome)
    for label, pair in run.summary.pairs.items():
        tally = tallies.pairs[label]
        assert sum(entries * sessions for entries, sessions in tally.only_in_a.items()) == pair.only_in_a
        assert sum(entries * sessions for entries, sessions in tally.only_in_b.items()) == pair.only_in_b
        assert tally.only_in_a.total() == tally.only_in_b.total() == pair.sessions
        completed = sum(pair.turns.values()) - pair.turns[Outcome.FAILED]
        assert tally.overlap.total() == completed
        diffs = [turn.diffs[label] for outcome in outcomes for turn in outcome.turns]
        assert tally.moves.total() == sum(len(diff.both) for diff in diffs if diff is not None)
        counts = [sum(each) for each in zip(*(counts for _, counts in tally.sessions), strict=True)]
        assert counts == [pair.turns[kind] for kind in Outcome]
        for chart in pair_charts(run, label, tally, run.summary):
            assert drawn(chart.svg).tag == "svg"
            assert chart.summary
            assert {len(row) for row in chart.rows} == {len(chart.headings)}


def test_latency_needs_turns_that_were_timed() -> None:
    """A row per side that has a histogram; no chart where none has."""
    run, _ = hard_run(others=2)
    assert run.summary is not None
    assert latency_chart(run, run.summary) is None
    chart = latency_chart(timed(run), timed(run).summary or run.summary)
    assert chart is not None
    assert [row[0] for row in chart.rows] == ["A", "B"]
    assert len(drawn(chart.svg).findall("rect")) == 5


def test_a_trend_rings_what_left_its_band_and_breaks_where_sides_change() -> None:
    """A ring per outlier, in words too; two lines where one would join other sides; nothing for one night."""
    history = a_history()
    charts = trend_charts(history)
    rings = [len(drawn(chart.svg).findall("circle[@class='flag']")) for chart in charts]
    assert sum(rings) == len(history.outliers) == len(outlier_lines(history)) > 0
    overlap = next(chart for chart in charts if chart.title == "Overlap")
    assert len(drawn(overlap.svg).findall("polyline[@class='line side-b']")) == 1 + len(history.restarts)
    assert "2026-11-03" in restart_lines(history)[0]
    assert trend_charts(History("nightly", history.nights[:1])) == []
    page = rendered(*billing_run(), Surroundings(history=History("nightly", history.nights[:1])))
    assert 'id="trend"' not in page
    assert 'id="trend"' in rendered(*billing_run(), surroundings())


def test_an_empty_run_and_an_unfinished_one_have_pages() -> None:
    """Without turns, and without a summary: said so, and nothing drawn."""
    run, _ = long_run(0)
    assert "No turns: nothing was compared." in rendered(run, [])
    assert "it was not finished" in rendered(replace(run, summary=None), [])


@given(st.floats(0, 1e12), st.lists(st.one_of(st.none(), st.floats(0, 1e12)), min_size=1, max_size=40))
def test_a_canvas_holds_what_it_is_made_for(most: float, values: list[float | None]) -> None:
    """Whatever the numbers: nothing is drawn outside the box, and the drawing is XML."""
    canvas = Canvas(max([most, *(value for value in values if value is not None)]))
    assert canvas.top >= most * (1 - 1e-9)
    names = [f"<{at}>&" for at in range(len(values))]
    columns(canvas, names, [Series("x", "plain", tuple(values))], stacked=False, unit="")
    lines(canvas, [Series("x", "plain", tuple(values))], str, names, [0])
    for box in drawn(canvas.svg()).iter("rect"):
        x, y, width, height = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        assert LEFT <= x <= x + width <= 380
        assert 0 <= y <= y + height <= canvas.height
