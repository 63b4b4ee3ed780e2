"""Replay on a real Postgres with rerankers that misbehave: what fails is counted, what was computed is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Engine, text

from shadowdiff.database import store_engine
from shadowdiff.errors import ConfigError
from shadowdiff.protocols import PairScores, PoolReranker, Reranker, ScoreRequest
from shadowdiff.records import Entry, Outcome, PoolOrigin, Window
from shadowdiff.replay.execute import Progress, Replay
from shadowdiff.replay.results import outcomes, summarise
from shadowdiff.replay.sides import Contender
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import Spec, parse
from shadowdiff.runs import Run, RunConfig, RunStatus, RunSummary, Side
from shadowdiff.sources.postgres import PostgresSource
from shadowdiff.store.runs import RunStore


class Lengths:
    """Scores a document by its length; counts what it was asked for. Batches, like a local model."""

    document_form = "title+body"
    fingerprint = "ab" * 32

    def __init__(self, fails_on: str = "\0", wrong: float | None = None) -> None:
        self.spec: Spec = parse("lengths")
        self.asked = 0
        self._fails_on = fails_on
        self._wrong = wrong

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """The batch form of one."""
        return self.score_batch([ScoreRequest(query, tuple(documents))])[0].scores

    def score_batch(self, requests: Sequence[ScoreRequest]) -> Sequence[PairScores]:
        """Fails for the whole batch where one query holds the word."""
        if any(self._fails_on in request.query for request in requests):
            raise RuntimeError("device lost")
        self.asked += sum(len(request.documents) for request in requests)
        return [self._answer(request) for request in requests]

    def _answer(self, request: ScoreRequest) -> PairScores:
        scores = tuple(float(len(d)) if self._wrong is None else self._wrong for d in request.documents)
        return PairScores(scores, tuple(len(d) > 1500 for d in request.documents))


def replay(source: PostgresSource, store: RunStore, b: Reranker | PoolReranker, **more: object) -> Replay:
    """Cosine against one other reranker."""
    sides = [("A", build(parse("cosine"))), ("B", b)]
    contenders = tuple(Contender(Side(name, str(r.spec), str(r.spec), r.fingerprint), r) for name, r in sides)
    return replace(Replay(contenders, source, store), **more)  # type: ignore[arg-type]


def carried_out(replay: Replay, **config: object) -> Run:
    """Start and finish over the last four sessions."""
    return replay.finish(replay.start(RunConfig(window=Window(last=4), **config)))  # type: ignore[arg-type]


def test_one_bad_turn_costs_only_itself(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """A reranker that loses a whole batch over one query fails that turn, and ranks the others."""
    run = carried_out(replay(sample_source, sample_store, Lengths(fails_on="okta. got a guide?")))
    assert run.summary is not None
    found = [turn for outcome in outcomes(run, sample_store) for turn in outcome.turns]
    failed = [turn for turn in found if turn.outcome("B") is Outcome.FAILED]
    assert [turn.replayed.turn.query for turn in failed] == ["okta. got a guide?"]
    assert failed[0].replayed.failures[0].reason == "RuntimeError: device lost"
    assert "A" in failed[0].replayed.rankings
    assert (run.summary.failed_turns, run.summary.sides["B"].failed_turns) == (1, 1)
    assert sum(run.summary.pairs["B"].turns.values()) == len(found) == run.summary.turns


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_a_failure_and_never_cached(
    sample_source: PostgresSource, sample_store: RunStore, wrong: float
) -> None:
    """NaN and infinity fail the turn, and are not served from the cache the next night."""
    run = carried_out(replay(sample_source, sample_store, Lengths(wrong=wrong)))
    assert run.summary is not None
    assert run.summary.sides["B"].ranked_turns == 0
    healthy = Lengths()
    run = carried_out(replay(sample_source, sample_store, healthy))
    assert run.summary is not None
    assert run.summary.sides["B"].failed_turns == 0
    assert run.summary.sides["B"].cached_pairs == 0


def test_the_second_night_is_served_from_the_cache(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """No pair is scored twice; truncation is counted all the same; rankings are equal."""
    first, second = Lengths(), Lengths()
    runs = [carried_out(replay(sample_source, sample_store, reranker)) for reranker in (first, second)]
    assert first.asked > 0
    assert second.asked == 0
    before, after = (run.summary for run in runs)
    assert before is not None
    assert after is not None
    assert after.sides["B"].cached_pairs == after.sides["B"].pairs
    assert before.sides["B"].truncated_pairs == after.sides["B"].truncated_pairs > 0
    rankings = [[t.replayed.rankings for o in outcomes(run, sample_store) for t in o.turns] for run in runs]
    assert rankings[0] == rankings[1]


def test_equal_pairs_are_scored_once(sample_source: PostgresSource, sample_store: RunStore, sample_url: str) -> None:
    """Two turns with one query over one pool cost one turn's pairs."""
    engine = store_engine(sample_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE shadowdiff.turns SET query = 'same question', search_query = NULL"))
    engine.dispose()
    session = sample_source.session_ids(Window(last=1))
    lengths = Lengths()
    once = replay(sample_source, sample_store, lengths, use_cache=False)
    run = once.finish(once.start(RunConfig(window=Window(session_ids=tuple(session)))))
    pools = [set(t.replayed.pool.entry_ids) for o in outcomes(run, sample_store) for t in o.turns]
    assert lengths.asked == len(set().union(*pools)) < sum(map(len, pools))


class Forgetful(PostgresSource):
    """A knowledge base that has lost an entry since pools were recorded."""

    def entries(self, wanted: Mapping[str, set[str]]) -> dict[tuple[str, str], Entry]:
        """All but one per org."""
        found = super().entries(wanted)
        lost = {min(key for key in found if key[0] == org_id) for org_id in wanted}
        return {key: entry for key, entry in found.items() if key not in lost}


def test_entries_that_are_gone_are_left_out_and_counted(sample_url: str, sample_store: RunStore) -> None:
    """A recorded pool may name what the knowledge base no longer holds."""
    from shadowdiff.database import source_engine

    engine = source_engine(sample_url)
    run = carried_out(replay(Forgetful(engine), sample_store, Lengths()))
    engine.dispose()
    assert run.summary is not None
    sizes = [len(t.replayed.pool.entries) for o in outcomes(run, sample_store) for t in o.turns]
    assert run.summary.missing_entries == sum(50 - size for size in sizes) > 0
    assert run.summary.failed_turns == 0


def test_turns_without_a_recorded_pool_say_so(
    sample_source: PostgresSource, sample_store: RunStore, sample_url: str
) -> None:
    """They fail with advice and are counted; --pool-from retrieves for them."""
    engine = store_engine(sample_url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM shadowdiff.pool_entries"))
        connection.execute(text("UPDATE shadowdiff.turns SET pool_recorded = false"))
    engine.dispose()
    run = carried_out(replay(sample_source, sample_store, Lengths()))
    assert run.summary is not None
    assert run.summary.unpooled_turns == run.summary.failed_turns == run.summary.turns > 0
    reasons = {f.reason for o in outcomes(run, sample_store) for t in o.turns for f in t.replayed.failures}
    assert reasons == {"no pool was recorded for this turn; retrieve one with --pool-from cosine, bm25 or hybrid"}
    for origin in (PoolOrigin.COSINE, PoolOrigin.BM25, PoolOrigin.HYBRID):
        run = carried_out(replay(sample_source, sample_store, Lengths()), pool_from=origin, pool=20)
        assert run.summary is not None
        assert run.summary.pools == {origin: run.summary.turns}
        assert run.summary.unpooled_turns == run.summary.turns
        assert run.summary.failed_turns == 0


def test_a_session_deleted_after_planning_leaves_the_plan(
    sample_source: PostgresSource, sample_store: RunStore, sample_url: str
) -> None:
    """The run goes on without it, says so, and can be done."""
    warnings: list[str] = []
    planned = replay(sample_source, sample_store, Lengths(), on_warning=warnings.append)
    run = planned.start(RunConfig(window=Window(last=4)))
    gone = sample_store.pending(run.run_id)[1]
    delete_session(sample_url, gone)
    done = planned.finish(run)
    assert (done.status, sample_store.progress(run.run_id)) == (RunStatus.DONE, (3, 3))
    assert warnings == ["no longer in the source, and left out: 1 of 4 planned sessions"]


def delete_session(url: str, session_id: str) -> None:
    """As a retention job would."""
    engine: Engine = store_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM shadowdiff.sessions WHERE session_id = :id"), {"id": session_id})
    engine.dispose()


def test_progress_only_grows_and_ends_complete(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """What a progress bar is fed never goes back, and ends at every session."""
    seen: list[Progress] = []
    run = carried_out(replay(sample_source, sample_store, Lengths(), on_progress=seen.append), noise=True)
    assert run.summary is not None
    done = [progress.sessions_done for progress in seen]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 4)
    assert (seen[-1].sessions, seen[-1].turns_done) == (4, run.summary.turns)


def test_latency_is_timed_one_pool_per_call(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """A warm-up, then one call per timed turn, past the cache."""
    carried_out(replay(sample_source, sample_store, Lengths()))
    lengths = Lengths()
    run = carried_out(replay(sample_source, sample_store, lengths, latency_turns=3))
    assert run.summary is not None
    side = run.summary.sides["B"]
    assert (side.latency_turns, side.latency_p95_seconds) == (3, None)
    assert side.latency_p50_seconds is not None
    assert lengths.asked == 4 * 50


def test_nothing_selected_is_refused_and_not_stored(empty_url: str) -> None:
    """An empty selection is an error in words, not an empty run."""
    from shadowdiff.database import source_engine

    reading, writing = source_engine(empty_url), store_engine(empty_url)
    store = RunStore(writing)
    with pytest.raises(ConfigError, match="no sessions are stored; nothing to replay"):
        replay(PostgresSource(reading), store, Lengths()).start(RunConfig(window=Window(last=4)))
    assert store.newest(5) == []
    reading.dispose()
    writing.dispose()


def test_a_run_is_carried_out_by_one_process_at_a_time(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """A second one is refused while the first holds it, and may go on once that has ended."""
    replaying = replay(sample_source, sample_store, Lengths())
    run = replaying.start(RunConfig(window=Window(last=1)))
    with sample_store.carrying_out(run.run_id):
        again = sample_store.carrying_out(run.run_id)
        with pytest.raises(ConfigError, match="is being carried out by another command"), again:
            pass
        with sample_store.carrying_out("another"):
            pass
    with sample_store.carrying_out(run.run_id):
        assert replaying.finish(run).status is RunStatus.DONE


def test_fidelity_is_the_same_however_the_run_came_to_be(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """Production's side is stored before anything is computed, so that a run taken up again keeps it."""
    work = replay(sample_source, sample_store, build(parse("rrf:cosine+bm25")))
    started = work.start(RunConfig(window=Window(last=4), production="B"))
    taken_up = sample_store.get(started.run_id)
    assert (taken_up.config.production, taken_up.config.production_assumed) == ("B", False)
    fidelity = summary_of(work.finish(taken_up)).fidelity
    assert fidelity is not None
    assert (fidelity.side, fidelity.reproduces, fidelity.unserved_turns) == ("B", True, 0)
    assert summary_of(sample_store.get(started.run_id)).fidelity == fidelity
    assert summarise(taken_up, sample_store).fidelity == fidelity


def summary_of(run: Run) -> RunSummary:
    """The run's summary, which it must have."""
    assert run.summary is not None
    return run.summary
