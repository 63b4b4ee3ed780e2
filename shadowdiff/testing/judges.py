"""What every judge must keep, as a test class, and a judge to test with: for us and for plug-in authors.

    from shadowdiff.testing.judges import JudgeContract

    class TestMine(JudgeContract):
        def make(self):
            return build(parse("mine:target"), JudgeContext())

pytest then runs every rule below against it. A judge that is a person has nobody to answer here.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from shadowdiff.errors import RerankerError
from shadowdiff.judging.comparisons import Question, ShownEntry
from shadowdiff.judging.protocol import Ahead, Judge, Judged
from shadowdiff.protocols import Network, Networked
from shadowdiff.records import Asked, Usage
from shadowdiff.rerankers.fingerprint import fingerprint
from shadowdiff.rerankers.spec import Spec, parse
from shadowdiff.verdicts import Choice, Opinion

QUESTION = Question(
    history=(("Do you hold a SOC 2 report?", "Yes, type II, renewed every year."),),
    query="How is customer data encrypted at rest?",
    entries=(
        ShownEntry("Encryption", "Customer data is encrypted at rest with AES-256."),
        ShownEntry("Holidays", "Our offices are closed on public holidays."),
        ShownEntry("Keys", "Keys are rotated every ninety days."),
    ),
    first=(0, 2),
    second=(2, 1),
)
UNUSUAL = Question((), "\u202e?", (ShownEntry("", "\x1b[2J \ud83d \x00"), ShownEntry("データ", "")), (), (1, 0))


def best_by(words: Callable[[str], float]) -> Callable[[Question], Choice]:
    """Whichever list's first entry has more by `words`; a tie where both have as much, or one is empty."""

    def choose(question: Question) -> Choice:
        first, second = (
            words(question.entries[places[0]].body) if places else 0.0 for places in (question.first, question.second)
        )
        return Choice.TIE if first == second else Choice.FIRST if first > second else Choice.SECOND

    return choose


class FakeJudge:
    """Says what it is made to say, at once, and counts what it was asked."""

    network: Network | None = None
    both_orders = True
    is_person = False
    concurrency = 4
    stopped: str | None = None

    def __init__(self, choose: Callable[[Question], Choice | RerankerError] | None = None, spec: str = "fake") -> None:
        """Without `choose`, it says whichever list begins with the longer entry."""
        self.spec: Spec = parse(spec)
        self.model = "fake-1"
        self.asked: list[Question] = []
        self.closed = False
        self._choose = choose or best_by(len)

    def key(self, question: Question) -> str:
        """Over the spec and everything shown."""
        return fingerprint(str(self.spec), repr(question))

    def shown(self, question: Question) -> str:
        """All of it."""
        return repr(question)

    def estimate(self, question: Question) -> Usage:
        """A token per character."""
        return Usage(1, 0.0, len(repr(question)), 1)

    def compare(self, question: Question) -> Judged:
        """What it was made to say."""
        self.asked.append(question)
        found = self._choose(question)
        if isinstance(found, RerankerError):
            return Judged(found, Asked(attempts=1))
        return Judged(Opinion(found, "So it seems."), Asked(self.estimate(question), 1, 0.01))

    def prepare(self, ahead: Ahead) -> None:
        """Nothing."""

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class JudgeContract:
    """Subclass it and define `make`."""

    def make(self) -> Judge:
        """A fresh judge, ready to be asked."""
        raise NotImplementedError

    def test_it_says_what_it_is(self) -> None:
        """A spec that is read back, a model, and whether texts leave the machine."""
        judge = self.make()
        assert parse(str(judge.spec)) == judge.spec
        assert judge.model
        assert isinstance(judge, Networked)
        assert judge.concurrency >= 1
        assert judge.stopped is None

    def test_a_key_is_of_everything_shown(self) -> None:
        """The same question has the same key, from another judge of the spec too; any other question another one."""
        judge, other = self.make(), self.make()
        first, *rest = QUESTION.entries
        changed = (
            QUESTION.swapped,
            replace(QUESTION, query="How?"),
            replace(QUESTION, history=()),
            replace(QUESTION, entries=(replace(first, body=f"{first.body}."), *rest)),
            replace(QUESTION, first=(2, 0)),
        )
        keys = [judge.key(question) for question in (QUESTION, *changed, UNUSUAL)]
        assert keys[0] == other.key(QUESTION)
        assert len(set(keys)) == len(keys)
        assert all(len(bytes.fromhex(key)) == 32 for key in keys)

    def test_what_it_is_shown_can_be_read(self) -> None:
        """Query, titles and texts stand in it, and what stands there is what its key is of."""
        judge = self.make()
        shown = judge.shown(QUESTION)
        texts = [QUESTION.query, *(text for entry in QUESTION.entries for text in (entry.title, entry.body))]
        assert [text for text in texts if text not in shown] == []
        assert shown == judge.shown(QUESTION)
        assert shown != judge.shown(QUESTION.swapped)

    def test_it_answers(self) -> None:
        """With an opinion and what it took, also where a list is empty or texts are unusual."""
        judge = self.make()
        for question in (QUESTION, QUESTION.swapped, UNUSUAL):
            judged = judge.compare(question)
            assert isinstance(judged.found, Opinion), judged.found
            assert (judged.found.choice is Choice.ABSTAINED) == (judged.found.abstention is not None)
            assert judge.estimate(question).calls in (0, 1)

    def test_threads_may_share_it(self) -> None:
        """Each gets the answer to its own question."""
        judge = self.make()
        questions = [QUESTION, QUESTION.swapped] * 4
        with ThreadPoolExecutor(judge.concurrency) as pool:
            found = list(pool.map(judge.compare, questions))
        assert all(isinstance(judged.found, Opinion) for judged in found)

    def test_closed_it_asks_nothing_more(self) -> None:
        """Closing twice is as good as once."""
        judge = self.make()
        judge.close()
        judge.close()
