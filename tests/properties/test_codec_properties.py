"""Whatever a run is configured with or sums up to, the store gives it back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.fidelity import most_first
from shadowdiff.records import Outcome, PoolOrigin, Usage, Window
from shadowdiff.runs import Estimate, Fidelity, Machine, PairSummary, RunConfig, RunSummary, SideSummary
from shadowdiff.store.codec import decode_config, decode_summary, encode

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**40)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
ZONES = st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes))) | st.just(UTC)
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001 the zone is drawn beside

WINDOWS = st.builds(
    Window,
    last=st.none() | COUNTS,
    since=st.none() | TIMES,
    until=st.none() | TIMES,
    session_ids=st.lists(TEXTS).map(tuple),
    org_ids=st.lists(TEXTS).map(tuple),
    sample=st.none() | COUNTS,
    seed=COUNTS,
)
CONFIGS = st.builds(
    RunConfig,
    top_k=COUNTS,
    pool=COUNTS,
    pool_from=st.sampled_from(PoolOrigin),
    noise=st.booleans(),
    rbo_p=FLOATS,
    near_tie_share=FLOATS,
    window=WINDOWS,
    production=st.none() | TEXTS,
    production_assumed=st.booleans(),
)
ESTIMATES = st.builds(Estimate, st.none() | FLOATS, st.none() | FLOATS, st.none() | FLOATS)
PAIRS = st.builds(
    PairSummary,
    turns=st.dictionaries(st.sampled_from(Outcome), COUNTS),
    **dict.fromkeys(("sessions", "sessions_changed", "sessions_where_b_adds", "only_in_a", "only_in_b"), COUNTS),
    **dict.fromkeys(("both", "distinct_a", "distinct_b", "near_tie_entries"), COUNTS),
    **dict.fromkeys(("turn_only_in_a", "turn_only_in_b"), COUNTS),
    **dict.fromkeys(("only_in_a_per_session", "only_in_b_per_session", "overlap", "rbo", "same_top1"), ESTIMATES),
)
SIDES = st.builds(
    SideSummary,
    **dict.fromkeys(("ranked_turns", "failed_turns", "pairs", "cached_pairs", "truncated_pairs"), COUNTS),
    **dict.fromkeys(("outside_pool", "latency_turns", "latency_failed_turns"), COUNTS),
    **{f"latency_p{percent}_seconds": st.none() | FLOATS for percent in (50, 95, 99)},
    cost_usd=st.none() | FLOATS,
    latency_threads=st.none() | COUNTS,
    latency_accelerator=st.none() | TEXTS,
    latency_histogram=st.lists(st.tuples(FLOATS, COUNTS), max_size=3).map(tuple),
    failure_reasons=st.lists(st.tuples(TEXTS, COUNTS), max_size=3).map(tuple),
    escalated_turns=st.none() | COUNTS,
    usage=st.builds(Usage, COUNTS, FLOATS, COUNTS, COUNTS),
)
MACHINES = st.builds(Machine, processor=st.none() | TEXTS, cores=COUNTS, system=TEXTS)
ADDED_LATER = {"machine", *(f"latency_{name}" for name in ("failed_turns", "p99_seconds", "threads", "accelerator"))}
FIDELITIES = st.builds(
    Fidelity,
    side=TEXTS,
    **dict.fromkeys(("turns", "identical", "reordered", "near_ties", "diverging_at_first"), COUNTS),
    **dict.fromkeys(("unserved_turns", "failed_turns", "served_outside_pool"), COUNTS),
    overlap=ESTIMATES,
    first_divergence=st.none() | FLOATS,
    reproduces=st.none() | st.booleans(),
    served_by=st.dictionaries(TEXTS, COUNTS).map(most_first),
)
SUMMARIES = st.builds(
    RunSummary,
    **dict.fromkeys(("sessions", "turns", "failed_turns", "unpooled_turns", "missing_entries"), COUNTS),
    pools=st.dictionaries(st.sampled_from(PoolOrigin), COUNTS),
    pairs=st.dictionaries(TEXTS, PAIRS, max_size=2),
    sides=st.dictionaries(TEXTS, SIDES, max_size=2),
    noise=st.none() | PAIRS,
    fidelity=st.none() | FIDELITIES,
    machine=st.none() | MACHINES,
)
UNKNOWN = st.dictionaries(st.text(min_size=1).map(lambda name: f"new_{name}"), st.none() | COUNTS | TEXTS, max_size=3)


def through_json(value: Any) -> Any:
    """As a JSONB column would give it back: keys in an order of its own; refuses NaN and infinity, as Postgres does."""
    return json.loads(json.dumps(encode(value), allow_nan=False, sort_keys=True))


@given(CONFIGS)
def test_a_configuration_survives_json(config: RunConfig) -> None:
    """Field by field and type by type: tuples, enums and zones too."""
    found = decode_config(through_json(config))
    assert found == config
    assert repr(found.window.session_ids) == repr(config.window.session_ids)
    assert isinstance(found.pool_from, PoolOrigin)
    if config.window.since is not None and found.window.since is not None:
        assert found.window.since.utcoffset() == config.window.since.utcoffset()


@given(SUMMARIES)
def test_a_summary_survives_json(summary: RunSummary) -> None:
    """Every count, estimate and side, with keys of their own type."""
    found = decode_summary(through_json(summary))
    assert found == summary
    assert all(isinstance(outcome, Outcome) for pair in found.pairs.values() for outcome in pair.turns)
    if summary.fidelity is not None and found.fidelity is not None:
        assert list(found.fidelity.served_by) == list(summary.fidelity.served_by)


@given(SUMMARIES)
def test_a_summary_of_an_older_version_can_still_be_read(summary: RunSummary) -> None:
    """What it lacks is what a run has that was not timed that way."""
    stored = through_json(summary)
    stored["sides"] = {label: without(side, ADDED_LATER) for label, side in stored["sides"].items()}
    found = decode_summary(without(stored, ADDED_LATER))
    assert (found.machine, found.pairs, found.pools) == (None, summary.pairs, summary.pools)
    for label, side in found.sides.items():
        assert side.latency_p50_seconds == summary.sides[label].latency_p50_seconds
        assert (side.latency_p99_seconds, side.latency_threads, side.latency_failed_turns) == (None, None, 0)


def without(stored: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The JSON object less these fields."""
    return {name: value for name, value in stored.items() if name not in names}


@given(SUMMARIES, CONFIGS, UNKNOWN)
def test_fields_of_a_newer_version_are_ignored(summary: RunSummary, config: RunConfig, unknown: dict[str, Any]) -> None:
    """A run stored by a newer shadowdiff can still be shown."""
    assert decode_summary(through_json(summary) | unknown) == summary
    assert decode_config(through_json(config) | unknown) == config
