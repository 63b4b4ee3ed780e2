"""Measures of rankings against labels, computed by `ir_measures` on our own order.

nDCG's gain is the grade (Järvelin and Kekäläinen 2002, with log2 discounts as
trec_eval has them); everything else is binary, relevant from a grade on.
Entries without a label count as not relevant, as do grades below 0 in trec_eval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shadowdiff.errors import ConfigError
from shadowdiff.evaluation.results import Kind, Measure
from shadowdiff.evaluation.turns import Grades

Values = dict[Measure, list[float]]
"""One number per turn, in the order of the turns."""
GRADED = frozenset((Kind.NDCG, Kind.JUDGED))


def chosen_measures(depths: Sequence[int]) -> tuple[Measure, ...]:
    """What is measured: all that has a depth at each of them, MAP, and how much of it is judged."""
    ranked = (Kind.NDCG, Kind.MRR, Kind.PRECISION, Kind.RECALL)
    found = [Measure(kind, depth) for kind in ranked for depth in depths]
    return (*found, Measure(Kind.MAP), *(Measure(Kind.JUDGED, depth) for depth in depths))


def measured(
    rankings: Sequence[Sequence[str]], grades: Sequence[Grades], measures: Sequence[Measure], min_grade: int
) -> Values:
    """Every measure of every turn, from entry ids (best first) and grades by entry id. A turn without entries has 0.

    Raises ConfigError where the extra `evaluate` is not installed.
    """
    names = [_numbered(ranking, given) for ranking, given in zip(rankings, grades, strict=True)]
    run = {str(at): _descending(ranking, names[at]) for at, ranking in enumerate(rankings) if ranking}
    found: Values = {measure: [0.0] * len(rankings) for measure in measures}
    for is_graded in (True, False):
        asked = [measure for measure in measures if (measure.kind in GRADED) is is_graded]
        least = None if is_graded else min_grade
        qrels = {str(at): _gains(given, names[at], least) for at, given in enumerate(grades)}
        for at, measure, value in _calculated(run, qrels, asked):
            found[measure][at] = value
    return found


def _numbered(ranking: Sequence[str], grades: Grades) -> dict[str, str]:
    """Ids that hold nothing but digits: those of a database may hold what the library's C code cannot take."""
    return {entry_id: str(at) for at, entry_id in enumerate(dict.fromkeys([*ranking, *grades]))}


def _descending(ranking: Sequence[str], names: Mapping[str, str]) -> dict[str, float]:
    """Strictly falling scores, whole numbers that single precision tells apart: no tie is left to the library."""
    return {names[entry_id]: float(len(ranking) - at) for at, entry_id in enumerate(ranking)}


def _gains(grades: Grades, names: Mapping[str, str], least: int | None) -> dict[str, int]:
    gains = {entry_id: grade if least is None else int(grade >= least) for entry_id, grade in grades.items()}
    return {names[entry_id]: gain for entry_id, gain in gains.items()}


def _calculated(
    run: Mapping[str, Mapping[str, float]], qrels: Mapping[str, Mapping[str, int]], measures: Sequence[Measure]
) -> list[tuple[int, Measure, float]]:
    """Turn, measure and value; nothing where there is no turn with entries."""
    if not run or not measures:
        return []
    library = measuring_library()
    by_name = {_named(library, measure): measure for measure in measures}
    metrics = library.iter_calc(list(by_name), qrels, run)
    return [(int(metric.query_id), by_name[metric.measure], float(metric.value)) for metric in metrics]


def _named(library: Any, measure: Measure) -> Any:
    """The library's own measure."""
    names = {Kind.NDCG: "nDCG", Kind.MRR: "RR", Kind.PRECISION: "P", Kind.RECALL: "R", Kind.MAP: "AP"}
    found = getattr(library, names.get(measure.kind, "Judged"))
    return found if measure.depth is None else found @ measure.depth


def measuring_library() -> Any:
    """`ir_measures`. Raises ConfigError where the extra `evaluate` is not installed."""
    try:
        import ir_measures
    except ImportError as error:
        raise ConfigError(
            "measuring by labels needs the extra 'evaluate'; run: pip install 'shadowdiff[evaluate]'"
        ) from error
    return ir_measures
