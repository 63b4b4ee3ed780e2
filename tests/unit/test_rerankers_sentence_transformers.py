"""`st:MODEL`: raw logits of a sentence-transformers CrossEncoder, cut in the document only."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shadowdiff.errors import ConfigError, RerankerError, SpecError
from shadowdiff.protocols import ScoreRequest
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.sentence_transformers import SentenceTransformersReranker
from shadowdiff.rerankers.spec import Spec
from tests.conftest import clean_environment
from tests.contract.tiny_models import save_tiny_cross_encoder

DOCUMENTS = ("encrypted at rest", "price list", "data " * 80, "", "encrypted at rest")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a cross-encoder with 64 positions."""
    return save_tiny_cross_encoder(tmp_path_factory.mktemp("tiny"))


def st_of(target: Path | str, **options: object) -> SentenceTransformersReranker:
    """The kind over a directory or model id, on the processor."""
    given = {"device": "cpu", **options}
    reranker = build(Spec("st", str(target), tuple((key, str(value)) for key, value in given.items())))
    assert isinstance(reranker, SentenceTransformersReranker)
    return reranker


def logits(directory: Path, query: str, documents: tuple[str, ...], max_length: int = 64) -> list[float]:
    """What transformers alone computes for the pairs, cut in the second text only."""
    torch: Any = pytest.importorskip("torch")
    transformers: Any = pytest.importorskip("transformers")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(directory)
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    found = []
    for document in documents:
        cut = tokenizer([query], [document], truncation="only_second", max_length=max_length, return_tensors="pt")
        with torch.inference_mode():
            found.append(float(model(**cut).logits[0, 0]))
    return found


def test_scores_are_raw_logits(tiny: Path) -> None:
    """The scores are the model's logits, not squashed, also where the document is cut."""
    scores = st_of(tiny).score("how is data encrypted", DOCUMENTS)
    assert list(scores) == pytest.approx(logits(tiny, "how is data encrypted", DOCUMENTS), abs=1e-4)
    assert max(scores) - min(scores) > 0.01


def test_it_says_what_it_computes_with(tiny: Path) -> None:
    """Torch's own number of threads, and no GPU on the processor."""
    torch: Any = pytest.importorskip("torch")
    reranker = st_of(tiny)
    assert (reranker.threads, reranker.accelerator) == (torch.get_num_threads(), None)


@pytest.mark.parametrize("words", [5, 20, 40, 60])
def test_only_documents_are_cut(tiny: Path, words: int) -> None:
    """A query longer than half of max_length is kept whole as well, and the cut is counted."""
    query = " ".join(["price", "data"] * 30).split(" ")[:words]
    documents = ("encrypted " * 80, "rest")
    answer = st_of(tiny).score_batch([ScoreRequest(" ".join(query), documents)])[0]
    assert answer.truncated == (True, False)
    assert list(answer.scores) == pytest.approx(logits(tiny, " ".join(query), documents), abs=1e-4)


def test_query_without_room_fails_the_turn(tiny: Path) -> None:
    """A query that leaves no token for a document is that turn's failure."""
    with pytest.raises(RerankerError, match="the query alone has 61 tokens; with max_length=64 no document fits"):
        st_of(tiny).score("data " * 61, ["price"])


def test_max_length_option(tiny: Path) -> None:
    """max_length shortens, and cannot exceed the model's positions."""
    document = ("data " * 30,)
    assert st_of(tiny, max_length=16).score_batch([ScoreRequest("a", document)])[0].truncated == (True,)
    assert st_of(tiny, max_length=999).score_batch([ScoreRequest("a", document)])[0].truncated == (False,)
    assert st_of(tiny, max_length=999).score("a", ["data " * 80]) == st_of(tiny).score("a", ["data " * 80])


def test_batches_do_not_move_scores(tiny: Path) -> None:
    """Many requests together, in batches of any size, get the scores of one by one."""
    requests = [ScoreRequest("how", DOCUMENTS), ScoreRequest("price of data", DOCUMENTS[::-1]), ScoreRequest("a", ())]
    reranker = st_of(tiny, batch_size=2)
    for request, answer in zip(requests, reranker.score_batch(requests), strict=True):
        alone = [st_of(tiny).score(request.query, [document])[0] for document in request.documents]
        assert list(answer.scores) == pytest.approx(alone, abs=1e-4)


def test_dtype_is_used(tiny: Path) -> None:
    """bfloat16 is another model: near, not equal, and with another fingerprint."""
    exact, rounded = st_of(tiny), st_of(tiny, dtype="bfloat16")
    one, other = exact.score("how", DOCUMENTS), rounded.score("how", DOCUMENTS)
    assert list(one) != list(other)
    assert list(one) == pytest.approx(list(other), abs=0.1)
    assert exact.fingerprint != rounded.fingerprint


def test_dtypes_have_two_spellings(tiny: Path) -> None:
    """The short name, torch's own and none at all are one reranker where they mean the same."""
    assert st_of(tiny).fingerprint == st_of(tiny, dtype="fp32").fingerprint == st_of(tiny, dtype="float32").fingerprint
    assert st_of(tiny, dtype="bf16").fingerprint == st_of(tiny, dtype="bfloat16").fingerprint
    assert st_of(tiny, dtype="bf16").score("how", DOCUMENTS) == st_of(tiny, dtype="bfloat16").score("how", DOCUMENTS)


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_missing_gpu_is_one_line(tiny: Path, device: str) -> None:
    """It is said before anything is loaded, with what to do."""
    torch: Any = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(ConfigError, match=f"^device={device}: torch finds no GPU that it can use here; leave"):
        st_of(tiny, device=device).prepare()


@pytest.mark.parametrize(
    ("settings", "befores", "afters"),
    [
        pytest.param({}, (2, 1), "1 1", id="quota of one core, and one set in the process"),
        pytest.param({"OMP_NUM_THREADS": "2"}, (None,), "2", id="set in the environment"),
    ],
)
def test_threads_keep_to_the_quota(
    tiny: Path, tmp_path: Path, settings: dict[str, str], befores: tuple[int | None, ...], afters: str
) -> None:
    """On cores that a container may not use no thread is started, unless the user says so."""
    pytest.importorskip("torch")
    finished = python(THREADS.format(befores=befores, model=str(tiny)), tmp_path, **settings)
    assert (finished.stdout.split(), finished.stderr) == (afters.split(), "")


def test_fingerprint_of_a_directory(tiny: Path, tmp_path: Path) -> None:
    """The files, max_length and input form decide; the place, the card and the batch size do not."""
    copy = shutil.copytree(tiny, tmp_path / "elsewhere")
    (copy / "README.md").write_text("a card")
    same = st_of(tiny).fingerprint
    assert st_of(copy, batch_size=4).fingerprint == same
    assert len({same, st_of(tiny, max_length=32).fingerprint, st_of(tiny, input="body").fingerprint}) == 3
    with (copy / "config.json").open("a") as file:
        file.write("\n")
    assert st_of(copy).fingerprint != same


def test_refuses_several_labels(tmp_path: Path) -> None:
    """A classifier of three classes has no relevance score."""
    save_tiny_cross_encoder(tmp_path, labels=3)
    with pytest.raises(ConfigError, match="has 3 outputs; a reranker has one logit per pair"):
        st_of(tmp_path).prepare()


def test_refuses_a_directory_without_model(tmp_path: Path) -> None:
    """What cannot be loaded is one line with the reason and what to do."""
    pytest.importorskip("sentence_transformers")
    with pytest.raises(ConfigError) as refused:
        st_of(tmp_path).prepare()
    assert str(refused.value).startswith(f"cannot load 'st:{tmp_path},device=cpu': ")
    assert "\n" not in str(refused.value)


def test_options(tiny: Path) -> None:
    """Unknown options, unknown types and a missing model are refused at build."""
    with pytest.raises(SpecError, match="unknown option 'fast'"):
        st_of(tiny, fast=1)
    with pytest.raises(SpecError, match="must be one of fp32, bf16, fp16, float32, bfloat16, float16"):
        st_of(tiny, dtype="int8")
    with pytest.raises(SpecError, match="st needs a model"):
        build(Spec("st"))


def python(code: str, home: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, with a hub cache of its own and no network."""
    environment: Mapping[str, str] = {
        **clean_environment(home),
        "HF_HOME": str(home / "hub"),
        "HF_HUB_OFFLINE": "1",
        **env,
    }
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def test_model_ids(tiny: Path, tmp_path: Path) -> None:
    """A model id is its commit; one that cannot be had offline is one line; stderr stays empty."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "hub" / "models--acme--tiny"
    shutil.copytree(tiny, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    finished = python(MODEL_IDS, tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[0] == commit
    assert finished.stdout.splitlines()[1] == "same fingerprint"
    assert finished.stdout.splitlines()[2].startswith("cannot load 'st:acme/absent': ")
    assert "check the model id and the network" in finished.stdout.splitlines()[2]
    assert finished.stderr == ""


THREADS = """
import torch
import shadowdiff.rerankers.sentence_transformers as kind
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import Spec
kind.usable_cores = lambda: 1
for before in {befores}:
    if before:
        torch.set_num_threads(before)
    build(Spec("st", {model!r}, (("device", "cpu"),))).prepare()
    print(torch.get_num_threads())
"""
MODEL_IDS = """
from shadowdiff.errors import ConfigError
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse
found = build(parse("st:acme/tiny"))
found.prepare()
print(found._commit)
pinned = build(parse(f"st:acme/tiny,revision={found._commit}"))
print("same fingerprint" if pinned.fingerprint == found.fingerprint else "another fingerprint")
found.score("how", ["data " * 90, ""])
try:
    build(parse("st:acme/absent")).prepare()
except ConfigError as error:
    print(error)
"""
