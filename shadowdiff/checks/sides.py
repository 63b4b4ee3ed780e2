"""The sides: whether each can be built and loaded, what it is, what it lacks here, and how much it would cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from shadowdiff.checks.checkup import Checkup
from shadowdiff.errors import RerankerError, ShadowdiffError, first_line
from shadowdiff.findings import Finding, fail, ok, warn
from shadowdiff.pools import Lexicons, PoolBuilder
from shadowdiff.protocols import Checkable, Composed, PooledTurn, PoolReranker, Reranker, ScoreRequest, Truncates
from shadowdiff.records import Window
from shadowdiff.replay.sides import Contender, build_sides, prepare
from shadowdiff.rerankers.scoring import request_of
from shadowdiff.runs import RunConfig

if TYPE_CHECKING:
    from sqlalchemy import Connection

PAIRS = 200
PAIRS_PER_TURN = 20
NOTABLE_SHARE = 0.05
FINGERPRINT_CHARS = 12


def sides(checkup: Checkup) -> Iterator[Finding]:
    """Every side that is named, each by itself: one that fails says nothing of the others."""
    parts: dict[str, list[str]] = {}
    for part, text in checkup.examinee.sides:
        parts.setdefault(text, []).append(part)
    for text, played in parts.items():
        label = ", ".join(part for part in played if part)
        yield from _side(checkup, f"side {label}" if label else "reranker", text)


def _side(checkup: Checkup, check: str, text: str) -> Iterator[Finding]:
    try:
        contender = _loaded(text, checkup)
        found = _said_by(contender, checkup.examinee.online)
    except ShadowdiffError as error:
        yield fail(check, f"{text}: {error}")
        return
    except Exception as error:  # plugins are strangers' code
        yield fail(check, f"{text}: {type(error).__name__}: {first_line(error)}", "tell whoever wrote that reranker")
        return
    checkup.contenders.append(contender)
    side = contender.side
    spec = "" if side.spec == text else f" ({side.spec})"
    yield ok(check, f"{text}{spec} can be loaded; fingerprint {side.fingerprint[:FINGERPRINT_CHARS]}")
    yield from found


def _said_by(contender: Contender, online: bool) -> list[Finding]:
    """What the reranker, or what it is made of, tells of its own accord."""
    readers = [reranker for _, reranker in _within(contender.side.name, contender.reranker)]
    return [finding for reader in readers if isinstance(reader, Checkable) for finding in reader.check(online)]


def _within(name: str, reranker: Reranker | PoolReranker) -> Iterator[tuple[str, Reranker | PoolReranker]]:
    """The reranker, and those that it is made of."""
    yield name, reranker
    if isinstance(reranker, Composed):
        for part, other in reranker.parts:
            yield from _within(f"{part} in {name}", other)


def _loaded(text: str, checkup: Checkup) -> Contender:
    settings = checkup.settings
    (contender,) = build_sides(text, (), settings.rerankers, {}, settings.privacy, settings.providers)
    prepare((contender,))
    return contender


def inputs(checkup: Checkup) -> Iterator[Finding]:
    """Whether the source has what sides read beyond texts."""
    has = checkup.read("describing the mapping", lambda connection: _has(checkup, connection))
    reasons = {
        "vectors": "needs embeddings of queries and entries, and they are not mapped",
        "lexical": "needs the org's entries, and they are not mapped",
        "served": "needs what was served, and it is not mapped",
    }
    lacking = False
    for contender in checkup.contenders:
        for need in _needs(contender):
            if not has[need]:
                lacking = True
                remedy = "map it in [source], or leave this side out"
                yield fail("inputs", f"{contender.side.name} {reasons[need]}", remedy)
    if checkup.contenders and not lacking:
        yield ok("inputs", "the source has all that the sides read")


def _needs(contender: Contender) -> list[str]:
    reranker = contender.reranker
    needs = sorted(reranker.needs) if isinstance(reranker, PoolReranker) else []
    return [*needs, *(["served"] if reranker.spec.scheme == "served" else [])]


def _has(checkup: Checkup, connection: Connection) -> dict[str, bool]:
    turns, entries = checkup.parts.get(connection, "turns"), checkup.part(connection, "entries")
    return {
        "vectors": turns.has("query_embedding") and entries is not None and entries.has("embedding"),
        "lexical": entries is not None,
        "served": checkup.parts.has("served") or turns.has("served"),
    }


def truncation(checkup: Checkup) -> Iterator[Finding]:
    """Which share of the documents each side would cut to fit its model."""
    cutting = [
        (name, reranker, reranker)
        for contender in checkup.contenders
        for name, reranker in _within(contender.side.name, contender.reranker)
        if isinstance(reranker, Truncates) and not isinstance(reranker, PoolReranker)
    ]
    if not cutting:
        return
    turns = _pooled(checkup)
    if not turns:
        yield ok("truncation", "not known: no turn has a recorded pool to look at")
        return
    for name, reranker, truncates in cutting:
        yield from _cut(name, [request_of(reranker, turn) for turn in turns], truncates)


def _cut(name: str, requests: Sequence[ScoreRequest], truncates: Truncates) -> Iterator[Finding]:
    marks: list[bool] = []
    refused: list[str] = []
    for request in requests:
        try:
            marks += [mark for row in truncates.truncated([request]) for mark in row]
        except RerankerError as error:
            refused.append(str(error))
    if refused:
        told = f"{name}: {len(refused)} of {len(requests)} turns would fail, such as by this: {refused[0]}"
        yield warn("truncation", told, "raise max_length if the model allows it")
    if not marks:
        return
    told = f"{name}: {sum(marks)} of {len(marks)} documents would be cut ({sum(marks) / len(marks):.1%})"
    if sum(marks) > NOTABLE_SHARE * len(marks):
        remedy = "raise max_length if the model allows it, or rank shorter passages: what is cut off is never read"
        yield warn("truncation", told, remedy)
    else:
        yield ok("truncation", told)


def _pooled(checkup: Checkup) -> list[PooledTurn]:
    """A turn each of a few sessions, with the head of its recorded pool, made as a replay makes it."""
    chosen: dict[str, str] = {}
    for turn in checkup.sample.turns:
        if turn.pool and len(chosen) < PAIRS // PAIRS_PER_TURN:
            chosen.setdefault(turn.session_id, turn.turn_id)
    sessions = list(checkup.source.sessions(Window(session_ids=tuple(chosen)))) if chosen else []
    pools = PoolBuilder(checkup.source, Lexicons(checkup.source), RunConfig(pool=PAIRS_PER_TURN)).build(sessions)
    return [
        PooledTurn(session.org_id, session.session_id, turn, pools[turn.turn_id].pool)
        for session in sessions
        for turn in session.turns
        if turn.turn_id == chosen[session.session_id] and pools[turn.turn_id].pool.entries
    ]
