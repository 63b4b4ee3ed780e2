"""`run:FILE`: rankings made elsewhere are read as they were written."""

from __future__ import annotations

import gzip
import hashlib
import math
from pathlib import Path

import pytest

from shadowdiff.errors import ConfigError, RerankerError, SpecError
from shadowdiff.protocols import PooledTurn
from shadowdiff.ranking import rank_pool
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import Spec
from shadowdiff.rerankers.trec_run import TrecRun
from shadowdiff.testing import make_turn


def run_of(path: Path, content: str | bytes) -> TrecRun:
    """The kind over a file with this content."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    reranker = build(Spec("run", str(path)))
    assert isinstance(reranker, TrecRun)
    return reranker


def order(reranker: TrecRun, turn: PooledTurn) -> list[str]:
    """Ids of the ranked entries, best first."""
    return list(rank_pool(turn.pool, reranker.score_pool(turn)).ranks())


def test_orders_by_score_and_leaves_the_unlisted_unranked(tmp_path: Path) -> None:
    """Scores decide whatever the order of lines; what the file does not list is not ranked."""
    reranker = run_of(tmp_path / "a.run", "t1 Q0 e1 2 0.5 x\nt2 Q0 e9 1 9 x\nt1\tQ0\te3\t1\t0.75\tx\n")
    turn = make_turn(("a", "b", "c"))
    assert list(reranker.score_pool(turn)) == [0.5, -math.inf, 0.75]
    assert reranker.listed(turn.turn) == ("e3", "e1")


def test_ties_keep_the_file_s_ranks(tmp_path: Path) -> None:
    """Equal scores stand by the file's ranks, not by the pool's order, and move by no more than rounding."""
    reranker = run_of(tmp_path / "a.run", "t1 Q0 e1 3 1.0 x\nt1 Q0 e2 2 1.0 x\nt1 Q0 e3 1 1.0 x\nt1 Q0 e4 4 0 x\n")
    turn = make_turn(("a", "b", "c", "d"))
    assert order(reranker, turn) == ["e3", "e2", "e1", "e4"]
    assert list(reranker.listed(turn.turn)) == ["e3", "e2", "e1", "e4"]
    assert list(reranker.score_pool(turn)) == pytest.approx([1.0, 1.0, 1.0, 0.0], abs=1e-12)


def test_ties_with_equal_ranks_keep_the_file_s_lines(tmp_path: Path) -> None:
    """Some tools write one rank for all: then the order of lines is the order."""
    reranker = run_of(tmp_path / "a.run", "".join(f"t1 Q0 e{n} 0 1 x\n" for n in (2, 3, 1)))
    assert order(reranker, make_turn(("a", "b", "c"))) == ["e2", "e3", "e1"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("t1 Q0 e1 1 2 x\r\n\r\n  \nt1 Q0 e2 2 1 x", id="CRLF, blank lines, no last line break"),
        pytest.param("\ufefft1 Q0 e1 1 2 x\nt1 Q0 e2 2 1 x\n", id="byte order mark"),
        pytest.param("  t1   Q0 e1 1 2e0 x \nt1 Q0 e2 2 1 x\n", id="more blanks than needed"),
    ],
)
def test_reads_what_tools_write(tmp_path: Path, content: str) -> None:
    """Line ends, byte order marks and blanks are no difference."""
    assert order(run_of(tmp_path / "a.run", content), make_turn(("a", "b"))) == ["e1", "e2"]


def test_reads_gzip_and_names_the_bytes(tmp_path: Path) -> None:
    """A .gz file is read as its content; the fingerprint is the SHA-256 of the file as it lies there."""
    packed = gzip.compress(b"t1 Q0 e2 1 2 x\nt1 Q0 e1 2 1 x\n")
    reranker = run_of(tmp_path / "a.run.gz", packed)
    assert order(reranker, make_turn(("a", "b"))) == ["e2", "e1"]
    assert reranker.fingerprint == hashlib.sha256(packed).hexdigest()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("t1 Q0 e2 2 1", "expected 'turn_id Q0 entry_id rank score tag', found 5 fields"),
        ("t1 Q0 e 2 2 1 x", "found 7 fields"),
        ("t1 Q0 e2 2 high x", "the score must be a finite number, not 'high'"),
        ("t1 Q0 e2 2 nan x", "the score must be a finite number, not 'nan'"),
        ("t1 Q0 e2 2 inf x", "the score must be a finite number, not 'inf'"),
        ("t1 Q0 e2 second 1 x", "the rank must be a whole number, not 'second'"),
        ("t1 Q0 e1 2 1 x", "entry 'e1' stands twice for turn 't1'"),
    ],
)
def test_malformed_lines_are_refused(tmp_path: Path, line: str, reason: str) -> None:
    """The file, the line and the reason, before the first turn."""
    reranker = run_of(tmp_path / "a.run", f"t1 Q0 e1 1 2 x\n\n{line}\n")
    with pytest.raises(ConfigError) as refused:
        reranker.prepare()
    assert str(refused.value).startswith(f"{tmp_path / 'a.run'}:3: ")
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.run", b"\xff\xfe not text", id="UTF-16"),
        pytest.param("a.gz", b"not gzip", id="no archive"),
        pytest.param("b.gz", gzip.compress(b"t1 Q0 e1 1 2 x\n")[:-4], id="cut archive"),
        pytest.param("c.gz", gzip.compress(b"t1 Q0 e1 1 2 x\n")[:12] + b"\xff" * 20, id="broken archive"),
    ],
)
def test_unreadable_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    """Other encodings, broken and cut archives end in one line that names the file."""
    reranker = run_of(tmp_path / name, content)
    with pytest.raises(ConfigError, match=r"^cannot read .*/[abc]") as refused:
        reranker.prepare()
    assert "\n" not in str(refused.value)


def test_turns_that_the_file_lacks_fail(tmp_path: Path) -> None:
    """A turn without a line has no ranking, which is not the same as an empty one."""
    reranker = run_of(tmp_path / "a.run", "other Q0 e1 1 2 x\n")
    turn = make_turn(("a",))
    with pytest.raises(RerankerError, match=r"a\.run has no .*'t1'"):
        reranker.score_pool(turn)
    assert reranker.listed(turn.turn) == ()


@pytest.mark.parametrize("target", ["missing.run", "."])
def test_missing_files_are_refused_at_build(tmp_path: Path, target: str) -> None:
    """No file, or a directory in its place, is found out before anything is read."""
    with pytest.raises(ConfigError, match="no run file at"):
        build(Spec("run", str(tmp_path / target)))


def test_needs_a_file_and_takes_no_options(tmp_path: Path) -> None:
    """The message shows how it is written."""
    with pytest.raises(SpecError, match="run needs a file: run:FILE"):
        build(Spec("run"))
    with pytest.raises(SpecError, match="unknown option 'k'"):
        build(Spec("run", str(tmp_path), (("k", "1"),)))
