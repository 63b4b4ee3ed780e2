"""Two runs of the same sides: what changed from one to the other, and whether that can be said. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shadowdiff.history import named_figures, run_figures
from shadowdiff.nights import ChangedSession, RunChanges
from shadowdiff.records import SessionDiff, SessionOutcome
from shadowdiff.runs import Estimate, Run, RunConfig, RunStatus, Side

SAME, DIFFERENT, FAILED = "same", "different", "failed"
FINGERPRINT_CHARS = 12


def refusal(before: Run, after: Run) -> str | None:
    """Why a comparison of the two would mean nothing, in a sentence without a full stop; None where it means something.

    The texts of specs and names in it are the user's own; it holds no text of a session.
    """
    if before.run_id == after.run_id:
        return f"run {before.run_id} is the only one named, twice; name an earlier run and a later one"
    return _unfinished(before) or _unfinished(after) or _other_sides(before, after) or _other_setting(before, after)


def refusal_of_sessions(before: Run, after: Run, in_both: int, comparable: int) -> str | None:
    """Why two runs have nothing to compare session by session; None where they have.

    `in_both`: sessions that both have replayed. `comparable`: of these, those with the same turns and pools.
    """
    if comparable:
        return None
    names = f"{before.run_id} and {after.run_id}"
    if not in_both:
        return (
            f"no session is in both {names}, so that nothing can be compared one by one; "
            "nights are compared by their figures: shadowdiff history"
        )
    return (
        f"the sessions in both {names} have other turns or other pools in each of them, so that what changed is not "
        "the sides' doing; replay them again with: --session ID"
    )


def changes(
    before: Run,
    after: Run,
    outcomes_before: Iterable[SessionOutcome] = (),
    outcomes_after: Iterable[SessionOutcome] = (),
    *,
    apart: int = 0,
) -> RunChanges:
    """What is otherwise in `after` than in `before`, of two runs that `refusal` has nothing against.

    The outcomes are those of the sessions that both runs replayed over the same
    pools, in one order; they are read side by side, and only what changed is kept.
    `apart`: further sessions in both, with other turns or pools. The figures are
    over all sessions of each run, whatever the outcomes. Raises ValueError where the
    outcomes are not of the same sessions.
    """
    lists = _Lists()
    for one, other in zip(outcomes_before, outcomes_after, strict=True):
        if one.session.session_id != other.session.session_id:
            raise ValueError(f"session {one.session.session_id!r} stands beside {other.session.session_id!r}")
        lists.add(after, one, other)
    figures = list(_figures(before, after))
    return RunChanges(
        before=before.run_id,
        after=after.run_id,
        sessions_in_both=lists.sessions,
        newly_different=tuple(lists.newly_different),
        newly_failing=tuple(lists.newly_failing),
        fixed=tuple(lists.fixed),
        figures=tuple((name, one.value, other.value) for name, one, other in figures),
        notes=(*_scope(lists.sessions, apart), *_limits(before, after), *_apart(figures)),
    )


def state(diff: SessionDiff) -> str:
    """`failed` where a turn failed or none was completed, else whether the session's distinct sets are the same."""
    if diff.failed_turns or not diff.completed_turns:
        return FAILED
    return DIFFERENT if diff.only_in_a or diff.only_in_b else SAME


@dataclass(slots=True)
class _Lists:
    """What changed so far."""

    sessions: int = 0
    newly_different: list[ChangedSession] = field(default_factory=list)
    newly_failing: list[ChangedSession] = field(default_factory=list)
    fixed: list[ChangedSession] = field(default_factory=list)

    def add(self, run: Run, before: SessionOutcome, after: SessionOutcome) -> None:
        self.sessions += 1
        kept = {DIFFERENT: self.newly_different, FAILED: self.newly_failing, SAME: self.fixed}
        session = after.session
        for side in run.others:
            was, now = state(before.diffs[side.label]), state(after.diffs[side.label])
            if was != now:
                kept[now].append(ChangedSession(session.session_id, session.org_id, side.label, was, now))


def _unfinished(run: Run) -> str | None:
    if run.status is RunStatus.DONE and run.summary is not None:
        return None
    return f"run {run.run_id} is {run.status.value}; end it first with: shadowdiff replay --resume {run.run_id}"


def _other_sides(before: Run, after: Run) -> str | None:
    labels = [[side.label for side in run.sides] for run in (before, after)]
    if labels[0] != labels[1]:
        sides = [", ".join(f"{side.label} {side.name}" for side in run.sides) for run in (before, after)]
        return f"run {before.run_id} has the sides {sides[0]}, and run {after.run_id} {sides[1]}"
    for one, other in zip(before.sides, after.sides, strict=True):
        if one.fingerprint != other.fingerprint:
            return (
                f"side {one.label} is not the same reranker: {_named(one)} in run {before.run_id}, "
                f"{_named(other)} in run {after.run_id}"
            )
        if one.min_score != other.min_score:
            scores = ["none" if side.min_score is None else f"{side.min_score:g}" for side in (one, other)]
            return f"min_score of side {one.label} is {scores[0]} in run {before.run_id}, {scores[1]} in {after.run_id}"
    return None


def _named(side: Side) -> str:
    return f"{side.name} ({side.fingerprint[:FINGERPRINT_CHARS]})"


def _other_setting(before: Run, after: Run) -> str | None:
    def settings(config: RunConfig) -> dict[str, object]:
        return {"top_k": config.top_k, "pool": config.pool, "pool_from": config.pool_from.value}

    for name, value in settings(before.config).items():
        other = settings(after.config)[name]
        if value != other:
            return f"{name} is {value} in run {before.run_id}, {other} in run {after.run_id}"
    return None


def _figures(before: Run, after: Run) -> Iterator[tuple[str, Estimate, Estimate]]:
    """Every figure that either run has, with that of each."""
    one, other = named_figures(run_figures(before)), named_figures(run_figures(after))
    for name in {**one, **other}:
        found = one.get(name, Estimate(None)), other.get(name, Estimate(None))
        if any(figure.value is not None for figure in found):
            yield name, *found


def _scope(sessions: int, apart: int) -> Iterator[str]:
    if not sessions:
        yield "The runs share no session that could be compared one by one: the figures are over all sessions of each."
    if apart:
        yield (
            f"Not compared one by one: {apart:,} further sessions in both runs, whose turns or pools are not the same."
        )


def _limits(before: Run, after: Run) -> Iterator[str]:
    if before.started_at > after.started_at:
        yield f"Run {before.run_id} was made after run {after.run_id}."
    if before.config.redacted_sides != after.config.redacted_sides:
        yield "A side saw redacted texts in one of the runs and not in the other."
    if before.version != after.version:
        yield "The runs were made by different versions of shadowdiff."


def _apart(figures: Iterable[tuple[str, Estimate, Estimate]]) -> Iterator[str]:
    """Figures that differ by more than chance.

    Intervals that do not overlap are a stricter test than one of the difference
    (Schenker and Gentleman 2001): what it names differs, what it does not name may.
    """
    for name, one, other in figures:
        if None in (one.low, one.high, other.low, other.high):
            continue
        if _is_below(one, other) or _is_below(other, one):
            yield f"{name}: the 95% intervals do not overlap, {_interval(one)} before and {_interval(other)} after."


def _is_below(one: Estimate, other: Estimate) -> bool:
    return one.high is not None and other.low is not None and one.high < other.low


def _interval(figure: Estimate) -> str:
    return f"[{figure.low:.3g}, {figure.high:.3g}]"
