"""Sides' lists held against the baseline's by one judge: drawn, asked, and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from shadowdiff.judging.asking import JUDGE, Asking, Asks, Found, asks_of
from shadowdiff.judging.comparisons import Exchange, JudgedTurn
from shadowdiff.judging.drawing import Beside, Drawn, Outcomes, Wanted, compared, drawn_turns, gains
from shadowdiff.judging.forecast import JudgeForecast
from shadowdiff.judging.protocol import Judge
from shadowdiff.judging.questions import Showing
from shadowdiff.records import Usage
from shadowdiff.remote.budget import Budget
from shadowdiff.runs import Price, Run, Side
from shadowdiff.store.holds import Hold
from shadowdiff.store.labels import Labels
from shadowdiff.store.runs import RunStore
from shadowdiff.store.verdicts import Verdicts


@dataclass(frozen=True)
class Hearing:
    """What is judged, by whom, and how. Its methods raise StoreError when the database fails."""

    run: Run
    others: tuple[Side, ...]
    """The sides that are held against the baseline."""
    judge: Judge
    store: RunStore
    outcomes: Outcomes
    wanted: Wanted
    showing: Showing
    price: Price | None = None
    """What a call costs; None: nobody said."""
    again: bool = False
    """Whether abstentions are asked for again."""
    found: Found = field(default_factory=Found)

    @property
    def sides(self) -> tuple[Side, ...]:
        """The baseline first."""
        return (self.run.baseline, *self.others)

    @cached_property
    def drawn(self) -> Drawn:
        """The turns that are judged."""
        return drawn_turns(self.store, self.run.run_id, self.sides, self.wanted)

    @cached_property
    def beside(self) -> Beside:
        """Their lists. Raises SourceError where texts come from there."""
        return compared(self.outcomes, self.drawn.turns, self.sides, self.showing)

    @cached_property
    def asks(self) -> Asks:
        """The questions."""
        return asks_of(self.beside.comparisons, self.judge)

    def look_up(self) -> None:
        """Take in the verdicts that are stored."""
        self.found.verdicts |= self._asking(None).stored(self.asks)
        self.found.reused = len(self.found.verdicts)

    def alone(self) -> Hold:
        """A hold on what is asked: two commands at once would pay for everything twice. Raises HeldError."""
        run, judge = self.run.run_id, self.judge.spec
        refusal = f"another command asks judge {judge} about run {run}; wait for it, or stop it"
        return self.store.held(f"judge {judge} of run {run}", refusal)

    def forecast(self) -> JudgeForecast:
        """What asking for the rest would take."""
        questions = self.asks.questions
        new = [ask for ask in questions if ask.key not in self.found.verdicts]
        usage = sum((self.judge.estimate(ask.question) for ask in new), Usage())
        return JudgeForecast(
            judge=str(self.judge.spec),
            drawn=len(self.asks.comparisons),
            identical=sum(each.is_identical for each in self.asks.comparisons),
            questions=len(questions),
            stored=len(questions) - len(new),
            usage=usage,
            usd=None if self.price is None else self.price.usd(usage),
        )

    def carry_out(
        self, max_usd: float | None, on_answered: Callable[[int, int], None], is_ending: Callable[[], bool]
    ) -> bool:
        """Ask for the rest; whether it stopped because more would go beyond the cap. See `Asking.carry_out`."""
        asking = self._asking(max_usd)
        asking.carry_out(self.asks, self.found, on_answered, is_ending)
        return asking.budget.is_exhausted

    def judged(self) -> dict[str, list[JudgedTurn]]:
        """By label, every drawn turn with what was said of it; with what labels say, where there are any.

        Raises ConfigError where there are labels and the extra `evaluate` is not installed.
        """
        labels = Labels(self.store).of_run(self.run.run_id)
        turns = self.asks.judged(self.found, gains(self.asks.comparisons, labels, self.showing.top_k))
        return {side.label: [turn for turn in turns if turn.comparison.other == side.label] for side in self.others}

    def prompt_hashes(self) -> dict[tuple[str, str, str], tuple[str | None, str | None]]:
        """By label, org and turn: the keys with the baseline's list shown first, and second."""
        keys = self.asks.keys
        return {
            (each.other, each.org_id, each.turn_id): (keys.get((place, True)), keys.get((place, False)))
            for place, each in enumerate(self.asks.comparisons)
        }

    def exchanges(self) -> list[Exchange]:
        """Everything that was said between us and the judge, or would be, each question in each order."""
        baseline = self.run.baseline.label
        return [
            Exchange(
                comparison=ask.comparison,
                sides=(baseline, ask.comparison.other) if ask.a_first else (ask.comparison.other, baseline),
                shown=self.judge.shown(ask.question),
                key=ask.key,
                verdict=self.found.verdicts.get(ask.key),
            )
            for ask in self.asks.questions
        ]

    def usage(self) -> Usage:
        """Of all verdicts that are counted, whenever they were asked for."""
        counted = {key: self.found.verdicts[key] for key in self.asks.keys.values() if key in self.found.verdicts}
        return sum((verdict.usage for verdict in counted.values()), Usage())

    def _asking(self, max_usd: float | None) -> Asking:
        return Asking(
            judge=self.judge,
            verdicts=Verdicts(self.store),
            run_id=self.run.run_id,
            baseline=self.run.baseline.label,
            budget=Budget({JUDGE: self.price} if self.price else {}, max_usd),
            keep_texts=self.run.config.store_text,
            again=self.again,
        )
