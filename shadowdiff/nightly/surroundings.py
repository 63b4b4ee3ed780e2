"""What stands beside a night's run in its report: gates, the nights before it, and the blessed run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from shadowdiff.errors import ConfigError
from shadowdiff.history import BAND_NIGHTS, figures, trend
from shadowdiff.nights import GateOutcome, History, Night, NightFigures, NightStatus, RunChanges, Surroundings
from shadowdiff.replay.compared import compare_runs
from shadowdiff.runs import Run
from shadowdiff.store.blessed import BlessedRuns
from shadowdiff.store.nights import NightStore
from shadowdiff.store.runs import RunStore

NIGHTS_SHOWN = 30
IDLE_NIGHTS = 16
"""Read beyond those of a band: nights without figures make none."""


def surroundings_of(night: Night, run: Run, store: RunStore, gates: Sequence[GateOutcome] = ()) -> Surroundings:
    """What is known beside a run that is a night's, whether that is recorded as done yet or not.

    `gates` where they are not stored with the night yet. Nights after it are left
    out, so that a report made again later reads as it did. Raises StoreError.
    """
    judged = tuple(gates) or night.gates
    own = figures(replace(night, status=NightStatus.DONE, gates=judged), run)
    before = (each for each in _read(night.configuration, store, NIGHTS_SHOWN, night.until) if each.name != night.name)
    history = trend(night.configuration, [*_rows(list(before), store), own], NIGHTS_SHOWN)
    return Surroundings(judged, history, *_since_blessed(night.configuration, run, store))


def history_of(configuration: str, store: RunStore, last: int) -> History:
    """The newest nights of a configuration. Raises StoreError."""
    return trend(configuration, _rows(_read(configuration, store, last), store), last)


def _read(configuration: str, store: RunStore, last: int, until: datetime | None = None) -> list[Night]:
    """So many nights, and those before them that make their bands."""
    return NightStore(store).nights(configuration, last + BAND_NIGHTS + IDLE_NIGHTS, until)


def _rows(nights: Sequence[Night], store: RunStore) -> list[NightFigures]:
    runs = store.named([night.run_id for night in nights if night.run_id])
    return [figures(night, runs.get(night.run_id or "")) for night in nights]


def _since_blessed(configuration: str, run: Run, store: RunStore) -> tuple[RunChanges | None, str]:
    """What changed, or why that cannot be said: at most one of them."""
    blessed = BlessedRuns(store).blessed(configuration)
    if blessed is None or blessed.run_id == run.run_id:
        return None, ""
    try:
        return compare_runs(blessed, run, store, figures_suffice=True), ""
    except ConfigError as reason:
        return None, str(reason)
