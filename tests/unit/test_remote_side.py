"""Sides that ask over HTTP: what they send, how they take a provider's bad day, and what they never tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from shadowdiff.errors import ConfigError, OfflineError, RefusedError, RerankerError, SpecError, TransientError
from shadowdiff.findings import Status
from shadowdiff.protocols import (
    Asks,
    BatchReranker,
    Checkable,
    Listwise,
    Networked,
    PairScores,
    Prepares,
    ScoreRequest,
    Truncates,
)
from shadowdiff.records import Usage
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.remote_side import RemoteSide
from shadowdiff.rerankers.spec import Spec, parse
from shadowdiff.testing import REQUEST
from tests.providers import KEY, Fault, Faults, ProviderServer
from tests.providers.forms import score
from tests.providers.sides import KEYS, KINDS

PATIENT = ProviderSettings(retries=3)
ONCE = ProviderSettings(retries=0)
IMPATIENT_SECONDS = 2.0
"""For which a server that hangs is waited for, and within which one that does not must answer on a busy machine."""
Make = Callable[..., RemoteSide]


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def side() -> Iterator[Make]:
    """Makes sides by kind, URL, settings and further options; they are closed at the end."""
    made: list[RemoteSide] = []

    def make(kind: str, url: str, settings: ProviderSettings = PATIENT, more: str = "") -> RemoteSide:
        made.append(KINDS[kind].side(url, settings, more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def scores_of(side: RemoteSide, request: ScoreRequest = REQUEST) -> tuple[float, ...]:
    """Of a request that must be answered."""
    found = side.ask(request).found
    assert isinstance(found, PairScores), found
    return found.scores


def failure_of(side: RemoteSide, request: ScoreRequest = REQUEST) -> RerankerError:
    """Of a request that must fail."""
    found = side.ask(request).found
    assert isinstance(found, RerankerError), found
    return found


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


def many(count: int) -> ScoreRequest:
    """A request with so many different documents."""
    return ScoreRequest(REQUEST.query, tuple(f"{REQUEST.documents[0]} {number}" for number in range(count)))


@pytest.mark.parametrize(
    ("kind", "count", "sizes"),
    [
        ("cohere", 1_001, [1_000, 1]),
        ("voyage", 1_001, [1_000, 1]),
        ("jina", 1_001, [1_000, 1]),
        ("jina-listwise", 1_001, [1_001]),
        ("tei", 70, [32, 32, 6]),
        ("http-tei", 33, [32, 1]),
        ("http-infinity", 2_049, [2_048, 1]),
    ],
)
def test_pools_beyond_a_limit_are_asked_for_in_parts(side: Make, kind: str, count: int, sizes: list[int]) -> None:
    """One after the other, with the scores that each pair has anyway; never where the scores hang together."""
    request = many(count)
    with ProviderServer(KINDS[kind].form) as server:
        made = side(kind, server.url, ProviderSettings())  # patient: a busy machine takes its time over 2,048 documents
        answer = made.ask(request)
        estimate = made.estimate(request)
    assert isinstance(answer.found, PairScores)
    assert list(answer.found.scores) == [score(request.query, document) for document in request.documents]
    sent = [request.body.get("documents", request.body.get("texts")) for request in server.requests]
    assert [len(part) for part in sent] == sizes
    assert answer.asked.usage.calls == answer.asked.attempts == estimate.calls == len(sizes)
    assert answer.asked.usage.search_units == estimate.search_units == (11 if kind == "cohere" else 0)


def test_a_pool_beyond_voyages_tokens_is_asked_for_in_parts(side: Make) -> None:
    """Counted so that no script goes over: 600,000 of them, of the first models half as many."""
    request = ScoreRequest("q", ("x" * 900_000, "y" * 899_990, "z" * 20))
    with ProviderServer("voyage") as server:
        scores_of(side("voyage", server.url), request)
        first = build(parse(f"voyage:rerank-1,url={server.url}"))
        assert isinstance(first, RemoteSide)
        assert first.estimate(request).calls == 3
    assert [len(request.body["documents"]) for request in server.requests] == [2, 1]


@pytest.mark.parametrize(("most", "more", "sizes"), [(7, "", [7, 3]), (7, ",batch=4", [4, 4, 2]), (512, "", [10])])
def test_tei_is_asked_how_much_it_takes(side: Make, most: int, more: str, sizes: list[int]) -> None:
    """Once; `batch` says it instead."""
    with ProviderServer("tei", most=most) as server:
        made = side("tei", server.url, more=more)
        scores_of(made, many(10))
        scores_of(made, ScoreRequest("another", many(3).documents))
        assert made.estimate(many(10)).calls == len(sizes)
    assert [len(request.body["texts"]) for request in server.requests] == [*sizes, 3]


def test_a_server_that_does_not_say_takes_what_tei_takes_by_default(side: Make) -> None:
    """The form without /info: 32 documents a call."""
    with ProviderServer("tei", most=40) as server:
        server.tells_limit = False
        scores_of(side("tei", server.url), many(40))
    assert [len(request.body["texts"]) for request in server.requests] == [32, 8]


def test_a_batch_too_large_fails_the_turn_and_not_the_side(side: Make) -> None:
    """413 says nothing of other turns."""
    with ProviderServer("tei", most=4) as server:
        made = side("tei", server.url, more=",batch=32")
        assert "413" in str(failure_of(made, many(5)))
        assert made.stopped is None
        scores_of(made, many(4))


@pytest.mark.parametrize(
    ("kind", "blank"),
    [("cohere", 0.0), ("jina", 0.0), ("jina-listwise", -1.0), ("voyage", 0.0), ("tei", 0.0), ("tei-raw", -20.0)],
)
def test_blank_documents_are_not_sent(side: Make, kind: str, blank: float) -> None:
    """They score a constant below all others, without truncation; a pool of nothing else is not asked for."""
    request = ScoreRequest("data at rest", ("", "data at rest", " \n\t ", "rest"))
    with ProviderServer(KINDS[kind].form) as server:
        made = side(kind, server.url)
        found = made.ask(request).found
        alone = made.ask(ScoreRequest("data", ("", " ")))
        assert isinstance(found, PairScores)
        assert (found.scores[0], found.scores[2], found.truncated) == (blank, blank, (False,) * 4)
        assert min(found.scores[1], found.scores[3]) > blank
        assert isinstance(alone.found, PairScores)
        assert (alone.found.scores, alone.asked.attempts) == ((blank, blank), 0)
        assert made.estimate(request).calls == 1
        assert made.estimate(ScoreRequest("data", ("", " "))) == Usage()
    (sent,) = server.requests
    assert sent.body.get("documents", sent.body.get("texts")) == ["data at rest", "rest"]


def test_servers_of_ones_own_get_blank_documents(side: Make) -> None:
    """What theirs scores is not for us to say, because nobody documents in which range."""
    with ProviderServer("vllm") as server:
        assert len(scores_of(side("http-vllm", server.url), ScoreRequest("q", ("", "a")))) == 2
    assert server.requests[0].body["documents"] == ["", "a"]


def test_a_blank_query_fails_its_turn(side: Make) -> None:
    """Without a call that the provider would refuse."""
    with ProviderServer("cohere") as server:
        made = side("cohere", server.url)
        assert "the query is blank" in failure_of(made, replace(REQUEST, query=" \n")).textless
        assert made.stopped is None
    assert server.requests == []


def test_cut_documents_are_counted(side: Make) -> None:
    """By `max_chars`, and by nothing else that is known."""
    request = ScoreRequest("data", ("data at rest", "data", "x" * 200))
    with ProviderServer("cohere") as server:
        found = side("cohere", server.url, more=",max_chars=5").ask(request).found
    assert isinstance(found, PairScores)
    assert found.truncated == (True, False, True)
    assert server.requests[0].body["documents"] == ["data ", "data", "xxxxx"]


def test_unusual_characters_arrive(side: Make) -> None:
    """Control characters as they are; half a character as the sign for one."""
    texts = ("nul \0 escape \x1b[2J", "\u2028 line", "half \ud83d", "whole 😀")
    with ProviderServer("jina") as server:
        scores_of(side("jina", server.url), ScoreRequest("q", texts))
    assert server.requests[0].body["documents"] == [*texts[:2], "half \ufffd", texts[3]]


# a bad day


def enduring(settings: ProviderSettings, fault: Fault) -> ProviderSettings:
    """With as much patience as the fault takes."""
    return replace(settings, read_timeout=IMPATIENT_SECONDS) if fault is Fault.HANGS else settings


@pytest.mark.parametrize(
    "fault",
    [
        Fault.THROTTLED,
        Fault.THROTTLED_SILENTLY,
        Fault.BROKEN,
        Fault.OVERLOADED,
        Fault.HANGS,
        Fault.CUT,
        Fault.DROPPED,
    ],
)
@pytest.mark.parametrize("kind", ["cohere", "tei"])
def test_what_passes_is_tried_again(side: Make, kind: str, fault: Fault) -> None:
    """The turn is answered in the end, once, and its latency is that of the answered call."""
    with ProviderServer(KINDS[kind].form, Faults(fault)) as server:
        answer = side(kind, server.url, enduring(PATIENT, fault)).ask(REQUEST)
        asked = [request.fault for request in server.requests]
    assert isinstance(answer.found, PairScores), answer.found
    assert asked == [fault, None]
    assert (answer.asked.usage.calls, answer.asked.attempts) == (1, 2)
    assert answer.asked.seconds is not None
    assert list(server.answered.values()) == [1]


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.BROKEN, Fault.HANGS, Fault.CUT, Fault.DROPPED])
def test_what_does_not_pass_fails_the_turn(side: Make, fault: Fault) -> None:
    """Where nothing is tried again, or not often enough; the next turn is asked for."""
    with ProviderServer("cohere", Faults(fault)) as server:
        made = side("cohere", server.url, enduring(ONCE, fault))
        answer = made.ask(REQUEST)
        assert isinstance(answer.found, RerankerError)
        assert (answer.asked.attempts, answer.asked.usage, answer.asked.seconds) == (1, Usage(), None)
        assert made.stopped is None
        scores_of(made)


def test_a_slow_drip_ends_with_the_turns_deadline(side: Make) -> None:
    """Each byte comes in time, the answer does not; in more time it is taken."""
    with ProviderServer("cohere", Faults(Fault.DRIPS, Fault.DRIPS)) as server:
        hasty = side("cohere", server.url, replace(ONCE, turn_deadline=0.2))
        assert isinstance(failure_of(hasty), TransientError)
        assert (
            "gave no whole answer" in failure_of(side("cohere", server.url, replace(ONCE, turn_deadline=0.2))).textless
        )
        scores_of(side("cohere", server.url))


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_key_stops_the_side(side: Make, kind: str) -> None:
    """One call; all turns after it fail at once, and the key is in no message, even where the server repeats it."""
    with ProviderServer(KINDS[kind].form, Faults(Fault.FORBIDDEN)) as server:
        made = side(kind, server.url)
        first, second = failure_of(made), failure_of(made)
        assert len(server.requests) == 1
    assert isinstance(first, RefusedError)
    assert isinstance(second, RefusedError)
    assert made.stopped is not None
    assert "401" in made.stopped
    said = "\n".join((str(first), first.textless, str(second), made.stopped, repr(first), repr(made.__dict__)))
    assert KEY not in said
    assert "invalid api token" in said


def test_a_request_that_the_provider_cannot_read_stops_a_managed_side(side: Make) -> None:
    """Where nothing was answered before, it would refuse the next one too; afterwards it is that turn's own."""
    with ProviderServer("cohere", Faults(Fault.BUG)) as server:
        made = side("cohere", server.url)
        assert isinstance(failure_of(made), RefusedError)
        assert isinstance(failure_of(made), RefusedError)
        assert len(server.requests) == 1
    with ProviderServer("cohere", Faults(None, Fault.BUG)) as server:
        made = side("cohere", server.url)
        scores_of(made)
        assert not isinstance(failure_of(made), RefusedError)
        scores_of(made)


def test_a_request_that_ones_own_server_cannot_read_fails_its_turn(side: Make) -> None:
    """A 400 is what vLLM says to what is longer than its model reads: the next turn may be shorter."""
    with ProviderServer("vllm", Faults(Fault.BUG)) as server:
        made = side("http-vllm", server.url)
        assert "400" in str(failure_of(made))
        scores_of(made)


@pytest.mark.parametrize("fault", [Fault.MISSING, Fault.NAN, Fault.OTHER_JSON])
def test_an_answer_that_cannot_be_used_has_been_paid_for(side: Make, fault: Fault) -> None:
    """It is not asked for again, and counts as used."""
    with ProviderServer("cohere", Faults(fault)) as server:
        answer = side("cohere", server.url).ask(REQUEST)
    assert isinstance(answer.found, RerankerError)
    assert answer.asked.usage.calls == len(server.requests) == 1
    assert answer.asked.usage.search_units == (0 if fault is Fault.OTHER_JSON else 1)


def test_a_part_that_fails_fails_the_turn(side: Make) -> None:
    """Scores of half a pool are none, though they were paid for."""
    with ProviderServer("tei", Faults(None, Fault.MISSING)) as server:
        answer = side("tei", server.url).ask(many(70))
    assert isinstance(answer.found, RerankerError)
    assert (answer.asked.usage.calls, answer.asked.seconds) == (2, None)
    assert len(server.requests) == 2


# what the doctor asks


@pytest.mark.parametrize(
    ("kind", "key"),
    [("cohere", "COHERE_API_KEY or CO_API_KEY"), ("tei", "none is sent"), ("http-vllm", "OWN_KEY")],
)
def test_the_doctor_looks_for_the_key_and_asks_once(side: Make, kind: str, key: str) -> None:
    """Without `online` nothing is sent; with it, one call with one document."""
    with ProviderServer(KINDS[kind].form) as server:
        made = side(kind, server.url)
        (finding,) = made.check(online=False)
        assert (finding.status, finding.what) == (Status.OK, f"{made.spec}: {key}")
        assert server.requests == []
        found = list(made.check(online=True))
        assert [finding.status for finding in found] == [Status.OK, Status.OK]
        assert f"127.0.0.1:{server.url.rpartition(':')[2]} answered in " in found[1].what
        assert len(server.requests) == 1


def test_the_doctor_tells_what_a_provider_refuses_with(side: Make) -> None:
    """In one finding, without the key."""
    with ProviderServer("voyage", key="another") as server:
        found = list(side("voyage", server.url).check(online=True))
    assert [finding.status for finding in found] == [Status.OK, Status.FAIL]
    assert "answers 401 Unauthorized: invalid api token" in found[1].what
    assert KEY not in found[1].what
