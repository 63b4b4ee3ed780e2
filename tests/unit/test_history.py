"""A night's row: what it takes over from its run, and what it says where there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shadowdiff.history import RULE, figures, named_figures, run_figures, trend
from shadowdiff.nights import GateOutcome, Night, NightStatus, Outlier
from shadowdiff.runs import RunStatus
from tests.night_cases import AT, night_figures, nights_of
from tests.render_cases import hard_run

NIGHT = Night("nightly", "2026-11-20", AT, AT + timedelta(days=1), "2026-11-20-0300-k7", NightStatus.DONE)


def test_a_row_holds_what_its_run_came_to() -> None:
    """Figure by figure, for every pair and every side."""
    run, _ = hard_run(others=2, noise=True)
    assert run.summary is not None
    row, summary = figures(NIGHT, run), run.summary
    assert (row.night, row.until, row.run_id) == ("2026-11-20", NIGHT.until, run.run_id)
    assert [side[:2] for side in row.sides] == [("A", "cosine"), ("B", "minilm-v3"), ("C", "bm25")]
    assert (row.sessions, row.turns, row.failed_turns) == (summary.sessions, summary.turns, summary.failed_turns)
    for label in "BC":
        pair, found = summary.pairs[label], row.pairs[label]
        assert found.changed_share == pair.sessions_changed / pair.sessions
        assert (found.only_in_a_per_session, found.overlap) == (pair.only_in_a_per_session, pair.overlap)
    assert summary.noise is not None
    assert row.noise_overlap == summary.noise.overlap.value
    assert row.p95_seconds == {"A": 0.0031, "B": 1.254, "C": None}
    assert row.cost_usd == pytest.approx(0.0125)
    assert row.setting == "top 5 of recorded pools of up to 50, C at 4.5 or above"
    assert row.gates_crossed is None


def test_crossed_gates_are_counted() -> None:
    """None where none was asked for, and 0 where all were kept."""
    run, _ = hard_run()
    kept = GateOutcome("sessions >= 1", "sessions", 3.0, None, 1.0, passed=True)
    judged = replace(NIGHT, gates=(kept, replace(kept, passed=False)))
    assert figures(judged, run).gates_crossed == 1
    assert figures(replace(NIGHT, gates=(kept,)), run).gates_crossed == 0


def test_a_night_without_a_run_or_a_summary_has_no_figures() -> None:
    """It was there all the same."""
    run, _ = hard_run()
    for row in (figures(NIGHT, None), figures(replace(NIGHT, status=NightStatus.RUNNING), replace(run, summary=None))):
        assert row.night == NIGHT.name
        assert (row.sessions, row.pairs, row.failed_share) == (0, {}, None)
    assert figures(NIGHT, None).run_id is None


def test_a_run_that_stopped_at_a_cap_is_said_to_be_cut_short() -> None:
    """Its figures stand, and are not passed off as the whole night's."""
    run, _ = hard_run()
    assert figures(NIGHT, replace(run, status=RunStatus.INTERRUPTED)).cut_short
    assert not figures(NIGHT, run).cut_short


def test_every_figure_has_one_name() -> None:
    """The names that gates, outliers and comparisons use for the same thing."""
    run, _ = hard_run(others=2, noise=True)
    pairs = [f"{kind}.{label}" for label in "BC" for kind in PAIR_FIGURES]
    sides = [f"p95_seconds.{label}" for label in "ABC"]
    assert list(named_figures(run_figures(run))) == [*pairs, "noise_overlap", *sides, "failed_share"]


PAIR_FIGURES = ("changed_share", "only_in_a_per_session", "only_in_b_per_session", "overlap")


def test_a_night_of_few_sessions_is_held_against_nothing() -> None:
    """What a handful of sessions do is no trend."""
    quiet = night_figures(datetime(2026, 12, 24, 3, tzinfo=UTC), 0.01, sessions=9)
    assert not trend("nightly", [*nights_of([0.7] * 14), quiet]).outliers
    assert trend("nightly", [*nights_of([0.7] * 14), replace(quiet, sessions=10)]).outliers


def test_a_band_ends_where_its_figure_does() -> None:
    """No share is expected above 100%, no overlap below 0."""
    below = of_far([0.995] * 14)
    assert below.low == pytest.approx(0.975)
    assert below.high == 1.0
    assert of_far([0.1, 0.2] * 7).low == 0.0


def of_far(overlaps: list[float]) -> Outlier:
    """What a far night's overlap leaves, of nights of these."""
    history = trend("nightly", [*nights_of(overlaps), FAR])
    (found,) = (item for item in history.outliers if (item.night, item.figure) == (FAR.night, "overlap.B"))
    return found


FAR = night_figures(datetime(2026, 12, 24, 3, tzinfo=UTC), 0.6)


def test_latency_has_a_floor_of_its_own() -> None:
    """A tenth of the median, whatever the unit: 5% slower is noise, twice as slow is not."""
    usual = nights_of([0.7] * 10, p95_seconds={"A": 0.2})
    when = datetime(2026, 12, 24, 3, tzinfo=UTC)
    assert not trend("nightly", [*usual, night_figures(when, 0.7, p95_seconds={"A": 0.21})]).outliers
    (found,) = trend("nightly", [*usual, night_figures(when, 0.7, p95_seconds={"A": 0.4})]).outliers
    assert found.figure == "p95_seconds.A"
    assert (found.low, found.high) == pytest.approx((0.18, 0.22))


def test_the_rule_is_said_with_its_numbers() -> None:
    """In one sentence or two, beside whatever it marks."""
    assert trend("nightly", nights_of([0.7])).rule == RULE
    for number in ("median ± 4", "14 nights", "at least 7", "±0.02", "±0.2", "±10%", "fewer than 10 sessions"):
        assert number in RULE
