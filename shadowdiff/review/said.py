"""What this reader says: shown at once, stored in the background, undone in reverse order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from shadowdiff.records import Comment, Label
from shadowdiff.review.drawing import Said
from shadowdiff.review.stored import Opened
from shadowdiff.review.threads import Writer, Writing
from shadowdiff.store.labels import Labels

SOURCE = "review"
"""Of the labels that are given here."""
LONG_AGO = datetime.min.replace(tzinfo=UTC)

LabelKey = tuple[str, str, str, str, str]
"""What a label is stored under: org, turn, entry, source, author."""


def _key(label: Label) -> LabelKey:
    return label.org_id, label.turn_id, label.entry_id, label.source, label.author


class Saying:
    """Labels and comments of this sitting, over those that are stored."""

    def __init__(self, labels: Labels, author: str, now: Callable[[], datetime], writer: Writer) -> None:
        self._labels, self._author, self._now, self._writer = labels, author, now, writer
        self._said: dict[LabelKey, Label | None] = {}
        """The label as it stands after all that was said; None where it was undone."""
        self._past: list[tuple[Label, Label | None]] = []
        """Each label that was given, and what stood there before."""
        self._comments: list[Comment] = []
        self._pending: dict[Writing, Label] = {}

    def label(self, opened: Opened, turn_id: str, entry_id: str, grade: int) -> Label:
        """Give an entry a grade."""
        org_id = opened.outcome.session.org_id
        label = Label(org_id, turn_id, entry_id, grade, SOURCE, self._author, self._now())
        held = (item for item in self.of_turn(opened, turn_id).labels if _key(item) == _key(label))
        self._past.append((label, next(held, None)))
        self._say(label, f"label {grade} of entry {entry_id} on turn {turn_id}", lambda: self._labels.put(label))
        return label

    def undo(self) -> tuple[Label, Label | None] | None:
        """Take the last label back: it, and what stands in its place. None where there is nothing to undo."""
        if not self._past:
            return None
        label, before = self._past.pop()
        what = f"undoing label {label.grade} of entry {label.entry_id} on turn {label.turn_id}"
        if before is None:
            self._said[_key(label)] = None
            self._writer.put(Writing(what, lambda: self._labels.remove(label)))
        else:
            self._say(before, what, lambda: self._labels.put(before))
        return label, before

    def comment(self, opened: Opened, turn_id: str, entry_id: str | None, body: str) -> None:
        """Write something of an entry, or of the turn."""
        comment = Comment(opened.outcome.session.org_id, turn_id, self._author, body, entry_id, self._now())
        self._comments.append(comment)
        on = f"turn {turn_id}" if entry_id is None else f"entry {entry_id} on turn {turn_id}"
        self._writer.put(Writing(f"comment on {on}: {body}", lambda: self._labels.comment(comment)))

    def of_turn(self, opened: Opened, turn_id: str) -> Said:
        """All that was said of one turn and its entries: labels newest first, comments oldest first."""
        org_id = opened.outcome.session.org_id
        ours = [label for label in self._said.values() if label is not None and label.org_id == org_id]
        stored = [label for label in opened.labels if _key(label) not in self._said]
        labels = [label for label in (*ours, *stored) if label.turn_id == turn_id]
        labels.sort(key=lambda label: label.labelled_at or LONG_AGO, reverse=True)
        written = [item for item in self._comments if item.org_id == org_id and item not in opened.comments]
        return Said(labels, [item for item in (*opened.comments, *written) if item.turn_id == turn_id])

    def stored(self, writing: Writing) -> None:
        """The writer is done with this one."""
        self._pending.pop(writing, None)

    @property
    def unsaved(self) -> frozenset[Label]:
        """Labels that are shown and not stored yet."""
        return frozenset(self._pending.values())

    def _say(self, label: Label, what: str, write: Callable[[], None]) -> None:
        self._said[_key(label)] = label
        writing = Writing(what, write)
        self._pending[writing] = label
        self._writer.put(writing)


def of_entry(said: Said, entry_id: str) -> Said:
    """What of a turn was said of one entry."""
    labels = [label for label in said.labels if label.entry_id == entry_id]
    return Said(labels, [comment for comment in said.comments if comment.entry_id == entry_id])


def of_turn_itself(said: Said) -> Said:
    """What was said of no entry in particular."""
    return Said((), [comment for comment in said.comments if comment.entry_id is None])
