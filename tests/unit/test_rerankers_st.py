"""`st:MODEL`: a sentence-transformers CrossEncoder."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from shadowdiff.errors import ConfigError, RerankerError, SpecError
from shadowdiff.protocols import ScoreRequest
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.sentence_transformers import SentenceTransformersReranker
from shadowdiff.rerankers.spec import Spec
from tests.contract.tiny_models import save_tiny_cross_encoder

QUERY = "How is our data encrypted at rest?"
DOCUMENTS = ("Data is encrypted at rest.", "Pricing per seat.", "", "The office in Lisbon is closed on holidays.")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a tiny cross-encoder with 64 positions."""
    return save_tiny_cross_encoder(tmp_path_factory.mktemp("tiny"))


def reranker_of(path: Path | str, **options: object) -> SentenceTransformersReranker:
    """The kind over a directory or model id, on the processor."""
    given = {"device": "cpu"} | options
    reranker = build(Spec("st", str(path), tuple((key, str(value)) for key, value in given.items())))
    assert isinstance(reranker, SentenceTransformersReranker)
    return reranker


def test_scores_are_the_model_s_raw_logits(model: Path) -> None:
    """What transformers computes for each pair alone comes back, unsquashed and in input order."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)  # type: ignore[no-untyped-call]
    network = AutoModelForSequenceClassification.from_pretrained(model)
    with torch.inference_mode():
        logits = [network(**tokenizer(QUERY, text, return_tensors="pt")).logits.item() for text in DOCUMENTS]
    assert reranker_of(model).score(QUERY, DOCUMENTS) == pytest.approx(logits, abs=1e-4)


def test_nothing_is_printed(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Loading and scoring write nothing: no bars, no notes."""
    reranker = reranker_of(model)
    reranker.prepare()
    reranker.score(QUERY, DOCUMENTS)
    assert capfd.readouterr() == ("", "")


def test_no_documents_no_scores(model: Path) -> None:
    """An empty list of documents, or of requests, has no scores."""
    assert list(reranker_of(model).score(QUERY, [])) == []
    assert list(reranker_of(model).score_batch([])) == []


def test_batches_are_scattered_back(model: Path) -> None:
    """Requests scored together come back as they went in."""
    requests = [ScoreRequest(QUERY, DOCUMENTS), ScoreRequest("pricing", DOCUMENTS[::-1])]
    reranker = reranker_of(model, batch_size=3)
    together = reranker.score_batch(requests)
    for found, request in zip(together, requests, strict=True):
        assert found.scores == pytest.approx(reranker.score(request.query, request.documents), abs=1e-4)


@pytest.mark.parametrize("query", ["data", "data " * 40])
def test_only_documents_are_cut_and_counted(model: Path, query: str) -> None:
    """What does not fit beside the whole query is cut from the document: its end no longer decides the score."""
    tokens = len(query.split())
    room = 64 - 3 - tokens
    fits, long = "seat " * room, "seat " * (room + 30)
    reranker = reranker_of(model)
    found = reranker.score_batch([ScoreRequest(query, (fits, long, "seat"))])[0]
    assert found.truncated == (False, True, False)
    assert found.scores[0] == pytest.approx(found.scores[1], abs=1e-4)


def test_queries_that_leave_no_room_fail(model: Path) -> None:
    """A query is never cut: the turn fails and says why."""
    with pytest.raises(RerankerError, match="the query alone has 70 tokens; with max_length=64"):
        reranker_of(model).score("data " * 70, ["a"])


def test_max_length_is_never_more_than_the_model_has(model: Path) -> None:
    """Asked for less, it cuts earlier; asked for more, at the model's last position."""
    request = ScoreRequest("data", ("seat " * 40, "seat " * 61))
    assert reranker_of(model, max_length=32).score_batch([request])[0].truncated == (True, True)
    assert reranker_of(model, max_length=4096).score_batch([request])[0].truncated == (False, True)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_other_dtypes_score_nearly_alike(model: Path, dtype: str) -> None:
    """Half precision gives finite scores close to the full ones, under another fingerprint."""
    full, half = reranker_of(model), reranker_of(model, dtype=dtype)
    assert half.score(QUERY, DOCUMENTS) == pytest.approx(full.score(QUERY, DOCUMENTS), abs=0.1)
    assert half.fingerprint != full.fingerprint


def test_several_outputs_are_refused(tmp_path: Path) -> None:
    """A classifier of two labels is no reranker."""
    reranker = reranker_of(save_tiny_cross_encoder(tmp_path / "two", labels=2))
    with pytest.raises(ConfigError, match="has 2 outputs; a reranker has one"):
        reranker.prepare()


def test_directories_that_hold_no_model_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An empty directory ends in one line that names the spec."""
    with pytest.raises(ConfigError, match=f"cannot load 'st:{tmp_path}") as refused:
        reranker_of(tmp_path).prepare()
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


def test_fingerprint_follows_the_files(model: Path, tmp_path: Path) -> None:
    """Weights, dtype, length and form count; place, card and hidden files do not."""
    same = shutil.copytree(model, tmp_path / "same")
    (same / "README.md").write_text("another card")
    (same / ".cache").mkdir()
    (same / ".cache" / "downloaded").write_text("today")
    first = reranker_of(model).fingerprint
    assert reranker_of(same, batch_size=4).fingerprint == first
    with (same / "model.safetensors").open("ab") as weights:
        weights.write(b" ")
    others = {reranker_of(same).fingerprint, reranker_of(model, max_length=32).fingerprint}
    others.add(reranker_of(model, input="body").fingerprint)
    assert len(others | {first}) == 4


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without sentence-transformers the message is a command."""
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ConfigError, match=r"^st: needs sentence-transformers; install it with: pip install 'shadow"):
        reranker_of("some/model")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int4"}, "dtype=int4 .*must be one of float32, bfloat16, float16"),
        ({"max_length": 0}, "max_length=0 .*whole number of at least"),
        ({"batch_size": 0}, "batch_size=0 .*whole number of at least 1"),
        ({"input": "title"}, r"input=title .*must be one of title\+body, body"),
        ({"thread": 1}, "unknown option 'thread' .*; st knows: batch_size, device, dtype, input, max_length, revision"),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    """Misspelt and senseless options are refused before anything is loaded."""
    with pytest.raises(SpecError, match=message):
        reranker_of("some/model", **options)


def test_needs_a_model() -> None:
    """The message shows both ways to name one."""
    with pytest.raises(SpecError, match="st needs a model: st:DIRECTORY or st:MODEL_ID"):
        build(Spec("st"))
