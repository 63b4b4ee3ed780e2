"""Sides that ask a provider, on a real Postgres: what was paid for is stored, and nothing is paid for twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shadowdiff.errors import RefusedError, RemoteError, TransientError
from shadowdiff.protocols import Answer, ScoreRequest
from shadowdiff.records import TurnFailure, Window
from shadowdiff.replay.execute import Replay
from shadowdiff.replay.results import outcomes, summarise
from shadowdiff.replay.sides import Contender, with_prices
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse
from shadowdiff.runs import Price, Run, RunConfig, RunStatus, Side, SideSummary
from shadowdiff.sources.postgres import PostgresSource
from shadowdiff.store.failed import FailedTurns
from shadowdiff.store.runs import RunStore
from shadowdiff.testing import AskingReranker

PRICE = Price(search_unit=0.002, as_of="2026-11-01")
CONFIG = RunConfig(window=Window(last=6), prices={"B": PRICE})


def replay(source: PostgresSource, store: RunStore, side: AskingReranker, **more: object) -> Replay:
    """Cosine against a side that asks."""
    both = [("A", build(parse("cosine"))), ("B", side)]
    contenders = tuple(Contender(Side(label, str(r.spec), str(r.spec), r.fingerprint), r) for label, r in both)
    return replace(Replay(contenders, source, store), **more)  # type: ignore[arg-type]


def carried_out(replay: Replay, config: RunConfig = CONFIG) -> Run:
    """Start and finish."""
    return replay.finish(replay.start(config))


def side_b(run: Run) -> SideSummary:
    """What the side did."""
    assert run.summary is not None
    return run.summary.sides["B"]


def test_calls_latency_and_cost_are_in_the_summary(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """One call per turn, each 0.2 s and a search unit; the same when summed up again later."""
    side = AskingReranker()
    run = carried_out(replay(sample_source, sample_store, side))
    found = side_b(run)
    assert run.summary is not None
    turns = run.summary.turns
    assert len(side.requests) == found.asked_turns == found.usage.calls == found.attempts == turns
    assert (found.latency_turns, found.latency_p50_seconds, found.latency_from_calls) == (turns, 0.2, True)
    assert found.latency_histogram == ((0.2, turns),)
    assert found.cost_usd == pytest.approx(0.002 * turns)
    assert run.summary.turns_per_month is not None
    assert run.summary.turns_per_month > turns
    assert summarise(run, sample_store) == run.summary == sample_store.get(run.run_id).summary
    assert side.is_closed


def test_the_second_night_costs_nothing(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """Everything is in the cache: no call, no latency, no cost."""
    carried_out(replay(sample_source, sample_store, AskingReranker()))
    side = AskingReranker()
    again = side_b(carried_out(replay(sample_source, sample_store, side)))
    assert side.requests == []
    assert (again.asked_turns, again.attempts, again.latency_turns, again.cost_usd) == (0, 0, 0, 0.0)
    assert again.cached_pairs == again.pairs


def test_no_cache_asks_again_and_says_what_it_cost(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """Neither read nor written; paid for all the same."""
    for _ in range(2):
        side = AskingReranker()
        found = side_b(carried_out(replay(sample_source, sample_store, side, use_cache=False)))
        assert len(side.requests) == found.asked_turns > 0
        assert found.cost_usd == pytest.approx(0.002 * found.asked_turns)


def test_the_noise_pass_is_paid_for_by_the_baseline(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """Twice the calls, and the latency of the first pass alone."""
    side = AskingReranker()
    contenders = replay(sample_source, sample_store, side).contenders
    first = Contender(replace(contenders[1].side, label="A"), side)
    other = Contender(replace(contenders[0].side, label="B"), contenders[0].reranker)
    run = carried_out(
        Replay((first, other), sample_source, sample_store), replace(CONFIG, noise=True, prices={"A": PRICE})
    )
    assert run.summary is not None
    found, turns = run.summary.sides["A"], run.summary.turns
    assert len(side.requests) == found.usage.calls == 2 * turns
    assert found.latency_turns == turns
    assert found.cost_usd == pytest.approx(2 * 0.002 * turns)


def failing_first(turns: int, error: RemoteError) -> AskingReranker:
    """Fails on the first so many turns that it is asked about, one at a time."""
    asked: list[str] = []

    def fails(query: str) -> RemoteError | None:
        asked.append(query)
        return error if len(asked) <= turns else None

    side = AskingReranker(fails_on=fails)
    side.concurrency = 1
    return side


def test_only_failed_turns_are_asked_for_again(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """Three turns fail; the retry asks for three, and then the run is what it would have been."""
    undisturbed = carried_out(replay(sample_source, sample_store, AskingReranker(), use_cache=False))
    error = TransientError("HTTP 500: out of order", "HTTP 500")
    run = carried_out(replay(sample_source, sample_store, failing_first(3, error), use_cache=False))
    assert side_b(run).failed_turns == 3
    side = AskingReranker()
    retried = replay(sample_source, sample_store, side, use_cache=False).finish(run, retry_failed=True)
    assert len(side.requests) == 3
    assert FailedTurns(sample_store, run.run_id).count() == 0
    assert retried.summary is not None
    assert undisturbed.summary is not None
    assert (retried.summary.pairs, retried.summary.turns) == (undisturbed.summary.pairs, undisturbed.summary.turns)
    assert side_b(retried).attempts == side_b(undisturbed).attempts + 3
    assert side_b(retried).cost_usd == side_b(undisturbed).cost_usd


def test_what_fails_again_says_why_anew(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """The newest reason stands, once."""
    run = carried_out(replay(sample_source, sample_store, failing_first(1, TransientError("first", "first"))))
    second = failing_first(1, TransientError("second", "second"))
    again = replay(sample_source, sample_store, second).finish(run, retry_failed=True)
    failed = [turn.replayed.failures for item in outcomes(again, sample_store) for turn in item.turns]
    assert [found for found in failed if found] == [(TurnFailure("B", "second"),)]


def test_a_refused_side_is_told_and_disturbs_no_other(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """One call, every turn failed with the reason, and the other side ranked them all."""
    side = failing_first(1, RefusedError("HTTP 401: no such key", "HTTP 401"))
    run = carried_out(replay(sample_source, sample_store, side))
    assert run.summary is not None
    assert len(side.requests) == 1
    found = side_b(run)
    assert (found.ranked_turns, found.failed_turns, found.stopped) == (0, run.summary.turns, "HTTP 401")
    assert run.summary.sides["A"].ranked_turns == run.summary.turns


def test_the_run_stops_at_its_cap_and_goes_on_from_there(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """What was computed is stored; with more to spend, the rest is asked for and nothing twice."""
    side = AskingReranker()
    run = carried_out(replay(sample_source, sample_store, side, max_usd=0.0101))
    assert run.status is RunStatus.INTERRUPTED
    assert len(side.requests) == 5
    assert run.summary is not None
    assert side_b(run).cost_usd == pytest.approx(0.010)
    assert side_b(run).failed_turns == 0
    rest = AskingReranker()
    done = replay(sample_source, sample_store, rest, max_usd=10.0).finish(run)
    assert done.status is RunStatus.DONE
    assert done.summary is not None
    assert len(rest.requests) == done.summary.turns - 5
    assert side_b(done).cost_usd == pytest.approx(0.002 * done.summary.turns)


class Interrupting(AskingReranker):
    """Ctrl-C, after some answers."""

    def ask(self, request: ScoreRequest) -> Answer:
        """Answer four, then raise."""
        if len(self.requests) == 4:
            raise KeyboardInterrupt
        return super().ask(request)


def test_ctrl_c_closes_every_side_and_keeps_what_was_answered(
    sample_source: PostgresSource, sample_store: RunStore
) -> None:
    """The resumed run asks for the others alone, and counts the calls of both."""
    side = Interrupting()
    side.concurrency = 1
    started = replay(sample_source, sample_store, side)
    run = started.start(CONFIG)
    with pytest.raises(KeyboardInterrupt):
        started.finish(run)
    assert side.is_closed
    assert sample_store.get(run.run_id).status is RunStatus.INTERRUPTED
    rest = AskingReranker()
    done = replay(sample_source, sample_store, rest).finish(run)
    assert done.summary is not None
    assert len(rest.requests) == done.summary.turns - 4
    assert side_b(done).usage.calls == done.summary.turns


def test_a_price_is_found_by_name_spec_or_the_spec_without_options() -> None:
    """The nearest one wins."""
    side = AskingReranker(parse("asking:model,url=elsewhere"))
    contender = Contender(Side("B", "managed", str(side.spec), side.fingerprint), side)
    by_target, by_name = Price(request=1), Price(request=2)
    assert with_prices(CONFIG, [contender], {"asking:model": by_target}).prices == {"B": by_target}
    assert with_prices(CONFIG, [contender], {"asking:model": by_target, "managed": by_name}).prices == {"B": by_name}
    assert with_prices(CONFIG, [contender], {"asking": by_target}).prices == {}


def test_a_provider_s_words_are_not_stored_where_texts_are_not(
    sample_source: PostgresSource, sample_store: RunStore
) -> None:
    """Neither beside the turns nor in the summary: they may quote a query."""
    side = failing_first(1, RefusedError("HTTP 400: cannot rank 'what do we pay Anna?'", "HTTP 400"))
    run = carried_out(replay(sample_source, sample_store, side), replace(CONFIG, store_text=False))
    told = [
        failure.reason
        for item in outcomes(run, sample_store)
        for turn in item.turns
        for failure in turn.replayed.failures
    ]
    assert set(told) == {"HTTP 400"}
    assert "Anna" not in str(side_b(run).stopped)
    assert side_b(run).stopped is not None
