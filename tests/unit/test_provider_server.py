"""The servers that sides over HTTP are tested against: as strict as the providers, and faulty as often as asked."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT
from tests.providers import KEY, Fault, Faults, ProviderServer
from tests.providers.forms import FORMS, score

SECONDS = 120
"""For a call, and for a process to end: the machine may be busy."""
DOCUMENTS = ["data at rest", "offices", "data"]
GOOD: dict[str, dict[str, Any]] = {
    "cohere": {"model": "m", "query": "data", "documents": DOCUMENTS, "top_n": 3},
    "jina": {"model": "m", "query": "data", "documents": DOCUMENTS, "top_n": 3, "return_documents": False},
    "voyage": {"model": "m", "query": "data", "documents": DOCUMENTS, "top_k": 3, "return_documents": False},
    "tei": {"query": "data", "texts": DOCUMENTS},
    "vllm": {"model": "m", "query": "data", "documents": DOCUMENTS},
    "infinity": {"model": "m", "query": "data", "documents": DOCUMENTS},
}


@pytest.fixture(params=FORMS)
def server(request: pytest.FixtureRequest) -> Iterator[ProviderServer]:
    """One of each form."""
    with ProviderServer(request.param) as started:
        yield started


def post(server: ProviderServer, body: Any, key: str | None = KEY, path: str | None = None) -> httpx.Response:
    """A call."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    url = server.url + (path or server.form.paths[0])
    return httpx.post(url, json=body, headers=headers, trust_env=False, timeout=SECONDS)


def results(answer: Any) -> list[dict[str, Any]]:
    """Wherever they are."""
    return answer if isinstance(answer, list) else answer.get("results", answer.get("data"))


def test_a_good_call(server: ProviderServer) -> None:
    """All results, best first, by a score that anybody can work out; counted once."""
    answer = post(server, GOOD[server.name])
    assert answer.status_code == 200
    found = results(answer.json())
    told = [float(item["relevance_score"] if "relevance_score" in item else item["score"]) for item in found]
    assert told == sorted(told, reverse=True)
    assert told == [score("data", DOCUMENTS[item["index"]]) for item in found]
    assert dict(server.answered) == {("data", tuple(DOCUMENTS)): 1}
    assert [request.status for request in server.requests] == [200]


@pytest.mark.parametrize(
    ("change", "statuses"),
    [
        ({"surprise": 1}, {"cohere": 422, "jina": 422, "voyage": 400, "tei": 422, "vllm": 200, "infinity": 200}),
        ({"query": None}, dict.fromkeys(FORMS, 422) | {"voyage": 400, "vllm": 400}),
        ({"query": 5}, dict.fromkeys(FORMS, 422) | {"voyage": 400, "vllm": 400}),
        ({"documents": [], "texts": []}, dict.fromkeys(FORMS, 422) | {"voyage": 400, "vllm": 400}),
        ({"documents": [1], "texts": [1]}, dict.fromkeys(FORMS, 422) | {"voyage": 400, "vllm": 400}),
        (
            {"documents": ["", "a"], "texts": ["", "a"], "top_n": 2, "top_k": 2},
            {"cohere": 400, "jina": 422, "voyage": 400, "tei": 400, "vllm": 200, "infinity": 200},
        ),
        (
            {"documents": ["a"] * 10_001, "texts": ["a"] * 10_001, "top_n": 1, "top_k": 1},
            {"cohere": 400, "jina": 400, "voyage": 400, "tei": 413, "vllm": 400, "infinity": 422},
        ),
    ],
    ids=["unknown field", "no query", "query of a wrong type", "no documents", "a number", "a blank", "too many"],
)
def test_a_bad_call(server: ProviderServer, change: dict[str, Any], statuses: dict[str, int]) -> None:
    """Refused as the provider refuses it, in its own words, and never counted as answered."""
    changed = GOOD[server.name] | {
        name: value for name, value in change.items() if name == "surprise" or name in server.form.known
    }
    body = {name: value for name, value in changed.items() if value is not None}
    answer = post(server, body)
    assert answer.status_code == statuses[server.name], answer.text
    if answer.status_code != 200:
        assert {"message", "detail", "error"} & set(answer.json())
        assert not server.answered


def test_more_results_than_documents(server: ProviderServer) -> None:
    """Are refused, where results are counted at all."""
    top = server.form.top
    if top is not None:
        assert post(server, GOOD[server.name] | {top: 4}).status_code == server.form.invalid
        assert len(results(post(server, GOOD[server.name] | {top: 1}).json())) == 1


def test_keys_and_paths(server: ProviderServer) -> None:
    """A managed provider wants its key; nobody answers elsewhere."""
    refused = 401 if server.form.needs_key else 200
    assert post(server, GOOD[server.name], key=None).status_code == refused
    assert post(server, GOOD[server.name], key="another").status_code == refused
    assert post(server, GOOD[server.name], path="/elsewhere").status_code == 404


def test_faults_come_as_often_as_asked() -> None:
    """By the seed, the same ones each time; those named first come first."""
    drawn, again = (Faults(None, Fault.CUT, seed=7, throttled=0.3, broken=0.05, hangs=0.01) for _ in range(2))
    plan = [drawn.next() for _ in range(10_002)]
    assert plan == [again.next() for _ in range(10_002)]
    assert plan[:2] == [None, Fault.CUT]
    counts = Counter(plan[2:])
    assert 2_800 < counts[Fault.THROTTLED] < 3_200
    assert 400 < counts[Fault.BROKEN] < 600
    assert 60 < counts[Fault.HANGS] < 140
    assert counts[None] == 10_000 - counts[Fault.THROTTLED] - counts[Fault.BROKEN] - counts[Fault.HANGS]
    assert [Faults(then=Fault.BROKEN).next() for _ in range(3)] == [Fault.BROKEN] * 3


def test_calls_at_once_are_all_counted() -> None:
    """Each once."""
    with ProviderServer("tei") as server:
        bodies = [{"query": f"data {number}", "texts": DOCUMENTS} for number in range(16)]
        threads = [threading.Thread(target=post, args=(server, body)) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(server.answered.values()) == [1] * 16
    assert server.counts()["statuses"] == {"200": 16}


def test_as_a_process(tmp_path: Path) -> None:
    """It says its URL, gives its counts when asked, and leaves them in a file when it is told to end."""
    counts = tmp_path / "counts.json"
    command = ["--form", "cohere", "--fault", "throttled=1.0", "--key", "other", "--counts", str(counts)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.providers", *command], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    with process:
        url = process.stdout.readline().strip()
        headers = {"authorization": "Bearer other"}
        answer = httpx.post(f"{url}/v2/rerank", json=GOOD["cohere"], headers=headers, trust_env=False, timeout=SECONDS)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "0.05")
        told = httpx.get(f"{url}/counts", trust_env=False, timeout=SECONDS).json()
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    assert told == json.loads(counts.read_text()) == {"requests": 1, "statuses": {"429": 1}, "answered": []}
