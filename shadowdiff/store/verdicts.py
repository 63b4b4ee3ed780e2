"""Verdicts: what judges said, kept under the hash of what they were shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from shadowdiff.records import Usage
from shadowdiff.store.schema import verdicts
from shadowdiff.store.statements import batches, hashes
from shadowdiff.verdicts import Abstention, Choice, Opinion, Verdict

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from shadowdiff.store.runs import RunStore


class Verdicts:
    """Reads and writes the verdicts of a store. Every method raises StoreError when the database fails."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def put(self, verdict: Verdict, *, keep_texts: bool = True) -> None:
        """Store a verdict in place of what the same question was answered with before.

        Without `keep_texts`, nothing that could quote what was judged is kept: no reason but our own for an
        abstention, no note, no raw answer.
        """
        row = _row(verdict, keep_texts=keep_texts)
        statement = upsert(verdicts).values(row)
        given: dict[str, Any] = {name: statement.excluded[name] for name in row if name != "prompt_hash"}
        given["asked_at"] = func.now() if verdict.asked_at is None else statement.excluded.asked_at
        statement = statement.on_conflict_do_update(index_elements=[verdicts.c.prompt_hash], set_=given)
        self._store.transaction("storing the verdict", lambda connection: connection.execute(statement))

    def under(self, prompt_hashes: Sequence[str]) -> dict[str, Verdict]:
        """What is stored under these hashes (hex), by hash."""

        def work(connection: Connection) -> dict[str, Verdict]:
            found: dict[str, Verdict] = {}
            for some in batches(bytes.fromhex(each) for each in prompt_hashes):
                statement = select(verdicts).where(verdicts.c.prompt_hash == func.any(hashes(some)))
                found |= {row.prompt_hash.hex(): _verdict(row) for row in connection.execute(statement)}
            return found

        return self._store.transaction("reading verdicts", work)


def _row(verdict: Verdict, *, keep_texts: bool) -> dict[str, Any]:
    opinion = verdict.opinion
    said = {"first_note": opinion.first_note, "second_note": opinion.second_note, "raw": opinion.raw}
    row: dict[str, Any] = {
        "prompt_hash": bytes.fromhex(verdict.prompt_hash),
        **{name: getattr(verdict, name) for name in ("judge", "model", "run_id", "org_id", "turn_id")},
        "first": verdict.first,
        "second": verdict.second,
        "choice": opinion.choice.value,
        "abstention": opinion.abstention.value if opinion.abstention else None,
        "reason": opinion.reason if keep_texts or opinion.abstention else None,
        **{name: (text or None) if keep_texts else None for name, text in said.items()},
        "calls": verdict.usage.calls,
        "input_tokens": verdict.usage.input_tokens,
        "output_tokens": verdict.usage.output_tokens,
        "seconds": verdict.seconds,
    }
    return row if verdict.asked_at is None else row | {"asked_at": verdict.asked_at}


def _verdict(row: Row[Any]) -> Verdict:
    opinion = Opinion(
        choice=Choice(row.choice),
        reason=row.reason or "",
        first_note=row.first_note or "",
        second_note=row.second_note or "",
        abstention=Abstention(row.abstention) if row.abstention else None,
        raw=row.raw or "",
    )
    return Verdict(
        judge=row.judge,
        model=row.model,
        prompt_hash=row.prompt_hash.hex(),
        run_id=row.run_id,
        org_id=row.org_id,
        turn_id=row.turn_id,
        first=row.first,
        second=row.second,
        opinion=opinion,
        usage=Usage(row.calls, 0.0, row.input_tokens, row.output_tokens),
        seconds=row.seconds,
        asked_at=row.asked_at,
    )
