"""`colbert:MODEL`: MaxSim over token vectors of a real MultiVectorEncoder, each entry's computed once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shadowdiff.errors import ConfigError, OfflineError, SpecError
from shadowdiff.protocols import PairScores, ScoreRequest
from shadowdiff.replay.latency import measure
from shadowdiff.rerankers import vectors_kept
from shadowdiff.rerankers.colbert import LateInteractionReranker, maxsim
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import Spec, parse
from shadowdiff.testing import make_turn
from tests.conftest import clean_environment
from tests.contract.tiny_models import save_tiny_encoder, save_tiny_late_interaction

QUERY = "how is data encrypted"
DOCUMENTS = ("encrypted at rest.", "price list", "data " * 80, "", ".,", "encrypted at rest.")
FIXED = {"strategy": "fixed", "attend": False, "length": 16}
AT_LEAST = {"strategy": "min", "attend": True, "length": 8}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a late-interaction model with 64 positions that reads queries as they are."""
    return save_tiny_late_interaction(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def expanding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of one that fills queries up to 16 tokens, as ColBERT does."""
    return save_tiny_late_interaction(tmp_path_factory.mktemp("expanding"), expansion=FIXED)


def colbert_of(target: Path | str, cache: Path | None = None, **options: object) -> LateInteractionReranker:
    """The kind over a directory or model id, on the processor."""
    given = {"device": "cpu", **options}
    spec = Spec("colbert", str(target), tuple((key, str(value)) for key, value in given.items()))
    reranker = build(spec, cache=cache)
    assert isinstance(reranker, LateInteractionReranker)
    return reranker


def library(directory: Path) -> Any:
    """The library's own object, untouched by ours."""
    return pytest.importorskip("sentence_transformers").MultiVectorEncoder(str(directory), device="cpu")


class Counted:
    """Stands before the model and writes down which documents it is given."""

    def __init__(self, reranker: LateInteractionReranker, patch: pytest.MonkeyPatch) -> None:
        self.documents: list[str] = []
        self._encode = reranker._model.encode_document
        patch.setattr(reranker._model, "encode_document", self)

    def __call__(self, documents: list[str], **how: Any) -> Any:
        """As the model."""
        self.documents += documents
        return self._encode(documents, **how)


def naive(queries: Sequence[Any], documents: Sequence[Any]) -> list[float]:
    """MaxSim of the first query, term by term as the paper writes it, over vectors normalised here."""
    query, *_ = [vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in queries]
    scores = []
    for document in documents:
        normalised = document / np.linalg.norm(document, axis=1, keepdims=True)
        scores.append(sum(max(float(one @ other) for other in normalised) for one in query))
    return scores


@pytest.mark.parametrize("model", ["tiny", "expanding"])
def test_scores_are_maxsim(model: str, request: pytest.FixtureRequest) -> None:
    """The sum of each query token's best match, over the library's own vectors; as the library itself scores."""
    directory: Path = request.getfixturevalue(model)
    scores = colbert_of(directory).score(QUERY, DOCUMENTS)
    encoder = library(directory)
    queries = encoder.encode_query([QUERY], convert_to_numpy=True)
    documents = encoder.encode_document(list(DOCUMENTS), convert_to_numpy=True)
    assert list(scores) == pytest.approx(naive(queries, documents), abs=1e-4)
    assert list(scores) == pytest.approx(encoder.similarity(queries, documents)[0].tolist(), abs=1e-4)
    assert max(scores) - min(scores) > 0.005


def test_a_model_that_takes_the_mean_is_obeyed(tmp_path: Path) -> None:
    """MeanMaxSim divides by the query's tokens; queries of at least 8 are filled up."""
    directory = save_tiny_late_interaction(tmp_path, expansion=AT_LEAST, similarity="meanmaxsim")
    encoder = library(directory)
    expected = encoder.similarity(encoder.encode_query([QUERY]), encoder.encode_document(list(DOCUMENTS)))
    assert list(colbert_of(directory).score(QUERY, DOCUMENTS)) == pytest.approx(expected[0].tolist(), abs=1e-4)


def test_maxsim_by_hand() -> None:
    """Two query tokens, three of the document: the best of each, added; and the least where there is none."""
    query = np.array([[1.0, 0.0], [0.6, 0.8]], dtype=np.float32)
    document = np.array([[0.0, 1.0], [0.8, 0.6], [-1.0, 0.0]], dtype=np.float32)
    assert maxsim(query, document) == pytest.approx(0.8 + 0.96)
    assert maxsim(query, document[:0]) == -2.0
    assert maxsim(query[:0], document) == 0.0
    assert maxsim(query, -query) >= -2.0


def test_a_document_of_masked_tokens_ranks_last(tmp_path: Path) -> None:
    """Where not even the special tokens have a vector, the score is finite, and below all others."""
    skipped = ("[CLS]", "[SEP]", "document", ":", "empty")
    directory = save_tiny_late_interaction(tmp_path, skipped=skipped)
    scores = colbert_of(directory).score(QUERY, ["price list", "empty empty", ""])
    assert scores[1] == scores[2] == -len(library(directory).encode_query([QUERY])[0])
    assert scores[0] > scores[1]


def test_an_entry_is_encoded_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many turns and calls it stands in; another query costs no document."""
    reranker = colbert_of(tiny)
    counted = Counted(reranker, monkeypatch)
    reranker.score_batch([ScoreRequest(QUERY, DOCUMENTS), ScoreRequest("price", DOCUMENTS[::-1])])
    assert sorted(counted.documents) == sorted(set(DOCUMENTS))
    reranker.score("another", [*DOCUMENTS, "new"])
    assert counted.documents[len(set(DOCUMENTS)) :] == ["new"]


def test_memory_is_bounded(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least recently used goes first, and is encoded again when it comes back, to the same scores."""
    reranker = colbert_of(tiny)
    scores = reranker.score(QUERY, DOCUMENTS)
    reranker = colbert_of(tiny)
    reranker._entries._most_bytes = 1200
    counted = Counted(reranker, monkeypatch)
    alone = [reranker.score(QUERY, [document])[0] for document in ("price list", DOCUMENTS[2], "price list")]
    assert counted.documents == ["price list", DOCUMENTS[2], "price list"]
    assert reranker._entries._held_bytes <= 1200
    assert alone == pytest.approx([scores[1], scores[2], scores[1]], abs=1e-4)


def test_the_next_command_reads_what_this_one_kept(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh reranker encodes no document, gets the very same scores, and counts the same truncation."""
    first = colbert_of(tiny, tmp_path).score_batch([ScoreRequest(QUERY, DOCUMENTS)])
    again = colbert_of(tiny, tmp_path)
    counted = Counted(again, monkeypatch)
    assert again.score_batch([ScoreRequest(QUERY, DOCUMENTS)]) == first
    assert first[0].truncated == (False, False, True, False, False, False)
    assert counted.documents == []
    shorter = colbert_of(tiny, tmp_path, max_length=16)
    counted = Counted(shorter, monkeypatch)
    shorter.score(QUERY, ["price list"])
    assert counted.documents == ["price list"]


def test_another_query_length_shares_what_is_kept(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How queries are read is no matter to an entry's vectors, though it is to the scores."""
    whole = colbert_of(tiny, tmp_path)
    cut = colbert_of(tiny, tmp_path, query_length=5)
    one = whole.score(QUERY, DOCUMENTS)
    counted = Counted(cut, monkeypatch)
    assert cut.score(QUERY, DOCUMENTS) != one
    assert counted.documents == []
    assert whole.fingerprint != cut.fingerprint


def test_nothing_is_kept_without_a_place(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where texts may not lie on this machine, memory serves alone."""
    monkeypatch.setattr(vectors_kept, "FOLDER", str(tmp_path / "kept"))
    colbert_of(tiny).score(QUERY, DOCUMENTS)
    assert not (tmp_path / "kept").exists()


def test_truncation_is_counted(tiny: Path, expanding: Path) -> None:
    """Of documents, and of every pair whose query does not fit, as scoring and as asked beforehand."""
    requests = [ScoreRequest(QUERY, DOCUMENTS), ScoreRequest("data " * 80, ("a", "b"))]
    for reranker in (colbert_of(tiny), colbert_of(expanding)):
        marks = [pairs.truncated for pairs in reranker.score_batch(requests)]
        assert marks == [(False, False, True, False, False, False), (True, True)]
        assert [tuple(row) for row in reranker.truncated(requests)] == marks
    assert colbert_of(expanding).truncated([ScoreRequest("data " * 20, ("a",))]) == [[True]]
    assert colbert_of(expanding, query_length=32).truncated([ScoreRequest("data " * 20, ("a",))]) == [[False]]


@pytest.mark.parametrize(("words", "cut"), [(59, False), (60, False), (61, True)])
def test_the_mark_stands_where_the_library_cuts(tiny: Path, words: int, cut: bool) -> None:
    """Two special tokens and two of the prompt leave 60: one word more or less changes vectors only where it fits."""
    reranker = colbert_of(tiny)
    text = "data " * words
    assert reranker.truncated([ScoreRequest("a", (text,))]) == [[cut]]
    one, other = library(tiny).encode_document([text, text + "price"], convert_to_numpy=True)
    assert (len(one) == len(other)) == (words >= 60)


def test_max_length_is_of_documents(tiny: Path, tmp_path: Path) -> None:
    """It overrides the length that the model was saved with, and cannot exceed its positions."""
    document = ("data " * 30,)
    assert colbert_of(tiny, max_length=16).truncated([ScoreRequest("a", document)]) == [[True]]
    assert colbert_of(tiny, max_length=999).score("a", ["data " * 80]) == colbert_of(tiny).score("a", ["data " * 80])
    short = save_tiny_late_interaction(tmp_path, document_length=16)
    assert colbert_of(short).truncated([ScoreRequest("a", document)]) == [[True]]
    assert colbert_of(short, max_length=64).truncated([ScoreRequest("a", document)]) == [[False]]


def test_batches_do_not_move_scores(tiny: Path) -> None:
    """Many requests together, in batches of any size, get the scores of one by one."""
    requests = [ScoreRequest("how", DOCUMENTS), ScoreRequest("price of data", DOCUMENTS[::-1]), ScoreRequest("a", ())]
    for request, answer in zip(requests, colbert_of(tiny, batch_size=2).score_batch(requests), strict=True):
        alone = [colbert_of(tiny).score(request.query, [document])[0] for document in request.documents]
        assert list(answer.scores) == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_dtypes(tiny: Path, tmp_path: Path, dtype: str) -> None:
    """Half precision is another model: near, with another fingerprint, and kept without loss."""
    exact, rounded = colbert_of(tiny), colbert_of(tiny, tmp_path, dtype=dtype)
    one, other = exact.score(QUERY, DOCUMENTS), rounded.score(QUERY, DOCUMENTS)
    assert list(one) != list(other)
    assert list(one) == pytest.approx(list(other), abs=0.2)
    assert exact.fingerprint != rounded.fingerprint
    assert colbert_of(tiny, tmp_path, dtype=dtype).score(QUERY, DOCUMENTS) == other


def test_latency_has_entries_at_hand(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an index holds is computed before the clock runs: one turn's call encodes its query only."""
    reranker = colbert_of(tiny)
    counted = Counted(reranker, monkeypatch)
    seen: list[int] = []
    score = reranker.score_batch

    def watched(requests: Sequence[ScoreRequest]) -> Sequence[PairScores]:
        seen.append(len(counted.documents))
        return score(requests)

    monkeypatch.setattr(reranker, "score_batch", watched)
    turns = [make_turn([f"text {number}", "price list"]) for number in range(3)]
    taken = measure(reranker, turns)  # type: ignore[arg-type]
    assert taken.turns == 3
    assert seen == [2, 3, 4, 4]
    assert counted.documents[:2] == ["text 2", "price list"]


def test_fingerprint_of_a_directory(tiny: Path) -> None:
    """The files, both lengths and the input form decide; the batch size and where vectors are kept do not."""
    same = colbert_of(tiny).fingerprint
    assert colbert_of(tiny, Path("elsewhere"), batch_size=4).fingerprint == same
    others = [colbert_of(tiny, **{name: value}) for name, value in (("max_length", 32), ("query_length", 32))]  # type: ignore[arg-type]
    assert len({same, *(other.fingerprint for other in others), colbert_of(tiny, input="body").fingerprint}) == 4


def test_refuses_a_model_without_projection(tmp_path: Path) -> None:
    """The library would make up a random one and say so in a log; a single-vector model has none either."""
    plain = save_tiny_encoder(tmp_path / "plain")
    with pytest.raises(ConfigError, match="has no projection for late interaction, and a random one"):
        colbert_of(plain).prepare()
    library_: Any = pytest.importorskip("sentence_transformers")
    library_.SentenceTransformer(str(plain), device="cpu").save_pretrained(
        str(tmp_path / "single"), create_model_card=False
    )
    with pytest.raises(ConfigError, match="has no projection for late interaction"):
        colbert_of(tmp_path / "single").prepare()


def test_refuses_a_directory_without_model(tmp_path: Path) -> None:
    """What cannot be loaded is one line with the reason and what to do."""
    with pytest.raises(ConfigError) as refused:
        colbert_of(tmp_path).prepare()
    assert str(refused.value).startswith(f"cannot load 'colbert:{tmp_path},device=cpu': ")
    assert "\n" not in str(refused.value)


def test_a_model_id_is_fetched(tmp_path: Path) -> None:
    """It says so, and offline it is refused; a directory opens no connection."""
    spec = parse("colbert:acme/late")
    network = build(spec).network  # type: ignore[union-attr]
    assert network is not None
    assert not network.sends_texts
    with pytest.raises(OfflineError, match=r"'colbert:acme/late' would contact the Hugging Face hub"):
        build(spec, offline=True)
    assert colbert_of(tmp_path).network is None


def test_model_ids(tiny: Path, tmp_path: Path) -> None:
    """A model id is its commit, by revision too; one without projection is refused; stderr stays empty."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    for name, directory in (("late", tiny), ("plain", save_tiny_encoder(tmp_path / "plain"))):
        repository = tmp_path / "hub" / "hub" / f"models--acme--{name}"
        shutil.copytree(directory, repository / "snapshots" / commit)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(commit)
    environment = clean_environment(tmp_path) | {"HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    finished = subprocess.run(
        [sys.executable, "-c", MODEL_IDS], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[:2] == [commit, "same fingerprint"]
    assert finished.stdout.splitlines()[2].startswith("acme/plain has no projection for late interaction")
    assert finished.stderr == ""


MODEL_IDS = """
from shadowdiff.errors import ConfigError
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse
found = build(parse("colbert:acme/late"))
found.score("how", ["data " * 90, ""])
print(found._commit)
pinned = build(parse(f"colbert:acme/late,revision={found._commit}"))
print("same fingerprint" if pinned.fingerprint == found.fingerprint else "another fingerprint")
try:
    build(parse("colbert:acme/plain")).prepare()
except ConfigError as error:
    print(error)
"""


def test_options(tiny: Path) -> None:
    """Unknown options, useless lengths and a missing model are refused at build."""
    with pytest.raises(SpecError, match=r"unknown option 'fast'.*query_length"):
        colbert_of(tiny, fast=1)
    with pytest.raises(SpecError, match="whole number of at least 4"):
        colbert_of(tiny, query_length=2)
    with pytest.raises(SpecError, match="colbert needs a model: colbert:DIRECTORY or colbert:MODEL_ID"):
        build(Spec("colbert"))
