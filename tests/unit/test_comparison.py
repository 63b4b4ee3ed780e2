"""Two runs of the same sides: when they can be compared, and what is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from shadowdiff.comparison import changes, refusal, refusal_of_sessions
from shadowdiff.nights import ChangedSession, RunChanges
from shadowdiff.records import PoolOrigin, SessionOutcome
from shadowdiff.runs import Estimate, Run, RunConfig, RunStatus, Side
from tests.render_cases import BM25, COSINE, MINILM, Asked, descending, entries, hard_run, run_of, session_of

POOL = entries(["Alpha", "Beta", "Gamma", "Delta"], "kb")
SAME, OTHER = descending([1, 2, 3, 4]), descending([3, 4, 1, 2])


def run_with(run_id: str, **sessions: Sequence[float] | str) -> tuple[Run, list[SessionOutcome]]:
    """A run of sessions of one turn, by B's scores or why there are none; A ranks the pool as it comes."""
    replayed = [
        session_of(name, "acme", [Asked("?", POOL, {"A": SAME, "B": given})], "AB") for name, given in sessions.items()
    ]
    run, outcomes = run_of(replayed, (COSINE, MINILM), RunConfig(top_k=2))
    return replace(run, run_id=run_id), outcomes


def test_every_session_that_changed_stands_in_one_list() -> None:
    """By what it is now, with what it was."""
    before = run_with("before", kept=OTHER, worse=SAME, broke=OTHER, mended="HTTP 503", calm=OTHER, back="HTTP 503")
    after = run_with("after", kept=OTHER, worse=OTHER, broke="HTTP 503", mended=SAME, calm=SAME, back=OTHER)
    found = changes(before[0], after[0], before[1], after[1])
    assert found.sessions_in_both == 6
    assert listed(found.newly_different) == [("worse", "same", "different"), ("back", "failed", "different")]
    assert listed(found.newly_failing) == [("broke", "different", "failed")]
    assert listed(found.fixed) == [("mended", "failed", "same"), ("calm", "different", "same")]
    assert {each.side for each in found.newly_different} == {"B"}
    assert found.notes == ()


def listed(sessions: Sequence[ChangedSession]) -> list[tuple[str, str, str]]:
    """Which, and from what to what."""
    return [(session.session_id, session.before, session.after) for session in sessions]


def test_the_figures_are_those_of_all_sessions() -> None:
    """Whether any session is in both or not; and then it says so."""
    before, after = run_with("before", a=SAME, b=SAME)[0], run_with("after", c=OTHER, d=SAME)[0]
    found = changes(before, after)
    assert found.sessions_in_both == 0
    assert ("changed_share.B", 0.0, 0.5) in found.figures
    assert ("overlap.B", 1.0, 0.5) in found.figures
    assert "figures are over all sessions" in found.notes[0]
    assert all(value is not None for _, *both in found.figures for value in both)


def test_sessions_with_other_pools_are_counted_apart() -> None:
    """They are no one's doing, and not passed over in silence."""
    before, after = run_with("before", a=SAME), run_with("after", a=OTHER)
    assert "3 further sessions in both runs" in changes(before[0], after[0], before[1], after[1], apart=3).notes[0]


def test_a_figure_whose_intervals_are_apart_is_said_to_differ() -> None:
    """And one whose intervals overlap is not, nor one without."""
    notes = of_overlaps(Estimate(0.8, 0.75, 0.85), Estimate(0.6, 0.55, 0.65)).notes
    assert [note for note in notes if note.startswith("overlap.B")] == [
        "overlap.B: the 95% intervals do not overlap, [0.75, 0.85] before and [0.55, 0.65] after."
    ]
    for after in (Estimate(0.6, 0.55, 0.75), Estimate(0.1), Estimate(None)):
        assert not [note for note in of_overlaps(Estimate(0.8, 0.75, 0.85), after).notes if "overlap.B" in note]


def of_overlaps(before: Estimate, after: Estimate) -> RunChanges:
    """Two runs of these overlaps."""
    runs = [run_with(name, a=SAME, b=SAME)[0] for name in ("before", "after")]
    for at, overlap in enumerate((before, after)):
        summary = runs[at].summary
        assert summary is not None
        pairs = {"B": replace(summary.pairs["B"], overlap=overlap)}
        runs[at] = replace(runs[at], summary=replace(summary, pairs=pairs))
    return changes(runs[0], runs[1])


def test_outcomes_of_other_sessions_are_a_mistake_of_the_caller() -> None:
    """They would be compared with strangers."""
    before, after = run_with("before", a=SAME, b=SAME), run_with("after", b=SAME, a=SAME)
    with pytest.raises(ValueError, match="'a' stands beside 'b'"):
        changes(before[0], after[0], before[1], after[1])


def of_sides(*sides: Side, run_id: str = "later", **config: object) -> Run:
    """A done run of these sides."""
    run = hard_run(others=2)[0]
    return replace(run, run_id=run_id, sides=sides or run.sides, config=replace(run.config, **config))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (of_sides(run_id="2026-11-20-0300-k7"), "named, twice"),
        (
            of_sides(COSINE, replace(MINILM, fingerprint="ab" * 32), BM25),
            "side B is not the same reranker: minilm-v3 (",
        ),
        (of_sides(COSINE, MINILM), "has the sides A cosine, B minilm-v3, C bm25, and run later A cosine, B minilm-v3"),
        (of_sides(COSINE, MINILM, replace(BM25, min_score=None)), "min_score of side C is 4.5"),
        (of_sides(top_k=3), "top_k is 5 in run 2026-11-20-0300-k7, 3 in run later"),
        (of_sides(pool=20), "pool is 50"),
        (of_sides(pool_from=PoolOrigin.BM25), "pool_from is recorded"),
        (replace(of_sides(), status=RunStatus.INTERRUPTED), "end it first with: shadowdiff replay --resume later"),
        (replace(of_sides(), status=RunStatus.RUNNING, summary=None), "run later is running"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(after: Run, reason: str) -> None:
    """In one line, with what differs."""
    before = hard_run(others=2)[0]
    found = refusal(before, after)
    assert found is not None
    assert reason in found
    assert "\n" not in found


def test_runs_of_the_same_sides_are_not_refused() -> None:
    """Whatever their sides are called now, and whether their noise floor was asked for."""
    before = hard_run(others=2)[0]
    assert refusal(before, of_sides()) is None
    assert refusal(before, of_sides(replace(COSINE, name="base"), MINILM, BM25, noise=True)) is None


def test_runs_that_share_no_comparable_session_are_refused() -> None:
    """Nights are sent to the history; a changed knowledge base is told to replay."""
    before, after = hard_run()[0], of_sides()
    assert refusal_of_sessions(before, after, 9, 1) is None
    assert "shadowdiff history" in str(refusal_of_sessions(before, after, 0, 0))
    assert "other pools" in str(refusal_of_sessions(before, after, 9, 0))


def test_what_else_differs_is_noted() -> None:
    """Their order is the caller's; redaction and versions leave the fingerprints as they are."""
    before, after = run_with("before", a=SAME), run_with("after", a=SAME)
    other = replace(after[0], version="0.2.0", config=replace(after[0].config, redacted_sides=("B",)))
    earlier = replace(other, started_at=other.started_at - timedelta(days=1))
    notes = changes(before[0], earlier, before[1], after[1]).notes
    assert notes == (
        "Run before was made after run after.",
        "A side saw redacted texts in one of the runs and not in the other.",
        "The runs were made by different versions of shadowdiff.",
    )
