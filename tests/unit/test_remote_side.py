"""Sides that ask over HTTP: where and what they ask, what they never tell, and what makes them the same side."""

from __future__ import annotations

from typing import Any

import pytest

from shadowdiff.errors import ConfigError, OfflineError, SpecError
from shadowdiff.findings import Status
from shadowdiff.protocols import (
    Asks,
    BatchReranker,
    Checkable,
    Listwise,
    Networked,
    Prepares,
    Truncates,
)
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.remote_side import RemoteSide
from shadowdiff.rerankers.spec import Spec, parse
from shadowdiff.testing import REQUEST
from tests.providers import KEY, ProviderServer
from tests.providers.forms import score
from tests.providers.sides import KEYS, KINDS, PATIENT, Make, scores_of

pytestmark = pytest.mark.usefixtures("provider_keys")


@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_the_protocols(side: Make, kind: str) -> None:
    """All that the engine looks for; how much a provider would cut is not known, so it does not say."""
    made = side(kind, "http://127.0.0.1:9")
    for protocol in (Asks, BatchReranker, Checkable, Listwise, Networked, Prepares):
        assert isinstance(made, protocol), protocol
    assert not isinstance(made, Truncates)
    assert made.listwise is (kind == "jina-listwise")
    assert made.network is not None
    assert made.network.contacts == "127.0.0.1:9"
    assert made.concurrency == PATIENT.concurrency


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_providers_own(side: Make, kind: str) -> None:
    """As they come, at their documents; in raw form as logits."""
    with ProviderServer(KINDS[kind].form) as server:
        found = scores_of(side(kind, server.url))
    shares = [score(REQUEST.query, document) for document in REQUEST.documents]
    assert sorted(range(5), key=found.__getitem__) == sorted(range(5), key=shares.__getitem__)
    assert (list(found) == shares) is (kind != "tei-raw")


@pytest.mark.parametrize(
    ("kind", "endpoint"),
    [
        ("cohere", "api.cohere.com"),
        ("jina", "api.jina.ai"),
        ("voyage", "api.voyageai.com"),
    ],
)
def test_where_a_provider_is_asked(kind: str, endpoint: str) -> None:
    """At its own address; at the configured one; at the spec's, which comes first."""
    spec = Spec(kind, "m")
    assert network(build(spec)) == endpoint
    configured = {kind: ProviderSettings(url="https://gateway.example/v")}
    assert network(build(spec, providers=configured)) == "gateway.example"
    named = parse(f"{kind}:m,url=https://other.example:8443")
    assert network(build(named, providers=configured)) == "other.example:8443"


def network(reranker: object) -> str:
    """What it contacts."""
    assert isinstance(reranker, Networked)
    assert reranker.network is not None
    return reranker.network.contacts


@pytest.mark.parametrize(
    ("spec", "form", "path", "body"),
    [
        ("cohere:m,max_tokens_per_doc=99", "cohere", "/v2/rerank", {"model": "m", "max_tokens_per_doc": 99}),
        ("jina:m", "jina", "/v1/rerank", {"model": "m", "return_documents": False}),
        ("voyage:m", "voyage", "/v1/rerank", {"model": "m", "truncation": True}),
        ("voyage:m,truncation=false", "voyage", "/v1/rerank", {"truncation": False}),
        ("tei", "tei", "/rerank", {"truncate": True, "raw_scores": False}),
        ("tei,truncate=false,raw_scores=true", "tei", "/rerank", {"truncate": False, "raw_scores": True}),
        ("http,model=m", "vllm", "/rerank", {"model": "m", "top_n": 5}),
        (
            "http,model=m,path=/v1/rerank,truncate_prompt_tokens=-1",
            "vllm",
            "/v1/rerank",
            {"truncate_prompt_tokens": -1},
        ),
        ("http,model=m,form=jina", "infinity", "/rerank", {"return_documents": False, "top_n": 5}),
        ("http,form=tei", "tei", "/rerank", {"truncate": True}),
    ],
)
def test_what_options_send(spec: str, form: str, path: str, body: dict[str, Any]) -> None:
    """Each to its field, at the path of its form; the key as a bearer where there is one."""
    parsed = parse(spec)
    with ProviderServer(form) as server:
        made = build(parsed, providers={parsed.scheme: ProviderSettings(url=server.url)})
        assert isinstance(made, RemoteSide)
        scores_of(made)
        made.close()
    (request,) = server.requests
    assert request.path == path
    assert {name: request.body[name] for name in body} == body
    assert request.authorization == (f"Bearer {KEY}" if server.form.needs_key else None)


def test_a_url_may_end_in_the_path_itself(side: Make) -> None:
    """Or in a slash; it is one server, with one fingerprint."""
    with ProviderServer("tei") as server:
        made = [side("tei", f"{server.url}{end}") for end in ("", "/", "/rerank")]
        assert len({scores_of(one) for one in made}) == len({one.fingerprint for one in made}) == 1


@pytest.mark.parametrize("name", ["COHERE_API_KEY", "CO_API_KEY"])
def test_either_name_of_the_key(side: Make, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The provider's SDK knows a shorter one."""
    for other in ("COHERE_API_KEY", "CO_API_KEY"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, KEY)
    with ProviderServer("cohere") as server:
        scores_of(side("cohere", server.url))


def test_a_key_that_is_only_sometimes_wanted(side: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """TEI without a key is asked without; with one, with it; a key that cannot be sent is refused."""
    with ProviderServer("tei") as server:
        scores_of(side("tei", server.url))
        monkeypatch.setenv("TEI_API_KEY", "tei-secret")
        scores_of(side("tei", server.url))
        assert [request.authorization for request in server.requests] == [None, "Bearer tei-secret"]
    monkeypatch.setenv("TEI_API_KEY", "two words")
    with pytest.raises(ConfigError, match="TEI_API_KEY holds a space"):
        side("tei", server.url).prepare()


@pytest.mark.parametrize("kind", ["cohere", "jina", "voyage", "http-vllm"])
def test_without_its_key_nothing_begins(side: Make, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Building and estimating go without; before the first turn it is said which variable is missing."""
    for name in KEYS:
        monkeypatch.delenv(name)
    made = side(kind, "http://127.0.0.1:9")
    assert made.estimate(REQUEST).calls == 1
    with pytest.raises(ConfigError, match=r"no key for '.*': set [A-Z_ or]+ in the environment") as caught:
        made.prepare()
    (finding,) = made.check(online=False)
    assert (finding.status, str(caught.value) in finding.what) == (Status.FAIL, True)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cohere", "cohere needs a model: cohere:rerank-v3.5"),
        ("jina", "jina needs a model: jina:"),
        ("voyage", "voyage needs a model: voyage:rerank-2.5"),
        ("tei", "tei needs the URL of a server"),
        ("http,model=m", "http needs the URL of a server"),
        ("http:http://localhost:1", "names no model: add model=NAME"),
        ("http:http://localhost:1,model=m,form=voyage", "must be one of cohere, jina, tei"),
        ("http:http://localhost:1,form=tei,model=m", "unknown option 'model'"),
        ("http:http://localhost:1,model=m,path=rerank", "path begins with a slash"),
        ("http:http://localhost:1,model=m,path=/a?b=c", "path begins with a slash"),
        ("http:http://localhost:1,model=m,truncate_prompt_tokens=0", "must be a number of tokens, or -1"),
        ("cohere:m,max_tokens_per_doc=0", "must be a whole number of at least 1"),
        ("cohere:m,top_k=5", "unknown option 'top_k'"),
        ("cohere:m,input=title", "must be one of title+body, body"),
        ("voyage:m,truncation=yes", "must be one of true, false"),
        ("tei:localhost:8080", "is no URL of a provider"),
        ("tei:http://gpu-box:8080", "is plain http: texts and key would travel readable by all"),
        ("cohere:m,url=http://gateway.example", "set allow_plain_http = true in [providers.cohere]"),
        ("tei:https://localhost:8080/?key=abc", "without ? and #"),
    ],
)
def test_refused(spec: str, message: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError) as caught:
        build(parse(spec))
    assert message in str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("value", ["sk-live-0123456789", "aKeyInSmallLetters", "key with blanks"])
def test_a_key_in_place_of_its_name_is_not_repeated(value: str) -> None:
    """Only names in capitals are names."""
    with pytest.raises(SpecError) as caught:
        build(Spec("http", "http://localhost:1", (("key_env", value), ("model", "m"))))
    assert value not in str(caught.value)


def test_plain_http_by_leave() -> None:
    """To another machine only where the configuration allows it by name."""
    allowed = {"tei": ProviderSettings(allow_plain_http=True)}
    assert network(build(parse("tei:http://gpu-box:8080"), providers=allowed)) == "gpu-box:8080"


@pytest.mark.parametrize("kind", KINDS)
def test_offline_refuses(kind: str) -> None:
    """Also a server on this machine: what it does with the texts is not known."""
    with pytest.raises(OfflineError, match=r"would contact 127\.0\.0\.1:9"):
        build(parse(KINDS[kind].at("http://127.0.0.1:9")), offline=True)


def fingerprint(spec: str) -> str:
    """Of the side that a spec names."""
    return build(parse(spec)).fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cohere:m", "cohere:m,url=http://127.0.0.1:9"),
        ("jina:m", "jina:m,listwise=false"),
        ("voyage:m", "voyage:m,truncation=true"),
        ("voyage:m", "voyage:m,input=title+body"),
        ("tei:http://127.0.0.1:9", "tei:http://127.0.0.1:9/,batch=8,truncate=true"),
        ("http:http://127.0.0.1:9,model=m", "http:http://127.0.0.1:9,model=m,key_env=OWN_KEY,form=cohere"),
    ],
)
def test_what_decides_no_score_is_no_identity(one: str, other: str) -> None:
    """Where a managed provider is reached, how many documents travel together, defaults that are spelt out."""
    assert fingerprint(one) == fingerprint(other)


def test_what_decides_a_score_is_identity() -> None:
    """Models, options, document forms; the URL and the form of a server of one's own."""
    specs = [
        "cohere:m",
        "cohere:n",
        "cohere:m,input=body",
        "cohere:m,max_chars=100",
        "cohere:m,max_tokens_per_doc=100",
        "jina:m",
        "jina:m,listwise=true",
        "voyage:m",
        "voyage:m,truncation=false",
        "tei:http://127.0.0.1:9",
        "tei:http://127.0.0.1:8",
        "tei:http://127.0.0.1:9,raw_scores=true",
        "http:http://127.0.0.1:9,form=tei",
        "http:http://127.0.0.1:9,model=m",
        "http:http://127.0.0.1:9,model=m,form=jina",
        "http:http://127.0.0.1:9,model=m,path=/v2/rerank",
    ]
    assert len({fingerprint(spec) for spec in specs}) == len(specs)


# what is sent
