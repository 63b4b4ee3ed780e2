"""Labels of a collection: TREC qrels (`turn_id 0 entry_id grade`), and BEIR's three columns between tabs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shadowdiff.sources.lines import Line, shown, text_lines
from shadowdiff.sources.topics import unmarked
from shadowdiff.trec import BLANK

MAX_GRADE = 32767
WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Judged:
    """One line of qrels."""

    line: Line
    turn_id: str
    entry_id: str
    grade: int


def read_qrels(path: Path) -> Iterator[Judged]:
    """The file's labels; BEIR's header is skipped, and grades below 0 count as 0. Raises BundleError."""
    for line in text_lines(path):
        text = unmarked(line)
        columns = text.split("\t")
        if len(columns) == 3 and line.number == 1 and not WHOLE.fullmatch(columns[2].strip()):
            continue
        if len(columns) != 3:
            columns = BLANK.split(text.strip(" \t"))
            if len(columns) != 4:
                line.refuse("expected 'turn_id 0 entry_id grade', or query id, entry id and grade between tabs")
            del columns[1]
        turn_id, entry_id, written = (column.strip() for column in columns)
        yield Judged(line, turn_id, entry_id, max(grade(line, written, minimum=-MAX_GRADE), 0))


def grade(line: Line, written: str, minimum: int = 0) -> int:
    """A whole number from `minimum` to 32767. Raises BundleError."""
    if not WHOLE.fullmatch(written):
        line.refuse(f"the grade must be a whole number, not {shown(written)}")
    number = int(written)
    if not minimum <= number <= MAX_GRADE:
        line.refuse(f"the grade must be from {minimum} to {MAX_GRADE}, not {number}")
    return number
