"""The score cache by reranker, and pruning it statement by statement, on a real Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from shadowdiff.store import cache
from shadowdiff.store.cache import HeldScores
from shadowdiff.store.runs import RunStore

NOW = datetime.now(UTC)


@pytest.fixture
def filled(empty_engine: Engine) -> HeldScores:
    """25 pairs of one reranker, every third of them old, and five of another."""
    statement = text("INSERT INTO shadowdiff.score_cache VALUES (:fingerprint, :pair, 0.5, false, :scored_at)")
    with empty_engine.begin() as connection:
        for name, pairs in ((b"\xaa", 25), (b"\xbb", 5)):
            for at in range(pairs):
                scored_at = NOW - timedelta(days=40 if at % 3 == 0 else 1)
                row = {"fingerprint": name * 32, "pair": bytes([at]) * 16, "scored_at": scored_at}
                connection.execute(statement, row)
    return HeldScores(RunStore(empty_engine))


def test_it_counts_by_reranker(filled: HeldScores) -> None:
    """Pairs, times and a share of the disk; before a time, only what was scored by then."""
    found = {item.fingerprint: item for item in filled.by_reranker()}
    assert {name: item.pairs for name, item in found.items()} == {"aa" * 32: 25, "bb" * 32: 5}
    assert found["aa" * 32].size_bytes == pytest.approx(5 * found["bb" * 32].size_bytes, rel=0.01)
    assert (NOW - found["aa" * 32].oldest).days == 40
    assert (NOW - found["aa" * 32].newest).days == 1
    old = {item.fingerprint: item.pairs for item in filled.by_reranker(NOW - timedelta(days=30))}
    assert old == {"aa" * 32: 9, "bb" * 32: 2}
    assert filled.by_reranker(NOW - timedelta(days=50)) == []


@pytest.mark.parametrize("at_once", [1, 4, 5, 24, 25, 26])
def test_it_removes_what_fits_some_pairs_at_a_time(
    filled: HeldScores, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """First what is old, then the rest, whatever the number of statements; the other reranker's scores stay."""
    monkeypatch.setattr(cache, "PAIRS_PER_STATEMENT", at_once)
    steps: list[int] = []
    assert filled.remove("aa" * 32, NOW - timedelta(days=30), steps.append) == 9 == sum(steps)
    assert len(steps) == 25 // at_once + 1
    assert {item.fingerprint: item.pairs for item in filled.by_reranker()} == {"aa" * 32: 16, "bb" * 32: 5}
    assert filled.remove("aa" * 32) == 16
    assert filled.remove("aa" * 32) == 0
    assert [item.fingerprint for item in filled.by_reranker()] == ["bb" * 32]
