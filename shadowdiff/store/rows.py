"""Replayed sessions to rows of the store tables, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from shadowdiff.records import (
    Asked,
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
    TurnAsked,
    TurnFailure,
    Usage,
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


def texts_of(pools: Iterable[Pool]) -> dict[str, Entry]:
    """The entries of these pools whose text may be stored, one per content hash."""
    entries = {item.entry.content_hash: item.entry for pool in pools for item in pool.entries}
    return {content: entry for content, entry in entries.items() if entry.missing_text is None}


def text_row(entry: Entry) -> dict[str, Any]:
    """A row of `entry_texts`."""
    return {"content_hash": bytes.fromhex(entry.content_hash), "title": entry.title, "body": entry.body}


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
            "escalated": counts.escalated,
            "altered": counts.altered,
        }


def ask_rows(run_id: str, asks: Iterable[TurnAsked]) -> list[dict[str, Any]]:
    """Rows of `asks`, one per turn and side, however often it was asked."""
    taken: dict[tuple[str, str], Asked] = {}
    for each in asks:
        key = (each.turn_id, each.side)
        taken[key] = taken[key] + each.asked if key in taken else each.asked
    return [_ask_row(run_id, turn_id, side, asked) for (turn_id, side), asked in sorted(taken.items())]


def _ask_row(run_id: str, turn_id: str, side: str, asked: Asked) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "turn_id": turn_id,
        "side": side,
        "calls": asked.usage.calls,
        "attempts": asked.attempts,
        "seconds": asked.seconds,
        "waited_seconds": asked.waited_seconds,
        "search_units": asked.usage.search_units,
        "input_tokens": asked.usage.input_tokens,
        "output_tokens": asked.usage.output_tokens,
        "repairs": asked.repairs,
    }


def asked_from_row(row: Row[Any]) -> Asked:
    """What `ask_rows` wrote."""
    usage = Usage(row.calls, row.search_units, row.input_tokens, row.output_tokens)
    return Asked(usage, row.attempts, row.seconds, row.waited_seconds, row.repairs)


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
    entries = _Entries(texts)
    for row in turns:
        pool = _pool(row, org_of[row.session_id], entries)
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
        counts={item.side: _counts(item) for item in ranked},
        unpooled=row.unpooled,
        missing_entries=row.missing_entries,
    )


def _counts(row: Row[Any]) -> ScoreCounts:
    return ScoreCounts(row.pairs, row.cached, row.truncated, row.outside_pool, row.escalated, row.altered)


def _turn(row: Row[Any]) -> Turn:
    is_stored = row.query is not None
    return Turn(
        turn_id=row.turn_id,
        position=row.position,
        query=row.query or "",
        asked_at=row.asked_at,
        search_query=row.search_query,
        answer=row.answer,
        served=None if row.served is None else tuple(row.served),
        served_by=row.served_by,
        original_hash=None if is_stored else row.query_hash.hex(),
        missing_text=None if is_stored else MissingText.NOT_STORED,
    )


def _pool(row: Row[Any], org_id: str, entries: _Entries) -> Pool:
    # A run without texts shows none that another run has stored: it may have stored them redacted.
    made = entries.of if row.query is not None else entries.textless
    items = zip(row.pool_entry_ids, row.pool_contents, row.pool_scores, strict=True)
    return Pool(
        tuple(
            PoolEntry(made(org_id, entry_id, content), rank, score)
            for rank, (entry_id, content, score) in enumerate(items, start=1)
        ),
        PoolOrigin(row.pool_origin),
    )


class _Entries:
    """Entries with the hash of the text that was ranked: what is stored under it may be redacted. Each is made once."""

    def __init__(self, texts: Mapping[bytes, tuple[str, str]]) -> None:
        self._texts = texts
        self.of = cache(self._made)
        self.textless = cache(_textless)

    def _made(self, org_id: str, entry_id: str, content: bytes) -> Entry:
        if content not in self._texts:
            return _textless(org_id, entry_id, content)
        return Entry(org_id, entry_id, *self._texts[content], original_hash=content.hex())


def _textless(org_id: str, entry_id: str, content: bytes) -> Entry:
    return Entry(org_id, entry_id, "", "", original_hash=content.hex(), missing_text=MissingText.NOT_STORED)
