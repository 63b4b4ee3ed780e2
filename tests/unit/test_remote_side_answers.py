"""Sides that ask over HTTP: pools in parts, blank and cut texts, a provider's bad day, and what the doctor sees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shadowdiff.errors import RefusedError, RerankerError, TransientError
from shadowdiff.findings import Status
from shadowdiff.protocols import (
    PairScores,
    ScoreRequest,
)
from shadowdiff.records import Usage
from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.remote_side import RemoteSide
from shadowdiff.rerankers.spec import parse
from shadowdiff.testing import REQUEST
from tests.providers import KEY, Fault, Faults, ProviderServer
from tests.providers.forms import score
from tests.providers.sides import KINDS, ONCE, PATIENT, Make, failure_of, scores_of

IMPATIENT_SECONDS = 2.0
"""For which a server that hangs is waited for, and within which one that does not must answer on a busy machine."""

pytestmark = pytest.mark.usefixtures("provider_keys")


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
