"""Two stored runs, compared: by their figures, and one by one where they share sessions."""

from __future__ import annotations

from shadowdiff.comparison import changes, refusal, refusal_of_sessions
from shadowdiff.errors import ConfigError
from shadowdiff.nights import RunChanges
from shadowdiff.replay.results import outcomes
from shadowdiff.runs import Run
from shadowdiff.store.runs import RunStore
from shadowdiff.store.shared import shared_sessions


def compare_runs(before: Run, after: Run, store: RunStore, *, figures_suffice: bool = False) -> RunChanges:
    """What changed from one run to the other. Sessions are read a batch at a time, without their pools.

    Raises ConfigError with the reason where the comparison would mean nothing; so
    also where no session can be compared one by one, unless `figures_suffice`.
    """
    reason = refusal(before, after)
    if reason:
        raise ConfigError(reason)
    shared = shared_sessions(store, before.run_id, after.run_id)
    in_both = len(shared.alike) + shared.apart
    reason = refusal_of_sessions(before, after, in_both, len(shared.alike))
    if reason and not figures_suffice:
        raise ConfigError(reason)
    sides = (outcomes(run, store, shared.alike, with_pools=False) for run in (before, after))
    return changes(before, after, *sides, apart=shared.apart)
