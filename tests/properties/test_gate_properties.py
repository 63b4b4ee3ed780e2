"""What holds for every rule and every run."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.errors import ConfigError
from shadowdiff.gates.figures import FIGURES
from shadowdiff.gates.judge import outcomes
from shadowdiff.gates.reader import Comparison
from shadowdiff.gates.rules import parse_rule
from shadowdiff.nightly.settings import Strict
from shadowdiff.runs import Estimate, Run
from shadowdiff.stats import wilson_interval
from tests.render_cases import hard_run

RUN = hard_run(noise=True)[0]
COMPARISONS = st.sampled_from(list(Comparison))
LIMITS = st.floats(0, 50)
NUMBERS = st.floats(0, 50)
ANY = st.one_of(NUMBERS, st.just(math.nan), st.just(math.inf), st.none())


def run_with(found: Estimate) -> Run:
    """The run with this many entries only in A, per session."""
    assert RUN.summary is not None
    pair = replace(RUN.summary.pairs["B"], only_in_a_per_session=found)
    return replace(RUN, summary=replace(RUN.summary, pairs={"B": pair}))


def passes(found: Estimate, comparison: Comparison, limit: float, strict: Strict = Strict.BOUND) -> bool:
    """Whether a rule over that figure holds."""
    rule = parse_rule(f"only_in_a_per_session.B {comparison.value} {limit!r}")
    (outcome,) = outcomes([rule], run_with(found), strict)
    assert outcome.passed == (outcome.judged is not None and comparison.holds(outcome.judged, outcome.limit))
    return outcome.passed


ESTIMATES = st.builds(Estimate, NUMBERS, NUMBERS, NUMBERS)
"""Ends in any order and value wherever: a percentile bootstrap need not hold the figure itself."""


@given(ESTIMATES, COMPARISONS, LIMITS)
def test_a_bound_is_never_more_lenient_than_the_figure(found: Estimate, comparison: Comparison, limit: float) -> None:
    """What holds for the bad end holds for the figure."""
    assert not passes(found, comparison, limit) or passes(found, comparison, limit, Strict.POINT)


@given(ESTIMATES, COMPARISONS, LIMITS, LIMITS, st.sampled_from(Strict))
def test_a_more_generous_limit_crosses_nothing_more(
    found: Estimate, comparison: Comparison, one: float, other: float, strict: Strict
) -> None:
    """Monotone in the limit, either way."""
    strictest, loosest = sorted((one, other), reverse=not comparison.wants_little)
    assert not passes(found, comparison, strictest, strict) or passes(found, comparison, loosest, strict)


@given(ESTIMATES, NUMBERS, LIMITS)
def test_a_worse_figure_passes_nothing_more(found: Estimate, worse_by: float, limit: float) -> None:
    """All of the estimate moved up: what it crossed before, it crosses still."""
    assert None not in (found.value, found.low, found.high)
    moved = Estimate(*((end or 0.0) + worse_by for end in (found.value, found.low, found.high)))
    assert not passes(moved, Comparison.AT_MOST, limit) or passes(found, Comparison.AT_MOST, limit)


@given(ANY, ANY, ANY, COMPARISONS, LIMITS, st.sampled_from(Strict))
def test_what_is_no_number_never_passes(
    value: float | None, low: float | None, high: float | None, comparison: Comparison, limit: float, strict: Strict
) -> None:
    """A figure that is missing, or NaN or infinite as any end of its interval, keeps to no rule."""
    numbers = (value,) if low is None or high is None else (value, low, high)
    if not all(number is not None and math.isfinite(number) for number in numbers):
        assert not passes(Estimate(value, low, high), comparison, limit, strict)


@given(st.sampled_from(FIGURES), st.sampled_from(["", ".B", ".b", " . B"]), COMPARISONS, st.floats(0, 1), st.booleans())
def test_a_rule_reads_back_as_it_was_written(
    figure: object, side: str, comparison: Comparison, limit: float, spaced: bool
) -> None:
    """White space says nothing; any way to write the number is the same number."""
    name = getattr(figure, "short", "") or getattr(figure, "name", "")
    space = " " if spaced else ""
    rule = parse_rule(f"{name}{side}{space}{comparison.value}{space}{limit!r}")
    assert (rule.figure, rule.name, rule.side) == (figure, name, "B" if side else None)
    assert (rule.comparison, rule.limit) == (comparison, limit)


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["overlap", ".", "B", "<=", ">", "0.5", "%", " ", "-"])).map("".join)
)
def test_any_text_is_a_rule_or_refused_in_one_line(text: str) -> None:
    """Never another error; the place that is pointed at lies in the rule."""
    try:
        parse_rule(text)
    except ConfigError as refused:
        message = str(refused)
        assert "\n" not in message
        place = int(message.rpartition("(at ")[2].rstrip(")"))
        assert 0 <= place <= len(text)


@given(st.integers(0, 10_000), st.data())
def test_wilson_interval_holds_the_share_and_narrows_with_trials(trials: int, drawn: st.DataObject) -> None:
    """Within [0, 1], symmetric in what counts as success, and narrower for a hundred times as many trials."""
    successes = drawn.draw(st.integers(0, trials))
    found = wilson_interval(successes, trials)
    if not trials:
        assert found == (None, None, None)
        return
    assert None not in found
    value, low, high = (end or 0.0 for end in found)
    assert 0 <= low <= value <= high <= 1
    assert low < high
    mirrored = wilson_interval(trials - successes, trials)
    assert mirrored.low == pytest.approx(1 - high, abs=1e-12)
    assert mirrored.high == pytest.approx(1 - low, abs=1e-12)
    more = wilson_interval(100 * successes, 100 * trials)
    assert (more.high or 0.0) - (more.low or 0.0) < high - low
