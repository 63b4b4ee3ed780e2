"""Replayed sessions to rows of the store tables, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shadowdiff.records import (
    Entry,
    MissingText,
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
)

if TYPE_CHECKING:
    from sqlalchemy import Row


def turn_row(run_id: str, session: Session, replayed: ReplayedTurn) -> dict[str, Any]:
    """A row of `run_turns`: with the query, or with its hash where the text is not to be stored."""
    turn, pool = replayed.turn, replayed.pool
    return {
        "run_id": run_id,
        "turn_id": turn.turn_id,
        "session_id": session.session_id,
        "position": turn.position,
        "query": None if turn.missing_text else turn.query,
        "query_hash": bytes.fromhex(turn.query_hash) if turn.missing_text else None,
        "search_query": turn.search_query,
        "asked_at": turn.asked_at,
        "answer": turn.answer,
        "unpooled": replayed.unpooled,
        "missing_entries": replayed.missing_entries,
        "pool_origin": pool.origin.value,
        "pool_hash": bytes.fromhex(pool.hash),
        "pool_entry_ids": list(pool.entry_ids),
        "pool_contents": [bytes.fromhex(item.entry.content_hash) for item in pool.entries],
        "pool_scores": [item.score for item in pool.entries],
        "served": None if turn.served is None else list(turn.served),
        "served_by": turn.served_by,
    }


def text_rows(pool: Pool) -> Iterator[dict[str, Any]]:
    """Rows of `entry_texts`, one per entry of the pool whose text may be stored."""
    for entry in (item.entry for item in pool.entries):
        if entry.missing_text is None:
            yield {"content_hash": bytes.fromhex(entry.content_hash), "title": entry.title, "body": entry.body}


def ranking_rows(run_id: str, replayed: ReplayedTurn) -> Iterator[dict[str, Any]]:
    """Rows of `rankings`, one per side that ranked the turn."""
    for side, ranking in replayed.rankings.items():
        counts = replayed.counts.get(side) or ScoreCounts(pairs=len(ranking.entry_ids))
        yield {
            "run_id": run_id,
            "turn_id": replayed.turn.turn_id,
            "side": side,
            "entry_ids": list(ranking.entry_ids),
            "scores": list(ranking.scores),
            "pairs": counts.pairs,
            "cached": counts.cached,
            "truncated": counts.truncated,
            "outside_pool": counts.outside_pool,
        }


def failure_rows(run_id: str, replayed: ReplayedTurn) -> Iterator[dict[str, Any]]:
    """Rows of `failures`, one per side that gave no ranking."""
    for failure in replayed.failures:
        row = {"run_id": run_id, "turn_id": replayed.turn.turn_id, "side": failure.side}
        yield row | {"reason": _storable(failure.reason)}


def _storable(text: str) -> str:
    """The text without what Postgres refuses: a reason may quote anything, and must not cost the run its rankings."""
    return text.replace("\0", "␀").encode("utf-8", "backslashreplace").decode("utf-8")


def sessions_from_rows(
    heads: Sequence[Row[Any]],
    turns: Sequence[Row[Any]],
    texts: Mapping[bytes, tuple[str, str]],
    rankings: Sequence[Row[Any]],
    failures: Sequence[Row[Any]],
) -> dict[str, ReplayedSession]:
    """Replayed sessions by id, from rows in order of turn position and side."""
    by_turn: dict[str, list[Row[Any]]] = defaultdict(list)
    failed: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in rankings:
        by_turn[row.turn_id].append(row)
    for row in failures:
        failed[row.turn_id].append(row)
    org_of = {head.session_id: head.org_id for head in heads}
    replayed: dict[str, list[ReplayedTurn]] = defaultdict(list)
    for row in turns:
        pool = _pool(row, org_of[row.session_id], texts)
        replayed[row.session_id].append(_replayed_turn(row, pool, by_turn[row.turn_id], failed[row.turn_id]))
    return {head.session_id: _replayed_session(head, replayed[head.session_id]) for head in heads}


def _replayed_session(head: Row[Any], turns: Sequence[ReplayedTurn]) -> ReplayedSession:
    asked = tuple(turn.turn for turn in turns)
    return ReplayedSession(Session(head.session_id, head.org_id, head.started_at, asked, head.tags), tuple(turns))


def _replayed_turn(row: Row[Any], pool: Pool, ranked: Sequence[Row[Any]], failed: Sequence[Row[Any]]) -> ReplayedTurn:
    return ReplayedTurn(
        turn=_turn(row),
        pool=pool,
        rankings={item.side: Ranking(tuple(item.entry_ids), tuple(item.scores)) for item in ranked},
        failures=tuple(TurnFailure(item.side, item.reason) for item in failed),
        counts={item.side: ScoreCounts(item.pairs, item.cached, item.truncated, item.outside_pool) for item in ranked},
        unpooled=row.unpooled,
        missing_entries=row.missing_entries,
    )


def _turn(row: Row[Any]) -> Turn:
    turn = Turn(row.turn_id, row.position, row.query or "", row.asked_at, row.search_query, row.answer)
    turn = replace(turn, served=None if row.served is None else tuple(row.served), served_by=row.served_by)
    if row.query is not None:
        return turn
    return replace(turn, original_hash=row.query_hash.hex(), missing_text=MissingText.NOT_STORED)


def _pool(row: Row[Any], org_id: str, texts: Mapping[bytes, tuple[str, str]]) -> Pool:
    items = zip(row.pool_entry_ids, row.pool_contents, row.pool_scores, strict=True)
    # A run without texts shows none that another run has stored: it may have stored them redacted.
    known = {} if row.query is None else texts
    return Pool(
        tuple(
            PoolEntry(_entry(org_id, entry_id, content, known), rank, score)
            for rank, (entry_id, content, score) in enumerate(items, start=1)
        ),
        PoolOrigin(row.pool_origin),
    )


def _entry(org_id: str, entry_id: str, content: bytes, texts: Mapping[bytes, tuple[str, str]]) -> Entry:
    """With the hash of the text that was ranked: what is stored under it may be redacted."""
    title, body = texts.get(content, ("", ""))
    missing = None if content in texts else MissingText.NOT_STORED
    return Entry(org_id, entry_id, title, body, original_hash=content.hex(), missing_text=missing)
