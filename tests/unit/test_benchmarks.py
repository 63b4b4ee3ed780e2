"""What the benchmarks compute beside the clock: conversions, closeness, and the comparison with the last results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import results
from benchmarks.closeness import closeness
from benchmarks.convert import float32_onnx
from benchmarks.material import load_material
from benchmarks.peak import operations
from benchmarks.processor import Busy, share_of_others
from benchmarks.race import paired, spread
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.scoring import score_requests
from shadowdiff.rerankers.spec import parse


def test_the_multiplied_out_model_scores_as_the_shipped_one(tmp_path: Path) -> None:
    """Every real pair of a turn gets the same logit within 1e-4, so peers are timed on the same numbers."""
    material = load_material(1)
    plain = float32_onnx(material.model, tmp_path / "plain")
    shipped, converted = (build(parse(f"onnx:{model}")) for model in (material.model, plain))
    expected = score_requests(shipped, material.requests)[0].scores  # type: ignore[arg-type]
    found = score_requests(converted, material.requests)[0].scores  # type: ignore[arg-type]
    assert np.abs(np.subtract(expected, found)).max() < 1e-4
    assert b"DequantizeLinear" not in (plain / "model.onnx").read_bytes()


def test_material_is_the_same_every_time() -> None:
    """A seed draws the same turns with the same 50 documents, none of them longer than asked for."""
    first, second = load_material(2, characters=100), load_material(2, characters=100)
    assert first == second
    assert first.pairs == 100
    assert max(len(text) for request in first.requests for text in request.documents) == 100


def test_closeness_of_equal_and_of_reversed_scores() -> None:
    """Equal scores are as near as can be; of 20 reversed ones, no entry of the top 10 is left."""
    scores = [[float(score) for score in range(20)]]
    assert closeness(scores, scores).overlap == 1
    backwards = closeness(scores, [scores[0][::-1]])
    assert (backwards.overlap, backwards.changed) == (0, 1)
    assert backwards.spearman == pytest.approx(-1)


def test_ties_share_their_rank() -> None:
    """Spearman's rho by hand: ranks 1, 2, 3, 4 against 1.5, 1.5, 3, 4."""
    expected = np.corrcoef([1, 2, 3, 4], [1.5, 1.5, 3, 4])[0, 1]
    assert closeness([[1, 2, 3, 4]], [[7, 7, 8, 9]]).spearman == pytest.approx(expected)


def test_ratios_are_paired_by_round() -> None:
    """A slow round slows both, and leaves the ratio what it was."""
    assert paired([2, 20, 2], [1, 10, 1]).median == 2
    assert spread([4]).high == 4


def test_operations_of_a_pair_by_hand() -> None:
    """One token: 6 layers of 4·384² + 2·384·1536 products, twice, and attention's 4·6·384."""
    assert operations([1]) == 2 * 6 * (4 * 384**2 + 2 * 384 * 1536) + 4 * 6 * 384


def test_the_share_of_others_leaves_out_our_own_time() -> None:
    """Of what the machine did, our part is taken off; it never falls below nothing."""
    assert share_of_others(Busy(0, 0), Busy(2, 0), own=2, wall=1) == 0
    assert share_of_others(Busy(0, 0), Busy(2, 0), own=1, wall=1) > 0


def test_later_results_are_compared_with_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second run of one setting prints both ratios; another setting is not compared."""
    monkeypatch.setattr(results, "FOLDER", tmp_path / "bench-results")
    results.publish("scoring", {"turns": 1}, {}, {"ort": 1.0})
    assert capsys.readouterr().out == ""
    results.publish("scoring", {"turns": 1}, {}, {"ort": 1.5})
    assert "ort 1.00 → 1.50" in capsys.readouterr().out
    results.publish("scoring", {"turns": 2}, {}, {"ort": 9.0})
    assert "not compared" in capsys.readouterr().out
    assert json.loads((tmp_path / "bench-results" / "scoring.json").read_text())["ratios"] == {"ort": 9.0}
