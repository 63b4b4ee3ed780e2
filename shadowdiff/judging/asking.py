"""Asking a judge, several questions at a time, within what may be spent; each verdict is stored as it comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from shadowdiff.errors import RemoteError, RerankerError
from shadowdiff.judging.comparisons import Comparison, JudgedTurn, Question
from shadowdiff.judging.protocol import BackError, Judge, Judged, StoppedError
from shadowdiff.plugins import reason_of
from shadowdiff.records import Usage
from shadowdiff.remote.budget import UNLIMITED, Budget
from shadowdiff.remote.texts import NOT_AGAIN, without_attempts
from shadowdiff.store.verdicts import Verdicts
from shadowdiff.verdicts import Abstention, Choice, Opinion, Verdict

JUDGE = "judge"
"""Its label in a budget."""
UNAFFORDABLE = "was not asked: that would go beyond --max-usd"
UNASKED = "was not asked: it was stopped before"
SECONDS_PER_GLANCE = 0.1


@dataclass(frozen=True, slots=True)
class Ask:
    """One question in one order."""

    key: str
    question: Question
    comparison: Comparison
    """The first that asks it."""
    a_first: bool


@dataclass(frozen=True, slots=True)
class Asks:
    """What there is to ask of comparisons, each question once."""

    comparisons: tuple[Comparison, ...]
    questions: tuple[Ask, ...]
    keys: Mapping[tuple[int, bool], str]
    """By place of the comparison, and whether the baseline's list is shown first."""

    def judged(self, found: Found, gains: Mapping[int, float]) -> list[JudgedTurn]:
        """Every comparison with what was said of it; `gains` by labels, by place, where there are any."""
        return [
            JudgedTurn(
                comparison=comparison,
                a_first=self._opinion(place, found, a_first=True),
                b_first=self._opinion(place, found, a_first=False),
                failure=self._failure(place, found),
                gain=gains.get(place),
            )
            for place, comparison in enumerate(self.comparisons)
        ]

    def _opinion(self, place: int, found: Found, *, a_first: bool) -> Opinion | None:
        verdict = found.verdicts.get(self.keys.get((place, a_first), ""))
        return verdict.opinion if verdict else None

    def _failure(self, place: int, found: Found) -> str:
        keys = (self.keys.get((place, a_first), "") for a_first in (True, False))
        return next((found.failures[key] for key in keys if key in found.failures), "")


def asks_of(comparisons: Sequence[Comparison], judge: Judge) -> Asks:
    """The questions of all comparisons, turn by turn, each first in the order that the coin gave it.

    A person, who remembers, is asked side by side: of two comparisons of one turn in a row, the list
    that stands in both would be the baseline's.
    """
    asks: dict[str, Ask] = {}
    keys: dict[tuple[int, bool], str] = {}
    places = sorted(range(len(comparisons)), key=lambda at: comparisons[at].other if judge.is_person else "")
    for place in places:
        comparison = comparisons[place]
        if comparison.question is None:
            continue
        for a_first in (comparison.a_first, not comparison.a_first)[: 2 if judge.both_orders else 1]:
            question = comparison.question if a_first else comparison.question.swapped
            key = keys[place, a_first] = judge.key(question)
            asks.setdefault(key, Ask(key, question, comparison, a_first))
    return Asks(tuple(comparisons), tuple(asks.values()), keys)


@dataclass(slots=True)
class Found:
    """What is known of the questions: by key, and what it took."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    reused: int = 0
    """Verdicts that were stored when asking began."""
    asked: Usage = field(default_factory=Usage)
    """In this invocation."""
    calls: int = 0
    """Questions that were put in this invocation, answered or not."""
    longest: int = 0
    """Tokens of the longest answer of this invocation: what a cap must leave room for."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Whom to ask, and under what conditions."""

    judge: Judge
    verdicts: Verdicts
    run_id: str
    baseline: str
    """Its label."""
    budget: Budget = UNLIMITED
    keep_texts: bool = True
    again: bool = False
    """Whether abstentions of earlier invocations are asked for again."""

    def stored(self, asks: Asks) -> dict[str, Verdict]:
        """By key, what earlier invocations found out."""
        kept = self.verdicts.under([ask.key for ask in asks.questions])
        return {key: each for key, each in kept.items() if not (self.again and _abstained(each))}

    def carry_out(
        self,
        asks: Asks,
        found: Found,
        on_answered: Callable[[int, int], None] = lambda done, whole: None,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        """Ask whatever `found` lacks and add it there, until `is_ending`; what is under way then is waited for.

        Raises StoreError. KeyboardInterrupt gives up what is under way.
        """
        waiting = deque(ask for ask in asks.questions if ask.key not in found.verdicts)
        whole = len(waiting)
        try:
            for answered, (ask, judged) in enumerate(self._answers(waiting, found, is_ending), start=1):
                self._take(ask, judged, found)
                on_answered(answered, whole)
        except BaseException:
            self.judge.close()
            raise
        found.failures |= {ask.key: UNASKED for ask in waiting if ask.key not in found.verdicts}

    def _answers(
        self, waiting: deque[Ask], found: Found, is_ending: Callable[[], bool]
    ) -> Iterator[tuple[Ask, Judged]]:
        """Each question with what came of it, in the order of the answers; what is not asked stays in `waiting`."""
        if self.judge.concurrency == 1:
            yield from self._one_by_one(waiting, found, is_ending)
            return
        under_way: dict[Future[Judged], Ask] = {}
        with ThreadPoolExecutor(self.judge.concurrency, thread_name_prefix="judge") as pool:
            while under_way or (waiting and not is_ending()):
                while waiting and len(under_way) < self.judge.concurrency and not is_ending():
                    ask = waiting.popleft()
                    under_way[pool.submit(self._asked, ask, found.longest)] = ask
                done, _ = wait(under_way, SECONDS_PER_GLANCE, FIRST_COMPLETED)
                for future in done:
                    yield under_way.pop(future), future.result()

    def _one_by_one(
        self, waiting: deque[Ask], found: Found, is_ending: Callable[[], bool]
    ) -> Iterator[tuple[Ask, Judged]]:
        answered: list[Ask] = []
        while waiting and not is_ending():
            try:
                judged = self._asked(waiting[0], found.longest)
            except StoppedError:
                return
            except BackError:
                waiting.extendleft(answered[-1:])
                del answered[-1:]
                continue
            answered.append(waiting.popleft())
            yield answered[-1], judged

    def _asked(self, ask: Ask, longest: int) -> Judged:
        """What came of it. Of the budget is taken what it may cost: this judge may write more than is expected."""
        expected = self.judge.estimate(ask.question)
        reserved = self.budget.reserve(JUDGE, replace(expected, output_tokens=max(expected.output_tokens, longest)))
        if reserved is None:
            return Judged(RemoteError(UNAFFORDABLE, UNAFFORDABLE))
        used = Usage()
        try:
            judged = _compared(self.judge, ask.question)
            used = _charged(judged.asked.usage, expected)
        finally:
            self.budget.settle(JUDGE, reserved, used)
        return judged

    def _take(self, ask: Ask, judged: Judged, found: Found) -> None:
        found.asked += judged.asked.usage
        found.longest = max(found.longest, judged.asked.usage.output_tokens)
        if ask.key not in found.verdicts:
            found.calls += bool(judged.asked.attempts) or not isinstance(judged.found, RerankerError)
        if isinstance(judged.found, RerankerError):
            found.failures[ask.key] = without_attempts(str(judged.found)).removesuffix(NOT_AGAIN)
            return
        sides = (self.baseline, ask.comparison.other)
        first, second = sides if ask.a_first else sides[::-1]
        verdict = Verdict(
            judge=str(self.judge.spec),
            model=self.judge.model,
            prompt_hash=ask.key,
            run_id=self.run_id,
            org_id=ask.comparison.org_id,
            turn_id=ask.comparison.turn_id,
            first=first,
            second=second,
            opinion=judged.found,
            usage=judged.asked.usage,
            seconds=judged.asked.seconds,
        )
        self.verdicts.put(verdict, keep_texts=self.keep_texts)
        found.verdicts[ask.key] = verdict


def _compared(judge: Judge, question: Question) -> Judged:
    """What the judge says, or why it says nothing: plug-ins are strangers' code, and one answer must cost no other."""
    try:
        judged = judge.compare(question)
        return judged if isinstance(judged.found, RerankerError) else replace(judged, found=_sound(judged.found))
    except (StoppedError, BackError):
        raise
    except RerankerError as error:
        return Judged(error)
    except Exception as error:
        if judge.is_person:  # who leaves with Ctrl-D, an EOFError, and must not be asked on
            raise
        failure = RerankerError(f"judge {judge.spec} broke: {reason_of(error)}")
        failure.__cause__ = error
        return Judged(failure)


def _sound(opinion: Opinion) -> Opinion:
    """The opinion as it can be stored. Raises TypeError for what is none."""
    if not isinstance(opinion, Opinion) or not isinstance(opinion.choice, Choice):
        raise TypeError("its answer is no Opinion with a Choice")
    if isinstance(opinion.abstention, Abstention) is not (opinion.choice is Choice.ABSTAINED):
        raise TypeError("an abstention has a kind, and nothing else has one")
    texts = (opinion.reason, opinion.first_note, opinion.second_note, opinion.raw)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("its reason, its notes and its raw answer must be texts")
    reason, first, second, raw = map(_storable, texts)
    return replace(opinion, reason=reason, first_note=first, second_note=second, raw=raw)


def _storable(text: str) -> str:
    """Without what Postgres cannot hold."""
    return text.replace("\0", "\u2400").encode("utf-8", "replace").decode()


def _charged(used: Usage, expected: Usage) -> Usage:
    """What counts against a cap: an answer that does not tell its tokens cost what was expected, not nothing."""
    return expected if used.calls and not (used.input_tokens or used.output_tokens) else used


def _abstained(verdict: Verdict) -> bool:
    return verdict.opinion.choice is Choice.ABSTAINED
