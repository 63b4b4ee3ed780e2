"""A run with labels that holds every case an evaluation must tell apart, built by the real ranking and summary."""

from __future__ import annotations

import random
from dataclasses import replace

from shadowdiff.evaluation.evaluate import evaluate
from shadowdiff.evaluation.results import Evaluation
from shadowdiff.records import Label, ReplayedSession
from shadowdiff.runs import Run, RunConfig
from tests.render_cases import BM25, COSINE, HOSTILE, MINILM, SECURITY, Asked, entries, run_of, session_of

TOP_K = 3
OTHER_ORG = "日本 org\n[/b]"
LABELS = "ABC"
QUERIES = ("sso?", "How does your data security work?", "\x1b[31mこれは何ですか\u202e [/b] " + "and so on " * 12)


def labelled_run() -> tuple[Run, list[ReplayedSession], list[Label]]:
    """26 sessions of two orgs: B is better on the whole and worse in one of them, C fails now and then.

    The last session has no label. Entries are judged down to rank 4 of A, so that
    much of what B brings up is not.
    """
    dice = random.Random(4)  # noqa: S311
    sessions, labels = [], []
    for at in range(26):
        org = OTHER_ORG if at % 2 else "acme"
        turns = [_turn(dice, at + number, is_worse=bool(at % 2)) for number in range(1 + at % 3)]
        session = _of_org(session_of(f"s-{at:02}", "acme", turns, LABELS), org, at)
        sessions.append(session)
        labels += [] if at == 25 else _labels(session, dice)
    run, _ = run_of(sessions, (COSINE, MINILM, BM25), RunConfig(top_k=TOP_K))
    return run, sessions, labels


def evaluated() -> tuple[Evaluation, Run]:
    """The evaluation of that run."""
    run, sessions, labels = labelled_run()
    return evaluate(run, sessions, labels, (TOP_K, 5)), run


def _turn(dice: random.Random, number: int, *, is_worse: bool) -> Asked:
    """The first two entries of the pool are relevant; A ranks at random, B well or badly, C not at all at times."""
    titles = HOSTILE[:8] if is_worse else SECURITY
    at_random = [dice.random() for _ in titles]
    good = [0.5 if number % 5 else 1.0, 1.0, *(dice.random() * 0.9 for _ in titles[2:])]
    bad = [0.1, 0.2, *(0.3 + dice.random() for _ in titles[2:])]
    nearly = [score + (0.2 if at == 1 else 0.0) for at, score in enumerate(at_random)]
    scores = {
        "A": at_random,
        "B": bad if is_worse else good,
        "C": "HTTP 503" if number % 11 == 7 else [10 * score for score in nearly],
    }
    return Asked(QUERIES[number % 3], entries(titles, "h" if is_worse else "kb"), scores)


def _of_org(session: ReplayedSession, org: str, at: int) -> ReplayedSession:
    tags: dict[str, object] = {"language": ["de", "en"] if at % 4 == 1 else ["en"], "ticket": f"T-{at}"}
    return replace(session, session=replace(session.session, org_id=org, tags=tags))


def _labels(session: ReplayedSession, dice: random.Random) -> list[Label]:
    """The relevant ones with a grade each, what A ranks first with 0, and one that no pool holds."""
    found = []
    for turn in session.turns:
        first, second, *_ = turn.pool.entry_ids
        grades = dict.fromkeys(turn.rankings["A"].entry_ids[:4], 0) | {
            first: 1,
            second: dice.choice((1, 3)),
        }
        grades |= {"elsewhere": 2} if turn.turn.position == 2 else {}
        org, turn_id = session.session.org_id, turn.turn.turn_id
        found += [Label(org, turn_id, entry_id, grade, "qrels") for entry_id, grade in grades.items()]
    return found
