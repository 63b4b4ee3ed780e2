"""What rules make of a run: the figures of its JSON, judged on the bad end of their intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shadowdiff.errors import ConfigError
from shadowdiff.gates.figures import FIGURES
from shadowdiff.gates.judge import outcomes
from shadowdiff.gates.rules import parse_rules
from shadowdiff.nightly.settings import Strict
from shadowdiff.nights import GateOutcome
from shadowdiff.records import Usage
from shadowdiff.render.structured import summary_json
from shadowdiff.runs import Run, RunConfig, RunStatus
from tests.cost_cases import cached_run, costly_run
from tests.render_cases import COSINE, MINILM, Asked, entries, hard_run, run_of, served_run, session_of

RUNS: dict[str, Callable[[], Run]] = {
    "hard": lambda: hard_run(others=2, noise=True)[0],
    "costly": lambda: costly_run(others=3)[0],
    "cached": lambda: cached_run()[0],
    "served": lambda: served_run(doubtful=True)[0],
    "empty": lambda: run_of([], (COSINE, MINILM), RunConfig())[0],
}


def judged(run: Run, *rules: str, strict: Strict = Strict.BOUND) -> tuple[GateOutcome, ...]:
    """Outcomes of rules as text."""
    return outcomes(parse_rules(rules), run, strict)


def one(run: Run, rule: str, strict: Strict = Strict.BOUND) -> GateOutcome:
    """The only outcome of a rule."""
    (outcome,) = judged(run, rule, strict=strict)
    return outcome


def figures_in_json(run: Run) -> dict[str, float | None]:
    """What a reader of the JSON finds, by the names that a rule has for it."""
    assert run.summary is not None
    document = summary_json(run, run.summary)
    of_run = {name: value for name, value in document.items() if not isinstance(value, dict | list)}
    found: dict[str, Any] = dict(of_run)
    for part in ("pairs", "sides", "timing"):
        for label, values in document[part].items():
            found |= {f"{name}.{label}": value for name, value in values.items()}
    if document["noise"] is not None:
        found |= {f"{name}.noise": value for name, value in document["noise"].items()}
    return {name: value for name, value in found.items() if value is None or isinstance(value, int | float)}


@pytest.mark.parametrize("name", RUNS)
def test_figures_are_those_of_the_json(name: str) -> None:
    """Every figure can be judged on every run; where the JSON has it under that name, it is the same number."""
    run = RUNS[name]()
    known = figures_in_json(run)
    compared = 0
    for figure in FIGURES:
        for outcome in judged(run, f"{figure.name} >= 0"):
            assert outcome.value is not None or outcome.note
            if outcome.figure in known and known[outcome.figure] is not None:
                assert outcome.value == pytest.approx(known[outcome.figure], abs=1e-6), outcome.figure
                compared += 1
    assert compared >= 20


def test_a_rule_is_judged_on_the_bad_end_of_the_interval() -> None:
    """The upper end against growing, the lower against shrinking; the figure itself where it is asked for."""
    run = hard_run()[0]
    assert run.summary is not None
    pair = run.summary.pairs["B"]
    little, much = one(run, "only_in_a_per_session <= 3"), one(run, "mean_overlap.B >= 0.7")
    assert (little.bound, little.passed) == (pair.only_in_a_per_session.high, False)
    assert (much.bound, much.passed) == (pair.overlap.low, False)
    assert one(run, "only_in_a_per_session <= 3", Strict.POINT).passed
    point = one(run, "mean_overlap.B >= 0.7", Strict.POINT)
    assert (point.bound, point.passed, point.note) == (None, True, "")


def test_shares_of_sessions_have_an_interval_and_shares_of_turns_say_that_they_have_none() -> None:
    """Two of three sessions: the bound is Wilson's. One of nine turns failed: judged as it is, and said."""
    run = hard_run()[0]
    sessions, turns = judged(run, "changed_share <= 0.9", "failed_share <= 0.2")
    assert sessions.value == pytest.approx(2 / 3)
    assert sessions.bound == pytest.approx(0.9385, abs=1e-4)
    assert not sessions.passed
    assert turns.value == pytest.approx(1 / 9)
    assert (turns.bound, turns.passed) == (None, True)
    assert turns.note.startswith("judged by the figure itself: turns of one session are not independent")


def test_one_session_has_no_interval_and_says_so() -> None:
    """Resampling one session says nothing of how sessions vary; Wilson's interval of one is as wide as it must be."""
    turn = Asked("?", entries(["One", "Two"], "kb"), {"A": [0.9, 0.1], "B": [0.1, 0.9]})
    run, _ = run_of([session_of("s", "acme", [turn], "AB")], (COSINE, MINILM), RunConfig(top_k=1))
    overlap, changed = judged(run, "mean_overlap <= 0", "changed_share <= 1")
    assert (overlap.value, overlap.bound, overlap.passed) == (0, None, True)
    assert overlap.note == "judged by the figure itself: an interval takes two sessions"
    assert (changed.value, changed.bound, changed.note) == (1, 1, "")


@pytest.mark.parametrize(("sign", "passes"), [("<=", True), ("<", False), (">=", True), (">", False)])
def test_a_figure_at_its_limit(sign: str, passes: bool) -> None:
    """Kept by `<=` and `>=`, crossed by `<` and `>`, with no margin."""
    outcome = one(hard_run()[0], f"sessions {sign} 3")
    assert (outcome.passed, outcome.margin) == (passes, 0)


def test_the_distance_from_the_noise_floor_takes_the_ends_that_lie_farthest_apart() -> None:
    """Overlap below noise, and entries above it; without --noise there is none."""
    run = hard_run(noise=True)[0]
    assert run.summary is not None
    assert run.summary.noise is not None
    ours, noise = run.summary.pairs["B"].overlap, run.summary.noise.overlap
    found = one(run, "overlap_below_noise.B <= 0.1")
    assert None not in (ours.value, ours.low, noise.value, noise.high)
    assert found.value == pytest.approx((noise.value or 0) - (ours.value or 0))
    assert found.bound == pytest.approx((noise.high or 0) - (ours.low or 0))
    assert one(run, "mean_overlap.noise >= 0.5").value == noise.value
    quiet = one(hard_run()[0], "overlap_below_noise.B <= 0.1")
    assert (quiet.passed, quiet.value) == (False, None)
    assert "replay with --noise" in quiet.note


@pytest.mark.parametrize(
    ("case", "rule", "note"),
    [
        ("hard", "p95_seconds.C <= 1", "no latency was measured; replay with --latency 20 or more"),
        ("hard", "p99_seconds.B <= 9", "99 timed turns are too few for it (p95 takes 20, p99 100)"),
        ("hard", "fidelity_overlap >= 0.9", "no side is production's; name it with --production"),
        ("hard", "escalated_share.B <= 0.5", "the side is no cascade"),
        ("costly", "cost_usd <= 5", "side C: no price is given; write one into [prices] of shadowdiff.toml"),
        ("costly", "cost_usd.C <= 5", "no price is given"),
        ("costly", "usd_per_1000_queries.C <= 5", "no price is given"),
        ("cached", "usd_per_month.B <= 5", "no turn was asked for, all came from the cache; replay with --no-cache"),
        ("empty", "mean_overlap >= 0", "no turn was compared; select more sessions"),
        ("empty", "changed_share <= 1", "no turn was compared; select more sessions"),
        ("empty", "failed_share <= 1", "the run has no turn; select more sessions"),
        ("empty", "distinct_change_percent >= -100", "A surfaced nothing to change from"),
    ],
)
def test_a_figure_that_is_not_there_keeps_to_no_rule(case: str, rule: str, note: str) -> None:
    """However generous the limit; the note says why and what to do."""
    outcome = one(RUNS[case](), rule)
    assert (outcome.passed, outcome.value, outcome.bound, outcome.margin) == (False, None, None, None)
    assert note in outcome.note


def test_a_run_that_asked_nobody_costs_nothing() -> None:
    """No price is needed for local sides, nor for one that came from the cache."""
    run = hard_run()[0]
    assert run.summary is not None
    assert one(run, "cost_usd <= 5").value == pytest.approx(0.0125)
    free = {label: replace(side, cost_usd=None, usage=Usage()) for label, side in run.summary.sides.items()}
    local = replace(run, summary=replace(run.summary, sides=free))
    assert all(outcome.passed for outcome in judged(local, "cost_usd <= 0", "usd_per_1000_queries <= 0"))


def test_costs_are_of_turns_that_do_not_come_from_the_cache() -> None:
    """Eight cents for the forty turns that were asked for are two dollars per thousand, and so on for a month."""
    each, month = judged(costly_run(others=1)[0], "usd_per_1000_queries.B <= 2", "usd_per_month.B <= 80")
    assert each.value == pytest.approx(2.0)
    assert month.value == pytest.approx(82.6)
    assert (each.passed, month.passed) == (True, False)


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.INTERRUPTED])
def test_a_part_of_a_run_keeps_to_no_rule(status: RunStatus) -> None:
    """It may look better than the whole; so does a run without a summary."""
    run = replace(hard_run()[0], status=status)
    for part in (run, replace(run, summary=None)):
        outcome = one(part, "sessions >= 1")
        assert (outcome.passed, outcome.value) == (False, None)
        assert f"shadowdiff replay --resume {run.run_id}" in outcome.note


def test_a_side_is_judged_by_itself_and_named() -> None:
    """One outcome per side, in the order of the rules and of the sides."""
    found = judged(hard_run(others=2)[0], "overlap >= 0.1", "truncated_share <= 0.1", "sessions >= 9")
    assert [outcome.figure for outcome in found] == [
        "overlap.B",
        "overlap.C",
        "truncated_share.A",
        "truncated_share.B",
        "truncated_share.C",
        "sessions",
    ]
    assert [outcome.passed for outcome in found] == [True, True, True, False, False, False]
    assert (found[-1].value, found[-1].limit, found[-1].margin) == (3, 9, 6)


def test_a_side_that_the_run_does_not_have_is_refused() -> None:
    """Not judged as crossed: the rule is wrong, not the run."""
    with pytest.raises(ConfigError, match="the run has no side D; it has A, B"):
        judged(hard_run()[0], "overlap.D >= 0.1")
