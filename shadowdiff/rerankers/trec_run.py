"""`run:FILE`: rankings made elsewhere, from a TREC run file (`turn_id Q0 entry_id rank score tag`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from shadowdiff.errors import ConfigError, PlainRerankerError, SpecError
from shadowdiff.protocols import Need, Network, PooledTurn
from shadowdiff.records import Turn
from shadowdiff.rerankers.fingerprint import file_hash
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.spec import Options, Spec
from shadowdiff.trec import RunLine, read_run

DESCRIPTION = "rankings made elsewhere, a TREC run file: run:FILE"

Rankings = dict[str, dict[str, float]]


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
        return {turn_id: _falling(lines) for turn_id, lines in read_run(self._path).items()}


def build(spec: Spec, context: BuildContext) -> TrecRun:
    """`run:FILE`; the file must exist."""
    Options(spec).finish()
    if not spec.target:
        raise SpecError("run needs a file: run:FILE")
    path = Path(spec.target).expanduser()
    if not path.is_file():
        raise ConfigError(f"no run file at {path}")
    return TrecRun(spec, path)


def _falling(lines: Sequence[RunLine]) -> dict[str, float]:
    """Scores by entry id, best first, strictly falling.

    Tied scores are raised by the smallest steps that keep the file's ranks:
    a run file's order is its author's, and ties would fall to the pool's order.
    """
    scores: dict[str, float] = {}
    below = -math.inf
    for line in reversed(lines):
        below = line.score if line.score > below else math.nextafter(below, math.inf)
        scores[line.entry_id] = below
    return dict(reversed(scores.items()))
