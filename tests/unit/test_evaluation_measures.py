"""Measures against `ir_measures` on TREC files, and against numbers worked out by hand."""

from __future__ import annotations

import math
import random
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import ir_measures
import pytest
from ir_measures import AP, RR, Judged, P, R, nDCG

from shadowdiff.errors import ConfigError
from shadowdiff.evaluation.measures import chosen_measures, measured
from shadowdiff.evaluation.results import Kind, Measure
from shadowdiff.ranking import rank_pool
from shadowdiff.records import Entry, Pool, PoolEntry, PoolOrigin
from shadowdiff.trec import read_run, run_lines

TREC: Any = ir_measures
"""Its readers have no types."""
THEIRS = {Kind.NDCG: nDCG, Kind.MRR: RR, Kind.PRECISION: P, Kind.RECALL: R, Kind.MAP: AP, Kind.JUDGED: Judged}


def one(ranking: list[str], grades: dict[str, int], min_grade: int = 1, depth: int = 3) -> dict[str, float]:
    """Every measure of one turn, by name."""
    found = measured([ranking], [grades], chosen_measures([depth]), min_grade)
    return {measure.name: values[0] for measure, values in found.items()}


def test_by_hand() -> None:
    """Relevant at ranks 2 and 4 of 3 relevant ones, one of which is not listed; grades 1, 3 and 2."""
    found = one(["x", "a", "y", "b"], {"a": 1, "b": 3, "c": 2, "x": 0})
    ideal = 3 + 2 / math.log2(3) + 1 / 2
    assert found == pytest.approx(
        {
            "nDCG@3": 1 / math.log2(3) / ideal,
            "MRR@3": 1 / 2,
            "P@3": 1 / 3,
            "Recall@3": 1 / 3,
            "MAP": (1 / 2 + 2 / 4) / 3,
            "judged@3": 2 / 3,
        }
    )


def test_the_least_grade_decides_what_is_relevant_and_leaves_gains_alone() -> None:
    """From grade 2 on, the first relevant entry is the last one."""
    grades = {"a": 1, "b": 3, "c": 2, "x": 0}
    found, lower = one(["x", "a", "b"], grades, min_grade=2), one(["x", "a", "b"], grades)
    assert found["nDCG@3"] == lower["nDCG@3"]
    assert (found["MRR@3"], found["P@3"], found["Recall@3"], found["MAP"]) == pytest.approx(
        (1 / 3, 1 / 3, 1 / 2, 1 / 6)
    )


def test_a_grade_below_zero_is_no_penalty_but_a_judgement() -> None:
    """Spam is marked with -2 in some qrels."""
    found = one(["spam", "a"], {"spam": -2, "a": 1}, depth=2)
    assert found == pytest.approx(one(["spam", "a"], {"spam": 0, "a": 1}, depth=2))
    assert found["judged@2"] == 1.0


def test_a_turn_without_entries_has_nothing() -> None:
    """Beside one with some, and alone; and no turn at all is no error."""
    measures = chosen_measures([2])
    found = measured([[], ["a"]], [{"a": 1}, {"a": 1}], measures, 1)
    assert all(values[0] == 0.0 for values in found.values())
    assert found[Measure(Kind.MRR, 2)] == [0.0, 1.0]
    assert all(values == [0.0] for values in measured([[]], [{"a": 1}], measures, 1).values())
    assert measured([], [], measures, 1)[Measure(Kind.MAP)] == []


def test_ids_may_hold_anything() -> None:
    """NUL, blanks and lone surrogates, which no TREC file and no C string can hold."""
    strange = ["a\0b", "a\0c", "", " x ", "\ud800", "日本"]
    found = one(strange, {"a\0c": 1, "\ud800": 2}, depth=6)
    assert found == pytest.approx(one(list("uvwxyz"), {"v": 1, "y": 2}, depth=6) | {"nDCG@6": found["nDCG@6"]})
    assert found["nDCG@6"] == pytest.approx((1 / math.log2(3) + 2 / math.log2(6)) / (2 + 1 / math.log2(3)))


def made(directory: Path, *, tied: bool) -> tuple[Path, Path, dict[str, dict[str, int]]]:
    """A run of 60 turns with 30 entries each, through our own order where scores are tied, and qrels for most turns.

    Some turns have no labels, some no line in the run; many entries are not judged, some judged ones not listed.
    """
    dice = random.Random(11)  # noqa: S311
    run, qrels, grades = directory / "a.run", directory / "qrels.txt", defaultdict[str, dict[str, int]](dict)
    with run.open("w") as out:
        for at in range(60):
            names = [f"e{number}" for number in dice.sample(range(60), 30)]
            pool = Pool(
                tuple(PoolEntry(Entry("o", name, "", ""), rank) for rank, name in enumerate(names, start=1)),
                PoolOrigin.RECORDED,
            )
            scores = [float(dice.randrange(4)) if tied else dice.random() for _ in names]
            out.writelines([] if at % 13 == 5 else run_lines(f"t{at}", rank_pool(pool, scores), "a"))
            if at % 7 != 3:
                grades[f"t{at}"] = {f"e{number}": dice.randrange(4) for number in dice.sample(range(70), 12)}
    lines = (f"{turn} 0 {entry} {grade}\n" for turn, given in grades.items() for entry, grade in given.items())
    qrels.write_text("".join(lines))
    return run, qrels, dict(grades)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("depth", [1, 5, 10, 50])
def test_equal_to_ir_measures_on_trec_files(tmp_path: Path, depth: int, *, tied: bool) -> None:
    """Turn by turn and to 1e-9: with ties, unjudged entries, turns without lines, and depths beyond the lists."""
    run, qrels, grades = made(tmp_path, tied=tied)
    read = read_run(run)
    rankings = [[line.entry_id for line in read.get(turn, ())] for turn in grades]
    measures = chosen_measures([depth])
    ours = measured(rankings, list(grades.values()), measures, 1)
    theirs = {THEIRS[m.kind] if m.depth is None else THEIRS[m.kind] @ m.depth: m for m in measures}
    places = {turn: at for at, turn in enumerate(grades)}
    found = ir_measures.iter_calc(
        list(theirs), list(TREC.read_trec_qrels(str(qrels))), list(TREC.read_trec_run(str(run)))
    )
    expected = {(theirs[item.measure], places[item.query_id]): item.value for item in found}
    assert len(expected) == len(measures) * len(grades)
    for (measure, place), value in expected.items():
        assert ours[measure][place] == pytest.approx(value, abs=1e-9), (measure, place)


def test_ties_stand_in_our_order_and_not_in_the_librarys(tmp_path: Path) -> None:
    """A constant scorer is worth what retrieval was: the relevant entry stands first, whatever it is called."""
    names = ["a", "m", "z"]
    pool = Pool(
        tuple(PoolEntry(Entry("o", name, "", ""), rank) for rank, name in enumerate(names, start=1)),
        PoolOrigin.RECORDED,
    )
    ranking = rank_pool(pool, [1.0, 1.0, 1.0])
    assert one(list(ranking.entry_ids), {"a": 1})["MRR@3"] == 1.0
    (tmp_path / "tied.run").write_text("".join(f"t Q0 {name} {at} 1.0 x\n" for at, name in enumerate(names, start=1)))
    theirs = ir_measures.calc_aggregate([RR], {"t": {"a": 1}}, list(TREC.read_trec_run(str(tmp_path / "tied.run"))))
    assert theirs[RR] != 1.0


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    with pytest.raises(ConfigError, match=r"pip install 'shadowdiff\[evaluate\]'"):
        one(["a"], {"a": 1})
