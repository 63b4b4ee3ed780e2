"""Every built-in kind of reranker, and every fake, keeps the rules of shadowdiff.testing.RerankerContract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from shadowdiff.errors import RerankerError
from shadowdiff.protocols import PoolReranker, Reranker
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import Spec, parse
from shadowdiff.testing import AskingReranker, FailingReranker, KeywordReranker, RemoteReranker, RerankerContract
from tests.conftest import MODEL
from tests.contract.tiny_models import save_tiny_cross_encoder, save_tiny_late_interaction
from tests.loopback import reranking_server

RANKED_BY_FILE = ("e4", "e1", "e9", "e2")


@pytest.fixture(scope="session")
def tiny_cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a sentence-transformers cross-encoder."""
    return save_tiny_cross_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_late_interaction(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a late-interaction model."""
    return save_tiny_late_interaction(tmp_path_factory.mktemp("late"))


class _BuiltIn(RerankerContract):
    """A kind that a spec string names."""

    spec: ClassVar[Spec]

    def make(self) -> Reranker | PoolReranker:
        """The kind, as the registry builds it."""
        return build(self.spec)


class TestServed(_BuiltIn):
    """`served`."""

    spec = parse("served")
    by_text = False


class TestCosine(_BuiltIn):
    """`cosine`."""

    spec = parse("cosine")


class TestBm25(_BuiltIn):
    """`bm25`."""

    spec = parse("bm25")


class TestRrf(_BuiltIn):
    """`rrf`: equal texts stand at different ranks, so their fused scores differ."""

    spec = parse("rrf:cosine+bm25+served")
    by_text = False


class TestCascade(_BuiltIn):
    """`cascade`, whose gate is sure of some of these turns only."""

    spec = Spec("cascade", "gate=bm25", (("margin", "0.5"), ("then", f"onnx:{MODEL}")))


class TestOnnx(_BuiltIn):
    """`onnx`, with the sample cross-encoder."""

    spec = Spec("onnx", str(MODEL), (("threads", "1"), ("max_length", "128")))


class TestOnnxOnOpenVino(_BuiltIn):
    """`onnx` on OpenVINO, in whatever precision it takes here."""

    spec = Spec("onnx", str(MODEL), (("backend", "openvino"), ("threads", "2"), ("max_length", "128")))

    @pytest.fixture(autouse=True)
    def _needs_openvino(self) -> None:
        pytest.importorskip("openvino")


class TestOnnxAuto(_BuiltIn):
    """`onnx` on whichever backend is faster."""

    spec = Spec("onnx", str(MODEL), (("backend", "auto"), ("dtype", "fp32"), ("threads", "1"), ("max_length", "128")))


class TestRun(RerankerContract):
    """`run`, with a file that ranks some entries of every turn."""

    by_text = False

    @pytest.fixture(autouse=True)
    def _write_run(self, tmp_path: Path) -> None:
        self.file = tmp_path / "a.run"
        lines = [
            f"{turn_id} Q0 {entry_id} {rank} {10 - rank} tag\n"
            for turn_id in ("t1", "t2", "t3")
            for rank, entry_id in enumerate(RANKED_BY_FILE, start=1)
        ]
        self.file.write_text("".join(lines))

    def make(self) -> Reranker | PoolReranker:
        """The file as a reranker."""
        return build(Spec("run", str(self.file)))


class TestSentenceTransformers(RerankerContract):
    """`st`, with a tiny model of random weights."""

    @pytest.fixture(autouse=True)
    def _take_model(self, tiny_cross_encoder: Path) -> None:
        self.directory = tiny_cross_encoder

    def make(self) -> Reranker | PoolReranker:
        """The directory as a reranker."""
        return build(Spec("st", str(self.directory), (("device", "cpu"),)))


class TestColbert(RerankerContract):
    """`colbert`, with a tiny model of random weights, its vectors kept on disk from test to test."""

    @pytest.fixture(autouse=True)
    def _take_model(self, tiny_late_interaction: Path) -> None:
        self.directory = tiny_late_interaction

    def make(self) -> Reranker | PoolReranker:
        """The directory as a reranker."""
        return build(Spec("colbert", str(self.directory), (("device", "cpu"),)), cache=self.directory.parent / "cache")


class TestColbertInMemory(TestColbert):
    """`colbert`, where nothing may be kept."""

    def make(self) -> Reranker | PoolReranker:
        """The directory as a reranker."""
        return build(Spec("colbert", str(self.directory), (("device", "cpu"),)))


class TestKeywordReranker(RerankerContract):
    """The fake that needs no model."""

    def make(self) -> Reranker | PoolReranker:
        """A fresh fake."""
        return KeywordReranker()


class TestFailingReranker(RerankerContract):
    """The failing fake, on queries that it does not fail on."""

    def make(self) -> Reranker | PoolReranker:
        """Fails on nothing that the contract asks."""
        return FailingReranker(lambda query: query == "fail on this")


class _Constant(KeywordReranker):
    """Breaks whichever rule its scores break."""

    def __init__(self, scores: Sequence[float]) -> None:
        super().__init__()
        self._scores = scores

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """The same list, whatever is asked."""
        return self._scores


class _Broken(RerankerContract):
    """The contract, put to a reranker that breaks it."""

    def __init__(self, scores: Sequence[float]) -> None:
        self._scores = scores

    def make(self) -> Reranker | PoolReranker:
        return _Constant(self._scores)


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param([0.0] * 4, id="too few"),
        pytest.param([float("nan")] * 5, id="NaN"),
        pytest.param([float("-inf")] * 5, id="unranked by text"),
        pytest.param([5.0, 4.0, 3.0, 2.0, 1.0], id="by place"),
    ],
)
def test_contract_catches_broken_rerankers(scores: list[float]) -> None:
    """A reranker that returns too few scores, NaN, -inf, or scores by place in the pool does not pass."""
    with pytest.raises((AssertionError, RerankerError), match="score"):
        _Broken(scores).test_one_score_per_entry_in_pool_order()


class _Listing(KeywordReranker):
    """Puts a pool in one order: by keywords, then as it comes. A score is a place."""

    listwise = True

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """Places from the end, in input order."""
        shares = super().score(query, documents)
        worst_first = sorted(range(len(shares)), key=lambda place: (shares[place], -place))
        return [float(worst_first.index(place)) for place in range(len(shares))]


class TestListwise(RerankerContract):
    """A kind whose scores stand for a whole pool, so that a larger pool has other ones."""

    def make(self) -> Reranker | PoolReranker:
        """A fresh fake."""
        return _Listing()


class _ListwiseConstant(_Constant):
    """Says that it puts pools in order, and gives two entries one place."""

    listwise = True


class _BrokenListwise(RerankerContract):
    """The contract, put to a listwise reranker that breaks it."""

    def make(self) -> Reranker | PoolReranker:
        return _ListwiseConstant([3.0, 2.0, 1.0, 3.0, 0.0])


def test_contract_catches_orders_that_are_none() -> None:
    """A listwise kind gives each entry a place of its own."""
    with pytest.raises(AssertionError, match="no equal scores"):
        _BrokenListwise().test_duplicate_documents()


class TestRemote(RerankerContract):
    """The remote fake, against a real server on the loopback."""

    @pytest.fixture(autouse=True)
    def _serve(self) -> Iterator[None]:
        with reranking_server() as (url, _):
            self.url = url
            yield

    def make(self) -> Reranker:
        """A fake that scores by length, over HTTP."""
        return RemoteReranker(Spec("remote", self.url))


class TestAsking(RerankerContract):
    """The fake that asks a provider, as remote rerankers do."""

    def make(self) -> Reranker:
        """A fresh fake."""
        return AskingReranker()
