"""Runs held against rules, and what stands beside them: every case that a report must draw well."""

from __future__ import annotations

from datetime import timedelta

from shadowdiff.gates.judge import outcomes
from shadowdiff.gates.rules import parse_rules
from shadowdiff.nightly.settings import Strict
from shadowdiff.nights import (
    ChangedSession,
    GateOutcome,
    History,
    NightFigures,
    Outlier,
    PairFigures,
    RunChanges,
    Surroundings,
)
from shadowdiff.runs import Estimate, Run
from tests.render_cases import STARTED

RULES = (
    "only_in_a_per_session <= 3",
    "failed_share <= 2%",
    "p95_seconds <= 1.3",
    "mean_overlap.B >= 0.7",
    "sessions >= 3",
    "changed_share.B <= 90%",
    "overlap_below_noise <= 10%",
    "cost_usd <= 5",
    "distinct_change_percent.B >= -10%",
)
"""Of the run, of pairs and of sides; kept and crossed; with a bound, without one, without a figure."""


def gates(run: Run, rules: tuple[str, ...] = RULES) -> tuple[GateOutcome, ...]:
    """What the rules make of a run."""
    return outcomes(parse_rules(rules), run, Strict.BOUND)


def surroundings(run: Run) -> Surroundings:
    """Gates, four nights of which the last leaves its band, and what changed since the blessed run."""
    return Surroundings(gates(run), _history(run), _changes(run))


def _history(run: Run) -> History:
    overlaps = (0.81, 0.8, 0.82, 0.55)
    nights = [
        NightFigures(
            f"2026-11-{17 + at}",
            f"run-{at}",
            STARTED + timedelta(days=at),
            sessions=10,
            turns=31,
            pairs={"B": PairFigures(0.4, Estimate(1.0), Estimate(1.2), Estimate(overlap))},
        )
        for at, overlap in enumerate(overlaps)
    ]
    outlier = Outlier(nights[-1].night, "overlap.B", 0.55, 0.78, 0.84, 3)
    return History("nightly", tuple(nights), (outlier,), "Outside the median of the nights before, widely.")


def _changes(run: Run) -> RunChanges:
    sessions = [
        ChangedSession("hostile @everyone | <b>#1</b>", "acme", "B", "same", "different"),
        ChangedSession("7f3a", "acme", "B", "different", "same"),
    ]
    return RunChanges(
        "2026-11-19-0300-q1",
        run.run_id,
        40,
        tuple(sessions[:1]),
        (),
        tuple(sessions[1:]),
        (("overlap.B", 0.8123, 0.7583), ("p95_seconds.B", None, 1.254)),
        ("pools of 2 of the sessions in both differ",),
    )
