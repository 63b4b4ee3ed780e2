"""`cascade:gate=PART,margin=M,then=PART[,at=1]`: rerank only where the gate's top scores are close.

The gate ranks every turn. Its confidence is the gap between its scores at rank
`at` and the rank below, as a share of the spread between its best and its worst
score of that pool: scores of different rerankers have no common unit, and a
cosine's 0.05 is not a logit's. Where the confidence is below `margin`, `then`
ranks the turn, alone; else the gate's ranking stands. No turn's ranking ever
mixes scores of both.

With `at=1` the question is whether the best entry is clear, with `at` as large
as the top K whether it is clear which entries are shown. A margin of 0 is the
gate itself, and one above 1 is `then`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from shadowdiff.errors import SpecError
from shadowdiff.protocols import Need, Network, PooledTurn, PoolReranker, Prepares
from shadowdiff.records import Ranking
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.network import joined, network_of
from shadowdiff.rerankers.parts import Part, build_part, rank_by_part
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.scoring import score_turn
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "reranks only where a cheaper one is not sure: cascade:gate=cosine,margin=0.05,then=onnx:DIRECTORY"
EXAMPLE = "cascade:gate=cosine,margin=0.05,then=onnx:DIRECTORY"


class Cascade:
    """Ranks by its gate, or by what comes then, where the gate's scores are too close to trust their order."""

    def __init__(self, spec: Spec, gate: Part, then: Part, margin: float, at: int) -> None:
        self.spec = spec
        self.parts = (gate, then)
        self.needs: frozenset[Need] = frozenset().union(
            *(reranker.needs for _, reranker in self.parts if isinstance(reranker, PoolReranker))
        )
        self.network: Network | None = joined(network_of(reranker) for _, reranker in self.parts)
        self.fingerprint = fingerprint(
            "cascade/1", repr(margin), str(at), *(reranker.fingerprint for _, reranker in self.parts)
        )
        self._margin = margin
        self._at = at

    def prepare(self) -> None:
        """Load what the parts need. Raises ConfigError."""
        for _, reranker in self.parts:
            if isinstance(reranker, Prepares):
                reranker.prepare()

    def needs_then(self, ranking: Ranking) -> bool:
        """Whether the gate's ranking is too close to stand."""
        return confidence(ranking, self._at) < self._margin

    def score_pool(self, turn: PooledTurn) -> Sequence[float]:
        """Scores of the gate, or of what comes then. Raises RerankerError naming the part that failed."""
        ranking = self._ranked(0, turn)
        if self.needs_then(ranking):
            ranking = self._ranked(1, turn)
        found = dict(zip(ranking.entry_ids, ranking.scores, strict=True))
        scores = (found[entry_id] for entry_id in turn.pool.entry_ids)
        return [float("-inf") if score is None else score for score in scores]

    def _ranked(self, place: int, turn: PooledTurn) -> Ranking:
        name, reranker = self.parts[place]
        return rank_by_part(name, turn, lambda: score_turn(reranker, turn).scores)


def confidence(ranking: Ranking, at: int = 1) -> float:
    """How far the scores at rank `at` and the next lie apart, as a share of best to worst: in [0, 1].

    1 where no entry is ranked below `at`, so that there is nothing to confuse;
    0 where all scores are equal.
    """
    scores = [score for score in ranking.scores if score is not None]
    if len(scores) <= at:
        return 1.0
    spread = scores[0] - scores[-1]
    return (scores[at - 1] - scores[at]) / spread if spread > 0 else 0.0


def build(spec: Spec, context: BuildContext) -> Cascade:
    """Parts are specs without options, or short names of shadowdiff.toml."""
    options = Options(_all_options(spec))
    gate, then = options.text("gate"), options.text("then")
    margin, at = options.decimal("margin"), options.integer("at", 1)
    try:
        options.finish()
    except SpecError as error:
        raise SpecError(f"{error}; a part with options of its own needs a short name in shadowdiff.toml") from error
    if not gate or not then or margin is None:
        raise SpecError(f"'{spec}': cascade needs gate, margin and then, as in {EXAMPLE}")
    built = partial(build_part, spec, context=context, no_nesting="a cascade cannot hold a cascade")
    return Cascade(spec, built(name=gate), built(name=then), margin, at)


def _all_options(spec: Spec) -> Spec:
    """The first option stands where other kinds have their target."""
    if not spec.target:
        return spec
    key, separator, value = spec.target.partition("=")
    if not separator:
        raise SpecError(f"'{spec}': cascade takes options only, as in {EXAMPLE}")
    return replace(spec, target="", options=(*spec.options, (key.strip(), value.strip())))
