"""Nights, blessed runs and shared sessions in a real store: what stands beside a night's run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shadowdiff.errors import ConfigError
from shadowdiff.nightly.surroundings import history_of, surroundings_of
from shadowdiff.nights import GateOutcome, Night, NightStatus
from shadowdiff.records import Asked as Taken
from shadowdiff.records import TurnAsked, Usage
from shadowdiff.replay.compared import compare_runs
from shadowdiff.replay.evaluated import replayed_sessions, runs_to_evaluate
from shadowdiff.runs import Run, RunConfig, RunStatus
from shadowdiff.store.blessed import BlessedRuns
from shadowdiff.store.nights import NightStore
from shadowdiff.store.runs import RunStore
from shadowdiff.store.shared import shared_sessions
from shadowdiff.store.since import newest_sessions, progress
from tests.night_cases import AT
from tests.render_cases import COSINE, MINILM, Asked, descending, entries, run_of, session_of

KEPT = GateOutcome("sessions >= 1", "sessions", 2.0, None, 1.0, passed=True)
POOL = entries(["Alpha", "Beta", "Gamma", "Delta"], "kb")
OTHER_POOL = entries(["Alpha", "Beta", "Gamma", "Epsilon"], "kb")
SAME, OTHER = descending([1, 2, 3, 4]), descending([3, 4, 1, 2])
if TYPE_CHECKING:
    from sqlalchemy import Engine

Given = Sequence[float] | str

StoreRun = Callable[..., Run]


@pytest.fixture
def store(empty_engine: Engine) -> RunStore:
    """An empty store."""
    return RunStore(empty_engine)


@pytest.fixture
def stored(store: RunStore) -> StoreRun:
    """Stores a done run of sessions of one turn each, by B's scores or why there are none."""

    def store_run(run_id: str, sessions: Mapping[str, Given], night: Night | None = None, pool: object = POOL) -> Run:
        replayed = [
            session_of(name, "acme", [Asked("?", pool, {"A": SAME, "B": given})], "AB")  # type: ignore[arg-type]
            for name, given in sessions.items()
        ]
        run, _ = run_of(replayed, (COSINE, MINILM), RunConfig(top_k=2))
        sides = tuple(replace(side, fingerprint=side.fingerprint * 4) for side in run.sides)
        run = replace(run, run_id=run_id, sides=sides)
        store.create(
            replace(run, status=RunStatus.RUNNING),
            list(sessions),
            None if night is None else NightStore(store).attaching(night),
        )
        store.save(run_id, replayed)
        store.finish(run_id, RunStatus.DONE, run.summary, run.finished_at)
        return run

    return store_run


def begun(store: RunStore, day: int) -> Night:
    """A night that is under way."""
    until = AT + timedelta(days=day)
    return NightStore(store).begin("nightly", f"{until:%Y-%m-%d}", until - timedelta(days=1), until)


def ended(store: RunStore, stored: StoreRun, day: int, sessions: Mapping[str, Given]) -> tuple[Night, Run | None]:
    """A night of these sessions, done; without any it has no run."""
    night = begun(store, day)
    run = stored(f"run-{day}", sessions, night) if sessions else None
    NightStore(store).finish(night, [KEPT] if run else [], [])
    return replace(
        night, run_id=run.run_id if run else None, status=NightStatus.DONE, gates=(KEPT,) if run else ()
    ), run


def test_a_report_stands_among_the_nights_before_it_and_none_after(store: RunStore, stored: StoreRun) -> None:
    """Whether its own night is recorded as done by then or not; a report made again later reads as it did."""
    ended(store, stored, 0, {"a": SAME})
    ended(store, stored, 1, {})
    night = begun(store, 2)
    run = stored("run-2", {"b": OTHER, "c": SAME}, night)
    tonight = surroundings_of(night, run, store, [KEPT])
    NightStore(store).finish(night, [KEPT], [])
    ended(store, stored, 3, {"d": OTHER})
    later = surroundings_of(replace(night, run_id="run-2", status=NightStatus.DONE, gates=(KEPT,)), run, store)
    assert tonight == later
    assert tonight.history is not None
    rows = tonight.history.nights
    assert [(row.night, row.sessions, row.run_id) for row in rows] == [
        ("2026-11-01", 1, "run-0"),
        ("2026-11-02", 0, None),
        ("2026-11-03", 2, "run-2"),
    ]
    assert (rows[-1].pairs["B"].changed_share, rows[-1].gates_crossed) == (0.5, 0)
    assert tonight.gates == (KEPT,)
    assert (tonight.compared_with, tonight.not_compared) == (None, "")
    assert [row.night for row in history_of("nightly", store, 2).nights] == ["2026-11-03", "2026-11-04"]


def test_the_blessed_run_is_compared_by_figures_where_no_session_is_shared(store: RunStore, stored: StoreRun) -> None:
    """As nights are; one by one where sessions are; and with a run of other sides not at all, with the reason."""
    blessed = BlessedRuns(store)
    blessed.bless("nightly", stored("the-blessed", {"x": SAME, "y": SAME}).run_id, "ada")
    night, run = ended(store, stored, 0, {"a": OTHER, "b": SAME})
    assert run is not None
    found = surroundings_of(night, run, store).compared_with
    assert found is not None
    assert (found.before, found.after, found.sessions_in_both) == ("the-blessed", "run-0", 0)
    assert ("changed_share.B", 0.0, 0.5) in found.figures
    again = stored("again", {"a": SAME, "b": SAME})
    blessed.bless("nightly", again.run_id, "ada")
    found = surroundings_of(night, run, store).compared_with
    assert found is not None
    assert [session.session_id for session in found.newly_different] == ["a"]
    other = replace(run, config=replace(run.config, top_k=3))
    assert "top_k is 2 in run again, 3 in run run-0" in surroundings_of(night, other, store).not_compared
    blessed.bless("nightly", run.run_id, "ada")
    assert surroundings_of(night, run, store).compared_with is None


def test_one_run_per_configuration_is_blessed(store: RunStore, stored: StoreRun) -> None:
    """The last one; with who and when; and only a whole run."""
    blessed = BlessedRuns(store)
    for run_id in ("one", "two"):
        stored(run_id, {"a": SAME})
        blessed.bless("nightly", run_id, f"ada {run_id}")
    blessed.bless("other", "one", "")
    blessing = blessed.blessing("nightly")
    assert blessing is not None
    assert (blessing.run.run_id, blessing.by) == ("two", "ada two")
    assert blessing.run == blessed.blessed("nightly") == store.get("two")
    assert blessed.clear("nightly")
    assert not blessed.clear("nightly")
    assert blessed.blessed("nightly") is None
    assert blessed.blessed("other") == store.get("one")
    unfinished = replace(store.get("one"), run_id="three", status=RunStatus.INTERRUPTED)
    store.create(unfinished, ["a"])
    with pytest.raises(ConfigError, match="run three is interrupted"):
        blessed.bless("nightly", "three", "")


def test_sessions_are_shared_where_turns_and_pools_are_the_same(store: RunStore, stored: StoreRun) -> None:
    """In the later run's order; those with another pool are only counted."""
    stored("before", {"a": SAME, "b": SAME, "c": SAME, "d": SAME})
    store.create(replace(store.get("before"), run_id="planned", status=RunStatus.RUNNING), ["a", "b"])
    later = stored("after", {"d": OTHER, "a": SAME, "e": SAME})
    other = stored("moved", {"a": SAME, "b": OTHER}, pool=OTHER_POOL)
    shared = shared_sessions(store, "before", "after")
    assert (shared.alike, shared.apart) == (("d", "a"), 0)
    moved = shared_sessions(store, "before", "moved")
    assert (moved.alike, moved.apart) == ((), 2)
    assert shared_sessions(store, "before", "planned") == shared_sessions(store, "planned", "after")
    before = store.get("before")
    found = compare_runs(before, later, store)
    assert (found.sessions_in_both, [each.session_id for each in found.newly_different]) == (2, ["d"])
    with pytest.raises(ConfigError, match="other pools"):
        compare_runs(before, other, store)
    assert compare_runs(before, other, store, figures_suffice=True).sessions_in_both == 0
    with pytest.raises(ConfigError, match="no session is in both"):
        compare_runs(later, stored("elsewhere", {"z": SAME}), store)


def test_a_session_is_the_newest_run_s(store: RunStore, stored: StoreRun) -> None:
    """Each once, oldest run first; a run of which nothing is the newest is missing, as is what is only planned."""
    stored("first", {"c": SAME, "a": SAME, "b": SAME})
    stored("second", {"b": SAME, "x": SAME})
    stored("third", {"x": SAME, "b": SAME})
    store.create(replace(store.get("first"), run_id="planned", status=RunStatus.RUNNING), ["a"])
    runs = ["third", "planned", "second", "first"]
    assert newest_sessions(store, runs) == {"first": ["c", "a"], "third": ["x", "b"]}
    assert list(newest_sessions(store, runs)) == ["first", "third"]
    assert newest_sessions(store, ["second", "first"]) == {"first": ["c", "a"], "second": ["b", "x"]}
    assert progress(store, runs) == {"third": (2, 2), "planned": (0, 1), "second": (2, 2), "first": (3, 3)}
    assert progress(store, ["nothing"]) == {"nothing": (0, 0)}
    since = runs_to_evaluate(store, since=AT - timedelta(days=10_000))
    assert (since.run.run_id, since.run_ids) == ("planned", ("first", "third"))
    assert (since.repeated, since.unfinished) == (("second", "planned"), {"planned": (0, 1)})
    assert [one.session.session_id for one in replayed_sessions(since, store)] == ["c", "a", "x", "b"]
    other = replace(store.get("first"), run_id="other", status=RunStatus.RUNNING)
    other = replace(other, started_at=other.started_at + timedelta(days=1), config=replace(other.config, top_k=3))
    store.create(other, ["a"])
    assert [group.run_ids for group in runs_to_evaluate(store, "first", AT).others] == [("other",)]
    with pytest.raises(ConfigError, match="no run with the sides and the setting of run first has started since"):
        runs_to_evaluate(store, "first", other.started_at)


def test_what_asking_took_is_read_piece_by_piece(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, once, in order of turn and side; of the run alone."""
    monkeypatch.setattr("shadowdiff.store.runs.ASKS_PER_READ", 4)
    names = [f"t{at:02} \"'" for at in range(11)]
    asked = [TurnAsked(name, side, Taken(Usage(calls=at))) for at, name in enumerate(names) for side in "AB"]
    run, _ = run_of([], (COSINE, MINILM), RunConfig())
    for run_id in ("one", "other"):
        store.create(replace(run, run_id=run_id, status=RunStatus.RUNNING), [])
        store.keep(run_id, {}, asked[::-1] if run_id == "one" else asked[:3])
    assert list(store.asks("one")) == asked
    assert list(store.asks("other")) == asked[:3]
    assert list(store.asks("nothing")) == []
