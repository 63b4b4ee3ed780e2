"""A cascade on a real Postgres: what its gate decided is stored turn by turn, and summed up alike ever after."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shadowdiff.ranking import surfaced
from shadowdiff.records import SessionOutcome, Window
from shadowdiff.replay.execute import Replay
from shadowdiff.replay.results import outcomes, summarise
from shadowdiff.replay.sides import Contender
from shadowdiff.rerankers.cascade import confidence
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse
from shadowdiff.runs import Run, RunConfig, RunStatus, Side
from shadowdiff.sources.postgres import PostgresSource
from shadowdiff.store.runs import RunStore

MARGIN = 0.2
SPECS = ("cosine", f"cascade:gate=cosine,margin={MARGIN},then=bm25", "bm25")
CONFIG = RunConfig(window=Window(last=6), pool=8, top_k=3)


def replay(source: PostgresSource, store: RunStore) -> Replay:
    """The gate, the cascade, and what comes then, as sides A, B and C."""
    rerankers = [(label, build(parse(spec))) for label, spec in zip("ABC", SPECS, strict=True)]
    contenders = tuple(Contender(Side(label, str(r.spec), str(r.spec), r.fingerprint), r) for label, r in rerankers)
    return Replay(contenders, source, store)


def recount(found: Sequence[SessionOutcome]) -> tuple[int, int, int]:
    """Escalated turns, spared pairs and altered turns, by the rankings of all three sides alone."""
    escalated = spared = altered = 0
    for turn in (turn.replayed for outcome in found for turn in outcome.turns):
        unsure = confidence(turn.rankings["A"]) < MARGIN
        assert turn.rankings["B"] == turn.rankings["C" if unsure else "A"]
        assert turn.counts["B"].escalated is unsure
        assert turn.counts["A"].escalated is None
        escalated += unsure
        spared += 0 if unsure else len(turn.pool.entries)
        altered += set(surfaced(turn.rankings["B"], 3)) != set(surfaced(turn.rankings["A"], 3))
    return escalated, spared, altered


def test_what_it_took_is_stored_and_summed_up(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """The summary's three counts are those of the rankings; the same when summed up again later."""
    run = replay(sample_source, sample_store)
    done = run.finish(run.start(CONFIG))
    assert done.summary is not None
    b = done.summary.sides["B"]
    counted = recount(list(outcomes(done, sample_store)))
    assert (b.escalated_turns, b.spared_pairs, b.altered_turns) == counted
    assert all(counted)
    assert b.escalated_turns < done.summary.turns  # type: ignore[operator]
    assert (done.summary.sides["A"].escalated_turns, done.summary.sides["C"].spared_pairs) == (None, 0)
    assert summarise(done, sample_store) == done.summary == sample_store.get(done.run_id).summary


def test_a_resumed_run_counts_alike(
    sample_source: PostgresSource, sample_store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after its first window and gone on with, it comes to what an undisturbed run does."""
    from shadowdiff.replay import execute

    monkeypatch.setattr(execute, "FIRST_SESSIONS", 2)
    monkeypatch.setattr(execute, "TURNS_PER_WINDOW", 4)
    undisturbed = replay(sample_source, sample_store)
    whole = undisturbed.finish(undisturbed.start(CONFIG)).summary
    stopping = replay(sample_source, sample_store)
    started: Run = stopping.start(CONFIG)
    save, saved = sample_store.save, [0]

    def save_once(*arguments: object) -> None:
        if saved[0]:
            raise KeyboardInterrupt
        saved[0] += 1
        save(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sample_store, "save", save_once)
    with pytest.raises(KeyboardInterrupt):
        stopping.finish(started)
    monkeypatch.setattr(sample_store, "save", save)
    assert sample_store.get(started.run_id).status is RunStatus.INTERRUPTED
    assert 0 < sample_store.progress(started.run_id)[0] < 6
    resumed = replay(sample_source, sample_store).finish(started).summary
    assert whole is not None
    assert resumed is not None
    counts = [
        (side.escalated_turns, side.spared_pairs, side.altered_turns, side.pairs)
        for summary in (whole, resumed)
        for side in summary.sides.values()
    ]
    assert counts[:3] == counts[3:]
    assert resumed.pairs == whole.pairs
