"""A stored run as TREC files: one run file per side, whole rankings, and qrels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from shadowdiff.records import Label, ReplayedSession, ReplayedTurn
from shadowdiff.runs import Run
from shadowdiff.sources.bundle import LABELS_FILE
from shadowdiff.trec import qrels_line, run_lines


@dataclass(frozen=True, slots=True)
class Written:
    """How much a TREC export holds."""

    turns: int
    lines: int
    silent: dict[str, int]
    """By side: turns that have no line in its file, because it failed on them or ranked no entry."""


def file_name(label: str) -> str:
    """The run file of a side."""
    return f"{label}.trec"


def write_runs(run: Run, sessions: Iterable[ReplayedSession], labels: Sequence[Label], directory: Path) -> Written:
    """Write A.trec, B.trec, … and, where there are labels, qrels.txt. The tag is run id and side.

    Raises OSError, and ConfigError for an id that no TREC file can hold.
    """
    turns = lines = 0
    silent = {side.label: 0 for side in run.sides}
    with ExitStack() as stack:
        files = {
            label: stack.enter_context((directory / file_name(label)).open("w", encoding="utf-8", newline="\n"))
            for label in silent
        }
        for turn in (turn for session in sessions for turn in session.turns):
            turns += 1
            for label, file in files.items():
                ranking = turn.rankings.get(label)
                written = (
                    [] if ranking is None else list(run_lines(turn.turn.turn_id, ranking, f"{run.run_id}-{label}"))
                )
                file.writelines(written)
                lines += len(written)
                silent[label] += not written
    if labels:
        with (directory / LABELS_FILE).open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(map(qrels_line, labels))
    return Written(turns, lines, {label: count for label, count in silent.items() if count})


def _lines(turn: ReplayedTurn, label: str, tag: str) -> list[str]:
    ranking = turn.rankings.get(label)
    return [] if ranking is None else list(run_lines(turn.turn.turn_id, ranking, tag))
