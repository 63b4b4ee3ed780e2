"""Which way of scoring is recommended, and how likeness is counted."""

from __future__ import annotations

import math

import pytest

from shadowdiff.optimize.likeness import likeness, spearman, spread
from shadowdiff.optimize.recommend import LEAST_GAIN, LEAST_OVERLAP, RULE, recommend
from shadowdiff.optimize.report import Measured
from shadowdiff.optimize.timing import first_within, paired
from shadowdiff.records import Entry, Pool, PoolEntry, PoolOrigin
from shadowdiff.runs import RunConfig
from tests.optimize_cases import measured, way

REFERENCE = way("model.onnx", measured(), spec="onnx:models/v3")


def test_the_fastest_that_ranks_alike_is_recommended() -> None:
    """Not the fastest of all, which ranks otherwise; the spec is ready to be written after -B."""
    ways = [
        REFERENCE,
        way("a", measured(1.3)),
        way("b", measured(1.5)),
        way("c", measured(4.0, overlap=0.9, changed=9)),
    ]
    found = recommend(ways)
    assert (found.spec, found.changes) == ("onnx:models/v3,variant=b", True)
    assert "1.50× as fast" in found.reason
    assert "few" not in found.reason


@pytest.mark.parametrize(
    "found",
    [
        measured(3.0, overlap=LEAST_OVERLAP - 0.001),
        measured(3.0, changed=3),
        measured(3.0, shift=0.11),
        None,
    ],
)
def test_what_ranks_otherwise_is_never_recommended(found: Measured | None) -> None:
    """Too little overlap, too many changed turns, scores that hang on batch mates, or nothing measured."""
    recommended = recommend([REFERENCE, way("other", found)])
    assert (recommended.spec, recommended.changes) == ("onnx:models/v3", False)
    assert recommended.reason.startswith("Nothing is worth changing to")


def test_at_the_limits_a_way_is_still_alike() -> None:
    """2 of 40 turns are 5%, 0.1 of a spread of 10 is 1%, and 1.10 is 10% faster."""
    at_limits = measured(LEAST_GAIN, overlap=LEAST_OVERLAP, changed=2, shift=0.1)
    assert recommend([REFERENCE, way("other", at_limits)]).changes


def test_a_small_gain_is_not_worth_it() -> None:
    """And the reason says how small it was."""
    found = recommend([REFERENCE, way("other", measured(1.09))])
    assert (found.spec, found.changes) == ("onnx:models/v3", False)
    assert "1.09×" in found.reason


def test_a_gain_that_one_round_contradicts_is_not_taken() -> None:
    """Faster in the median and slower in one round is what a busy machine does to anything."""
    found = recommend([way("ort fp32", measured()), way("fused", measured(1.5, least=0.9))])
    assert not found.changes
    assert "slower in one of the rounds" in found.reason
    assert recommend([way("ort fp32", measured()), way("fused", measured(1.5, least=1.0))]).changes


def test_few_turns_are_called_few() -> None:
    """A recommendation on a handful of turns says so."""
    assert "6 turns are few" in recommend([REFERENCE, way("other", measured(2.0, turns=6))]).reason


def test_the_rule_is_stated_with_its_figures() -> None:
    """What is printed is what is applied."""
    assert all(figure in RULE for figure in ("0.98", "5%", "1%", "10%"))


def pool(size: int) -> Pool:
    """Entries e1, e2 and so on."""
    entries = (PoolEntry(Entry("org", f"e{rank}", "", "text"), rank) for rank in range(1, size + 1))
    return Pool(tuple(entries), PoolOrigin.RECORDED)


def test_likeness_counts_what_a_person_would_see() -> None:
    """Two turns: one the same, one on which the second entry, and the first, are others."""
    found = likeness(
        [pool(3), pool(3)], [(3.0, 2.0, 1.0), (3.0, 2.0, 1.0)], [(3.5, 2.0, 1.0), (1.0, 2.0, 3.0)], RunConfig(top_k=2)
    )
    assert (found.turns, found.turns_changed, found.top1_changed) == (2, 1, 1)
    assert found.overlap == pytest.approx(0.75)
    assert found.spearman == pytest.approx(0.0)
    assert found.max_difference == pytest.approx(2.0)
    assert found.share_changed == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((1.0, 2.0, 3.0), (10.0, 20.0, 30.0), 1.0),
        ((1.0, 2.0, 3.0), (3.0, 2.0, 1.0), -1.0),
        ((1.0, 1.0, 2.0), (1.0, 2.0, 3.0), math.sqrt(3) / 2),
        ((1.0, 1.0), (2.0, 2.0), 1.0),
        ((1.0, 1.0), (1.0, 2.0), 0.0),
    ],
)
def test_spearman(a: tuple[float, ...], b: tuple[float, ...], expected: float) -> None:
    """Ties share their mean rank; constant rows have a value too."""
    assert spearman(a, b) == pytest.approx(expected)


def test_spread_is_a_mean_over_turns() -> None:
    """Best less worst."""
    assert spread([(1.0, 5.0), (0.0, 2.0, 1.0)]) == pytest.approx(3.0)


def test_at_least_one_turn_is_timed() -> None:
    """Then as many as fit."""
    assert first_within([9.0, 0.1], budget=3.0) == 1
    assert first_within([1.0, 1.0, 0.5, 1.0], budget=3.0) == 3
    assert first_within([0.1], budget=3.0) == 1


def test_passes_alternate() -> None:
    """Reference, other, reference, other: what the machine does meanwhile falls on both."""
    calls: list[str] = []
    rate, speed = paired(lambda: calls.append("a"), lambda: calls.append("b"), 10)
    assert calls == ["a", "b"] * 3
    assert rate > 0
    assert speed.pairs_per_second > 0
