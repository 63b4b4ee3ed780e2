"""Which runs an evaluation, or a gate over labels, is of, and which it is not of: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any

from shadowdiff.evaluation.runs import EvaluatedRuns, OtherRuns
from shadowdiff.history import setting_of
from shadowdiff.render.columns import heading_of
from shadowdiff.render.listing import FINGERPRINT_CHARS
from shadowdiff.render.sessions import counted, moment
from shadowdiff.render.structured import side_json
from shadowdiff.render.text import one_line
from shadowdiff.runs import Side

MOST_IDS = 8
"""Runs that are named; of more, the first and the last ones. JSON has all."""
MOST_GROUPS = 4
"""Other sides and settings that are named, the most frequent ones."""


def runs_named(runs: EvaluatedRuns) -> str:
    """`run 20261120-0214`, or `7 runs since 2026-11-22 00:00 UTC`."""
    if runs.since is None:
        return f"run {one_line(runs.run.run_id)}"
    return f"{counted(len(runs.run_ids), 'run')} since {moment(runs.since)} UTC"


def scope(runs: EvaluatedRuns) -> Iterator[str]:
    """Which runs these are, and why others of the time are not among them; nothing where one run was asked for."""
    if runs.since is None:
        return
    once = "; a session that several runs replayed counts once, from the newest"
    yield _listed(runs.run_ids) + (once if len(runs.run_ids) + len(runs.repeated) > 1 else "")
    if runs.repeated:
        yield f"no session counts from {_listed(runs.repeated)}: newer runs have them all"
    if runs.pruned:
        yield f"left out, as their sessions were pruned: {_listed(runs.pruned)}"
    groups = sorted(runs.others, key=lambda group: -len(group.run_ids))
    for group in groups[:MOST_GROUPS]:
        what = f"{counted(len(group.run_ids), 'run')} of other sides or setting"
        yield f"left out, {what}: {_listed(group.run_ids)} ({_told(group, runs)})"
    if rest := groups[MOST_GROUPS:]:
        more = counted(sum(len(group.run_ids) for group in rest), "run")
        yield f"left out, {more} of {counted(len(rest), 'further kind')}"


def runs_fields(runs: EvaluatedRuns) -> dict[str, Any]:
    """`run_id` (whose sides they are), `since`, `run_ids`, oldest first, and those left out."""
    others = [{"run_ids": g.run_ids, "sides": list(map(side_json, g.sides)), "setting": g.setting} for g in runs.others]
    return {
        "run_id": runs.run.run_id,
        "since": None if runs.since is None else runs.since.astimezone(UTC).isoformat(),
        "run_ids": runs.run_ids,
        "repeated_runs": runs.repeated,
        "pruned_runs": runs.pruned,
        "other_runs": others,
    }


def _listed(run_ids: Sequence[str]) -> str:
    names = [one_line(run_id) for run_id in run_ids]
    if len(names) > MOST_IDS:
        names = [*names[: MOST_IDS // 2], "…", *names[-MOST_IDS // 2 :]]
    return ", ".join(names)


def _told(group: OtherRuns, runs: EvaluatedRuns) -> str:
    """The sides, with fingerprint and spec where nothing else tells them apart; the setting where it is another."""
    ours = runs.run.sides
    is_enough = list(map(heading_of, group.sides)) != list(map(heading_of, ours))
    sides = ", ".join(heading_of(side) if is_enough or side in ours else _identified(side) for side in group.sides)
    return sides if group.setting == setting_of(runs.run) else f"{sides}; {one_line(group.setting)}"


def _identified(side: Side) -> str:
    parts = [heading_of(side), side.fingerprint[:FINGERPRINT_CHARS], *([] if side.spec == side.name else [side.spec])]
    return one_line(" ".join(parts))
