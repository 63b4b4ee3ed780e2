"""TREC files: what is written is read back in the same order, by us and by tools that read single precision."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.errors import ConfigError
from shadowdiff.protocols import PooledTurn
from shadowdiff.ranking import rank_pool
from shadowdiff.records import Entry, Label, Pool, PoolEntry, PoolOrigin
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import Spec
from shadowdiff.rerankers.trec_run import TrecRun
from shadowdiff.sources.qrels import read_qrels
from shadowdiff.trec import falling, fits, qrels_line, run_lines
from tests.bundles import turn

IDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8).filter(fits)
ANY = st.floats(allow_nan=False, allow_infinity=False)
CLOSE = st.sampled_from([0.0, -0.0, 1.0, 1.0 + 1e-12, math.nextafter(1, 2), 0.9300000001, 0.93, -8.0, 1e-40, -5e-324])
SCORES = ANY | CLOSE | st.floats(-1, 1, width=16)


def pool_of(entry_ids: list[str]) -> Pool:
    """A recorded pool of these entries."""
    entries = (PoolEntry(Entry("acme", name, "", "x"), rank) for rank, name in enumerate(entry_ids, start=1))
    return Pool(tuple(entries), PoolOrigin.RECORDED)


@given(st.lists(SCORES, max_size=12))
def test_written_scores_fall_even_in_single_precision(scores: list[float]) -> None:
    """However close or equal: trec_eval keeps scores in 32 bits and would order ties by id."""
    written = falling(sorted(scores, reverse=True))
    singles = np.array(written, dtype=np.float64).astype(np.float32)
    assert np.isfinite(singles).all()
    assert (np.diff(singles) < 0).all()
    assert [float(repr(score)) for score in written] == written


@given(st.lists(st.integers(-1000, 1000).map(lambda n: n / 7), unique=True, max_size=12))
def test_scores_that_are_apart_stay_as_they_are(scores: list[float]) -> None:
    """Only ties are moved."""
    ordered = sorted(scores, reverse=True)
    assert falling(ordered) == ordered


@given(st.lists(st.tuples(IDS, SCORES | st.just(-math.inf)), min_size=1, max_size=10, unique_by=lambda item: item[0]))
def test_a_run_is_read_back_in_the_same_order(scored: list[tuple[str, float]]) -> None:
    """Over the same pool: ids, ranks, and which entries are not ranked at all."""
    pool = pool_of([name for name, _ in scored])
    ranking = rank_pool(pool, [score for _, score in scored])
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.trec"
        path.write_text("".join(run_lines("t1", ranking, "tag")), encoding="utf-8", newline="\n")
        reranker = build(Spec("run", str(path)))
        assert isinstance(reranker, TrecRun)
        reranker.prepare()
    if not ranking.ranks():
        assert reranker.listed(turn("t1")) == ()
        return
    again = rank_pool(pool, reranker.score_pool(PooledTurn("acme", "s", turn("t1"), pool)))
    assert again.entry_ids == ranking.entry_ids
    assert again.ranks() == ranking.ranks()


@given(st.dictionaries(st.tuples(IDS, IDS), st.integers(0, 32767), min_size=1, max_size=8))
def test_qrels_are_read_back(grades: dict[tuple[str, str], int]) -> None:
    """Every turn, entry and grade."""
    labels = [Label("acme", turn_id, entry_id, grade, "bundle") for (turn_id, entry_id), grade in grades.items()]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "qrels.txt"
        path.write_text("".join(map(qrels_line, labels)), encoding="utf-8", newline="\n")
        found = {(item.turn_id, item.entry_id): item.grade for item in read_qrels(path)}
    assert found == grades


@pytest.mark.parametrize("name", ["two words", "a\tb", "a\nb", " a", "a\u00a0b", "\ufeffa", ""])
def test_ids_that_no_trec_file_can_hold_are_refused(name: str) -> None:
    """White space of any kind separates fields somewhere, and nothing escapes it."""
    assert not fits(name)
    with pytest.raises(ConfigError, match="export with --format bundle or csv"):
        qrels_line(Label("acme", "t1", name, 1, "bundle"))
    ranking = rank_pool(pool_of([name]), [1.0])
    with pytest.raises(ConfigError, match=r"entry id .* holds white space"):
        list(run_lines("t1", ranking, "tag"))
