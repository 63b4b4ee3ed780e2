"""A dry run knows what the replay will ask: every figure is held against what a replay then did ask."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import pytest
from sqlalchemy import Engine, text

from shadowdiff.config import PrivacySettings
from shadowdiff.errors import TransientError
from shadowdiff.privacy import redactor
from shadowdiff.protocols import PoolReranker, Reranker, ScoreRequest
from shadowdiff.records import Usage, Window
from shadowdiff.replay.estimate import estimate
from shadowdiff.replay.execute import Replay
from shadowdiff.replay.sides import Contender
from shadowdiff.rerankers.cascade import Cascade
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.rrf import ReciprocalRankFusion
from shadowdiff.rerankers.spec import parse
from shadowdiff.runs import Forecast, Price, Run, RunConfig, Side
from shadowdiff.sources.postgres import PostgresSource
from shadowdiff.store.runs import RunStore
from shadowdiff.testing import AskingReranker, usage_of

REDACTING = redactor(PrivacySettings(redact=("email", "phone", "key")))


class Listed(AskingReranker):
    """Its scores stand for whole pools."""

    listwise = True


class Moody(AskingReranker):
    """Never the same scores twice, so never cached."""

    repeatable = False


def contenders(*rerankers: Reranker | PoolReranker, redacting: bool = False) -> tuple[Contender, ...]:
    """Sides A, B, … of these."""
    return tuple(
        Contender(Side(label, str(r.spec), str(r.spec), r.fingerprint), r, *([REDACTING] if redacting else []))
        for label, r in zip("ABCD", rerankers, strict=False)
    )


def fusion(asking: AskingReranker) -> ReciprocalRankFusion:
    """A fusion with a part that asks."""
    return ReciprocalRankFusion(parse("rrf:asking+bm25"), [("asking", asking), ("bm25", build(parse("bm25")))], 60)


def config(**more: object) -> RunConfig:
    """Twelve sessions: more than the first window holds."""
    return RunConfig(window=Window(last=12), **more)  # type: ignore[arg-type]


def forecast(
    sides: Sequence[Contender], source: PostgresSource, store: RunStore | None, asked_for: RunConfig
) -> Forecast:
    """The estimate over the sessions that the configuration selects."""
    return estimate(sides, asked_for, source, source.session_ids(asked_for.window), store)


def replayed(sides: tuple[Contender, ...], source: PostgresSource, store: RunStore, asked_for: RunConfig) -> Run:
    """The run itself."""
    replay = Replay(sides, source, store)
    return replay.finish(replay.start(asked_for))


def used(requests: Sequence[ScoreRequest]) -> Usage:
    """What the provider counted."""
    return reduce(add, map(usage_of, requests), Usage())


def in_all(found: Forecast) -> Usage:
    """What all sides together would use."""
    return reduce(add, (side.usage for side in found.sides if side.usage is not None), Usage())


@pytest.mark.parametrize("kind", [AskingReranker, Listed, Moody])
@pytest.mark.parametrize("redacting", [False, True])
def test_it_knows_what_the_replay_asks(
    sample_source: PostgresSource, sample_store: RunStore, kind: type[AskingReranker], redacting: bool
) -> None:
    """Before: every call, unit and token that the provider then counts. After: nothing, where scores are kept."""
    asking = kind()
    before = forecast(
        contenders(build(parse("cosine")), kind(), redacting=redacting), sample_source, sample_store, config()
    )
    run = replayed(
        contenders(build(parse("cosine")), asking, redacting=redacting), sample_source, sample_store, config()
    )
    assert run.summary is not None
    assert before.sides[0].usage is None
    assert before.sides[1].usage == used(asking.requests) == run.summary.sides["B"].usage
    assert (before.sessions, before.turns) == (run.summary.sessions, run.summary.turns)
    assert before.sides[1].pairs == run.summary.sides["B"].pairs
    again = kind()
    after = forecast(
        contenders(build(parse("cosine")), again, redacting=redacting), sample_source, sample_store, config()
    )
    expected = before.sides[1].usage if kind is Moody else Usage()
    assert after.sides[1].usage == expected
    assert after.sides[1].new_turns == (before.sides[1].new_turns if kind is Moody else 0)
    assert again.requests == [], "the estimate sent something"


def test_sides_that_share_a_reranker_ask_once(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """A fusion's part beside the same reranker as a side, as in the replay."""
    first, second = AskingReranker(), AskingReranker()
    found = forecast(contenders(first, fusion(second)), sample_source, sample_store, config())
    assert found.sides[0].usage is not None
    assert found.sides[1].usage == Usage()
    assert not found.sides[1].is_at_most
    replayed(contenders(first, fusion(second)), sample_source, sample_store, config())
    assert in_all(found) == used(first.requests) + used(second.requests)


def test_a_cascade_asks_at_most_for_every_turn(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """What its gate will spare is not known beforehand; what a gate asks itself is."""

    def cascade(*, gate_asks: bool) -> tuple[Cascade, AskingReranker]:
        asking, cosine = AskingReranker(), build(parse("cosine"))
        gate, then = (asking, cosine) if gate_asks else (cosine, asking)
        return Cascade(parse("cascade"), ("gate", gate), ("then", then), 0.2, 1), asking

    side, asking = cascade(gate_asks=False)
    found = forecast(contenders(build(parse("cosine")), side), sample_source, sample_store, config())
    replayed(contenders(build(parse("cosine")), side), sample_source, sample_store, config())
    assert found.sides[1].is_at_most
    assert found.sides[1].usage is not None
    assert 0 < used(asking.requests).calls < found.sides[1].usage.calls == found.turns
    side, asking = cascade(gate_asks=True)
    found = forecast(contenders(build(parse("cosine")), side), sample_source, None, config())
    assert not found.sides[1].is_at_most


def test_only_what_failed_is_left_to_ask(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """Turns that a provider did not answer are asked for the next night; those that it did are not."""
    busy = AskingReranker(fails_on=lambda query: TransientError("503", "503") if "okta" in query else None)
    run = replayed(contenders(build(parse("bm25")), busy), sample_source, sample_store, config())
    assert run.summary is not None
    failed = run.summary.sides["B"].failed_turns
    found = forecast(contenders(build(parse("bm25")), AskingReranker()), sample_source, sample_store, config())
    assert found.sides[1].new_turns == failed > 0
    assert run.summary.sides["B"].failure_reasons == (("503", failed),)


def test_without_the_cache_everything_is_asked_for(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """However often it was asked before."""
    asking = AskingReranker()
    replayed(contenders(build(parse("bm25")), asking), sample_source, sample_store, config())
    found = forecast(contenders(build(parse("bm25")), AskingReranker()), sample_source, None, config())
    assert found.sides[1].new_turns == found.sides[1].turns
    assert found.sides[1].usage is not None
    assert found.sides[1].usage.calls >= len(asking.requests)


def test_the_noise_pass_is_asked_for_anew(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """On top of the first pass, and whatever the cache holds."""
    for _ in range(2):
        asking = AskingReranker()
        found = forecast(
            contenders(AskingReranker(), build(parse("bm25"))), sample_source, sample_store, config(noise=True)
        )
        replayed(contenders(asking, build(parse("bm25"))), sample_source, sample_store, config(noise=True))
        assert found.has_noise
        assert found.sides[0].usage == used(asking.requests)
        assert found.sides[0].new_turns <= found.sides[0].turns


def test_nothing_is_stored(sample_source: PostgresSource, sample_store: RunStore, sample_url: str) -> None:
    """No run, no score, no ask; and the price is the configuration's."""
    from shadowdiff.database import store_engine

    prices = {"B": Price(search_unit=0.002)}
    found = forecast(
        contenders(build(parse("bm25")), AskingReranker()), sample_source, sample_store, config(prices=prices)
    )
    assert found.sides[1].usage is not None
    assert found.sides[1].usd == pytest.approx(0.002 * found.sides[1].usage.search_units)
    assert found.usd == found.sides[1].usd
    engine: Engine = store_engine(sample_url)
    with engine.connect() as connection:
        for table in ("runs", "score_cache", "asks", "rankings"):
            assert connection.scalar(text(f"SELECT count(*) FROM shadowdiff.{table}")) == 0
    engine.dispose()
