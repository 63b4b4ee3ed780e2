"""Runs with sides that ask providers: what they took, what they cost, how they failed."""

from __future__ import annotations

from dataclasses import replace

from shadowdiff.latencies import histogram
from shadowdiff.records import SessionOutcome, Usage
from shadowdiff.runs import Forecast, Price, Run, RunConfig, Side, SideForecast, SideSummary
from tests.render_cases import EPYC, Asked, descending, entries, run_of, session_of

OURS = Side("A", "ours", "onnx:models/ours", "5f0c31a7d2be44c8")
MANAGED = Side("B", "managed", "cohere:rerank-v3.5", "9e10aa01c7fd3b52")
UNPRICED = Side("C", "bedrock:amazon.rerank-v1:0", "bedrock:amazon.rerank-v1:0", "0b7742ffee0912aa")
CASCADE = Side("D", "careful", "cascade:gate=cosine,margin=0.05,then=voyage:rerank-2.5", "77aa42ffee091200")
SIDES = (OURS, MANAGED, UNPRICED, CASCADE)
PRICES = {
    "B": Price(search_unit=0.002, as_of="2026-11-01"),
    "D": Price(million_input_tokens=0.05, as_of="2026-10-15 \x1b[31m"),
}

LOCAL = [0.0181 + 0.0004 * (at % 9) for at in range(99)] + [0.094]
REMOTE = [0.101 + 0.013 * (at % 17) for at in range(38)] + [0.84, 1.9]


def costly_run(*, others: int, refusal: str | None = None) -> tuple[Run, list[SessionOutcome]]:
    """A hundred turns through a local side and one to three that ask: B from the cache in part, C without a price.

    With a `refusal` B fails on every turn for it.
    """
    sides = SIDES[: others + 1]
    scores: dict[str, list[float] | str] = {side.label: descending((2, 1, 3)) for side in sides}
    asked = Asked("how?", entries(("One", "Two", "Three"), "kb"), scores | ({"B": refusal} if refusal else {}))
    prices = {label: price for label, price in PRICES.items() if label in scores}
    sessions = [session_of(f"s{at}", "acme", [asked] * 10, list(scores)) for at in range(10)]
    run, outcomes = run_of(sessions, sides, RunConfig(top_k=2, prices=prices))
    assert run.summary is not None
    did = {side.label: DID[side.label] for side in sides}
    if refusal:
        did["B"] = SideSummary(0, 100, 0, 0, 0, 0, attempts=8, stopped=refusal, failure_reasons=((refusal, 100),))
    return replace(run, summary=replace(run.summary, sides=did, machine=EPYC, turns_per_month=41_300.0)), outcomes


def refused_run() -> tuple[Run, list[SessionOutcome]]:
    """B was refused at its first calls, and its every turn failed."""
    return costly_run(others=1, refusal="api.cohere.com refused (HTTP 401): \x1b[2Jno such key")


def cached_run() -> tuple[Run, list[SessionOutcome]]:
    """The same night again: B asks nobody."""
    run, outcomes = costly_run(others=1)
    assert run.summary is not None
    did = SideSummary(100, 0, 5000, 5000, 0, 0, cost_usd=0.0)
    return replace(run, summary=replace(run.summary, sides={**run.summary.sides, "B": did})), outcomes


def some_forecast() -> Forecast:
    """Of the same four sides: a local one, one with a price, one without, a cascade."""
    return Forecast(
        sessions=10,
        turns=101,
        unpooled_turns=1,
        sides=(
            SideForecast(OURS, 100, 5000, 0, 0),
            SideForecast(MANAGED, 100, 5000, 2000, 40, Usage(40, 40.0), PRICES["B"]),
            SideForecast(UNPRICED, 100, 5000, 5000, 100, Usage(100, 100.0)),
            SideForecast(CASCADE, 100, 5000, 5000, 100, Usage(100, 0.0, 4_201_326), PRICES["D"], is_at_most=True),
        ),
        has_noise=True,
    )


DID = {
    "A": SideSummary(
        ranked_turns=100,
        failed_turns=0,
        pairs=5000,
        cached_pairs=0,
        truncated_pairs=12,
        outside_pool=0,
        latency_turns=100,
        latency_p50_seconds=0.0197,
        latency_p95_seconds=0.0213,
        latency_p99_seconds=0.0213,
        latency_threads=2,
        latency_histogram=histogram(LOCAL),
    ),
    "B": SideSummary(
        ranked_turns=100,
        failed_turns=0,
        pairs=5000,
        cached_pairs=3000,
        truncated_pairs=0,
        outside_pool=0,
        latency_turns=40,
        latency_p50_seconds=0.205,
        latency_p95_seconds=0.84,
        latency_from_calls=True,
        latency_histogram=histogram(REMOTE),
        asked_turns=40,
        attempts=52,
        usage=Usage(40, 40.0),
        waited_seconds=18.26,
        cost_usd=0.08,
    ),
    "C": SideSummary(
        ranked_turns=97,
        failed_turns=3,
        pairs=4850,
        cached_pairs=0,
        truncated_pairs=0,
        outside_pool=0,
        latency_turns=97,
        latency_p50_seconds=0.412,
        latency_p95_seconds=0.9,
        latency_from_calls=True,
        latency_histogram=histogram(2 * taken for taken in REMOTE),
        asked_turns=97,
        attempts=118,
        usage=Usage(97, 97.0),
        failure_reasons=(
            ("Bedrock in eu-central-1 did not answer within 30 s, tried 7 times", 2),
            ("index 3 is missing from the answer", 1),
        ),
    ),
    "D": SideSummary(
        ranked_turns=100,
        failed_turns=0,
        pairs=5000,
        cached_pairs=0,
        truncated_pairs=0,
        outside_pool=0,
        latency_turns=31,
        latency_p50_seconds=0.3,
        latency_p95_seconds=0.41,
        latency_from_calls=True,
        latency_histogram=histogram([0.3] * 31),
        asked_turns=31,
        attempts=31,
        usage=Usage(31, 0.0, 1_302_411, 0),
        repairs=2,
        cost_usd=0.06512,
        escalated_turns=31,
        spared_pairs=3450,
        altered_turns=12,
    ),
}
