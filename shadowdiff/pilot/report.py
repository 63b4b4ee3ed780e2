"""From a stored run's summary and its evaluation to what a pilot comes to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from shadowdiff.evaluation.results import Difference, Evaluation, Kind, Measure, MeasureResult
from shadowdiff.paired import ALPHA, holm
from shadowdiff.pilot.recommend import recommend
from shadowdiff.pilot.results import LEAST_SESSIONS, LEAST_TURNS, Bill, Cost, Pilot, PilotSide, Quality
from shadowdiff.records import Usage
from shadowdiff.runs import Estimate, Run, Side, SideSummary
from shadowdiff.stats import bootstrap_ratio, bootstrap_share

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pilot_of(
    run: Run,
    evaluation: Evaluation | None,
    *,
    ndcg_at: int,
    recall_at: int,
    margin: float,
    labelled_turns: int,
    why_not: str | None = None,
) -> Pilot:
    """What is known of every side of a run with a summary, and which one to take if enough turns have labels.

    The evaluation, if there is one, measured both depths; `why_not` says why there is none.
    """
    measure, recall = Measure(Kind.NDCG, ndcg_at), Measure(Kind.RECALL, recall_at)
    sides = tuple(_side(run, side) for side in run.sides)
    pilot = Pilot(measure, recall, margin, sides, labelled_turns, evaluation, why_not)
    if evaluation is None or not is_enough(evaluation):
        return pilot
    found = _qualities(evaluation, measure, recall)
    sides = tuple(replace(side, quality=found.get(side.label)) for side in sides)
    return replace(pilot, sides=sides, recommendation=recommend(sides, margin))


def is_enough(evaluation: Evaluation) -> bool:
    """Whether so many labelled turns and sessions can say which side is better."""
    return evaluation.turns >= LEAST_TURNS and evaluation.sessions >= LEAST_SESSIONS


def cost_of(did: SideSummary, *, asks: bool, has_price: bool, turns_per_month: float | None) -> Cost:
    """What a side costs had nothing come from the cache: a side that asks is never free because nobody was asked."""
    if not asks:
        return Cost(Bill.OWN)
    each = did.usd_per_turn if has_price else None
    if each is None:
        return Cost(Bill.UNKNOWN, has_price=has_price)
    return Cost(Bill.PROVIDER, each, did.usd_per_month(turns_per_month), has_price=True)


def _side(run: Run, side: Side) -> PilotSide:
    if run.summary is None:
        raise ValueError(f"run {run.run_id} has no summary")
    summary, label = run.summary, side.label
    did = summary.sides[label]
    asks = label in run.config.asking_sides or bool(did.attempts) or did.usage != Usage()
    has_price = label in run.config.prices
    pair = summary.pairs.get(label)
    return PilotSide(
        label=label,
        name=side.name,
        cost=cost_of(did, asks=asks, has_price=has_price, turns_per_month=summary.turns_per_month),
        p50_seconds=did.latency_p50_seconds,
        p95_seconds=did.latency_p95_seconds,
        overlap=None if pair is None else pair.overlap,
    )


def _qualities(evaluation: Evaluation, measure: Measure, recall: Measure) -> dict[str, Quality]:
    """By label of every side that was measured."""
    results = {found.measure: found for found in evaluation.measures}
    decisive, judged = results[measure], results[Measure(Kind.JUDGED, measure.depth)]
    ps = _corrected(decisive.differences)
    found = {
        label: Quality(
            mean=mean,
            recall=results[recall].means[label],
            judged=judged.means[label].value,
            difference=decisive.differences.get(label),
            p=ps.get(label),
            is_better=_is_better(decisive.differences.get(label), ps.get(label)),
        )
        for label, mean in decisive.means.items()
    }
    better = [label for label, quality in found.items() if quality.is_better]
    return found if not better else _held_against_best(found, decisive, better, evaluation)


def _corrected(differences: Mapping[str, Difference]) -> dict[str, float]:
    tests = {label: item.test.p for label, item in differences.items() if item.test is not None}
    return dict(zip(tests, holm(list(tests.values())), strict=True))


def _is_better(difference: Difference | None, p: float | None) -> bool:
    """Both must say so: the interval of few sessions is too narrow, the test knows no margin."""
    if difference is None or difference.mean.low is None or p is None:
        return False
    return difference.mean.low > 0 and p <= ALPHA


def _held_against_best(
    found: Mapping[str, Quality], decisive: MeasureResult, better: list[str], evaluation: Evaluation
) -> dict[str, Quality]:
    """With how far each side is behind the best of those that are better, and how much of the gap it closes."""
    best = max(better, key=lambda label: found[label].mean.value or 0.0)
    turns = np.array(evaluation.session_turns, np.float64)
    totals = {label: np.array(item.totals) for label, item in decisive.differences.items()}
    totals[evaluation.baseline] = np.zeros(len(turns))
    gap = totals[best]
    return {
        label: replace(
            quality,
            behind_best=Estimate(*bootstrap_ratio(totals[label] - gap, turns)),
            closed=_closed(totals[label], gap),
        )
        for label, quality in found.items()
    }


def _closed(totals: NDArray[np.float64], gap: NDArray[np.float64]) -> Estimate | None:
    """The share of the gap that a side closes: its change over the baseline to the best side's."""
    share = bootstrap_share(totals, gap)
    return None if share.value is None else Estimate(*share)
