"""RunStore: what goes in comes out, in the planned order, in few statements, whoever writes beside it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, event, func, select

from shadowdiff.database import store_engine
from shadowdiff.errors import ConfigError, StoreError
from shadowdiff.records import (
    NOISE_SIDE,
    Entry,
    Outcome,
    Pool,
    PoolEntry,
    PoolOrigin,
    Ranking,
    ReplayedSession,
    ReplayedTurn,
    ScoreCounts,
    Session,
    Turn,
    TurnFailure,
    Window,
)
from shadowdiff.runs import (
    Estimate,
    Fidelity,
    Machine,
    PairSummary,
    Run,
    RunConfig,
    RunStatus,
    RunSummary,
    Side,
    SideSummary,
)
from shadowdiff.store import holds
from shadowdiff.store.runs import SESSIONS_PER_READ, CachedScore, RunStore
from shadowdiff.store.schema import entry_texts
from tests.servers import until

AT = datetime(2026, 11, 19, 14, 2, 3, 456789, tzinfo=UTC)
SIDES = (Side("A", "cosine", "cosine", "f" * 64), Side("B", "v3 ★", "onnx:models/日本,max_length=256", "0" * 64, -1.25))
CONFIG = RunConfig(
    top_k=7,
    pool=33,
    pool_from=PoolOrigin.HYBRID,
    noise=True,
    rbo_p=0.85,
    near_tie_share=0.02,
    window=Window(5, AT, AT + timedelta(days=1), ("s1", "é"), ("acme",), 3, 42),
    production="B",
    production_assumed=True,
)
RUN = Run("20261119-140203-ab12", AT, "0.1.0", CONFIG, SIDES)
PAIR = PairSummary(
    turns={Outcome.SAME: 1, Outcome.REORDERED: 0, Outcome.DIFFERENT: 2, Outcome.FAILED: 3},
    sessions=2,
    sessions_changed=1,
    sessions_where_b_adds=1,
    only_in_a=4,
    only_in_b=5,
    both=6,
    distinct_a=7,
    distinct_b=8,
    only_in_a_per_session=Estimate(2.0, 1.5, 2.5),
    only_in_b_per_session=Estimate(0.1, 0.0, 1 / 3),
    overlap=Estimate(0.8),
    rbo=Estimate(None),
    same_top1=Estimate(1.0, 1.0, 1.0),
    near_tie_entries=9,
    turn_only_in_a=10,
    turn_only_in_b=11,
)
SUMMARY = RunSummary(
    sessions=2,
    turns=6,
    failed_turns=3,
    pools={PoolOrigin.RECORDED: 5, PoolOrigin.UNION: 1},
    unpooled_turns=1,
    missing_entries=2,
    pairs={"B": PAIR},
    sides={"A": SideSummary(6, 0, 300, 10, 0, 1), "B": SideSummary(3, 3, 150, 0, 7, 0, 5, 0.012, 0.5, 0.25)},
    noise=replace(PAIR, sessions=1),
    machine=Machine("AMD EPYC 7R13 Processor", 2, "Linux x86_64"),
    fidelity=Fidelity(
        side="B",
        turns=3,
        identical=1,
        reordered=1,
        near_ties=1,
        overlap=Estimate(0.9, 0.8, 1.0),
        first_divergence=2.5,
        diverging_at_first=0,
        unserved_turns=1,
        failed_turns=2,
        served_outside_pool=4,
        reproduces=False,
        served_by={"v3 ★": 2, "a": 1},
    ),
)


def entry(name: str) -> Entry:
    """An entry whose text is its own."""
    return Entry("acme", name, f"Title ★ {name}", f"Körper \u202e[/b]\x1b {name}\n日本")


def replayed_turn(turn_id: str, position: int, names: Sequence[str] = ("e1", "e2")) -> ReplayedTurn:
    """A turn that side A ranks backwards, with nothing out of the ordinary."""
    pool = Pool(tuple(PoolEntry(entry(name), rank) for rank, name in enumerate(names, start=1)), PoolOrigin.RECORDED)
    ranking = Ranking(tuple(names[::-1]), tuple(1.0 / rank for rank in range(1, len(names) + 1)))
    counts = {"A": ScoreCounts(len(names))}
    return ReplayedTurn(Turn(turn_id, position, f"Query {turn_id}?", AT), pool, {"A": ranking}, counts=counts)


def replayed(session_id: str, *turns: ReplayedTurn) -> ReplayedSession:
    """A session of acme after replay."""
    return ReplayedSession(Session(session_id, "acme", AT, tuple(item.turn for item in turns)), turns)


FULL_TURN = ReplayedTurn(
    turn=Turn(
        "t1", 1, "¿qué \u202e?", AT, "search ★", "answer\n\x1b[2J", served=("e2", "gone ★", "e2"), served_by="v3\x1b ★"
    ),
    pool=Pool(
        (PoolEntry(entry("é/1"), 1, 0.1), PoolEntry(entry("e2"), 2), PoolEntry(entry("e3"), 3, -3e-300)),
        PoolOrigin.BM25,
    ),
    rankings={
        "A": Ranking(("e2", "é/1", "e3"), (0.1 + 0.2, -1e300, None)),
        NOISE_SIDE: Ranking(("e2", "e3", "é/1"), (None, None, None)),
    },
    failures=(TurnFailure("B", "model ★ gave NaN\nfor 2 entries"),),
    counts={"A": ScoreCounts(3, 2, 1, 4), NOISE_SIDE: ScoreCounts(3)},
    unpooled=True,
    missing_entries=2,
)
EMPTY_TURN = ReplayedTurn(
    turn=Turn("t2", 2, "", AT + timedelta(minutes=1), served=()),
    pool=Pool((), PoolOrigin.UNION),
    rankings={"A": Ranking((), ()), "B": Ranking((), ())},
    counts={"A": ScoreCounts(0), "B": ScoreCounts(0)},
)
FULL = ReplayedSession(
    Session("s ★", "acme", AT, (FULL_TURN.turn, EMPTY_TURN.turn), {"channel": "wéb", "deep": [1, {"a": None}]}),
    (FULL_TURN, EMPTY_TURN),
)


@pytest.fixture
def store(empty_engine: Engine) -> RunStore:
    """An empty store."""
    return RunStore(empty_engine)


@pytest.fixture(scope="module")
def shared_engine(make_database: Callable[[str | None], str], migrated_template: str) -> Iterator[Engine]:
    """A database for tests that keep to rows of their own."""
    engine = store_engine(make_database(migrated_template))
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("status", "summary", "finished_at"),
    [
        (RunStatus.RUNNING, None, None),
        (RunStatus.INTERRUPTED, None, None),
        (RunStatus.DONE, SUMMARY, AT + timedelta(hours=1)),
        (RunStatus.DONE, replace(SUMMARY, noise=None, pairs={}), AT),
    ],
)
def test_a_run_comes_back_with_every_field(
    store: RunStore, status: RunStatus, summary: RunSummary | None, finished_at: datetime | None
) -> None:
    """Configuration, sides in order, and the summary if there is one."""
    store.create(RUN, ["s1"])
    assert store.get(RUN.run_id) == RUN
    store.finish(RUN.run_id, status, summary, finished_at)
    expected = replace(RUN, status=status, summary=summary, finished_at=finished_at)
    assert store.get(RUN.run_id) == expected
    assert store.newest(1) == [expected]


def test_a_run_whose_process_was_killed_is_interrupted(store: RunStore) -> None:
    """Who is killed cannot say so; who is still at it, and what is done, is as it says."""
    store.create(RUN, ["s1"])
    assert store.as_they_are([RUN]) == [replace(RUN, status=RunStatus.INTERRUPTED)]
    with store.carrying_out(RUN.run_id):
        assert store.as_they_are([RUN]) == [RUN]
    done = replace(RUN, status=RunStatus.DONE)
    assert store.as_they_are([done, RUN]) == [done, replace(RUN, status=RunStatus.INTERRUPTED)]
    assert store.as_they_are([]) == []


def test_a_replayed_session_comes_back_with_every_field(store: RunStore) -> None:
    """Texts, pools, rankings with and without scores, failures, counts, the noise pass, and a turn without pool."""
    store.create(RUN, [FULL.session.session_id])
    store.save(RUN.run_id, [FULL])
    (found,) = store.sessions(RUN.run_id)
    assert found == FULL
    assert [turn.pool.hash for turn in found.turns] == [turn.pool.hash for turn in FULL.turns]


def test_a_reason_that_postgres_cannot_hold_does_not_cost_the_rankings(store: RunStore) -> None:
    """An exception may quote anything, half a surrogate pair and NUL included."""
    failed = replace(replayed_turn("t1", 1), failures=(TurnFailure("B", "bad \0 \udcff byte"),))
    store.create(RUN, ["s1"])
    store.save(RUN.run_id, [replayed("s1", failed)])
    (found,) = store.sessions(RUN.run_id)
    assert found.turns[0].failures == (TurnFailure("B", "bad ␀ \\udcff byte"),)
    assert found.turns[0].rankings == failed.rankings


def test_sessions_come_in_the_planned_order_over_several_batches(store: RunStore) -> None:
    """However they were saved, and however many one read holds."""
    names = [f"s{number:03}" for number in range(SESSIONS_PER_READ + 5)]
    planned = names[1::2] + names[::2][::-1]
    store.create(RUN, planned)
    for part in (names[40:], names[:40]):
        store.save(RUN.run_id, [replayed(name, replayed_turn(f"t-{name}", 1)) for name in part])
    assert [item.session.session_id for item in store.sessions(RUN.run_id)] == planned == store.order(RUN.run_id)
    some = [planned[7], planned[3]]
    assert [item.session.session_id for item in store.sessions(RUN.run_id, some)] == some


def test_turns_come_in_the_order_of_their_positions(store: RunStore) -> None:
    """Position decides, not the id and not the order in which they were saved."""
    turns = [replayed_turn("a", 3), replayed_turn("c", 1), replayed_turn("b", 2)]
    store.create(RUN, ["s1"])
    store.save(RUN.run_id, [replayed("s1", *turns)])
    (found,) = store.sessions(RUN.run_id)
    assert [item.turn.turn_id for item in found.turns] == ["c", "b", "a"]


def test_pending_is_what_is_left_after_a_partial_save(store: RunStore) -> None:
    """What a resumed run still has to do, in order; sessions gone from the source leave the plan."""
    store.create(RUN, ["s3", "s1", "s2", "s4"])
    assert (store.pending(RUN.run_id), store.progress(RUN.run_id)) == (["s3", "s1", "s2", "s4"], (0, 4))
    store.save(RUN.run_id, [replayed("s1", replayed_turn("t1", 1))])
    assert (store.pending(RUN.run_id), store.progress(RUN.run_id)) == (["s3", "s2", "s4"], (1, 4))
    assert store.order(RUN.run_id) == ["s1"]
    store.drop_sessions(RUN.run_id, ["s4", "s1"])
    assert (store.pending(RUN.run_id), store.progress(RUN.run_id)) == (["s3", "s2"], (1, 3))


def test_a_save_is_all_or_nothing(store: RunStore) -> None:
    """A second session that cannot be stored takes the first one with it, and none is stored twice."""
    store.create(RUN, ["s1", "s2"])
    first = replayed("s1", replayed_turn("t1", 1))
    with pytest.raises(StoreError, match=r"storing rankings failed on .* did another command write it"):
        store.save(RUN.run_id, [first, replayed("s2", replayed_turn("t1", 1))])
    assert store.pending(RUN.run_id) == ["s1", "s2"]
    store.save(RUN.run_id, [first])
    store.save(RUN.run_id, [first])  # as after a connection that was lost while it committed
    assert list(store.sessions(RUN.run_id)) == [first]


def test_without_pools_all_else_comes_back(store: RunStore) -> None:
    """What summing up needs is there; a pool keeps its origin only."""
    store.create(RUN, [FULL.session.session_id])
    store.save(RUN.run_id, [FULL])
    (found,) = store.sessions(RUN.run_id, with_pools=False)
    bare = tuple(replace(turn, pool=Pool((), turn.pool.origin)) for turn in FULL.turns)
    assert found == replace(FULL, turns=bare)


def test_scores_that_are_no_numbers_are_stored_as_they_are(store: RunStore) -> None:
    """A retrieval score of infinity, which a source may hold, survives; it never costs the run its rankings."""
    pool = Pool((PoolEntry(entry("e"), 1, math.inf), PoolEntry(entry("f"), 2, -math.inf)), PoolOrigin.RECORDED)
    store.create(RUN, ["s1"])
    store.save(RUN.run_id, [replayed("s1", replace(replayed_turn("t1", 1, ("e", "f")), pool=pool))])
    (found,) = store.sessions(RUN.run_id)
    assert found.turns[0].pool == pool


def test_a_session_that_the_run_has_not_replayed_is_refused(store: RunStore) -> None:
    """Planned is not replayed, and a name that the run does not know is said."""
    store.create(RUN, ["s1"])
    for name in ("s1", "nope"):
        with pytest.raises(ConfigError, match=f"has not replayed session '{name}'"):
            list(store.sessions(RUN.run_id, [name]))


def test_a_run_is_found_by_id_beginning_or_latest(store: RunStore) -> None:
    """An exact id wins over longer ones that begin with it; the newest is the last one stored."""
    with pytest.raises(ConfigError, match="no run is stored yet; make one with: shadowdiff replay"):
        store.get("latest")
    for run_id in ("ab", "abc1", "abc2", "x_y", "xzy"):
        store.create(replace(RUN, run_id=run_id, started_at=AT - timedelta(days=len(run_id))), ["s1"])
    found = {name: store.get(name).run_id for name in ("ab", "abc1", "x_", "xz", "latest")}
    assert found == {"ab": "ab", "abc1": "abc1", "x_": "x_y", "xz": "xzy", "latest": "xzy"}
    assert [run.run_id for run in store.newest(3)] == ["xzy", "x_y", "abc2"]
    with pytest.raises(ConfigError, match="'abc' begins several runs, abc2 and abc1 among them; give more of it"):
        store.get("abc")
    for unknown in ("nope", "%", "ABC1"):
        with pytest.raises(ConfigError, match=f"no run '{unknown}'; list them with: shadowdiff runs"):
            store.get(unknown)


def test_texts_are_stored_once_over_two_runs(store: RunStore, empty_engine: Engine) -> None:
    """However many turns, runs and orgs hold the same text."""
    for number in range(2):
        run_id = f"run{number}"
        store.create(replace(RUN, run_id=run_id), ["s1", "s2"])
        turns = (replayed_turn(f"t{number}", 1), replayed_turn("u", 2, ("e2", "e3")))
        store.save(run_id, [replayed("s1", *turns), replayed("s2", replayed_turn("v", 1, ("e1",)))])
    with empty_engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(entry_texts)) == 3
    texts = {item.entry for saved in store.sessions("run1") for turn in saved.turns for item in turn.pool.entries}
    assert texts == {entry("e1"), entry("e2"), entry("e3")}


def test_a_runs_texts_stay_as_they_were_when_it_ran(store: RunStore) -> None:
    """An entry that changes later is another text; the old run still shows the old one."""
    for run_id, body in (("old", "before"), ("new", "after")):
        pool = Pool((PoolEntry(Entry("acme", "e1", "", body), 1),), PoolOrigin.RECORDED)
        store.create(replace(RUN, run_id=run_id), ["s1"])
        store.save(run_id, [replayed("s1", replace(replayed_turn("t1", 1, ("e1",)), pool=pool))])
    bodies = [item.turns[0].pool.entries[0].entry.body for name in ("old", "new") for item in store.sessions(name)]
    assert bodies == ["before", "after"]


@pytest.mark.parametrize("turns", [1, 12])
def test_the_number_of_statements_does_not_grow_with_turns(store: RunStore, empty_engine: Engine, turns: int) -> None:
    """One for the order and five for the batch, whether its sessions have one turn or a dozen."""
    names = [f"s{number}" for number in range(4)]
    store.create(RUN, names)
    store.save(
        RUN.run_id, [replayed(n, *(replayed_turn(f"{n}-{at}", at) for at in range(1, turns + 1))) for n in names]
    )
    statements: list[str] = []
    event.listen(empty_engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert sum(len(item.turns) for item in store.sessions(RUN.run_id)) == 4 * turns
    assert len(statements) == 6


def pair(number: int) -> bytes:
    """A pair's key."""
    return hashlib.sha256(str(number).encode()).digest()


def test_cached_scores_come_back_exactly(shared_engine: Engine) -> None:
    """Only those asked for, under their own fingerprint, to the last bit."""
    store = RunStore(shared_engine)
    scores = {pair(n): CachedScore(value, n == 1) for n, value in enumerate((0.1 + 0.2, -1e300, 5e-324, 0.0))}
    store.keep("a run", {"aa" * 32: scores})
    store.keep("a run", {"bb" * 32: {pair(0): CachedScore(9.0, truncated=False)}})
    asked = [pair(number) for number in (0, 1, 2, 7)]
    assert store.cached_scores("aa" * 32, asked) == {key: scores[key] for key in asked[:3]}
    assert store.cached_scores("bb" * 32, asked) == {pair(0): CachedScore(9.0, truncated=False)}
    assert store.cached_scores("cc" * 32, asked) == {}
    assert store.cached_scores("aa" * 32, []) == {}


def test_a_score_that_is_no_number_never_enters_the_cache(shared_engine: Engine) -> None:
    """Nor do its neighbours of the same call: a broken model must not be believed tomorrow."""
    store = RunStore(shared_engine)
    with pytest.raises(StoreError, match="ck_score_cache_score_finite"):
        store.keep("a run", {"dd" * 32: {pair(0): CachedScore(1.0, False), pair(1): CachedScore(float("nan"), False)}})
    assert store.cached_scores("dd" * 32, [pair(0), pair(1)]) == {}


def test_concurrent_writers_of_the_cache_do_not_disturb_each_other(shared_engine: Engine) -> None:
    """Overlapping sets in opposite orders: no deadlock, and the first score written stays."""
    store = RunStore(shared_engine)

    def write(start: int) -> None:
        numbers = range(start, start + 1500)
        order = numbers if start % 2 else reversed(numbers)
        store.keep(
            "a run", {"ee" * 32: {pair(number): CachedScore(float(number), truncated=False) for number in order}}
        )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, (0, 501, 1000, 1)))
    found = store.cached_scores("ee" * 32, [pair(number) for number in range(2500)])
    assert {key: item.score for key, item in found.items()} == {pair(number): float(number) for number in range(2500)}


def test_concurrent_runs_that_share_texts_do_not_disturb_each_other(shared_engine: Engine) -> None:
    """Two nights at once, the same entries in opposite pools."""
    store = RunStore(shared_engine)
    names = [f"shared-{number}" for number in range(60)]

    def run(number: int) -> None:
        run_id = f"concurrent-{number}"
        store.create(replace(RUN, run_id=run_id), ["s1"])
        store.save(run_id, [replayed("s1", replayed_turn("t1", 1, names[:: (-1) ** number]))])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert [store.progress(f"concurrent-{number}") for number in range(4)] == [(1, 1)] * 4


def test_a_run_that_failed_is_let_go(store: RunStore, empty_engine: Engine) -> None:
    """Whatever ends it: reading the store afterwards does not take the run again, and another process may."""
    with pytest.raises(KeyboardInterrupt), store.carrying_out("r1"):
        raise KeyboardInterrupt
    assert store.newest(1) == []
    with RunStore(empty_engine).carrying_out("r1"):
        assert store.newest(1) == []


WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"


def test_a_holder_that_is_about_to_end_is_waited_for(
    store: RunStore, empty_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was killed lets go when the server notices, which may be after the next command has begun."""
    monkeypatch.setattr(holds, "PATIENCE_SECONDS", 60.0)

    def is_waiting() -> bool:
        with empty_engine.connect() as connection:
            return connection.exec_driver_sql(WAITING).first() is not None

    def next_command() -> str:
        with RunStore(empty_engine).carrying_out("r1"):
            return "carried out"

    with ThreadPoolExecutor(1) as pool:
        with store.carrying_out("r1"):
            following = pool.submit(next_command)
            until("the next command to wait", lambda: following.done() or is_waiting())
        assert following.result(60) == "carried out"


def test_a_plan_grows_in_the_order_in_which_sessions_come(store: RunStore) -> None:
    """What is planned already stays where it is, however often it comes."""
    store.create(RUN, ())
    for session_ids in (["s2", "s1"], [], ["s3", "s1"], ["s2", "s1"], ["s0"]):
        store.plan(RUN.run_id, session_ids)
    assert store.pending(RUN.run_id) == ["s2", "s1", "s3", "s0"]
    store.save(RUN.run_id, [replayed("s1", replayed_turn("t1", 1))])
    store.plan(RUN.run_id, ["s1", "s4"])
    assert store.pending(RUN.run_id) == ["s2", "s3", "s0", "s4"]
    assert store.progress(RUN.run_id) == (1, 5)
