"""A pilot that holds every case its page must tell apart, built by the real ranking, summary and evaluation."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

from shadowdiff.evaluation.evaluate import evaluate
from shadowdiff.pilot.report import pilot_of
from shadowdiff.pilot.results import Pilot
from shadowdiff.records import Label, ReplayedSession, ReplayedTurn, Window
from shadowdiff.runs import Price, Run, RunConfig, Side
from tests.cost_cases import DID
from tests.render_cases import EPYC, SECURITY, Asked, entries, run_of, session_of

COSINE = Side("A", "cosine", "cosine", "5f0c31a7d2be44c8")
MANAGED = Side("B", "managed", "bedrock:cohere.rerank-v3-5:0", "9e10aa01c7fd3b52")
OURS = Side("C", "ours", "onnx:models/ours", "77aa42ffee091200")
UNPRICED = Side("D", "other\x1b[31m | provider", "bedrock:amazon.rerank-v1:0", "0b7742ffee0912aa")
SIDES = (COSINE, MANAGED, OURS, UNPRICED)
NOISE = {"A": 1.6, "B": 0.25, "C": 0.55, "D": 1.6}
"""How far scores lie from the grades: the less, the better the side."""
SESSIONS = 60
TURNS_PER_MONTH = 41_300.0


def pilot_run() -> tuple[Run, list[ReplayedSession], list[Label]]:
    """60 sessions of one to three turns: B and C are better than A, D is not; D fails on the last turn."""
    dice = random.Random(9)  # noqa: S311
    sessions, labels = [], []
    for at in range(SESSIONS):
        own = dice.gauss(0, 0.3)
        grades = [[dice.choice((0, 0, 0, 1, 2)) for _ in SECURITY] for _ in range(1 + at % 3)]
        turns = [_turn(dice, given, own, is_last=at == SESSIONS - 1) for given in grades]
        session = session_of(f"s-{at:02}", "acme", turns, "ABCD")
        sessions.append(session)
        labels += [label for turn, given in zip(session.turns, grades, strict=True) for label in _labels(turn, given)]
    run, _ = run_of(sessions, SIDES, config())
    assert run.summary is not None
    local, provider = DID["A"], DID["B"]
    quick = replace(local, latency_p50_seconds=0.0003, latency_p95_seconds=0.0004)
    did = {"A": quick, "B": provider, "C": local, "D": replace(DID["C"], failure_reasons=())}
    summary = replace(run.summary, sides=did, machine=EPYC, turns_per_month=TURNS_PER_MONTH)
    return replace(run, summary=summary), sessions, labels


def config() -> RunConfig:
    """Drawn sessions; B has a price, and D, which asks as well, has none."""
    prices = {"B": Price(search_unit=0.002, as_of="2026-11-01")}
    window = Window(sample=SESSIONS, seed=7)
    return RunConfig(top_k=3, prices=prices, asking_sides=("B", "D"), window=window, turns_per_month=TURNS_PER_MONTH)


@cache
def piloted() -> tuple[Pilot, Run]:
    """The page's contents with enough labels."""
    return _of_sessions(SESSIONS)


@cache
def hardly_labelled() -> tuple[Pilot, Run]:
    """The same with labels on the first sessions alone: too few."""
    return _of_sessions(9)


def unlabelled() -> tuple[Pilot, Run]:
    """The same without any."""
    run, _, _ = pilot_run()
    return pilot_of(run, None, ndcg_at=5, recall_at=3, margin=0.01, labelled_turns=0), run


def _of_sessions(number: int) -> tuple[Pilot, Run]:
    run, sessions, labels = pilot_run()
    names = {turn.turn.turn_id for session in sessions[:number] for turn in session.turns}
    kept = [label for label in labels if label.turn_id in names]
    evaluation = evaluate(run, sessions, kept, (5, 3))
    turns = len({label.turn_id for label in kept})
    return pilot_of(run, evaluation, ndcg_at=5, recall_at=3, margin=0.01, labelled_turns=turns), run


def _turn(dice: random.Random, grades: list[int], own: float, *, is_last: bool) -> Asked:
    """Scores are the grades, and noise that the turns of a session share in part."""
    scores: dict[str, list[float] | str] = {
        label: [grade + noise * (own + dice.gauss(0, 1)) for grade in grades] for label, noise in NOISE.items()
    }
    return Asked("sso?", entries(SECURITY, "kb"), scores | ({"D": "HTTP 503"} if is_last else {}))


def _labels(turn: ReplayedTurn, grades: list[int]) -> list[Label]:
    """Of every entry but the last, which nobody judged."""
    judged = zip(turn.pool.entry_ids[:-1], grades[:-1], strict=True)
    return [Label("acme", turn.turn.turn_id, entry_id, grade, "qrels") for entry_id, grade in judged]
