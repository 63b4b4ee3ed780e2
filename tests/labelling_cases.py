"""A run that several people have labelled in part, and what stands on their screens."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from shadowdiff.labelling.drawing import Asked
from shadowdiff.labelling.pooled import Choice, EntryKey, TurnToLabel, turns_to_label
from shadowdiff.labelling.report import LabellingReport, labelling_report
from shadowdiff.records import Entry, Label, MissingText, ReplayedSession
from shadowdiff.render.labelling import Told
from shadowdiff.render.sessions import asked_text
from shadowdiff.runs import Run
from tests.evaluation_cases import labelled_run
from tests.render_cases import hard_run

DEPTH = 3
ANN, BOB = "Ann Lee", "bob \x1b[31m\u202e[/b]"
BODY = " ".join(f"Sentence {number} of what is encrypted, where, and with whose keys." for number in range(1, 61))


def reported() -> tuple[LabellingReport, Run, dict[EntryKey, Told]]:
    """Ann has labelled two of three entries, Bob every other one, at odds with her at times; a file has some too."""
    dice = random.Random(11)  # noqa: S311
    run, sessions, of_file = labelled_run()
    turns = turns_to_label(run.sides, sessions, Choice(DEPTH, seed=4))
    labels = [*_by(ANN, turns, dice, 3, 0), *_by(BOB, turns, dice, 2, 1), *of_file]
    return labelling_report(turns, labels, 2), run, texts_of(sessions)


def _by(author: str, turns: Sequence[TurnToLabel], dice: random.Random, every: int, odds: int) -> list[Label]:
    """Labels of all entries but every so manieth; with `odds`, a third of them by chance."""
    keys = [key for turn in turns for key in turn.keys]
    kept = [key for at, key in enumerate(keys) if at % every]
    off = [dice.randrange(4) if odds and not at % 3 else 0 for at in range(len(kept))]
    grades = [(sum(map(ord, key[1] + key[2])) + by) % 4 for key, by in zip(kept, off, strict=True)]
    return [Label(*key, grade, "label", author) for key, grade in zip(kept, grades, strict=True)]


def texts_of(sessions: Sequence[ReplayedSession]) -> dict[EntryKey, Told]:
    """What queries and entries are called."""
    return {
        (session.session.org_id, turn.turn.turn_id, item.entry.entry_id): Told(asked_text(turn.turn), item.entry.title)
        for session in sessions
        for turn in session.turns
        for item in turn.pool.entries
    }


def asked_entries() -> list[Asked]:
    """A long text late in a conversation, a hostile one, one that is gone, and one without any text."""
    _, outcomes = hard_run(others=2)
    turns = [turn.replayed.turn for outcome in outcomes for turn in outcome.turns]
    pool = outcomes[1].turns[0].replayed.pool
    long = Entry("acme", "kb-3", "Encryption at rest and in transit", f"{BODY}\n\n- first\n- second")
    gone = replace(long, body="", title="", missing_text=MissingText.GONE)
    hostile = replace(pool.entries[1].entry, body="\x1b[2J[bold]\u202e\x9b " + "字" * 90)
    return [
        Asked(turns[:3], turns[3], long),
        Asked((), turns[4], hostile),
        Asked((), replace(turns[1], query="", missing_text=MissingText.CHANGED), gone),
        Asked(turns[:1], turns[1], replace(pool.entries[6].entry, body="")),
    ]
