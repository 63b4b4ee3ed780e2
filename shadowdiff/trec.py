"""TREC files: runs (`turn_id Q0 entry_id rank score tag`), read and written, and qrels (`turn_id 0 entry_id grade`)."""

from __future__ import annotations

import gzip
import io
import math
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shadowdiff.errors import ConfigError
from shadowdiff.records import Label, Ranking

FIELDS = 6
BLANK = re.compile(r"[ \t]+")
"""Only these separate the fields of a run: an entry id may hold any other character."""

SMALLEST = 1e-30
"""Smaller scores count as zero when a run is written: single precision keeps few digits of them, or none."""
LARGEST = 1e30
"""Larger scores cannot be written so that single precision tells them apart for sure."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """One line of a run file."""

    turn_id: str
    entry_id: str
    rank: int
    score: float


def read_run(path: Path) -> dict[str, list[RunLine]]:
    """A run file's lines by turn id, each turn's best first: score descending, then rank, then place in the file.

    A `.gz` file is read as its content. Raises ConfigError with file, line and reason.
    """
    by_turn: dict[str, dict[str, RunLine]] = {}
    for number, text in enumerate(_lines(path), start=1):
        if not text.strip():
            continue
        where = f"{path}:{number}"
        line = _parse(text, where)
        if by_turn.setdefault(line.turn_id, {}).setdefault(line.entry_id, line) is not line:
            raise ConfigError(f"{where}: entry {line.entry_id!r} stands twice for turn {line.turn_id!r}")
    return {turn_id: _best_first(lines.values()) for turn_id, lines in by_turn.items()}


def run_lines(turn_id: str, ranking: Ranking, tag: str) -> Iterator[str]:
    """A ranking as lines of a run file, best first, without the entries that the side does not rank.

    Raises ConfigError for an id that no run file can hold.
    """
    scored = zip(ranking.entry_ids, ranking.scores, strict=True)
    ranked = [(entry_id, score) for entry_id, score in scored if score is not None]
    scores = falling([score for _, score in ranked])
    for rank, ((entry_id, _), score) in enumerate(zip(ranked, scores, strict=True), start=1):
        yield f"{field('turn', turn_id)} Q0 {field('entry', entry_id)} {rank} {score!r} {tag}\n"


def qrels_line(label: Label) -> str:
    """A label as a line of qrels. Raises ConfigError for an id that no qrels file can hold."""
    return f"{field('turn', label.turn_id)} 0 {field('entry', label.entry_id)} {label.grade}\n"


def field(noun: str, identifier: str) -> str:
    """The id, if it can be one field of a TREC file. Raises ConfigError: fields end at blanks, and nothing escapes."""
    if not fits(identifier):
        raise ConfigError(
            f"{noun} id {identifier!r} holds white space, which separates the fields of a TREC file; "
            "export with --format bundle or csv"
        )
    return identifier


def fits(identifier: str) -> bool:
    """Whether the id can be one field of a TREC file, whatever tool reads it."""
    return identifier.split() == [identifier] and not identifier.startswith("\ufeff")


def falling(scores: Sequence[float]) -> list[float]:
    """Scores, best first, so that they fall strictly even in single precision: trec_eval reads them so.

    Without this, ties would stand in the order of each tool's own taste. Tied
    scores are raised, from the last up, by the smallest steps that keep the
    order; all others stay as they are. Scores beyond 1e30 become n, n - 1, …, 1.
    """
    if any(abs(score) > LARGEST for score in scores):
        return [float(left) for left in range(len(scores), 0, -1)]
    written: list[float] = []
    below = -math.inf
    for score in reversed(scores):
        raised = score if _single(score) > below else below + 2 * max(math.ulp(below) * 2**29, SMALLEST)
        below = _single(raised)
        written.append(raised)
    return written[::-1]


def _single(score: float) -> float:
    """The score in single precision (whose steps are 2**29 of a double's), zero where it is nearly that."""
    rounded: float = struct.unpack("f", struct.pack("f", score))[0]
    return rounded if abs(rounded) > SMALLEST else 0.0


def _best_first(lines: Iterable[RunLine]) -> list[RunLine]:
    return sorted(lines, key=lambda line: (-line.score, line.rank))


def _lines(path: Path) -> Iterator[str]:
    try:
        with _opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="\n") as lines:
            yield from lines
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error


def _opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _parse(text: str, where: str) -> RunLine:
    fields = BLANK.split(text.strip(" \t\r\n"))
    if len(fields) != FIELDS:
        raise ConfigError(f"{where}: expected 'turn_id Q0 entry_id rank score tag', found {len(fields)} fields")
    turn_id, _, entry_id, rank, score, _ = fields
    return RunLine(turn_id, entry_id, _rank(rank, where), _score(score, where))


def _rank(written: str, where: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", written):
        raise ConfigError(f"{where}: the rank must be a whole number, not {written!r}")
    return int(written)


def _score(written: str, where: str) -> float:
    try:
        score = float(written)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ConfigError(f"{where}: the score must be a finite number, not {written!r}")
    return score
