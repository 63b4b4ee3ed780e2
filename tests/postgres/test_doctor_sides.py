"""The doctor on the sides: what can be built and loaded, what each needs, cuts, and says of itself."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shadowdiff.findings import Status
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse
from shadowdiff.runs import Price
from tests.conftest import MODEL
from tests.patients import PARTS, Patient, the_one, worse
from tests.providers.bedrock import bedrock_server, give_credentials

OK, WARN, FAIL = Status
MANAGED = """
from shadowdiff.findings import ok, warn
from shadowdiff.testing import KeywordReranker

ASKED = []


class Managed(KeywordReranker):
    def check(self, online):
        ASKED.append(online)
        if self.spec.target == "broken":
            raise RuntimeError("no idea")
        yield ok("credentials", "found in the environment")
        if online:
            yield warn("quota", "3 of 1,000 requests are left this month", "wait, or buy more")


def build(spec, context):
    return Managed(spec)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[bool]]]:
    """Installs a managed reranker that opens nothing; gives what `online` it was asked with."""
    packages = tmp_path / "packages"
    described = packages / "doctored-1.0.dist-info"
    described.mkdir(parents=True)
    (packages / "doctored.py").write_text(MANAGED)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: doctored\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[shadowdiff.rerankers]\nmanaged = doctored:build\n")
    monkeypatch.syspath_prepend(packages)
    yield lambda: list(sys.modules["doctored"].ASKED)
    sys.modules.pop("doctored", None)


def with_sides(patient: Patient, *sides: tuple[str, str], **examined: object) -> Patient:
    """The patient, with these sides."""
    return replace(patient, sides=sides, examined=examined)


def test_one_side_that_fails_says_nothing_of_the_others(patient: Patient, tmp_path: Path) -> None:
    """Misspelt, without files, with a broken file: each fails with its own reason, and the rest stands."""
    broken = tmp_path / "broken"
    shutil.copytree(MODEL, broken)
    (broken / "model.onnx").write_bytes(b"not a model")
    sides = (("A", "onx:m"), ("B", "onnx:nowhere"), ("C", f"onnx:{broken}"), ("D", "bm25,k=1"), ("E", "bm25"))
    found = with_sides(patient, *sides).examine()
    assert "did you mean 'onnx'?" in the_one(found, "side A", FAIL).what
    assert "no model at nowhere" in the_one(found, "side B", FAIL).what
    assert "not an ONNX model" in the_one(found, "side C", FAIL).what
    assert "unknown option 'k'" in the_one(found, "side D", FAIL).what
    the_one(found, "side E", OK)
    the_one(found, "inputs", OK)


def test_sides_are_named_by_what_they_play_and_fingerprinted(patient: Patient) -> None:
    """A short name shows its spec; one that plays twice is loaded once; what is only named is looked at too."""
    named = patient.configured(rerankers={"mini": f"onnx:{MODEL},max_length=64", "words": "bm25"})
    found = with_sides(named, ("A", "mini"), ("B", "served"), ("production", "mini"), ("", "words")).examine()
    fingerprint = build(parse(f"onnx:{MODEL},max_length=64")).fingerprint
    told = the_one(found, "side A, production", OK).what
    assert told == f"mini (onnx:{MODEL},max_length=64) can be loaded; fingerprint {fingerprint[:12]}"
    assert the_one(found, "reranker", OK).what.startswith("words (bm25) can be loaded")
    assert ": ort, fp32, " in the_one(found, "backend", OK).what


def test_a_missing_extra_says_what_to_install(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command, not a traceback."""
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    found = with_sides(patient, ("A", "st:some/model")).examine()
    assert "pip install 'shadowdiff[sentence-transformers]'" in the_one(found, "side A", FAIL).what


def test_a_side_that_has_nothing_to_read(patient: Patient) -> None:
    """`served` without anything served."""
    turns = PARTS["turns"].replace(", shown AS served", "")
    found = with_sides(patient.mapped(turns=turns), ("A", "served"), ("B", "bm25")).examine()
    assert the_one(found, "inputs", FAIL).what == "served needs what was served, and it is not mapped"


def test_inputs_that_would_be_cut(patient: Patient) -> None:
    """The share of documents of a sample of pools that do not fit, by tokenising alone."""
    short = with_sides(patient, ("A", f"onnx:{MODEL}"))
    assert ": 0 of 120 documents would be cut (0.0%)" in the_one(short.examine(), "truncation", OK).what
    patient.sql("UPDATE {s}.doc SET content = repeat('many words ', 400) WHERE tenant = md5('tenant1')::uuid")
    assert ": 60 of 120 documents would be cut (50.0%)" in the_one(short.examine(), "truncation", WARN).what


def test_what_a_fusion_is_made_of_is_looked_at_too(patient: Patient, plugin: Callable[[], list[bool]]) -> None:
    """Its parts' truncation and their own checks count as the side's."""
    named = patient.configured(rerankers={"mini": f"onnx:{MODEL}", "far": "managed:x"})
    found = with_sides(named, ("A", "rrf:mini+far"), ("B", "bm25")).examine()
    assert the_one(found, "truncation", OK).what.startswith("mini in rrf:mini+far: 0 of 120 documents")
    the_one(found, "credentials", OK)
    assert plugin() == [False]


def test_queries_that_leave_no_room(patient: Patient) -> None:
    """Turns that would fail, with the reason."""
    patient.sql("UPDATE {s}.message SET body = repeat('many words ', 400) WHERE chat = md5('chat11')::uuid")
    finding, rest = with_sides(patient, ("A", f"onnx:{MODEL}")).examine()["truncation"]
    assert finding.status is WARN
    assert ": 1 of 6 turns would fail, such as by this: the query alone has 800 tokens" in finding.what
    assert "of 100 documents" in rest.what


def test_without_pools_nothing_is_known_of_truncation(patient: Patient) -> None:
    """It says so."""
    turns = PARTS["turns"].replace("hits AS pool, ", "")
    found = with_sides(patient.mapped(turns=turns), ("A", f"onnx:{MODEL}")).examine()
    assert the_one(found, "truncation", OK).what.startswith("not known")


def test_a_managed_reranker_is_asked_what_it_says_of_itself(patient: Patient, plugin: Callable[[], list[bool]]) -> None:
    """Offline unless --online; its findings stand beside ours."""
    found = with_sides(patient, ("A", "managed:x")).examine()
    assert the_one(found, "credentials", OK)
    assert worse(found) == []
    found = with_sides(patient, ("A", "managed:x"), online=True).examine()
    assert the_one(found, "quota", WARN).do == "wait, or buy more"
    assert plugin() == [False, True]


def test_a_reranker_whose_own_check_breaks(patient: Patient, plugin: Callable[[], list[bool]]) -> None:
    """It fails by itself."""
    found = with_sides(patient, ("A", "managed:broken"), ("B", "bm25")).examine()
    assert "RuntimeError: no idea" in the_one(found, "side A", FAIL).what
    the_one(found, "side B", OK)


def test_settings_of_a_provider_that_is_not_there(patient: Patient) -> None:
    """A limit under a name that was misspelt applies to nobody."""
    assert "providers" not in patient.configured(providers={"bedrock": ProviderSettings()}).examine()
    found = patient.configured(providers={"cohre": ProviderSettings()}).examine()
    assert "[providers.cohre] is not used: " in the_one(found, "providers", WARN).what
    assert "did you mean 'cohere'?" in the_one(found, "providers", WARN).what


def test_the_judge(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said of none; one is built, says where it asks, and lacks a price; a bad one fails."""
    give_credentials(monkeypatch)
    assert "judge" not in patient.examine()
    spec = "bedrock:anthropic.claude-sonnet,max_tokens=512"
    with bedrock_server() as server:
        providers = {"bedrock": ProviderSettings(url=server.url, region="eu-central-1")}
        judged = patient.configured(judge=spec, providers=providers)
        found = judged.examine()
        assert the_one(found, "region", OK).what == f"{spec}: asks Bedrock in eu-central-1"
        assert "no price" in the_one(found, "price", WARN).what
        assert server.got == []
        priced = judged.configured(judge=spec, providers=providers, prices={"bedrock:anthropic.claude-sonnet": Price()})
        online = replace(priced, examined={"online": True}).examine()
        assert "price" not in online
        assert "Bedrock answered in" in the_one(online, "answer", OK).what
        assert len(server.got) == 1
    bad = patient.configured(judge="bedrok:x").examine()
    assert "did you mean 'bedrock'?" in the_one(bad, "judge", FAIL).what
