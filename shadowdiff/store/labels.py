"""Labels and comments: what people and files say of entries, and people of turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert

from shadowdiff.records import Comment, Label
from shadowdiff.store.schema import comments, labels, run_sessions, run_turns
from shadowdiff.store.statements import batches, texts

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from shadowdiff.store.runs import RunStore


class Labels:
    """Reads and writes labels and comments of a store. Every method raises StoreError when the database fails."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def put(self, label: Label) -> None:
        """Store a label in place of what the same author said of the entry through the same source."""
        row = label_row(label)
        statement = upsert(labels).values(row)
        given = {name: statement.excluded[name] for name in ("grade", "labelled_at") if name in row}
        statement = statement.on_conflict_do_update(index_elements=list(labels.primary_key), set_=given)
        self._store.transaction("storing the label", lambda connection: connection.execute(statement))

    def put_all(self, given: Sequence[Label]) -> None:
        """Store labels, each as `put` does, all of them or none. No two may be of one author, source and entry."""
        rows = [label_row(label) for label in given]

        def work(connection: Connection) -> None:
            for some in batches(rows):
                statement = upsert(labels)
                changed = {"grade": statement.excluded.grade, "labelled_at": func.now()}
                keys = list(labels.primary_key)
                connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), some)

        self._store.transaction("storing labels", work)

    def remove(self, label: Label) -> None:
        """Forget what the label's author said of its entry through its source, whatever the grade."""
        row = label_row(label)
        statement = delete(labels).where(*(column == row[column.name] for column in labels.primary_key))
        self._store.transaction("removing the label", lambda connection: connection.execute(statement))

    def of_turns(self, org_id: str, turn_ids: Sequence[str]) -> list[Label]:
        """All labels of these turns of one org, whoever gave them: by turn and entry id, the newest first."""
        statement = (
            select(labels)
            .where(labels.c.org_id == org_id, labels.c.turn_id == func.any(texts(turn_ids)))
            .order_by(labels.c.turn_id, labels.c.entry_id, *_NEWEST_FIRST)
        )
        found = self._store.transaction("reading labels", lambda connection: list(connection.execute(statement)))
        return [_label(row) for row in found]

    def of_run(self, run_id: str) -> list[Label]:
        """Labels of the run's turns, in the run's order, then by entry id; the newest where an entry has several."""
        newest: dict[tuple[str, str, str], Label] = {}
        for label in self.every_of_run(run_id):
            newest.setdefault((label.org_id, label.turn_id, label.entry_id), label)
        return list(newest.values())

    def every_of_run(self, run_id: str) -> list[Label]:
        """All labels of the run's turns, whoever gave them: in the run's order, by entry id, the newest first."""
        statement = (
            select(labels)
            .join(run_sessions, run_sessions.c.org_id == labels.c.org_id)
            .join(
                run_turns,
                (run_turns.c.turn_id == labels.c.turn_id)
                & (run_turns.c.run_id == run_sessions.c.run_id)
                & (run_turns.c.session_id == run_sessions.c.session_id),
            )
            .where(run_turns.c.run_id == run_id)
            .order_by(run_sessions.c.position, run_turns.c.position, labels.c.entry_id, *_NEWEST_FIRST)
        )
        found = self._store.transaction("reading labels", lambda connection: list(connection.execute(statement)))
        return [_label(row) for row in found]

    def of_runs(self, run_ids: Sequence[str]) -> list[Label]:
        """Labels of the turns of any of these runs, by org, turn and entry id; the newest where an entry has several.

        One statement; a turn in several of the runs has its labels once.
        """
        of_session = (run_sessions.c.run_id == run_turns.c.run_id) & (
            run_sessions.c.session_id == run_turns.c.session_id
        )
        turns = (
            select(run_sessions.c.org_id, run_turns.c.turn_id)
            .join(run_sessions, of_session)
            .where(run_turns.c.run_id == func.any(texts(run_ids)))
        )
        entry = (labels.c.org_id, labels.c.turn_id, labels.c.entry_id)
        place = func.row_number().over(partition_by=entry, order_by=_NEWEST_FIRST)
        given = select(labels, place.label("place")).where(tuple_(*entry[:2]).in_(turns)).subquery().c
        statement = select(*given).where(given.place == 1).order_by(given.org_id, given.turn_id, given.entry_id)
        found = self._store.transaction("reading labels", lambda connection: list(connection.execute(statement)))
        return [_label(row) for row in found]

    def comment(self, comment: Comment) -> None:
        """Store one more comment."""
        row: dict[str, Any] = {
            "org_id": comment.org_id,
            "turn_id": comment.turn_id,
            "entry_id": comment.entry_id,
            "author": comment.author,
            "body": comment.body,
        }
        if comment.commented_at is not None:
            row["commented_at"] = comment.commented_at
        statement = insert(comments).values(row)
        self._store.transaction("storing the comment", lambda connection: connection.execute(statement))

    def comments_of_turns(self, org_id: str, turn_ids: Sequence[str]) -> list[Comment]:
        """Comments on these turns of one org and on their entries, oldest first."""
        statement = (
            select(comments)
            .where(comments.c.org_id == org_id, comments.c.turn_id == func.any(texts(turn_ids)))
            .order_by(comments.c.commented_at, comments.c.comment_id)
        )
        found = self._store.transaction("reading comments", lambda connection: list(connection.execute(statement)))
        return [Comment(row.org_id, row.turn_id, row.author, row.body, row.entry_id, row.commented_at) for row in found]


_NEWEST_FIRST = (labels.c.labelled_at.desc(), labels.c.source, labels.c.author)


def label_row(label: Label) -> dict[str, Any]:
    """The label by column; without its time where it has none, so that the server gives it."""
    row: dict[str, Any] = {
        "org_id": label.org_id,
        "turn_id": label.turn_id,
        "entry_id": label.entry_id,
        "source": label.source,
    }
    row |= {"author": label.author, "grade": label.grade}
    return row if label.labelled_at is None else row | {"labelled_at": label.labelled_at}


def _label(row: Row[Any]) -> Label:
    return Label(row.org_id, row.turn_id, row.entry_id, row.grade, row.source, row.author, row.labelled_at)
