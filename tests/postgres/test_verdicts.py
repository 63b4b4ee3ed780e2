"""Verdicts: stored as they come, asked for once, and within what may be spent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, repeat

import pytest

from shadowdiff.database import parse_url
from shadowdiff.errors import HeldError, RemoteError, RerankerError
from shadowdiff.judging.asking import UNAFFORDABLE, UNASKED
from shadowdiff.judging.comparisons import Question
from shadowdiff.judging.drawing import Wanted
from shadowdiff.judging.hearing import Hearing
from shadowdiff.judging.protocol import BackError, Judge, Judged, StoppedError
from shadowdiff.judging.questions import Showing
from shadowdiff.records import Asked, Usage
from shadowdiff.replay.results import outcomes
from shadowdiff.runs import Price, Run
from shadowdiff.store.runs import RunStore
from shadowdiff.store.verdicts import Verdicts
from shadowdiff.testing.judges import FakeJudge
from shadowdiff.verdicts import Abstention, Choice, Opinion, Verdict
from tests.conftest import Cli, MakeDatabase, run_cli

VERDICT = Verdict(
    judge="bedrock:m",
    model="m",
    prompt_hash="ab" * 32,
    run_id="20261120-0214",
    org_id="halden-vault",
    turn_id="hv-7f3a:1",
    first="B",
    second="A",
    opinion=Opinion(Choice.FIRST, "Nearer.", "Good.", "Bad.", raw='{"stopReason": "tool_use"}'),
    usage=Usage(1, 0.0, 4_100, 130),
    seconds=1.25,
)


RUBBISH = (
    (ZeroDivisionError("by zero"), "judge fake:0 broke: ZeroDivisionError: by zero"),
    (Judged(None), "broke: TypeError: its answer is no Opinion"),  # type: ignore[arg-type]
    ("first", "broke: TypeError: its answer is no Opinion"),
    (Opinion("best"), "broke: TypeError: its answer is no Opinion"),  # type: ignore[arg-type]
    (Opinion(Choice.ABSTAINED), "an abstention has a kind"),
    (Opinion(Choice.TIE, abstention=Abstention.CUT), "an abstention has a kind"),
    (Opinion(Choice.TIE, None), "must be texts"),  # type: ignore[arg-type]
    (RemoteError("the line is down", "the line is down"), "the line is down"),
)


@pytest.fixture(scope="module")
def few_replayed(make_database: MakeDatabase, sample_template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of a database with the sample and a run of its last sessions: cosine against BM25."""
    url = make_database(sample_template)
    arguments = ("replay", "--last", "8", "--latency", "0", "-A", "cosine", "-B", "bm25")
    home = tmp_path_factory.mktemp("few")
    assert run_cli(home, *arguments, env={"SHADOWDIFF_DATABASE_URL": url}).code == 0
    return str(parse_url(url).database)


@pytest.fixture
def sample_url(make_database: MakeDatabase, few_replayed: str) -> str:
    """A database of this test's own."""
    return make_database(few_replayed)


@pytest.fixture
def run(sample_store: RunStore) -> Run:
    """Of the last sessions."""
    return sample_store.get("latest")


@pytest.fixture
def verdicts(sample_store: RunStore) -> Verdicts:
    """Of the sample's store."""
    return Verdicts(sample_store)


def hearing(run: Run, store: RunStore, judge: Judge, **more: object) -> Hearing:
    """Everything of the run."""
    wanted = Wanted(queries=1_000)
    made = Hearing(
        run=run,
        others=run.others,
        judge=judge,
        store=store,
        outcomes=lambda ids: outcomes(run, store, ids),
        wanted=wanted,
        showing=Showing(top_k=5, max_chars=500),
    )
    made = replace(made, **more)  # type: ignore[arg-type]
    made.look_up()
    return made


def carry_out(found: Hearing, max_usd: float | None = None, after: int | None = None) -> bool:
    """Ask, and ask for the end once so many answers are there."""
    answered = []
    return found.carry_out(
        max_usd, lambda done, _: answered.append(done), lambda: after is not None and len(answered) >= after
    )


def test_as_it_was_stored(verdicts: Verdicts) -> None:
    """All of it; in place of what stood there; and nothing that could quote a text where none may be kept."""
    verdicts.put(VERDICT)
    (found,) = verdicts.under([VERDICT.prompt_hash, "cd" * 32]).values()
    assert found.asked_at is not None
    assert replace(found, asked_at=None) == VERDICT
    abstained = Opinion(Choice.ABSTAINED, "max_tokens: it ran out", abstention=Abstention.CUT, raw="{}")
    verdicts.put(replace(VERDICT, opinion=abstained))
    assert verdicts.under([VERDICT.prompt_hash])[VERDICT.prompt_hash].opinion == abstained
    for opinion, kept in ((VERDICT.opinion, Opinion(Choice.FIRST)), (abstained, replace(abstained, raw=""))):
        verdicts.put(replace(VERDICT, opinion=opinion), keep_texts=False)
        assert verdicts.under([VERDICT.prompt_hash])[VERDICT.prompt_hash].opinion == kept


def test_every_question_once(run: Run, sample_store: RunStore) -> None:
    """Stopped and gone on with, each question is asked once, and the whole is as if it had never stopped."""
    judge = FakeJudge()
    first = hearing(run, sample_store, judge)
    questions = len(first.asks.questions)
    assert questions > 12
    carry_out(first, after=5)
    assert 5 <= len(judge.asked) <= 5 + judge.concurrency
    assert len(first.found.verdicts) == len(judge.asked), "what was under way is waited for and stored"
    assert set(first.found.failures.values()) == {UNASKED}
    second = hearing(run, sample_store, judge)
    carry_out(second)
    assert len(judge.asked) == questions
    assert len({judge.key(question) for question in judge.asked}) == questions
    assert second.found.failures == {}
    third = hearing(run, sample_store, judge)
    carry_out(third)
    assert len(judge.asked) == questions
    assert third.judged() == second.judged()


def test_an_answer_is_of_the_sides_it_was_given_of(run: Run, sample_store: RunStore) -> None:
    """A judge that always finds the list with the longer first entry better says so of the same side in both orders."""
    found = hearing(run, sample_store, FakeJudge())
    carry_out(found)
    turns = [turn for turn in found.judged()["B"] if turn.a_first is not None]
    assert turns
    mirrored = {Choice.FIRST: Choice.SECOND, Choice.SECOND: Choice.FIRST, Choice.TIE: Choice.TIE}
    for turn in turns:
        assert turn.a_first is not None
        assert turn.b_first is not None
        assert turn.b_first.choice is mirrored[turn.a_first.choice]
        question = turn.comparison.question
        assert question is not None
        a, b = (len(question.entries[places[0]].body) for places in (question.first, question.second))
        assert turn.a_first.choice is (Choice.FIRST if a > b else Choice.SECOND if b > a else Choice.TIE)
    stored = Verdicts(sample_store).under([ask.key for ask in found.asks.questions])
    for ask in found.asks.questions:
        assert (stored[ask.key].first, stored[ask.key].second) == (("A", "B") if ask.a_first else ("B", "A"))
    assert {ask.a_first for ask in found.asks.questions[::2]} == {True, False}, "a coin says whose list comes first"


def test_a_failure_is_no_verdict(run: Run, sample_store: RunStore) -> None:
    """It is not stored, and asked again the next time; an abstention is stored, and asked again only if wanted."""
    said: dict[str, Choice | RerankerError] = {}
    broken = RemoteError("the line is down", "the line is down")
    judge = FakeJudge(lambda question: said.get(question.query, Choice.TIE))
    queries = list(dict.fromkeys(ask.question.query for ask in hearing(run, sample_store, judge).asks.questions))
    said |= {queries[0]: broken}
    first = hearing(run, sample_store, judge)
    carry_out(first)
    failed = {turn.failure for turn in first.judged()["B"] if turn.comparison.query == queries[0]}
    assert failed == {"the line is down"}
    said.clear()
    before = len(judge.asked)
    carry_out(hearing(run, sample_store, judge))
    again = judge.asked[before:]
    assert {question.query for question in again} == {queries[0]}


def test_abstentions_are_asked_again_if_wanted(run: Run, sample_store: RunStore, verdicts: Verdicts) -> None:
    """Only then, and only those."""
    judge = FakeJudge(lambda _: Choice.TIE)
    first = hearing(run, sample_store, judge)
    carry_out(first)
    (key, verdict), *_ = first.found.verdicts.items()
    verdicts.put(replace(verdict, opinion=Opinion(Choice.ABSTAINED, "cut", abstention=Abstention.CUT)))
    before = len(judge.asked)
    carry_out(hearing(run, sample_store, judge))
    assert len(judge.asked) == before
    carry_out(hearing(run, sample_store, judge, again=True))
    assert [judge.key(question) for question in judge.asked[before:]] == [key]
    assert verdicts.under([key])[key].opinion.choice is Choice.TIE


def test_a_cap_holds(run: Run, sample_store: RunStore) -> None:
    """Nothing is asked that could go beyond it; the rest is said not to have been asked for that."""
    judge = FakeJudge()
    price = Price(million_input_tokens=1_000.0)
    found = hearing(run, sample_store, judge, price=price)
    cost = sorted(price.usd(judge.estimate(ask.question)) for ask in found.asks.questions)
    cap = sum(cost[:6])
    assert carry_out(found, max_usd=cap)
    assert 0 < price.usd(found.found.asked) <= cap
    assert set(found.found.failures.values()) == {UNAFFORDABLE}
    assert len(found.found.verdicts) + len(found.found.failures) == len(found.asks.questions)


def test_a_mistake_costs_one_question(run: Run, sample_store: RunStore) -> None:
    """Whatever a plug-in raises or says: that question failed, says why, and every other answer is stored."""
    whole = len(hearing(run, sample_store, FakeJudge()).asks.questions)
    for at, (rubbish, reason) in enumerate(RUBBISH):
        judge = Rubbish(rubbish, spec=f"fake:{at}")
        found = hearing(run, sample_store, judge)
        carry_out(found)
        assert len(found.found.verdicts) == whole - 1, reason
        (failure,) = found.found.failures.values()
        assert reason in failure


def test_what_postgres_cannot_hold_is_no_failure(run: Run, sample_store: RunStore) -> None:
    """An answer is paid for, whatever characters stand in it."""
    odd = Opinion(Choice.FIRST, "a\0b \ud83d", raw="\0")
    found = hearing(run, sample_store, Rubbish(odd))
    carry_out(found)
    assert found.found.failures == {}
    assert Opinion(Choice.FIRST, "a\u2400b ?", raw="\u2400") in {each.opinion for each in found.found.verdicts.values()}


def test_an_end_closes_the_judge(run: Run, sample_store: RunStore) -> None:
    """Its connections are given up, and what it said before is stored."""
    judge = Rubbish(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        carry_out(hearing(run, sample_store, judge))
    assert judge.closed


def test_what_it_took_is_not_said(run: Run, sample_store: RunStore) -> None:
    """A cap holds all the same: an answer without tokens has cost what was expected of it."""
    price = Price(million_input_tokens=1_000.0)
    judge = Rubbish(None, usage=Usage(1))
    found = hearing(run, sample_store, judge, price=price)
    cost = sorted(price.usd(judge.estimate(ask.question)) for ask in found.asks.questions)
    assert carry_out(found, max_usd=sum(cost[:6]))
    assert 0 < len(found.found.verdicts) <= 6


def test_one_command_at_a_time(run: Run, sample_store: RunStore) -> None:
    """Two at once would pay for everything twice; another judge's questions, or another run's, are others."""
    one, other = FakeJudge(), FakeJudge(spec="fake:other")
    with hearing(run, sample_store, one).alone():
        with pytest.raises(HeldError, match="another command asks judge fake about run"):
            hearing(run, sample_store, one).alone().__enter__()
        with hearing(run, sample_store, other).alone():
            pass
    with hearing(run, sample_store, one).alone():
        pass


def test_a_person_may_stop(run: Run, sample_store: RunStore) -> None:
    """After three; the report is of these, and nothing is asked in the other order."""
    judge = Person(3)
    found = hearing(run, sample_store, judge)
    carry_out(found)
    assert len(found.found.verdicts) == 3
    assert len(found.asks.questions) == sum(not each.is_identical for each in found.asks.comparisons)
    assert set(found.found.failures.values()) == {UNASKED}
    resumed = hearing(run, sample_store, Person(2))
    carry_out(resumed)
    assert len(resumed.found.verdicts) == 5


def test_a_person_may_go_back(run: Run, sample_store: RunStore) -> None:
    """To the first one, and no further; stopped there, what they said before stands."""
    second, first, back = Choice.SECOND, Choice.FIRST, BackError
    found = hearing(run, sample_store, Person(0, [back, second, first, back, back, back, first, first, back]))
    carry_out(found)
    one, two, *_ = found.asks.questions
    stored = Verdicts(sample_store).under([one.key, two.key])
    assert {key: each.opinion.choice for key, each in stored.items()} == {one.key: first, two.key: first}
    assert found.found.verdicts.keys() == stored.keys()
    assert found.found.calls == 2
    assert not found.found.failures.keys() & stored.keys()


def test_a_person_is_asked_side_by_side(cli: Cli, database: dict[str, str], sample_store: RunStore) -> None:
    """Of two comparisons of one turn in a row, the list that stands in both would be the baseline's."""
    sides = ("-A", "cosine", "-B", "bm25", "-B", "served")
    assert cli("replay", "--last", "3", "--latency", "0", *sides, env=database).code == 0
    run = sample_store.get("latest")
    others = [ask.comparison.other for ask in hearing(run, sample_store, Person(0)).asks.questions]
    assert set(others) == {"B", "C"}
    assert others == sorted(others)


class Rubbish(FakeJudge):
    """Answers one question otherwise: raises it, or gives it for an answer; None: all as ever."""

    def __init__(self, rubbish: object, spec: str = "fake", usage: Usage | None = None) -> None:
        super().__init__(lambda _: Choice.TIE, spec)
        self._rubbish = [] if rubbish is None else [rubbish]
        self._usage = usage

    def compare(self, question: Question) -> Judged:
        """The rubbish first."""
        judged = super().compare(question)
        try:
            rubbish = self._rubbish.pop()
        except IndexError:
            return judged if self._usage is None else replace(judged, asked=Asked(self._usage, 1))
        if isinstance(rubbish, BaseException):
            raise rubbish
        return rubbish if isinstance(rubbish, Judged) else Judged(rubbish)  # type: ignore[arg-type]


class Person(FakeJudge):
    """One at a time, in one order, until they have had enough."""

    both_orders = False
    is_person = True
    concurrency = 1

    def __init__(self, patience: int, says: Iterable[Choice | type[BackError]] = ()) -> None:
        """Says these, then so many times the second."""
        super().__init__(self._next, "human")
        self._left = chain(says, repeat(Choice.SECOND, patience))

    def _next(self, _: Question) -> Choice:
        said = next(self._left, None)
        if said is None:
            raise StoppedError
        if not isinstance(said, Choice):
            raise said
        return said


def test_larger_samples_cost_only_the_rest(run: Run, sample_store: RunStore) -> None:
    """Ten queries more hold the ten before; orders and coins stay."""
    judge = FakeJudge()
    few = hearing(run, sample_store, judge, wanted=Wanted(6, by_org=True))
    carry_out(few)
    asked = len(judge.asked)
    more = hearing(run, sample_store, judge, wanted=Wanted(12, by_org=True))
    assert len(more.found.verdicts) == asked
    carry_out(more)
    assert len(judge.asked) == len(more.asks.questions)


def test_nothing_but_turns_of_the_time(run: Run, sample_store: RunStore) -> None:
    """`since` leaves earlier turns out, and says how many."""
    times = [turn.turn.asked_at for replayed in sample_store.sessions(run.run_id) for turn in replayed.turns]
    middle = sorted(times)[len(times) // 2]
    found = hearing(run, sample_store, FakeJudge(), wanted=Wanted(1_000, since=middle))
    assert found.drawn.among == sum(moment >= middle for moment in times)
    assert found.drawn.earlier == sum(moment < middle for moment in times)
