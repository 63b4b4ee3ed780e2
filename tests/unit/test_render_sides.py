"""The table of sides: what each took and cost, and what its figures are."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from shadowdiff.latencies import Bins, histogram
from shadowdiff.records import Usage
from shadowdiff.render.bars import BLOCKS, latency_bars
from shadowdiff.render.formats import renderer_for
from shadowdiff.render.lines import width_of
from shadowdiff.render.sides import side_lines
from shadowdiff.runs import Price, Run
from tests.cost_cases import cached_run, costly_run, refused_run

SCHEMA = json.loads(files("shadowdiff.render").joinpath("run-1.schema.json").read_text("utf-8"))


def drawn(run: Run, width: int = 160) -> str:
    """The block of sides as plain text."""
    assert run.summary is not None
    return "\n".join("".join(span.text for span in line).rstrip() for line in side_lines(run, run.summary, width))


def side_changed(run: Run, label: str, **changes: Any) -> Run:
    """The run with some of one side's figures replaced."""
    assert run.summary is not None
    sides = {**run.summary.sides, label: replace(run.summary.sides[label], **changes)}
    return replace(run, summary=replace(run.summary, sides=sides))


def row(text: str, label: str) -> list[str]:
    """The figures of a row."""
    found = next(line for line in text.splitlines() if line.strip().startswith(label))
    return found.strip().removeprefix(label).split()


def figures(run: Run) -> dict[str, Any]:
    """`summary.timing` of the run's JSON, which keeps to its schema."""
    out = io.StringIO()
    renderer_for("json").render(run, [], out)
    document = json.loads(out.getvalue())
    Draft202012Validator(SCHEMA).validate(document)
    timing: dict[str, Any] = document["summary"]["timing"]
    return timing


def test_costs_are_of_the_turns_that_were_asked_for() -> None:
    """Eight cents for forty turns are two dollars per thousand, whatever the cache held."""
    run, _ = costly_run(others=1)
    text = drawn(run)
    assert row(text, "cost") == ["–", "$0.08"]
    assert row(text, "per turn") == ["–", "$0.002"]
    assert row(text, "per 1,000 queries") == ["–", "$2.00"]
    assert row(text, "per month") == ["–", "$82.60"]
    assert "cost of B counts the 40 turns that were asked for; 60 came from the cache" in text
    timing = figures(run)
    assert timing["B"]["usd_per_1000_queries"] == pytest.approx(2)
    assert timing["B"]["usd_per_month"] == pytest.approx(41_300 * 0.002)
    assert (timing["A"]["cost_usd"], timing["A"]["usd_per_turn"]) == (None, None)


def test_a_cascade_costs_what_its_gate_lets_through() -> None:
    """Turns of which the gate is sure are free on any night: they count in what a query costs."""
    run, _ = costly_run(others=3)
    assert figures(run)["D"]["usd_per_turn"] == pytest.approx(0.06512 / 100)
    assert "cost of D counts the 31 turns that were asked for; of 69 its gate was sure" in drawn(run)


def test_usage_without_a_price_says_so() -> None:
    """And how to give one; it is never shown as free."""
    text = drawn(costly_run(others=2)[0])
    assert row(text, "cost") == ["–", "$0.08", "no", "price"]
    assert 'C: no price given; write [prices."bedrock:amazon.rerank-v1:0"] in shadowdiff.toml' in text


def test_a_month_needs_a_rate() -> None:
    """Turns that say nothing of a rate have no month."""
    run, _ = costly_run(others=1)
    assert run.summary is not None
    text = drawn(replace(run, summary=replace(run.summary, turns_per_month=None)))
    assert "per month" not in text
    assert "per 1,000 queries" in text


def test_prices_are_dated_where_their_owner_dated_them() -> None:
    """One date for all, one for each, or none."""
    run, _ = costly_run(others=1)
    assert "cost: prices as of 2026-11-01, yours to keep right" in drawn(run)
    undated = replace(run, config=replace(run.config, prices={"B": Price(search_unit=0.002)}))
    assert "cost: prices without a date, yours to keep right" in drawn(undated)


def test_a_night_from_the_cache_asks_nobody() -> None:
    """Nothing was charged, and nothing is said of what a query costs."""
    text = drawn(cached_run()[0])
    assert row(text, "cost") == ["–", "$0"]
    assert "per turn" not in text
    assert "B: every turn came from the cache; nobody was asked" in text


def test_a_side_that_shares_what_another_paid_for_says_so() -> None:
    """A fusion beside its own part costs nothing by itself, which is no proof that it is free."""
    run = side_changed(cached_run()[0], "B", cached_pairs=0)
    assert "B: nobody was asked for it: its scores came from the cache, or with another side's" in drawn(run)


def test_a_refused_side_says_why() -> None:
    """With the provider's words made visible."""
    text = drawn(refused_run()[0])
    assert "B failed on all 100 turns: api.cohere.com refused (HTTP 401): ␛[2Jno such key (100)" in text
    assert "came from the cache" not in text


def test_latencies_say_how_they_were_measured() -> None:
    """Local sides after the run on a named machine, remote ones by the run's own calls; one kind alone names nobody."""
    both, _ = costly_run(others=1)
    text = drawn(both)
    assert "latency of A, timed after the run: one pool per call, cache off, after a warm-up; AMD EPYC 7R13" in text
    assert "latency of B: the run's own calls, over the network, one pool per call; calls that failed" in text
    remote = side_changed(both, "A", latency_from_calls=True)
    assert remote.summary is not None
    text = drawn(replace(remote, summary=replace(remote.summary, machine=None)))
    assert "latency: the run's own calls" in text
    assert "timed after" not in text


def test_a_baseline_that_is_asked_twice_says_so() -> None:
    """The noise pass is paid for like the first, so there are more turns asked for than turns."""
    run = side_changed(costly_run(others=1)[0], "A", asked_turns=200, attempts=200, usage=Usage(200, 200))
    text = drawn(replace(run, config=replace(run.config, noise=True)))
    assert row(text, "turns asked for") == ["200", "40", "of", "100"]
    assert "A was asked a second time, past the cache (--noise)" in text
    assert "second time" not in drawn(run)


def test_one_turn_is_one_turn() -> None:
    """Grammar, at the edge."""
    run = side_changed(costly_run(others=1)[0], "B", asked_turns=1, usage=Usage(1, 1))
    assert "cost of B counts the 1 turn that was asked for; 99 came from the cache" in drawn(run)


SECONDS = st.lists(st.floats(0, 2_000, allow_nan=False), max_size=40)


@given(st.dictionaries(st.sampled_from("ABCD"), SECONDS.map(histogram)), st.integers(40, 200))
def test_bars_show_every_turn_and_nothing_else(bins: Mapping[str, Bins], width: int) -> None:
    """A block where there is a turn, none where there is not, within any width; all on one axis."""
    lines = list(latency_bars(bins, width))
    assert all(width_of(line) <= width for line in lines)
    drawn = {label: held for label, held in bins.items() if held}
    assert bool(lines) == bool(drawn)
    bars = [span.text for line in lines for span in line if set(span.text) <= {*BLOCKS, " "} and set(span.text) - {" "}]
    assert len({len(bar) for bar in bars}) <= 1
    for bar, held in zip(bars, drawn.values(), strict=False):
        assert sum(block != " " for block in bar) == sum(turns > 0 for _, turns in held)
        assert "█" in bar


def test_bars_can_be_read_without_seeing_them() -> None:
    """Bounds and the fullest bin stand beside the bars, or below them where there is no room."""
    bins = {"A": histogram([0.003] * 9 + [0.2]), "B": histogram([1.2])}
    wide = ["".join(span.text for span in line) for line in latency_bars(bins, 100)]
    assert wide[1].endswith("   2 ms to 200 ms; 9 of 10 turns 2 ms to 3 ms")
    assert wide[2].endswith("   1 s to 1.5 s")
    narrow = ["".join(span.text for span in line).strip() for line in latency_bars(bins, 48)]
    assert narrow[-1].endswith("█   1 s to 1.5 s")
    assert "2 ms to 200 ms; 9 of 10 turns 2 ms to 3 ms" in " ".join(narrow)
