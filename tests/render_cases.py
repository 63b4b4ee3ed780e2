"""Runs that hold every case a renderer must draw well, built by the real diff and summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from shadowdiff.diff import diff_session
from shadowdiff.ranking import rank_pool
from shadowdiff.records import (
    NOISE_SIDE,
    Entry,
    Pool,
    PoolEntry,
    PoolOrigin,
    Ranking,
    ReplayedSession,
    ReplayedTurn,
    ScoreCounts,
    Session,
    SessionOutcome,
    Turn,
    TurnFailure,
)
from shadowdiff.runs import Machine, Run, RunConfig, RunStatus, Side, SideSummary
from shadowdiff.summary import SummaryBuilder

STARTED = datetime(2026, 11, 19, 14, 2, tzinfo=UTC)
TOP_K = 5

COSINE = Side("A", "cosine", "cosine", "5f0c31a7d2be44c8")
MINILM = Side("B", "minilm-v3", "onnx:models/minilm-l6-v3,max_length=256", "9e10aa01c7fd3b52")
BM25 = Side("C", "bm25", "bm25", "0b7742ffee0912aa", min_score=4.5)
EPYC = Machine("AMD EPYC 7R13 48-Core Processor", 16, "Linux x86_64")

SECURITY = (
    "Data governance overview",
    "Security FAQ",
    "Encryption at rest and in transit",
    "Company history",
    "Subprocessors and where they run",
    "SOC 2 Type II report",
    "Penetration tests: how often, by whom, and how to request the latest letter of attestation",
    "Single sign-on (SAML, OIDC) and SCIM provisioning",
)
HOSTILE = (
    "Reset [/b] your [bold red]password[/] :smile:",
    "\x1b[2JClears the screen\x07",
    "Price \u202eLSU 99\u202c per seat",
    "セキュリティとコンプライアンスに関するよくある質問（2026年版）",
    "🚀 Getting started 👩‍👩‍👧 with teams 🇩🇪",
    "Cafe\u0301 rollout \u200bplan\r\nsecond line\tand a tab",
    "x" * 10_000,
    "lone \ud800 surrogate and \U000e0041tag",
    "Security FAQ",
    "Security FAQ",
    "",
    "Zahlungsbedingungen für Rahmenverträge",
)


def entries(titles: Sequence[str], prefix: str) -> tuple[Entry, ...]:
    """One entry per title, with ids `prefix-1`, `prefix-2` and so on."""
    return tuple(
        Entry("acme", f"{prefix}-{number}", title, f"Body of {number}.") for number, title in enumerate(titles, start=1)
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn to be: its texts, its pool, and by side the scores in pool order, or why there are none."""

    query: str
    pool: tuple[Entry, ...]
    scores: Mapping[str, Sequence[float] | str]
    search_query: str | None = None
    origin: PoolOrigin = PoolOrigin.RECORDED
    unpooled: bool = False
    missing_entries: int = 0
    served: tuple[str, ...] | None = None
    served_by: str | None = None


def descending(order: Sequence[int], best: float = 0.9, step: float = 0.07) -> list[float]:
    """Scores in pool order under which the entries rank as `order` (1-based places in the pool) says."""
    places = {at: rank for rank, at in enumerate(order)}
    return [round(best - step * places[at], 6) for at in range(1, len(order) + 1)]


def replayed_turn(session_id: str, position: int, asked: Asked, labels: Sequence[str]) -> ReplayedTurn:
    """Rank the pool by each side's scores, as replay does."""
    pool = Pool(tuple(PoolEntry(entry, rank) for rank, entry in enumerate(asked.pool, start=1)), asked.origin)
    given = {label: scores for label, scores in asked.scores.items() if label in labels}
    rankings: dict[str, Ranking] = {
        label: rank_pool(pool, scores) for label, scores in given.items() if not isinstance(scores, str)
    }
    failures = tuple(TurnFailure(label, reason) for label, reason in given.items() if isinstance(reason, str))
    return ReplayedTurn(
        turn=Turn(
            f"{session_id}-t{position}",
            position,
            asked.query,
            STARTED,
            asked.search_query,
            served=asked.served,
            served_by=asked.served_by,
        ),
        pool=pool,
        rankings=rankings,
        failures=failures,
        counts={label: ScoreCounts(pairs=len(asked.pool), truncated=1) for label in rankings},
        unpooled=asked.unpooled,
        missing_entries=asked.missing_entries,
    )


def session_of(session_id: str, org_id: str, turns: Sequence[Asked], labels: Sequence[str]) -> ReplayedSession:
    """A replayed session whose own turns are those that were replayed."""
    replayed = tuple(replayed_turn(session_id, at, asked, labels) for at, asked in enumerate(turns, start=1))
    started = STARTED + timedelta(minutes=len(session_id))
    return ReplayedSession(Session(session_id, org_id, started, tuple(turn.turn for turn in replayed)), replayed)


def run_of(
    sessions: Sequence[ReplayedSession],
    sides: Sequence[Side],
    config: RunConfig,
    status: RunStatus = RunStatus.DONE,
) -> tuple[Run, list[SessionOutcome]]:
    """A finished run with its summary, and its outcomes."""
    outcomes = [diff_session(session, sides, config) for session in sessions]
    builder = SummaryBuilder(config, sides)
    for outcome in outcomes:
        builder.add(outcome)
    turns = [turn for session in sessions for turn in session.turns]
    summary = builder.finish(
        {side.label: _side_summary(side, turns) for side in sides},
        unpooled_turns=sum(turn.unpooled for turn in turns),
        missing_entries=sum(turn.missing_entries for turn in turns),
    )
    summary = replace(summary, machine=EPYC)
    run = Run("2026-11-20-0300-k7", STARTED + timedelta(hours=13), "0.1.0", config, tuple(sides), status)
    return replace(run, finished_at=run.started_at + timedelta(seconds=41), summary=summary), outcomes


def hard_run(*, others: int = 1, noise: bool = False) -> tuple[Run, list[SessionOutcome]]:
    """The run of the goldens, with B alone or with B and C."""
    sides = (COSINE, MINILM, BM25)[: others + 1]
    labels = [side.label for side in sides] + ([NOISE_SIDE] if noise else [])
    sessions = [
        session_of("7f3a", "acme", _security_turns(), labels),
        session_of("hostile \x1b]0;pwned\x07\u202e", "日本 org\n[/b]", _hostile_turns(), labels),
        session_of("s-quiet", "acme", _quiet_turns(), labels),
    ]
    return run_of(sessions, sides, RunConfig(top_k=TOP_K, noise=noise))


def served_run(*, doubtful: bool) -> tuple[Run, list[SessionOutcome]]:
    """A run held against what was served: side A, nobody having said so, or B, which does reproduce it."""
    config = RunConfig(top_k=TOP_K, production="A" if doubtful else "B", production_assumed=doubtful)
    usual = [_served((3, 2, 6)) for _ in range(21)]
    odd = [_served((3, 6, 2)), _served((3, 2, 4)), _served(None), _served((3,), b="HTTP 503")]
    models = ["minilm-v3", "v2 \x1b[31m\u202e[/b]"] + ["minilm-v3"] * 3
    strange = [_served((1, 2, 4), model) for model in models] + [_served((1, 2, 3), elsewhere=("gone-1", "gone-2"))]
    turns = {"s-usual": usual, "s-odd": [*odd, *strange] if doubtful else odd, "s-none": [_served(())]}
    sessions = [session_of(session_id, "acme", asked, "AB") for session_id, asked in turns.items()]
    return run_of(sessions, (COSINE, MINILM), config)


def _served(
    places: Sequence[int] | None, model: str | None = None, *, elsewhere: tuple[str, ...] = (), b: str | None = None
) -> Asked:
    """A turn with what was served; A ranks the pool 1, 2, 3, …, and B 3, 2, 6, …, of which 2 and 6 nearly alike."""
    return Asked(
        "How does your data security work?",
        entries(SECURITY, "kb"),
        {"A": descending(range(1, 9)), "B": b or [0.5, 0.801, 0.9, 0.4, 0.3, 0.8, 0.2, 0.1]},
        served=None if places is None else (*(f"kb-{place}" for place in places), *elsewhere),
        served_by=model,
    )


def _side_summary(side: Side, turns: Sequence[ReplayedTurn]) -> SideSummary:
    ranked = [turn for turn in turns if side.label in turn.rankings]
    pairs = sum(len(turn.pool.entries) for turn in ranked)
    return SideSummary(
        ranked_turns=len(ranked),
        failed_turns=len(turns) - len(ranked),
        pairs=pairs,
        cached_pairs=pairs // 3,
        truncated_pairs=0 if side.label == "A" else len(ranked),
        outside_pool=2 if side.label == "C" else 0,
        latency_turns={"A": 120, "B": 99}.get(side.label, 0),
        latency_p50_seconds={"A": 0.00214, "B": 0.1872}.get(side.label),
        latency_p95_seconds={"A": 0.0031, "B": 1.254}.get(side.label),
        latency_p99_seconds={"A": 0.00312}.get(side.label),
        latency_failed_turns=21 if side.label == "B" else 0,
        latency_threads={"B": 16}.get(side.label),
        latency_accelerator="NVIDIA H100 80GB HBM3 \x1b[31m" if side.label == "B" else None,
        cost_usd=0.0125 if side.label == "B" else None,
    )


def _security_turns() -> list[Asked]:
    pool = entries(SECURITY, "kb")
    as_retrieved = descending([1, 2, 3, 4, 5, 6, 7, 8])
    return [
        Asked(
            "How does your data security work?",
            pool,
            {
                "A": as_retrieved,
                "A*": as_retrieved,
                "B": descending([3, 2, 6, 1, 7, 4, 5, 8]),
                "C": [12.5, 0.0, 9.25, 4.4, 7.5, 4.6, 0.0, 4.45],
            },
        ),
        Asked(
            "and for EU customers?",
            pool,
            {
                "A": descending([5, 1, 2, 8, 3, 6, 4, 7], step=0.0999),
                "A*": descending([5, 1, 2, 8, 6, 3, 4, 7], step=0.0999),
                "B": [0.1, 0.5001, 0.2, 0.31, 0.9, 0.5, 0.3101, 0.8],
                "C": descending([5, 1, 2, 8, 3, 6, 4, 7], best=14),
            },
            search_query="Where is the personal data of customers in the European Union stored and processed, "
            "and which subprocessors can see it?",
        ),
        Asked(
            "thanks!",
            pool,
            dict.fromkeys(("A", "A*", "B"), as_retrieved) | {"C": descending([2, 1, 3, 4, 5, 6, 7, 8], best=9)},
        ),
        Asked(
            "Which of your controls are covered by the SOC 2 report, who audited them, when does the observation "
            "period end, and could you send the bridge letter together with the latest penetration test to our "
            "procurement team before Thursday, please? We also need to know how long backups are kept and who can "
            "restore them.",
            pool,
            {
                "A": as_retrieved,
                "A*": as_retrieved,
                "B": descending([2, 1, 5, 4, 3, 6, 8, 7]),
                "C": descending([6, 7, 8, 1, 2, 3, 4, 5], best=5),
            },
            missing_entries=2,
        ),
    ]


def _hostile_turns() -> list[Asked]:
    pool = entries(HOSTILE, "h")
    every = tuple(range(1, len(pool) + 1))
    ascending = descending(every, step=0.05)
    return [
        Asked(
            "\x1b[31mイベントログはどのくらいの期間保存されますか？\u202e [/b]",
            pool,
            {
                "A": ascending,
                "A*": ascending,
                "B": descending([7, 9, 10, 11, 3, 1, 2, 4, 5, 6, 8, 12], step=0.05),
                "C": "HTTP 503 \x1b[2J from bm25",
            },
        ),
        Asked(
            "rate limit?",
            pool,
            {
                "A": descending([8, 12, 4, 6, 5, 7, 9, 1, 2, 3, 10, 11], step=0.05),
                "A*": descending([8, 12, 4, 6, 5, 7, 9, 1, 2, 3, 10, 11], step=0.05),
                "B": "the model returned NaN for entry 'h-7'; check the export, or run with dtype=float32 (tried 2 "
                "times, last on 2026-11-20T03:00:12Z)",
                "C": [0.0] * 12,
            },
            origin=PoolOrigin.COSINE,
            unpooled=True,
        ),
        Asked("nothing here", (), {"A": [], "A*": [], "B": [], "C": []}),
        Asked(
            "short pool",
            pool[8:11],
            {"A": [0.9, 0.5, 0.5], "A*": [0.9, 0.5, 0.5], "B": [0.2, float("-inf"), 0.9], "C": [9.0, 4.5, 4.5]},
        ),
    ]


def _quiet_turns() -> list[Asked]:
    pool = entries(SECURITY, "kb")
    tied = [0.5] * len(pool)
    return [
        Asked(
            "hello", pool, {"A": tied, "A*": tied, "B": descending(range(1, 9)), "C": descending(range(1, 9), best=9)}
        )
    ]
