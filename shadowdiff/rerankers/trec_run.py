"""`run:FILE`: rankings made elsewhere, from a TREC run file (`turn_id Q0 entry_id rank score tag`)."""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from shadowdiff.errors import ConfigError, RerankerError, SpecError
from shadowdiff.protocols import Need, PooledTurn
from shadowdiff.records import Turn
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "rankings from a TREC run file (turn_id Q0 entry_id rank score tag), plain or .gz"
FIELDS = 6

Rankings = dict[str, dict[str, float]]


class TrecRun:
    """Ranks what the file lists for a turn by its scores; everything else stays unranked."""

    needs: frozenset[Need] = frozenset()

    def __init__(self, spec: Spec, path: Path) -> None:
        self.spec = spec
        self.fingerprint = fingerprint("run/1", files=[path])
        self._path = path

    def prepare(self) -> None:
        """Read the file. Raises ConfigError with file, line and reason."""
        self._rankings  # noqa: B018 a cached property

    def listed(self, turn: Turn) -> tuple[str, ...]:
        """Entry ids in the file's order: score descending, then place in the file."""
        return tuple(self._rankings.get(turn.turn_id, {}))

    def score_pool(self, turn: PooledTurn) -> Sequence[float]:
        """The file's scores; -inf for entries that it does not list."""
        scores = self._rankings.get(turn.turn.turn_id)
        if scores is None:
            raise RerankerError(f"{self._path.name} has no ranking for this turn")
        return [scores.get(entry_id, -math.inf) for entry_id in turn.pool.entry_ids]

    @cached_property
    def _rankings(self) -> Rankings:
        rankings: Rankings = {}
        for number, line in enumerate(_lines(self._path), start=1):
            if line.strip():
                _add(rankings, line, f"{self._path}:{number}")
        return {
            turn_id: dict(sorted(scores.items(), key=lambda item: -item[1])) for turn_id, scores in rankings.items()
        }


def build(spec: Spec, context: BuildContext) -> TrecRun:
    """`run:FILE`; the file must exist."""
    Options(spec).finish()
    if not spec.target:
        raise SpecError("run needs a file: run:FILE")
    path = Path(spec.target).expanduser()
    if not path.is_file():
        raise ConfigError(f"no run file at {path}")
    return TrecRun(spec, path)


def _lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as raw:
            yield from io.TextIOWrapper(raw, encoding="utf-8", newline="\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error


def _add(rankings: Rankings, line: str, where: str) -> None:
    fields = line.split()
    if len(fields) != FIELDS:
        raise ConfigError(f"{where}: expected 'turn_id Q0 entry_id rank score tag', found {len(fields)} fields")
    turn_id, _, entry_id, _, written, _ = fields
    scores = rankings.setdefault(turn_id, {})
    if entry_id in scores:
        raise ConfigError(f"{where}: entry {entry_id!r} stands twice for turn {turn_id!r}")
    scores[entry_id] = _score(written, where)


def _score(written: str, where: str) -> float:
    try:
        score = float(written)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ConfigError(f"{where}: the score must be a finite number, not {written!r}")
    return score
