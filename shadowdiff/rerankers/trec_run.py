"""`run:FILE`: rankings made elsewhere, from a TREC run file (`turn_id Q0 entry_id rank score tag`)."""

from __future__ import annotations

import gzip
import io
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from shadowdiff.errors import ConfigError, PlainRerankerError, SpecError
from shadowdiff.protocols import Need, Network, PooledTurn
from shadowdiff.records import Turn
from shadowdiff.rerankers.fingerprint import file_hash
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "rankings made elsewhere, a TREC run file: run:FILE"
FIELDS = 6
BLANK = re.compile(r"[ \t]+")
"""Only these separate fields: an entry id may hold any other character."""

Rankings = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a run file."""

    turn_id: str
    entry_id: str
    rank: int
    score: float


class TrecRun:
    """Ranks what the file lists for a turn by its scores; everything else stays unranked."""

    needs: frozenset[Need] = frozenset()
    network: Network | None = None

    def __init__(self, spec: Spec, path: Path) -> None:
        self.spec = spec
        self.fingerprint = file_hash(path)
        self._path = path

    def prepare(self) -> None:
        """Read the file. Raises ConfigError with file, line and reason."""
        self._rankings  # noqa: B018 a cached property

    def listed(self, turn: Turn) -> tuple[str, ...]:
        """Entry ids in the file's order: score descending, then rank, then place in the file. Raises ConfigError."""
        return tuple(self._rankings.get(turn.turn_id, {}))

    def score_pool(self, turn: PooledTurn) -> Sequence[float]:
        """The file's scores; -inf for entries that it does not list. Raises RerankerError, ConfigError."""
        scores = self._rankings.get(turn.turn.turn_id)
        if scores is None:
            raise PlainRerankerError(f"{self._path.name} has no line for turn {turn.turn.turn_id!r}")
        return [scores.get(entry_id, -math.inf) for entry_id in turn.pool.entry_ids]

    @cached_property
    def _rankings(self) -> Rankings:
        by_turn: dict[str, dict[str, _Line]] = {}
        for number, text in enumerate(_lines(self._path), start=1):
            if not text.strip():
                continue
            where = f"{self._path}:{number}"
            line = _parse(text, where)
            if by_turn.setdefault(line.turn_id, {}).setdefault(line.entry_id, line) is not line:
                raise ConfigError(f"{where}: entry {line.entry_id!r} stands twice for turn {line.turn_id!r}")
        return {turn_id: _ordered(list(lines.values())) for turn_id, lines in by_turn.items()}


def build(spec: Spec, context: BuildContext) -> TrecRun:
    """`run:FILE`; the file must exist."""
    Options(spec).finish()
    if not spec.target:
        raise SpecError("run needs a file: run:FILE")
    path = Path(spec.target).expanduser()
    if not path.is_file():
        raise ConfigError(f"no run file at {path}")
    return TrecRun(spec, path)


def _ordered(lines: list[_Line]) -> dict[str, float]:
    """Scores by entry id, best first, strictly falling.

    Tied scores are raised by the smallest steps that keep the file's ranks:
    a run file's order is its author's, and ties would fall to the pool's order.
    """
    lines.sort(key=lambda line: (-line.score, line.rank))
    scores: dict[str, float] = {}
    below = -math.inf
    for line in reversed(lines):
        below = line.score if line.score > below else math.nextafter(below, math.inf)
        scores[line.entry_id] = below
    return dict(reversed(scores.items()))


def _lines(path: Path) -> Iterator[str]:
    try:
        with _opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="\n") as lines:
            yield from lines
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error


def _opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _parse(text: str, where: str) -> _Line:
    fields = BLANK.split(text.strip(" \t\r\n"))
    if len(fields) != FIELDS:
        raise ConfigError(f"{where}: expected 'turn_id Q0 entry_id rank score tag', found {len(fields)} fields")
    turn_id, _, entry_id, rank, score, _ = fields
    return _Line(turn_id, entry_id, _rank(rank, where), _score(score, where))


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
